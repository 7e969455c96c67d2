"""The connection of the store, and how its errors are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any, TypeVar

import redis
import redis.exceptions

from relay.clock import isoformat, now_ms
from relay.errors import StoreError, StoreFullError, StoreUnavailableError
from relay.lanes import (
    LIBRARY,
    Command,
    Pipeline,
    Replicas,
    Script,
    StoreLostError,
    TooFewReplicasError,
    answer_seconds,
    connect_async,
    passes,
)
from relay.lanes.commands import Lanes
from relay.lanes.script import Argument

T = TypeVar("T")

#: How soon a patient store asks again.
_PAUSE_SECONDS = 0.1

_LIBRARY = LIBRARY + files("relay.store").joinpath("lua/lib.lua").read_text()


def store_script(name: str) -> Script:
    text = files("relay.store").joinpath(f"lua/{name}.lua").read_text()
    return Script.of(name, _LIBRARY + text, takes_in=name == "accept")


_WRITE = store_script("write")


class Base:
    """What every part of the store shares: one pipeline, one prefix, one tree of errors."""

    def __init__(
        self, url: str, prefix: str = "relay:", *, patient: bool = False, replicas: Replicas | None = None
    ) -> None:
        """
        patient   wait for a store that is away or full instead of raising. Every command here can be repeated
        replicas  that must have what a sender is told to be accepted
        """
        self.url = url
        self.patient = patient
        self.prefix = prefix
        self.lanes = Lanes(prefix + "lanes:")
        self.keys = (self.lanes.prefix, prefix)
        self._pipeline = Pipeline(connect_async(url), answer_seconds=answer_seconds(url), replicas=replicas)

    def key(self, *parts: str) -> str:
        return self.prefix + "".join(parts)

    async def run(self, command: Command[T], until: float | None = None) -> T:
        """Raises StoreUnavailableError, StoreFullError (unless it is patient), StoreError.

        until  of the monotonic clock, in seconds: then it is a TimeoutError
        """
        return await self._patiently(lambda: self._pipeline.run(command, until))

    async def run_many(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """All of them in one exchange. Raises as `run` does, for the first that failed."""
        return await self._patiently(lambda: self._pipeline.run_many(commands)) if commands else []

    async def try_many(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """As `run_many`, but once, also where the store is patient: for commands that must not be sent again."""
        try:
            return await self._pipeline.run_many(commands)
        except StoreLostError as error:
            raise StoreUnavailableError(f"the store can't be reached: {error}") from error
        except redis.ResponseError as error:
            raise _refusal(error) from error

    async def ask(self, *words: Argument) -> Any:
        """One plain Redis command, its reply as it comes."""
        return await self.run(Command(words))

    async def write(self, *words: Argument) -> Any:
        """The same for one that writes and has to go through when the store is full too."""
        return await self.run(Command.call(_WRITE, self.keys, "", *words, read=lambda reply: reply))

    async def _patiently(self, act: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await act()
            except StoreLostError as error:
                if not self.patient:
                    raise StoreUnavailableError(f"the store can't be reached: {error}") from error
            except TooFewReplicasError as error:
                if not self.patient:
                    raise StoreUnavailableError(str(error)) from error
            except redis.ResponseError as error:
                refusal = _refusal(error)
                if not (self.patient and isinstance(refusal, StoreUnavailableError | StoreFullError)):
                    raise refusal from error
            await asyncio.sleep(_PAUSE_SECONDS)

    async def aclose(self) -> None:
        await self._pipeline.aclose()


def _refusal(error: redis.ResponseError) -> StoreError:
    # A script's error has the server's own word further behind.
    if isinstance(error, redis.exceptions.OutOfMemoryError) or "OOM " in str(error):
        return StoreFullError(f"the store is at its memory limit: {error}")
    if passes(error):
        return StoreUnavailableError(f"the store takes no command now: {error}")
    return StoreError(f"the store refused a command: {error}")


def pairs(reply: Any) -> dict[bytes, bytes]:
    """A hash as it comes: a mapping by RESP3, a flat list by RESP2."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def audit_entry(who: str, what: str, target: str, **more: Any) -> dict[str, Any]:
    return {"at": isoformat(now_ms()), "who": who, "what": what, "id": target, **more}
