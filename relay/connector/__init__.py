"""The contract between the relay and a connector.

contract  Connector, Action and what they exchange
fields    the base of what an admin writes: connections in relay.yaml, a step's `with`
registry  which connectors are installed
guide     what its page says beside that
describe  a connector's page, made from its declaration
troubles  the kinds of failure that all connectors share
pages     docs/connectors, made of both
"""

from relay.connector.contract import Action, Call, Check, Connector, Context, Example, Outgoing
from relay.connector.describe import describe
from relay.connector.fields import (
    Breaker,
    ConnectionConfig,
    Duration,
    Fields,
    Limit,
    Size,
    complaints,
    nested_model,
    secrets_in,
    validated,
)
from relay.connector.guide import Guide, Trouble
from relay.connector.registry import ENTRY_POINT_GROUP, connector_class, connector_names

__all__ = [
    "ENTRY_POINT_GROUP",
    "Action",
    "Breaker",
    "Call",
    "Check",
    "ConnectionConfig",
    "Connector",
    "Context",
    "Duration",
    "Example",
    "Fields",
    "Guide",
    "Limit",
    "Outgoing",
    "Size",
    "Trouble",
    "complaints",
    "connector_class",
    "connector_names",
    "describe",
    "nested_model",
    "secrets_in",
    "validated",
]
