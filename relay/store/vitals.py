"""How the store itself is: its memory, and whether it keeps what it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from relay.lanes import Command


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the server says of itself.

    used_bytes   memory
    limit_bytes  its `maxmemory`; 0 is none
    policy       its `maxmemory-policy`
    appends      whether it writes an append-only file
    rewriting    whether it writes that file anew: both are there meanwhile
    stuck        whether it could not write to that file, and takes nothing until it can
    """

    used_bytes: int
    limit_bytes: int
    policy: str
    appends: bool
    rewriting: bool
    stuck: bool

    @property
    def evicts(self) -> bool:
        """Whether it would throw events away to make room."""
        return self.policy.startswith("allkeys")


def vitals() -> Command[Vitals]:
    return Command(("INFO", "memory", "persistence"), _read)


def _read(reply: Any) -> Vitals:
    values = dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    return Vitals(
        int(values["used_memory"]),
        int(values["maxmemory"]),
        values.get("maxmemory_policy", ""),
        values.get("aof_enabled") == "1",
        values.get("aof_rewrite_in_progress") == "1",
        values.get("aof_last_write_status", "ok") != "ok",
    )
