"""What the schemas are made of: texts, expressions, durations, sizes, names, and how an editor is told about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relay.units import DURATION_PATTERN, SIZE_PATTERN

Schema = dict[str, Any]

#: The newest draft that every version of the YAML language server understands; those before 2.0 know none after it.
DRAFT = "http://json-schema.org/draft-07/schema#"

#: Text that is an expression as a whole, and text that may have one within. `$$` is a dollar sign.
EXPRESSION = r"^(\(\s*)*\$(?!\$)"
PATH = r"^\$(?!\$)"
DYNAMIC = rf"{EXPRESSION}|\{{\{{"

#: relay.yaml's own: `${NAME}` and `${file:path}`.
REFERENCE = r"\$\{"

# Python and JavaScript read these alike: neither relies on what `\w` is outside of ASCII.
NAME = r"^([A-Za-z_]|[^\x00-\x7F])([A-Za-z0-9_]|[^\x00-\x7F])*$"
STEP_NAME = r"^([A-Za-z_]|[^\x00-\x7F])([A-Za-z0-9_-]|[^\x00-\x7F]){0,99}$"


def text(description: str, **more: Any) -> Schema:
    """A word or a line; a number is one as well."""
    return {"type": ["string", "number"], "pattern": r"\S", "description": description, **more}


def _spelt(pattern: str, message: str, description: str, more: Schema) -> Schema:
    """Text of one form; `message` is what an editor says of another."""
    return {"type": "string", "pattern": pattern, "patternErrorMessage": message, "description": description, **more}


def expression(description: str, **more: Any) -> Schema:
    """A whole expression."""
    return _spelt(EXPRESSION, "this is an expression: it starts with $, as in $.contact.name", description, more)


def duration(description: str, **more: Any) -> Schema:
    return _spelt(DURATION_PATTERN, "a duration is a number and its unit: 30s, 5m, 2h or 1d", description, more)


def size(description: str, **more: Any) -> Schema:
    return _spelt(SIZE_PATTERN, "a size is a number and its unit: 500KB, 10MB or 1GB", description, more)


def choice(description: str, choices: Mapping[str, str], **more: Any) -> Schema:
    """One of some words, each with what it means."""
    return {
        "enum": list(choices),
        "markdownEnumDescriptions": list(choices.values()),
        "description": description,
        **more,
    }


def mapping(description: str, properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object whose keys are all known."""
    found: Schema = {"type": "object", "description": description, "properties": properties}
    if required:
        found["required"] = list(required)
    return {**found, "additionalProperties": False, **more}


def named(description: str, of: Schema, pattern: str = NAME, hint: str = "", **more: Any) -> Schema:
    """An object whose keys the admin names."""
    names: Schema = {"pattern": pattern}
    if hint:
        names["patternErrorMessage"] = hint
    return {"type": "object", "description": description, "propertyNames": names, "additionalProperties": of, **more}


def one_or_many(one: Schema, description: str, **more: Any) -> Schema:
    """A value, or a list of them."""
    bare = {key: value for key, value in one.items() if key != "description"}
    return {"anyOf": [bare, {"type": "array", "items": bare, "minItems": 1}], "description": description, **more}


def for_editors(schema: Any) -> Any:
    """With what editors read beside the standard's words.

    Descriptions that hold `code` once more as Markdown, for the backticks would be shown otherwise; and what a wrong
    pattern is told, told for a wrong type too.
    """
    if isinstance(schema, list):
        return [for_editors(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: for_editors(value) for key, value in schema.items()}
    if isinstance(hint := found.get("patternErrorMessage"), str):
        found.setdefault("errorMessage", hint)
    about = found.get("description")
    if isinstance(about, str) and "`" in about and "markdownDescription" not in found:
        found["markdownDescription"] = about
    return found
