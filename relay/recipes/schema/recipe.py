"""The schema of a recipe: of any workspace's, or of one whose sources and connections are known by name."""

from __future__ import annotations

from relay.recipes.respond import BODILESS
from relay.recipes.schema.language import about_expression
from relay.recipes.schema.parts import (
    DRAFT,
    NAME,
    PATH,
    STEP_NAME,
    Schema,
    choice,
    duration,
    for_editors,
    mapping,
    named,
    one_or_many,
    text,
)
from relay.recipes.schema.steps import connector_definitions, step_schema
from relay.recipes.workspace import Workspace

_NO_BRACES = r"^((?!\{\{)[\s\S])*$"
_NAME_HINT = "a name is letters, digits and _, so that $name can be written"
_STEP_HINT = "the name of a step is letters, digits, _ and -"


def recipe_schema(workspace: Workspace | None = None) -> Schema:
    """JSON Schema, draft-07.

    workspace  its sources complete `catch`, its connections `to`, `do` and `with`; without one, any name passes
    """
    properties: Schema = {
        "recipe": text("What the recipe does, in a line."),
        "catch": _catch(workspace),
        "types": one_or_many(
            {
                **text(""),
                "pattern": r"^[^?\[\]*]*\*?$",
                "patternErrorMessage": "a type is written as it comes, such as contact.created; * ends it",
            },
            "The event types that the recipe wants, such as `contact.created`; a `*` at the end of a word matches the "
            "rest. Events of other types are none of its business. Without it, all.",
            examples=["contact.created", ["contact.created", "conversation.*"]],
        ),
        "when": when("Which events the recipe wants: a condition. Without it, all."),
        "timezone": text(
            "Where dates are read and written, by its name in the time zone database; UTC where it isn't said.",
            examples=["Europe/London"],
        ),
        "pick": named(
            "Names for values of the event, used further down as `$name`.",
            {"description": "A value of the event.", "markdownDescription": about_expression("A value of the event.")},
            NAME,
            _NAME_HINT,
        ),
        "tables": _tables(),
        "steps": named("What is sent where, by the name of each step.", step_schema(workspace), STEP_NAME, _STEP_HINT),
        "respond": _respond(),
        "tests": {"type": "array", "description": "Events, and what is expected to be sent.", "items": _test()},
    }
    schema = mapping("Which events of one source are wanted, and what is sent where.", properties, _REQUIRED)
    definitions = connector_definitions(workspace)
    if definitions:
        schema["definitions"] = definitions
    found: Schema = for_editors({"$schema": DRAFT, **schema})
    return found


_REQUIRED = ("recipe", "catch", "steps")


def when(description: str) -> Schema:
    return {
        "type": ["string", "boolean"],
        "pattern": _NO_BRACES,
        "patternErrorMessage": "`when` is a condition as it stands, without {{ }}",
        "description": description,
        "markdownDescription": about_expression(description + " For example `$.rating < 3`."),
    }


def _catch(workspace: Workspace | None) -> Schema:
    about = "The source it listens to: a name under `sources` in relay.yaml."
    if workspace is None or not workspace.sources:
        return text(about)
    choices = {}
    for name, source in workspace.sources.items():
        preset = source.declared.preset if source.declared is not None else None
        choices[name] = f"`/in/{name}`" + (f", preset `{preset}`" if preset else "")
    return choice(about, choices)


def _tables() -> Schema:
    one = {"type": "object", "description": "Keys, and what each stands for.", "minProperties": 1}
    about = (
        "Tables for the filter `lookup`, by name: each a list of keys with a value, or with columns. Larger ones are "
        "files of the workspace, `tables/NAME.csv`."
    )
    return named(about, one, r"\S", examples=[{"courses": {"C1": "History", "C2": "Law"}}])


def _status(description: str, default: int) -> Schema:
    return {
        "type": "integer",
        "minimum": 200,
        "maximum": 599,
        "not": {"const": 410},
        "default": default,
        "description": description,
    }


_NO_BODY: Schema = {
    "if": {"properties": {"status": {"enum": list(BODILESS)}}, "required": ["status"]},
    "then": {"properties": {"body": False}},
}


def _respond() -> Schema:
    late = {
        "status": _status("The HTTP status of this answer.", 202),
        "body": {"description": "What is answered; it can't use what a step saves."},
    }
    return mapping(
        "What the sender is answered, from what the steps have saved. Without it: `202`, at once.",
        {
            "wait": duration("How long the sender is kept waiting for the steps that the answer uses.", default="8s"),
            "as": choice(
                "How the body is written.",
                {"json": "JSON.", "xml": "XML.", "form": "A form, `a=1&b=2`.", "text": "Text as it stands."},
                default="json",
            ),
            "root": text("The name of the root element, for `as: xml`.", default="response"),
            "status": _status("The HTTP status of the answer.", 200),
            "headers": {"type": "object", "description": "Further headers of the answer."},
            "keep_empty": {"type": "boolean", "description": "`true` answers with null keys too.", "default": False},
            "body": {
                "description": "What is answered.",
                "markdownDescription": about_expression("What is answered, such as `{status: $lookup.status}`."),
            },
            "late": mapping(
                "The answer where the steps were not delivered in time, failed or were skipped.", late, **_NO_BODY
            ),
        },
        **_NO_BODY,
    )


def _test() -> Schema:
    texts = {"type": ["string", "number", "boolean"]}
    by_step = {"type": "object", "propertyNames": {"pattern": STEP_NAME}}
    return mapping(
        "An event, and what is expected to be sent. Nothing is sent in a test.",
        {
            "name": text("What the test shows."),
            "event": text(
                "A file of the workspace: `.json`, `.xml`, `.txt`, or `.form` for a form's `a=1&b=2`.",
                examples=["samples/chat.json"],
            ),
            "change": {
                "type": "object",
                "description": "New values in the event's body, by path.",
                "propertyNames": {"pattern": PATH, "patternErrorMessage": "a path, such as $.rating"},
            },
            "headers": {"type": "object", "description": "Headers of the request.", "additionalProperties": texts},
            "query": {"type": "object", "description": "Parameters of the request.", "additionalProperties": texts},
            "replies": {**by_step, "description": "By step, the body its destination answers with."},
            "expect": {
                "anyOf": [{"const": "skipped"}, by_step],
                "description": "`skipped`; or by step, `skipped` or what is sent. Only what is named is compared. Of a "
                "step with `foreach`, a list has an entry for each item, and a mapping stands for every item.",
            },
            "answer": {"description": "What `respond` gives: its body. Only what is named is compared."},
        },
        ("name", "event"),
        anyOf=[{"required": ["expect"]}, {"required": ["answer"]}],
    )
