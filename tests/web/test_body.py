"""Reading a body: so many bytes, in so much time, out of one budget for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from relay.errors import RefusedError
from relay.web.body import UNCOUNTED_BYTES, BodyBudget, read_body

ROOM = 1_000_000


def chunks(*bodies: bytes, then: Any = None) -> Any:
    """What the server says: a chunk at a time, and at the end that there is no more, or something else."""
    messages = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    messages.append(then or {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


async def read(receive: Any, headers: Mapping[str, str] | None = None, limit: int = 10 * ROOM, **more: Any) -> bytes:
    budget = more.get("budget") or BodyBudget(timedelta(seconds=0.2), ROOM)
    with budget.share() as share:
        return await read_body(receive, headers or {}, limit, share)


async def refusal(*args: Any, **options: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        await read(*args, **options)
    return caught.value


async def test_a_body_is_all_of_its_chunks() -> None:
    assert await read(chunks(b"a", b"", b"bc")) == b"abc"
    assert await read(chunks()) == b""


async def test_a_body_may_be_as_long_as_its_limit_and_no_longer_declared_or_not() -> None:
    assert await read(chunks(b"12345"), {"content-length": "5"}, 5) == b"12345"
    for receive, headers in ((chunks(), {"content-length": "6"}), (chunks(b"123", b"456"), {})):
        refused = await refusal(receive, headers, 5)
        assert (refused.status, refused.headers) == (413, {"Connection": "close"})
        assert "the limit of 5 bytes" in refused.reason


@pytest.mark.parametrize("declared", ["x", "", "-1", "²"])
async def test_a_declared_length_that_is_none_is_not_believed(declared: str) -> None:
    assert await read(chunks(b"a"), {"content-length": declared}, 5) == b"a"


async def test_a_body_that_stops_coming_is_given_up() -> None:
    receive = chunks(b"a", then={"type": "http.request", "body": b"b", "more_body": True})
    refused = await refusal(receive)
    assert (refused.status, refused.headers) == (408, {"Connection": "close"})
    assert "within 0.2s" in refused.reason


async def test_a_sender_that_hangs_up_is_told_as_such() -> None:
    assert (await refusal(chunks(b"a", then={"type": "http.disconnect"}))).status == 400


async def test_all_bodies_together_have_so_much_room_and_give_it_back() -> None:
    budget = BodyBudget(timedelta(seconds=5), ROOM)
    half = b"x" * (ROOM // 2 + UNCOUNTED_BYTES)
    with budget.share() as first:
        await read_body(chunks(half[:10], half[10:]), {}, 10 * ROOM, first)
        assert budget.held_bytes == ROOM // 2
        assert await read(chunks(half), budget=budget) == half
        refused = await refusal(chunks(half, b"x"), budget=budget)
        assert (refused.status, refused.headers["Retry-After"], refused.headers["Connection"]) == (503, "5", "close")
        # Short ones are read whatever there is.
        assert await read(chunks(b"x" * UNCOUNTED_BYTES), budget=budget)
        assert budget.held_bytes == ROOM // 2
    assert budget.held_bytes == 0


async def test_what_is_announced_takes_no_room() -> None:
    budget = BodyBudget(timedelta(seconds=5), ROOM)
    with budget.share() as share:
        waiting = asyncio.create_task(
            read_body(
                chunks(b"x", then={"type": "http.request", "more_body": True}),
                {"content-length": "9000000"},
                10**7,
                share,
            )
        )
        await asyncio.sleep(0.05)
        assert budget.held_bytes == 0
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
