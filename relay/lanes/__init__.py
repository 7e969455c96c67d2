"""Lanes: a Dramatiq broker over Redis or Valkey.

A lane is a queue with limits of its own: concurrency, rate, pause, order. It knows messages, never what they are
about. Messages wait until they are due, are leased to a worker, and are taken back when the worker dies.
"""

import os

# Dramatiq reads this when it is imported, which is here at the latest: how soon a consumer looks again after the store
# was away, in milliseconds.
os.environ.setdefault("dramatiq_restart_delay", "250")

from relay.lanes.broker import LaneBroker, machine
from relay.lanes.commands import (
    Change,
    Fetched,
    LaneBreaker,
    LaneLimits,
    LaneState,
    NewMessage,
    Settlement,
    Verb,
)
from relay.lanes.connection import Pipeline, StoreLostError, answer_seconds, connect, connect_async, passes
from relay.lanes.consumer import LaneConsumer, LaneMessage
from relay.lanes.intake import Claim
from relay.lanes.replicas import Replicas, TooFewReplicasError
from relay.lanes.script import LIBRARY, Command, Script

__all__ = [
    "LIBRARY",
    "Change",
    "Claim",
    "Command",
    "Fetched",
    "LaneBreaker",
    "LaneBroker",
    "LaneConsumer",
    "LaneLimits",
    "LaneMessage",
    "LaneState",
    "NewMessage",
    "Pipeline",
    "Replicas",
    "Script",
    "Settlement",
    "StoreLostError",
    "TooFewReplicasError",
    "Verb",
    "answer_seconds",
    "connect",
    "connect_async",
    "machine",
    "passes",
]
