"""Another workspace in a worker: what is under way ends by the one it began with, then its connectors are closed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from relay import connections as module
from relay.connections import Connections
from relay.connector import Action, Call, ConnectionConfig, Connector, Context, Fields, Limit, Outgoing
from relay.deliver import SentError, send_once
from relay.errors import HoldError, Place, RetryableError
from relay.model import Event, Reply
from relay.recipes import Connection, EventView, Workspace
from relay.stages import Stages


class DoorConfig(ConnectionConfig):
    key: str


class Nothing(Fields):
    pass


class Sent(Outgoing):
    def preview(self) -> dict[str, Any]:
        return {}


class Knock(Action[DoorConfig, Nothing, Sent]):
    name = "knock"
    summary = "Knocks."
    With = Nothing
    examples = ()

    def prepare(self, fields: Nothing, call: Call) -> Sent:
        return Sent()

    async def send(self, outgoing: Sent, call: Call) -> Reply:
        raise HoldError("401 Unauthorized", status=401)


class Door(Connector[DoorConfig]):
    name = "door"
    summary = "A door."
    Config = DoorConfig
    actions = (Knock,)
    closed = False

    async def aclose(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True


@pytest.fixture(autouse=True)
def _only_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "connector_class", lambda name: Door)


def workspace(**keys: str | None) -> Workspace:
    """By connection its key; None where that is unset."""
    connections = {}
    for name, key in keys.items():
        config = DoorConfig(connector="door", key=key) if key is not None else None
        held = None if key is not None else "${KEY} isn't set"
        connections[name] = Connection(name, "door", config, held, Limit(), Place("relay.yaml"))
    return Workspace(Path(), connections=connections)


def connections(**keys: str | None) -> Connections:
    return Connections(workspace(**keys), Context())


async def test_a_connector_whose_settings_changed_is_made_anew_and_the_others_stay() -> None:
    all_ = connections(front="1", back="1", side="1", shed="1")
    before = {name: all_.get(name) for name in ("front", "back", "side", "shed")}
    gone = all_.renew(workspace(front="1", back="2", side=None))
    assert all_.get("front") is before["front"]
    assert all_.get("back") is not before["back"]
    assert all_.get("back").config.key == "2"
    assert {id(one) for one in gone} == {id(before[name]) for name in ("back", "side", "shed")}
    assert [one.outdated for one in before.values()] == [False, True, True, True]
    for name, why in (("side", "isn't set"), ("shed", "no connection shed any more")):
        with pytest.raises(HoldError, match=why):
            all_.get(name)


async def test_one_that_is_outdated_is_closed_when_it_is_let_go_and_none_is_closed_twice() -> None:
    all_ = connections(front="1", back="1")
    first = all_.get("front")
    gone = all_.renew(workspace(front="2", back="1"))
    second, back = all_.get("front"), all_.get("back")
    assert (first.closed, second.closed) == (False, False)  # type: ignore[attr-defined]
    await all_.close(gone)
    assert (first.closed, second.closed) == (True, False)  # type: ignore[attr-defined]
    outdated = all_.renew(workspace(front="3", back="1"))
    assert outdated == [second]
    await all_.aclose()
    assert (second.closed, back.closed) == (True, True), "what nobody let go ends with the process"  # type: ignore[attr-defined]


async def test_a_refusal_of_outdated_credentials_is_tried_again_and_holds_nothing() -> None:
    all_ = connections(front="1")
    door = all_.get("front")
    step: Any = SimpleNamespace(do="knock", timeout=Call("d", "d").timeout)
    with pytest.raises(SentError) as held:
        await send_once(door, step, Sent(), Call("d", "d"))
    assert isinstance(held.value.error, HoldError)
    all_.renew(workspace(front="2"))
    with pytest.raises(SentError) as again:
        await send_once(door, step, Sent(), Call("d", "d"))
    assert isinstance(again.value.error, RetryableError)
    assert "settings have changed since" in again.value.error.message
    assert again.value.error.status == 401


async def test_what_was_picked_out_of_an_event_by_one_workspace_is_not_delivered_by_the_next() -> None:
    """Its picks may come from a table, its body may be decoded as the source says: both may be others now."""
    nobody: Any = SimpleNamespace()
    old, new = (Stages.of(workspace(), connections(), nobody, "w") for _ in range(2))
    event = Event("evt_1", "chat", "POST", "/in/chat", (), {}, b"{}", 0)
    old.router._decoded.put(view := EventView(event, {}), uses=2)
    assert new.deliverer.preparer.cached("evt_1") is None
    assert old.deliverer.preparer.cached("evt_1") is view


def stages() -> Stages:
    nobody: Any = None
    return Stages(workspace(), nobody, nobody, nobody)


async def test_stages_are_idle_when_the_last_of_their_messages_has_ended() -> None:
    old = stages()
    await asyncio.wait_for(old.idle(), 1)
    with old.at_work() as found:
        assert found is old
        with old.at_work():
            waiting = asyncio.create_task(old.idle())
            await asyncio.sleep(0.01)
            assert not waiting.done()
        await asyncio.sleep(0.01)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 1)


async def test_stages_that_failed_are_idle_too() -> None:
    old = stages()
    with pytest.raises(ZeroDivisionError), old.at_work():
        raise ZeroDivisionError
    await asyncio.wait_for(old.idle(), 1)
