"""The contract between the relay and a connector: one class, one declaration of everything it understands.

A connector is a class with a pydantic `Config` (what a connection in relay.yaml may say) and one `Action` for each
thing it can do. From those declarations come the lint, its messages, the JSON Schema, the docs page and the CLI help.

An action works in two halves, so that a dry run takes the same path as a delivery:

    outgoing = action.prepare(fields, call)     pure: what would be sent; nothing is opened
    reply    = await action.send(outgoing, call)  the one thing that touches the network or the disk

    class Webhook(Connector[WebhookConfig]):
        name = "webhook"
        summary = "Signed webhooks"
        Config = WebhookConfig
        actions = (Post,)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from relay.connector.fields import ConnectionConfig, Fields, validated
from relay.connector.guide import Guide
from relay.errors import ConfigError
from relay.model import Reply


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of one delivery, as its connector sees it.

    idempotency_key  the same for every attempt of a delivery: send it wherever the destination can use it
    timeout          for the whole attempt
    moment           when the event was received: use it, not the clock, for what must not change over attempts
    rows             of a call for several deliveries, each one's own key, in the order in which they were merged
    """

    delivery_id: str
    idempotency_key: str
    attempt: int = 1
    timeout: timedelta = timedelta(seconds=30)
    moment: datetime | None = None
    rows: tuple[str, ...] = ()

    def row_keys(self, number: int) -> list[str]:
        """A key for each of so many rows, the same however the deliveries are gathered into calls.

        Where a delivery brings several rows, only the call as a whole has a key that stays.
        """
        if len(self.rows) == number:
            return list(self.rows)
        return [self.idempotency_key] if number == 1 else [f"{self.idempotency_key}/{row + 1}" for row in range(number)]


@dataclass(frozen=True, slots=True)
class Context:
    """What a connection may use of the process it lives in.

    data_dir       the data folder, for connectors that write files
    idle_seconds   how long an unused network connection is kept
    """

    data_dir: Path = Path(".relay")
    idle_seconds: float = 30.0


class Outgoing(ABC):
    """What an action is about to send. Subclass it as a frozen dataclass."""

    @abstractmethod
    def preview(self) -> dict[str, Any]:
        """What `relay try` prints and what the attempt records: JSON-like, complete, secrets shown as `***`."""


ConfigT = TypeVar("ConfigT", bound=ConnectionConfig)
FieldsT = TypeVar("FieldsT", bound=Fields)
OutgoingT = TypeVar("OutgoingT", bound=Outgoing)


@dataclass(frozen=True, slots=True)
class Example:
    """A `with:` that is valid, for docs and the contract suite."""

    title: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """What a harmless call found out about a connection.

    found    one sentence: what was reached, and as whom
    missing  what would keep deliveries from arriving, each with its remedy; empty where all is well
    """

    found: str
    missing: tuple[str, ...] = ()


class Action(ABC, Generic[ConfigT, FieldsT, OutgoingT]):
    """One thing a connector can do. An instance belongs to one connection.

    name        how a recipe's `do` names it
    summary     one sentence
    With        the fields of a step's `with`
    examples    at least one valid `with`
    idempotent  True where a repeat with the same idempotency key has no second effect
    batchable   True where many rows travel in one call: then `merged` is implemented
    row_fields  the fields of `with` that are rows: what differs in any other goes into a call of its own
    max_rows    how many deliveries one call takes at most, as the destination says; 0 where it doesn't
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    With: ClassVar[type[Fields]]
    examples: ClassVar[tuple[Example, ...]]
    idempotent: ClassVar[bool] = False
    batchable: ClassVar[bool] = False
    row_fields: ClassVar[tuple[str, ...]] = ()
    max_rows: ClassVar[int] = 0

    def __init__(self, connection: Connector[ConfigT]) -> None:
        self.connection = connection

    @property
    def config(self) -> ConfigT:
        return self.connection.config

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The `with` of one call that does the work of several, in their order.

        All of them differ in nothing but their rows; raises PermanentError, naming the key, where they differ in more.
        """
        raise NotImplementedError(f"{cls.name} is not batchable")

    @abstractmethod
    def prepare(self, fields: FieldsT, call: Call) -> OutgoingT:
        """What would be sent. Opens nothing. Raises PermanentError where the fields can't make a request."""

    @abstractmethod
    async def send(self, outgoing: OutgoingT, call: Call) -> Reply:
        """Send it once. Raises a DeliveryError sorted by fate."""


class Connector(Generic[ConfigT]):
    """The code that speaks to one kind of destination. An instance is one connection.

    outdated  the connection's settings have changed since: only what is under way is still sent by it
    guide     for its page: how to set it up, what its errors mean and who must act
    """

    outdated: bool = False
    guide: ClassVar[Guide | None] = None

    name: ClassVar[str]
    summary: ClassVar[str]
    Config: ClassVar[type[ConnectionConfig]]
    actions: ClassVar[tuple[type[Action[Any, Any, Any]], ...]]
    example: ClassVar[Mapping[str, Any]]

    def __init__(self, config: ConfigT, context: Context) -> None:
        self.config = config
        self.context = context
        self._actions = {action.name: action(self) for action in self.actions}

    async def check(self, timeout: timedelta) -> Check:
        """Make a harmless call, which writes nothing there: `relay connections test` prints what it found.

        Raises a DeliveryError, NotImplementedError where the destination has no such call.
        """
        raise NotImplementedError

    async def rehearse(self, do: str | None, outgoing: Outgoing, call: Call) -> tuple[str, ...]:
        """Have the destination check what would be sent, by a call of its own of which nothing comes: for `try --live`.

        What it finds wrong, each in one line; empty where nothing is. Raises a DeliveryError where it can't be asked,
        NotImplementedError where the destination has no such call.
        """
        raise NotImplementedError

    async def aclose(self) -> None:
        """Let go of pooled connections. Called once, when the process stops or the connection's settings change."""

    @classmethod
    def action_class(cls, do: str | None) -> type[Action[Any, Any, Any]]:
        """The action a step's `do` names; the only one where it names none. Raises ConfigError."""
        if do is None:
            if len(cls.actions) == 1:
                return cls.actions[0]
            raise ConfigError(f"say what to do: `do:` is one of {', '.join(a.name for a in cls.actions)}")
        for action in cls.actions:
            if action.name == do:
                return action
        raise ConfigError(f"{cls.name} has no action {do!r}; it has {', '.join(a.name for a in cls.actions)}")

    def action(self, do: str | None) -> Action[Any, Any, Any]:
        return self._actions[self.action_class(do).name]

    def outgoing(self, do: str | None, fields: Mapping[str, Any], call: Call) -> Outgoing:
        """Validate a rendered `with` and say what it would send. Raises PermanentError via `validated`."""
        action = self.action(do)
        prepared: Outgoing = action.prepare(validated(action.With, fields), call)
        return prepared

    async def send(self, do: str | None, outgoing: Outgoing, call: Call) -> Reply:
        return await self.action(do).send(outgoing, call)
