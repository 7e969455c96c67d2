"""The schema of a step, and of what each connector's actions take under `with`."""

from __future__ import annotations

from typing import Any

from relay.connector import Action, Connector
from relay.recipes.recipe import DEFAULT_TIMEOUT
from relay.recipes.schema.language import about_expression
from relay.recipes.schema.parts import (
    NAME,
    STEP_NAME,
    Schema,
    choice,
    duration,
    expression,
    mapping,
    named,
    one_or_many,
    text,
)
from relay.recipes.schema.settings import IN_RECIPE, model_schema
from relay.recipes.workspace import Workspace
from relay.units import format_duration

_TIME_OF_DAY = {
    "type": "string",
    "pattern": r"^\s*([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?\s*$",
    "patternErrorMessage": 'a time of day is written as "02:00" or "14:30"',
}
_WHEN = "A condition for this step alone: where it doesn't hold, the step is skipped."


def step_schema(workspace: Workspace | None) -> Schema:
    from relay.recipes.schema.recipe import when

    foreach = (
        "A list: there is a delivery for each of its items, and `$item` and `$index` (from 0) stand in `with`, `when`, "
        "`save` and `order_by` of this step. An empty list, or null, skips the step."
    )
    order_by = "Deliveries whose value is the same are sent strictly one after another, as their events were caught."
    properties: Schema = {
        "to": _to(workspace),
        "do": text("What to do there: one of the connector's actions. May be left out where there is one."),
        "with": {
            "type": ["object", "null"],
            "description": "What is sent; which keys there are, the connection's connector says.",
        },
        "save": named(
            "Names for values of the reply, where `$` is the reply; other steps read them as `$step.name`.",
            expression("A path into the reply.", markdownDescription=about_expression("A path into the reply.")),
            NAME,
            "the name of a saved value is letters, digits and _",
        ),
        "after": one_or_many(
            {"type": "string", "pattern": STEP_NAME},
            "Steps to wait for. A step whose saved values are used is waited for anyway.",
        ),
        "when": when(_WHEN),
        "foreach": expression(foreach, markdownDescription=about_expression(foreach)),
        "batch": _batch(),
        "order_by": expression(order_by, markdownDescription=about_expression(order_by)),
        "timeout": duration("How long one attempt may take.", default=format_duration(DEFAULT_TIMEOUT)),
        "retry": _retry(workspace),
        "on_fail": choice(
            "What becomes of a delivery that failed for good.",
            {"dead_letter": "It is kept until somebody deals with it.", "ignore": "It is given up."},
            default="dead_letter",
        ),
        "on_unknown": choice(
            "What becomes of an attempt of which nobody knows whether it arrived.",
            {"retry": "It is made again.", "hold": "It waits for an operator."},
            default="retry",
        ),
        "keep_empty": {"type": "boolean", "default": False, "description": "`true` sends settings that are null too."},
    }
    schema = mapping("One thing that is sent.", properties, ("to",))
    schema["dependencies"] = {"order_by": {"properties": {"batch": False}}}
    by_connector = _by_connector(workspace)
    schema["allOf"] = [
        {
            "if": {"properties": {"to": {"enum": names}}, "required": ["to"]},
            "then": {"$ref": f"#/definitions/{connector}"},
        }
        for connector, names in by_connector.items()
    ]
    return schema if by_connector else {key: value for key, value in schema.items() if key != "allOf"}


def connector_definitions(workspace: Workspace | None) -> Schema:
    """By connector, what a step to a connection of it says; and each action's `with`."""
    found: Schema = {}
    for connector in _by_connector(workspace):
        assert workspace is not None
        kind = next(one.connector_class for one in workspace.connections.values() if one.connector == connector)
        assert kind is not None
        found[connector] = _narrowed(kind)
        for action in kind.actions:
            found[f"{kind.name}.{action.name}"] = action_schema(kind, action)
    return found


def action_schema(kind: type[Connector[Any]], action: type[Action[Any, Any, Any]]) -> Schema:
    """A `with` of one action, expressions let through wherever a typed value stands."""
    schema = model_schema(action.With, IN_RECIPE)
    # Null is as good as nothing here; what is needed then is told as missing.
    return {**schema, "type": ["object", "null"], "description": f"{kind.name}, {action.name}: {action.summary}"}


