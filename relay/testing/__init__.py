"""For tests of connectors, yours and ours: the contract as test classes, and a server that records. Needs pytest."""

from relay.testing.contract import CALL, ConnectorContract, HttpConnectorContract, assert_no_secret
from relay.testing.server import Answer, Recorded, RecordingServer

__all__ = [
    "CALL",
    "Answer",
    "ConnectorContract",
    "HttpConnectorContract",
    "Recorded",
    "RecordingServer",
    "assert_no_secret",
]
