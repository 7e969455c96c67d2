"""The schema of relay.yaml: sources with their presets, connections with their connectors, named policies."""

from __future__ import annotations

from relay.connector import ConnectionConfig, connector_class, connector_names
from relay.errors import ConfigError
from relay.recipes.schema.parts import DRAFT, Schema, choice, for_editors, mapping, named
from relay.recipes.schema.settings import IN_RELAY_YAML, model_schema
from relay.recipes.schema.steps import policy_schema
from relay.sources.config import SourceConfig
from relay.sources.presets import PRESETS

#: A source's name is a part of its address.
_SOURCE_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"


def workspace_schema() -> Schema:
    """JSON Schema, draft-07: every connector that is installed, every preset."""
    schema = mapping(
        "Who may post to this relay (sources), and where it may send (connections).",
        {
            "sources": named(
                "Who may post, by name: the name is a part of the address, `/in/NAME`.",
                _source(),
                _SOURCE_NAME,
                "the name of a source is a part of its address: small letters, digits, - and _",
                type=["object", "null"],
            ),
            "connections": named("Where to send, by name.", _connection(), r"\S", type=["object", "null"]),
            "retries": named("Retry policies by name, for a step's `retry`.", policy_schema(), r"\S"),
            "alerts": {
                "type": "array",
                "description": "Who is told of what. Not supported yet by this version.",
            },
        },
    )
    found: Schema = for_editors({"$schema": DRAFT, **schema, "definitions": _definitions()})
    return found


def _source() -> Schema:
    schema = model_schema(SourceConfig, IN_RELAY_YAML)
    about = {name: f"{one.vendor}. Asks for {one.asks_for}." for name, one in sorted(PRESETS.items())}
    schema["properties"]["preset"] = choice("What the relay knows of a vendor, by name.", about)
    asking = [name for name, one in sorted(PRESETS.items()) if one.asks_token]
    # Written as `if`, for then an editor says which key is missing.
    schema["allOf"] = [
        {"if": {"not": {"required": ["preset"]}}, "then": {"required": ["verify"], "properties": {"secret": False}}},
        {
            "if": {"required": ["preset"], "not": {"required": ["verify"]}},
            "then": {"required": ["secret"]},
        },
        {
            "if": {"properties": {"preset": {"enum": asking}}, "required": ["preset"]},
            "then": {"required": ["verify_token"]},
            "else": {"properties": {"verify_token": False}},
        },
    ]
    return schema


def _connection() -> Schema:
    choices = {}
    for name in connector_names():
        try:
            choices[name] = connector_class(name).summary
        except (ConfigError, ImportError):
            # One whose library is missing is still installed by name.
            choices[name] = ""
    schema = model_schema(ConnectionConfig, IN_RELAY_YAML)
    properties = {**schema["properties"], "connector": choice("Which connector speaks to the destination.", choices)}
    return {
        "type": "object",
        "description": "A configured account at a destination.",
        "properties": properties,
        "required": ["connector"],
        "allOf": [
            {
                "if": {"properties": {"connector": {"const": name}}, "required": ["connector"]},
                "then": {"$ref": f"#/definitions/{name}"},
            }
            for name in _loadable()
        ],
    }


def _definitions() -> Schema:
    return {name: model_schema(connector_class(name).Config, IN_RELAY_YAML) for name in _loadable()}


def _loadable() -> list[str]:
    found = []
    for name in connector_names():
        try:
            connector_class(name)
        except (ConfigError, ImportError):
            continue
        found.append(name)
    return found