def _by_connector(workspace: Workspace | None) -> dict[str, list[str]]:
    """The names of the connections, by the connector that is to be loaded for them."""
    found: dict[str, list[str]] = {}
    for name, connection in workspace.connections.items() if workspace is not None else ():
        if connection.connector_class is not None:
            found.setdefault(connection.connector, []).append(name)
    return found


def _narrowed(kind: type[Connector[Any]]) -> Schema:
    choices = {action.name: action.summary for action in kind.actions}
    schema: Schema = {"properties": {"do": choice("What to do there.", choices)}, "required": []}
    if len(kind.actions) > 1:
        schema["required"].append("do")
        schema["allOf"] = [
            {"if": {"properties": {"do": {"const": action.name}}, "required": ["do"]}, "then": _acting(kind, action)}
            for action in kind.actions
        ]
    else:
        acting = _acting(kind, kind.actions[0])
        schema["properties"] |= acting["properties"]
        schema["required"] += acting.get("required", [])
    return schema


def _acting(kind: type[Connector[Any]], action: type[Action[Any, Any, Any]]) -> Schema:
    """A step that does this: its `with`, and no `batch` where the action can't send one."""
    properties: Schema = {"with": {"$ref": f"#/definitions/{kind.name}.{action.name}"}}
    if not action.batchable:
        properties["batch"] = False
    needed = any(field.is_required() for field in action.With.model_fields.values())
    return {"properties": properties, "required": ["with"]} if needed else {"properties": properties}


def _to(workspace: Workspace | None) -> Schema:
    about = "The connection it is sent to: a name under `connections` in relay.yaml."
    if workspace is None or not workspace.connections:
        return text(about)
    return choice(about, {name: f"connector `{one.connector}`" for name, one in workspace.connections.items()})


def _batch() -> Schema:
    return mapping(
        "Rows of many events in one call: when a batch is closed, and how many rows it takes.",
        {
            "every": duration("So long after the batch's first row.", examples=["1h"]),
            "at": one_or_many(_TIME_OF_DAY, "At these times of day, in the recipe's time zone.", examples=["02:00"]),
            "max": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "default": 1_000,
                "description": "It is closed sooner when it has so many rows.",
            },
        },
        oneOf=[{"required": ["every"]}, {"required": ["at"]}],
    )


def policy_schema() -> Schema:
    """A retry policy, written out."""
    factor = {"type": "number", "minimum": 1, "maximum": 100, "default": 2}
    waits = {"type": "array", "items": duration("A wait."), "maxItems": 100}
    return {
        "type": "object",
        "description": "When a failed delivery is tried again.",
        "properties": {
            "after": {**waits, "description": "Every wait: `[5m, 1h, 3h]`. `[]` never tries again."},
            "times": {"type": "integer", "minimum": 0, "maximum": 100, "description": "How often it is tried again."},
            "first": duration("The first wait.", examples=["30s"]),
            "factor": {**factor, "description": "By how much each further wait is longer."},
            "max": duration("The longest wait.", default="12h"),
            "jitter": {
                "type": "number",
                "minimum": 0,
                "maximum": 1,
                "default": 0.1,
                "description": "By what share of itself each wait is varied, either way.",
            },
        },
        "additionalProperties": False,
        "anyOf": [{"required": ["after"]}, {"required": ["times", "first"]}],
        "dependencies": {"after": {"properties": dict.fromkeys(("times", "first", "factor", "max"), False)}},
    }


def _retry(workspace: Workspace | None) -> Schema:
    named_policy: Schema = {"type": "string", "pattern": r"\S"}
    if workspace is not None:
        named_policy = {"enum": [*workspace.retries, "default"]}
    return {
        "anyOf": [named_policy, policy_schema()],
        "description": "When it is tried again: `{after: [5m, 1h]}`, `{times: 8, first: 30s}`, or the name of a policy "
        "under `retries` in relay.yaml. Without it: 5s, 1m, 5m, 30m, 2h, 5h, 10h, 10h.",
    }
