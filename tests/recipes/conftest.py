"""A strict stand-in for a destination, and a folder to put recipes into."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import Field, SecretStr

from relay.connector import Action, Call, ConnectionConfig, Connector, Fields, Outgoing
from relay.errors import ConfigError, PermanentError, Place
from relay.model import JSON, Event, Reply
from relay.recipes import EventView, Names, Workspace, accounts, compile_expression, load_workspace

MOMENT = 1_775_207_700_000


class DeskConfig(ConnectionConfig):
    team: str = Field(description="Which team.")
    token: SecretStr | None = Field(None, description="The API's token.")


class Address(Fields):
    street: str
    number: int | None = None


class NoteWith(Fields):
    title: str
    tags: list[str] = Field(default_factory=list)
    row: dict[str, Any] = Field(default_factory=dict)
    address: Address | None = None
    hidden: str | None = None


class CallWith(Fields):
    number: str


@dataclass(frozen=True)
class Sent(Outgoing):
    what: dict[str, Any]

    def preview(self) -> dict[str, Any]:
        return self.what


class Note(Action[DeskConfig, NoteWith, Sent]):
    name = "note"
    summary = "Writes a note."
    With = NoteWith
    examples = ()

    def prepare(self, fields: NoteWith, call: Call) -> Sent:
        if fields.title == "impossible":
            raise PermanentError("the desk takes no such title")
        token = "***" if self.config.token else None
        return Sent({"team": self.config.team, "token": token, "key": call.idempotency_key, "title": fields.title})

    async def send(self, outgoing: Sent, call: Call) -> Reply:
        raise AssertionError("nothing is sent in these tests")


class Phone(Action[DeskConfig, CallWith, Sent]):
    name = "call"
    summary = "Calls somebody."
    With = CallWith
    examples = ()

    def prepare(self, fields: CallWith, call: Call) -> Sent:
        return Sent({"number": fields.number})

    async def send(self, outgoing: Sent, call: Call) -> Reply:
        raise AssertionError("nothing is sent in these tests")


class Desk(Connector[DeskConfig]):
    name = "desk"
    summary = "A desk."
    Config = DeskConfig
    actions = (Note, Phone)
    example = MappingProxyType({"team": "support"})


RELAY_YAML = """\
sources:
  chat: {verify: {bearer: "${CHAT_TOKEN}"}}
connections:
  desk: {connector: desk, team: support, token: "${DESK_TOKEN}"}
retries:
  patient: {times: 3, first: 1m, factor: 10, max: 1h}
"""
ENV = {"CHAT_TOKEN": "c", "DESK_TOKEN": "d"}


@pytest.fixture(autouse=True)
def _only_the_desk_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def connector_class(name: str) -> type[Connector[Any]]:
        if name != "desk":
            raise ConfigError(f"no connector is called {name!r}")
        return Desk

    monkeypatch.setattr(accounts, "connector_class", connector_class)
    monkeypatch.setattr(accounts, "connector_names", lambda: ["desk"])


class Folder:
    """A workspace on disk, written by a test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("relay.yaml", RELAY_YAML)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def recipe(self, text: str, name: str = "low") -> None:
        self.write(f"{name}.yaml", text)

    def sample(self, body: JSON, name: str = "samples/chat.json") -> Path:
        return self.write(name, json.dumps(body))

    def load(self, env: Mapping[str, str] | None = None) -> Workspace:
        return load_workspace(self.path, ENV if env is None else env)

    def lines(self, workspace: Workspace, severity: str = "error") -> list[str]:
        """The problems as `low.yaml:4:2: message`."""
        return [str(one).removeprefix(f"{self.path}/") for one in workspace.problems if one.severity == severity]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def event_of(body: JSON = None, *, headers: Mapping[str, str] | None = None, query: Any = (), kind: str = "") -> Event:
    every = {"content-type": "application/json", **(headers or {})}
    return Event("evt_1", "chat", "POST", "/in/chat", tuple(query), every, json.dumps(body).encode(), MOMENT, kind)


def view_of(body: JSON = None, **more: Any) -> EventView:
    return EventView(event_of(body, **more), body)


@pytest.fixture
def view() -> Callable[..., EventView]:
    return view_of


@pytest.fixture
def evaluate() -> Callable[..., Any]:
    """Evaluate an expression on a body."""

    def run(text: str, body: JSON = None, names: Names | None = None, **more: Any) -> Any:
        return compile_expression(text, Place("recipe.yaml"), names).evaluate(view_of(body, **more))

    return run
