from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from relay_ntfy import Ntfy

from relay.connector import Call, Context
from relay.errors import HoldError, PermanentError
from relay.testing import Answer, HttpConnectorContract, Recorded, RecordingServer

TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
CALL = Call("dlv_1", "dlv_1")


def config_for(url: str, token: str = TOKEN) -> dict[str, Any]:
    return {"connector": "ntfy", "base_url": url, "topic": "alerts", "token": token, "allow_private": True}


class TestContract(HttpConnectorContract):
    connector = Ntfy
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return config_for(url)


def connection(url: str = "http://127.0.0.1:9", token: str = TOKEN) -> Ntfy:
    return Ntfy(Ntfy.Config.model_validate(config_for(url, token)), Context())


def ntfy(request: Recorded) -> Answer:
    """As strict as ntfy's server: it refuses what that one refuses."""
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        return Answer(401, {"code": 40101, "http": 401, "error": "unauthorized"})
    if request.target == "/v1/account":
        return Answer(200, {"username": "phil", "role": "user"})
    note = request.json()
    if (request.method, request.target) != ("POST", "/") or "topic" not in note:
        return Answer(400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"})
    if note["topic"] != "alerts":
        return Answer(403, {"code": 40301, "http": 403, "error": "forbidden"})
    return Answer(200, {"id": "xE73Iyuabi", "time": 1673542291, "event": "message", **note})


async def test_a_note_goes_to_the_root_with_its_topic() -> None:
    with RecordingServer(ntfy) as server:
        made = connection(server.url)
        note = made.outgoing(None, {"message": "Zoë: 1 star", "priority": 4, "tags": ["warning"]}, CALL)
        reply = await made.send(None, note, CALL)
        await made.aclose()
    (request,) = server.requests
    assert request.json() == {"topic": "alerts", "message": "Zoë: 1 star", "priority": 4, "tags": ["warning"]}
    assert reply.body["id"] == "xE73Iyuabi"


@pytest.mark.parametrize(("letters", "taken"), [("a" * 4096, True), ("ä" * 2049, False)])
def test_a_long_message_is_refused_before_it_is_sent(letters: str, taken: bool) -> None:
    if taken:
        assert connection().outgoing(None, {"message": letters}, CALL).preview()
    else:
        with pytest.raises(PermanentError, match="has 4098 bytes; ntfy takes 4096"):
            connection().outgoing(None, {"message": letters}, CALL)


@pytest.mark.parametrize("token", [TOKEN, "tk_wrong"])
async def test_the_connection_can_be_tried(token: str) -> None:
    with RecordingServer(ntfy) as server:
        made = connection(server.url, token)
        if token == TOKEN:
            assert (await made.check(timedelta(seconds=5))).found == "the token is phil's"
        else:
            with pytest.raises(HoldError, match="401 Unauthorized"):
                await made.check(timedelta(seconds=5))
        await made.aclose()
