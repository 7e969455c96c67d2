"""How many replicas must have a write before anybody is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from relay.lanes.script import Argument, Command


class TooFewReplicasError(Exception):
    """The write is in the store, and fewer replicas have it than were asked for."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """Asked of the server once an exchange, behind its commands.

    Not of each command: WAIT is about all that was written through the connection before it, and its cost, a round trip
    to the replicas, falls once for all of them. A script can't ask it.

    number   of replicas that must have it
    timeout  how long they are waited for
    on_disk  they have to have it in their append-only file, fsynced, and so has the primary; else in memory
    """

    number: int
    timeout: timedelta
    on_disk: bool = False

    @property
    def questions(self) -> tuple[tuple[Argument, ...], ...]:
        """Commands; the answer to the last one decides.

        A replica that is asked what it has on disk answers before it writes what came with the question, and tells the
        rest a second later. Asked what it has in memory first, it has written by the time of the other question.
        """
        timeout_ms = round(self.timeout.total_seconds() * 1000)
        in_memory = ("WAIT", self.number, timeout_ms)
        return (in_memory, ("WAITAOF", 1, self.number, timeout_ms)) if self.on_disk else (in_memory,)

    def judged(self, commands: Sequence[Command[Any]], replies: list[Any], had: Any) -> list[Any]:
        """The replies, those of promised commands an error where `had`, the last answer, is too little.

        A repeat is judged like the first: it counts itself in the statistics, which is a write behind the first one.
        """
        if isinstance(had, Exception):
            why = f"the store can't tell what its replicas have: {had}"
        else:
            local, number = had if self.on_disk else (1, had)
            if local and number >= self.number:
                return replies
            place = " on disk" if self.on_disk else ""
            why = f"{number} of {self.number} replicas had it{place} within {self.timeout.total_seconds():g}s"
        return [
            TooFewReplicasError(why) if command.promised and not isinstance(reply, Exception) else reply
            for command, reply in zip(commands, replies, strict=True)
        ]
