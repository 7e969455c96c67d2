from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta

import pytest

from connectors.gist import Gist
from relay.connector import Call, Context
from relay.errors import UnknownOutcomeError
from relay.testing import RecordingServer


class Renewing(Gist):
    """Whose credentials take their time."""

    @property
    def renews(self) -> bool:
        return True

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        await asyncio.sleep(0.4)
        return {"authorization": "Bearer x"}


@pytest.mark.parametrize("refusals", [0, 1])
async def test_credentials_and_a_repeat_take_their_time_from_the_attempts(refusals: int) -> None:
    """Else a request that could still be made would be stopped from outside, as an unknown outcome."""
    call = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=1))
    with RecordingServer() as server:
        for _ in range(refusals):
            server.answer(401)
        server.answer(instead="hang")
        config = {"connector": "gist", "base_url": server.url, "allow_private": True, "api_key": "s3cret"}
        made = Renewing(Gist.Config.model_validate(config), Context())
        started = time.monotonic()
        try:
            outgoing = made.outgoing("create_conversation", {"contact": 1, "body": "Hello"}, call)
            with pytest.raises(UnknownOutcomeError):
                await made.send("create_conversation", outgoing, call)
        finally:
            await made.aclose()
    assert time.monotonic() - started < 1.25
