"""Reading a request's body: so many bytes, in so much time, and not more of all bodies together than there is room for.

A slow sender, a large one and a thousand of both are all answered; none of them takes the process with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType

from starlette.types import Receive

from relay.errors import RefusedError
from relay.web.protocol import whole_body

#: What a process holds of long bodies at once, from their first byte until they are on disk.
ALL_BODIES_BYTES = 256_000_000

#: So much of each body isn't counted: a few senders of large bodies can't keep out the many of small ones.
UNCOUNTED_BYTES = 65_536

#: Senders retry a 503; bodies that are being read are read within seconds.
_RETRY_AFTER_SECONDS = 5

#: What the answer to a request that wasn't read to its end says: the rest of it is not listened to.
_CLOSE = {"Connection": "close"}


class BodyBudget:
    """The bytes of long bodies that this process holds, and the time one may take.

    Bytes are counted when they come, not when they are announced: announcing costs a sender nothing.
    """

    def __init__(self, timeout: timedelta = timedelta(seconds=30), all_bodies_bytes: int = ALL_BODIES_BYTES) -> None:
        self.timeout_seconds = timeout.total_seconds()
        self.all_bodies_bytes = all_bodies_bytes
        self.held_bytes = 0

    def share(self) -> Share:
        """`with budget.share() as share:` gives back at its end what a body took."""
        return Share(self)


class Share:
    """What one request has taken of a budget."""

    __slots__ = ("budget", "taken_bytes")

    def __init__(self, budget: BodyBudget) -> None:
        self.budget = budget
        self.taken_bytes = 0

    def __enter__(self) -> Share:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.budget.held_bytes -= self.taken_bytes
        self.taken_bytes = 0

    def take(self, size: int) -> None:
        """Raises RefusedError (503) where there is no room."""
        held = self.budget.held_bytes + size
        if held > self.budget.all_bodies_bytes:
            reason = (
                f"the bodies being read have {self.budget.all_bodies_bytes:,} bytes, which is all the room there is"
            )
            raise RefusedError(
                503, "unavailable", reason, {"Retry-After": str(_RETRY_AFTER_SECONDS)} | _CLOSE, "bodies"
            )
        self.budget.held_bytes = held
        self.taken_bytes += size


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int, share: Share) -> bytes:
    """The body, at most `limit` bytes of it.

    Raises RefusedError: 413 as soon as it is known to be too long, declared or chunked; 408 where it takes too long;
    503 where there is no room for it; 400 where the sender hung up.
    """
    declared = headers.get("content-length")
    if declared is not None and declared.isdecimal() and declared.isascii() and int(declared) > limit:
        raise _too_long(limit)
    whole = whole_body(receive)
    if whole is not None:
        if len(whole) > limit:
            raise _too_long(limit)
        if len(whole) > UNCOUNTED_BYTES:
            share.take(len(whole) - UNCOUNTED_BYTES)
        return whole
    timeout = share.budget.timeout_seconds
    try:
        async with asyncio.timeout(timeout):
            return await _read(receive, limit, share)
    except TimeoutError:
        reason = f"the body had not come within {timeout:g}s"
        raise RefusedError(408, "request timeout", reason, _CLOSE) from None


async def _read(receive: Receive, limit: int, share: Share) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            reason = "the sender closed the connection before its body had come"
            raise RefusedError(400, "incomplete body", reason)
        if chunk := message.get("body", b""):
            size += len(chunk)
            if size > limit:
                raise _too_long(limit)
            if size > UNCOUNTED_BYTES:
                share.take(min(len(chunk), size - UNCOUNTED_BYTES))
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_long(limit: int) -> RefusedError:
    return RefusedError(
        413, "body too large", f"the body is longer than the limit of {limit:,} bytes", dict(_CLOSE), "body"
    )
