"""A pydantic model as a schema for an editor: what a connection may say, and what a step's `with` may.

Pydantic's own schema is of values; what stands in a file may also be what gives the value later: an expression in a
recipe, `${NAME}` in relay.yaml. Such text is let through wherever a typed value stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter

from relay.recipes.schema.parts import DYNAMIC, REFERENCE, Schema
from relay.units import DURATION_PATTERN, SIZE_PATTERN, format_duration, format_size


@dataclass(frozen=True, slots=True)
class Opening:
    """What may stand in a value's place.

    pattern  text that gives the value later
    null     whether null leaves a key out
    hint     what a wrong value is told, after what is meant
    """

    pattern: str
    null: bool
    hint: str


IN_RECIPE = Opening(DYNAMIC, null=True, hint="or an expression such as $.rating")
IN_RELAY_YAML = Opening(REFERENCE, null=False, hint="or ${NAME}")

#: Text that pydantic takes for such a value too.
_AS_TEXT = {
    "integer": r"^\s*[-+]?\d+(\.0*)?\s*$",
    "number": r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$",
    "boolean": r"^([yY]([eE][sS])?|[nN][oO]?|[oO]([nN]|[fF][fF])|[tT]([rR][uU][eE])?|[fF]([aA][lL][sS][eE])?|0|1)$",
}
_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "`key: value`",
}
_PATTERN_WORDS = {
    DURATION_PATTERN: "a duration is a number and its unit: 30s, 5m, 2h or 1d",
    SIZE_PATTERN: "a size is a number and its unit: 500KB, 10MB or 1GB",
}

_ISO_DURATION = re.compile(r"P(?=.)(\d+D)?(T[\d.HMS]+)?")

#: Of pydantic's schema, what tells an editor nothing or makes it refuse what the relay takes.
_DROPPED = ("title", "format", "writeOnly")
_ABOUT = ("description", "default", "examples")


def model_schema(model: type[BaseModel], opening: Opening) -> Schema:
    """The schema of a mapping that is validated by the model."""
    written = model.model_json_schema(by_alias=True, mode="validation")
    return _object(_inlined(written, written.get("$defs", {}), ()), opening)


def _inlined(schema: Any, known: Mapping[str, Any], above: tuple[str, ...]) -> Any:
    """Without references; a model within itself may hold anything from the second time on."""
    if isinstance(schema, list):
        return [_inlined(one, known, above) for one in schema]
    if not isinstance(schema, dict):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        if name in above:
            return beside
        return {**_inlined(known[name], known, (*above, name)), **_inlined(beside, known, above)}
    left_out = ("$defs", "discriminator")
    return {key: _inlined(value, known, above) for key, value in schema.items() if key not in left_out}


def _object(schema: Schema, opening: Opening) -> Schema:
    """An object, its values open."""
    found = {key: value for key, value in schema.items() if key not in (*_DROPPED, "properties")}
    if "properties" in schema:
        found["properties"] = {key: opened(value, opening) for key, value in schema["properties"].items()}
    inner = found.get("additionalProperties")
    if inner is True:
        del found["additionalProperties"]
    elif isinstance(inner, dict):
        found["additionalProperties"] = opened(inner, opening)
    return found


def opened(schema: Schema, opening: Opening) -> Schema:
    """A value's schema that also lets through what gives the value later."""
    about = _about(schema)
    bare = {key: value for key, value in schema.items() if key not in (*_DROPPED, *_ABOUT)}
    branches = bare.get("anyOf") or bare.get("oneOf")
    if branches is None:
        return {**_typed(bare, opening, null=opening.null), **about}
    values = [one for one in branches if one.get("type") != "null"]
    null = opening.null or len(values) < len(branches)
    if len(values) == 1:
        return {**_typed(values[0], opening, null=null), **about}
    found = [_closed(one, opening) for one in values]
    if not any(one.get("type") == "string" and len(one) == 1 for one in found):
        found.append({"type": "string", "pattern": opening.pattern})
    if null:
        found.append({"type": "null"})
    return {"anyOf": found, **about}


def _closed(schema: Schema, opening: Opening) -> Schema:
    """One of several kinds of value: open inside, for the kinds together are open once."""
    bare = {key: value for key, value in schema.items() if key not in (*_DROPPED, *_ABOUT)}
    if bare.get("type") == "object":
        return _object(bare, opening)
    if "items" in bare:
        return {**bare, "items": opened(bare["items"], opening)}
    return bare


def _typed(schema: Schema, opening: Opening, *, null: bool) -> Schema:
    bare = {key: value for key, value in schema.items() if key not in (*_DROPPED, *_ABOUT)}
    if "enum" in bare or "const" in bare:
        choices = bare.get("enum") or [bare["const"]]
        found = [{"enum": [*choices, None] if null else choices}, {"type": "string", "pattern": opening.pattern}]
        return {"anyOf": found}
    kind = bare.get("type")
    if not isinstance(kind, str) and not isinstance(kind, list):
        return bare
    kinds = [kind] if isinstance(kind, str) else kind
    inner = _closed(bare, opening)
    if "string" in kinds:
        found_pattern = bare.get("pattern")
        if found_pattern:
            inner["pattern"] = f"(?:{found_pattern})|{opening.pattern}"
            if words := _PATTERN_WORDS.get(found_pattern):
                inner["patternErrorMessage"] = f"{words}; {opening.hint}"
    else:
        inner["pattern"] = "|".join([opening.pattern, *(_AS_TEXT[one] for one in kinds if one in _AS_TEXT)])
        words = " or ".join(_WORDS[one] for one in kinds if one in _WORDS)
        inner["patternErrorMessage"] = f"this is {words}, {opening.hint}"
        kinds = [*kinds, "string"]
    inner["type"] = kinds if not null else [*kinds, "null"]
    if len(inner["type"]) == 1:
        inner["type"] = inner["type"][0]
    return inner


def _about(schema: Schema) -> Schema:
    """What is said about a key. A default that says nothing is left out: editors would fill it in."""
    found = {key: schema[key] for key in _ABOUT if key in schema}
    default = found.get("default")
    if isinstance(default, str) and _ISO_DURATION.fullmatch(default):
        # Pydantic writes ISO 8601, which nobody would write into a recipe.
        found["default"] = format_duration(TypeAdapter(timedelta).validate_python(default))
    elif type(default) is int and schema.get("pattern") == SIZE_PATTERN:
        found["default"] = format_size(default)
    elif default in (None, "") or isinstance(default, (dict, list)):
        found.pop("default", None)
    return found
