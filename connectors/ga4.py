"""Google Analytics 4, by the Measurement Protocol.

Google answers 204 to whatever it gets, with a wrong secret too, and drops what breaks its limits without a word. So the
limits are checked here, before anything is sent, and `debug` asks Google's validation server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from pydantic import Field, SecretStr, model_validator

from connectors.common.api import ApiAction, ApiConfig, ApiConnector, ApiRequest
from connectors.common.encode import to_json, to_text
from connectors.guides.ga4 import GUIDE
from relay.connector import Call, Check, Example, Fields, Outgoing
from relay.errors import PermanentError, RetryableError
from relay.model import Reply

_EVENTS = 25
_PARAMS = 25
_PROPERTIES = 25
_NAME = 40
_PROPERTY_NAME = 24
_PROPERTY_VALUE = 36
_BODY_BYTES = 130_000
_OLDEST = timedelta(hours=72)
_GOOD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED_STARTS = ("_", "firebase_", "ga_", "google_", "gtag.")
_RESERVED = frozenset(
    {
        "ad_activeview", "ad_click", "ad_exposure", "ad_query", "ad_reward", "adunit_exposure", "app_clear_data",
        "app_exception", "app_install", "app_remove", "app_store_refund", "app_update", "app_upgrade", "error",
        "first_open", "first_visit", "in_app_purchase", "notification_dismiss", "notification_foreground",
        "notification_open", "notification_receive", "os_update", "session_start", "user_engagement",
    }
)  # fmt: skip


class Ga4Config(ApiConfig):
    base_url: str = Field(
        "https://www.google-analytics.com",
        description="Where events go; https://region1.google-analytics.com keeps them in the EU.",
    )
    measurement_id: str = Field(
        pattern=r"^G-[A-Z0-9]+$", description="The web data stream's measurement ID.", examples=["G-ABC123DEF4"]
    )
    api_secret: SecretStr = Field(
        min_length=1, description="Made under Admin, Data streams, Measurement Protocol API secrets."
    )
    longest_value: int = Field(
        100, ge=1, description="Characters of a parameter's value: 100, and 500 for Analytics 360. Not verified."
    )


class Event(Fields):
    name: str = Field(description="The event's name: letters, digits and _, at most 40.", examples=["generate_lead"])
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its parameters, at most 25. With session_id and engagement_time_msec it is in realtime reports.",
    )


class EventFields(Fields):
    client_id: str = Field(
        min_length=1, description="Which browser: the client ID of its _ga cookie.", examples=["1234567890.1712134000"]
    )
    user_id: str | None = Field(None, min_length=1, max_length=256, description="Your own id of the user.")
    name: str | None = Field(None, description="The event's name, where there is one event.")
    params: dict[str, Any] = Field(default_factory=dict, description="Its parameters.")
    events: list[Event] | None = Field(None, description="Several events, at most 25.")
    user_properties: dict[str, Any] = Field(default_factory=dict, description="Properties of the user: name and value.")
    timestamp_micros: int | None = Field(
        None, description="When it happened, in microseconds since 1970; where it isn't said, when it was received."
    )

    @model_validator(mode="after")
    def _one_or_several(self) -> EventFields:
        if (self.name is None) == (not self.events):
            raise ValueError("give one event by its `name`, or several as `events`")
        if self.events and self.params:
            raise ValueError("`params` goes with `name`; each of `events` has its own")
        return self

    def all_events(self) -> list[Event]:
        return list(self.events or []) if self.name is None else [Event(name=self.name, params=self.params)]


class _Collect(ApiAction[Ga4Config, EventFields]):
    With = EventFields
    path: ClassVar[str]

    def prepare(self, fields: EventFields, call: Call) -> ApiRequest:
        events = fields.all_events()
        if len(events) > _EVENTS:
            raise _refused(f"{len(events)} events, and a request takes {_EVENTS}")
        body: dict[str, Any] = {"client_id": fields.client_id}
        if fields.user_id is not None:
            body["user_id"] = fields.user_id
        micros = fields.timestamp_micros
        if micros is None and call.moment is not None:
            micros = round(call.moment.timestamp() * 1_000_000)
        if micros is not None:
            body["timestamp_micros"] = micros
        if fields.user_properties:
            body["user_properties"] = _properties(fields.user_properties)
        body["events"] = [self._event(event) for event in events]
        size = len(to_json(body))
        if size >= _BODY_BYTES:
            raise _refused(f"{size} bytes, and a request takes {_BODY_BYTES}")
        return ApiRequest(
            "POST",
            self.config.base_url,
            self.path,
            "json",
            body,
            query={"measurement_id": self.config.measurement_id},
            hidden=(),
            hidden_query=("api_secret",),
        )

    def _event(self, event: Event) -> dict[str, Any]:
        _check_name("the event", event.name, _NAME)
        if event.name in _RESERVED:
            raise _refused(f"the event name {event.name!r} is Google's own; give yours another")
        params = {name: value for name, value in event.params.items() if value is not None}
        if len(params) > _PARAMS:
            raise _refused(f"the event {event.name!r} has {len(params)} parameters, and may have {_PARAMS}")
        for name, value in params.items():
            _check_name("the parameter", name, _NAME)
            if name == "items" and isinstance(value, list):
                continue  # products: the one parameter that is a list
            if isinstance(value, (dict, list)):
                raise _refused(f"the parameter {name!r} is a list or a mapping; only `items` may be a list")
            _check_length(f"the parameter {name!r}", value, self.config.longest_value)
        return {"name": event.name, "params": params}


def _properties(given: Mapping[str, Any]) -> dict[str, Any]:
    if len(given) > _PROPERTIES:
        raise _refused(f"{len(given)} user properties, and a request takes {_PROPERTIES}")
    for name, value in given.items():
        _check_name("the user property", name, _PROPERTY_NAME)
        if isinstance(value, (dict, list)):
            raise _refused(f"the user property {name!r} is a list or a mapping")
        _check_length(f"the user property {name!r}", value, _PROPERTY_VALUE)
    return {name: {"value": value} for name, value in given.items() if value is not None}


def _check_name(what: str, name: str, longest: int) -> None:
    if len(name) > longest:
        raise _refused(f"the name of {what} {name[:longest]!r}… is longer than {longest} characters")
    if name.startswith(_RESERVED_STARTS):
        raise _refused(f"{what} {name!r} starts as only Google's own names do")
    if not _GOOD_NAME.fullmatch(name):
        raise _refused(f"{what} {name!r} has to start with a letter and hold only letters, digits and _")


def _check_length(what: str, value: Any, longest: int) -> None:
    length = len(to_text(value))
    if length > longest:
        raise _refused(f"{what} has {length} characters, and may have {longest}; shorten it, as with `| truncate`")


def _refused(message: str) -> PermanentError:
    return PermanentError(f"Analytics would drop it without a word: {message}", cause="limit of analytics")


class SendEvent(_Collect):
    name = "event"
    summary = (
        "Send events. Google says 204 to anything, so delivered means sent: try a recipe's events with `debug` first. "
        "Google leaves out no repeats, but of purchases with the same transaction_id."
    )
    path = "/mp/collect"
    examples = (
        Example(
            "A lead",
            {
                "client_id": "1234567890.1712134000",
                "name": "generate_lead",
                "params": {"source": "chat", "value": 20, "currency": "GBP", "engagement_time_msec": 1},
            },
        ),
        Example(
            "Several, of a known user",
            {
                "client_id": "1234567890.1712134000",
                "user_id": "u-17",
                "events": [{"name": "chat_opened"}, {"name": "chat_rated", "params": {"rating": 5}}],
                "user_properties": {"plan": "free"},
            },
        ),
    )

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        micros = outgoing.body.get("timestamp_micros")
        if micros is not None:
            age = datetime.now(UTC).timestamp() - micros / 1_000_000
            if age > _OLDEST.total_seconds():
                raise _refused("it happened more than 72 hours ago")
        reply = await super().send(outgoing, call)
        return Reply(reply.body, f"{reply.summary}, which Google says to anything", reply.status, reply.received)


class Debug(_Collect):
    name = "debug"
    summary = (
        "Ask Google's validation server what is wrong with the events; none is recorded. It doesn't look at api_secret."
    )
    path = "/debug/mp/collect"
    idempotent = True
    examples = (Example("A lead", SendEvent.examples[0].fields),)

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        reply = await super().send(outgoing, call)
        messages = cast("Ga4", self.connection).faults(reply)
        if messages:
            raise PermanentError(
                f"Google finds fault with it: {'; '.join(messages[:3])}",
                status=reply.status,
                cause="refused by the validation server",
                received=dict(reply.received),
            )
        return Reply(reply.body, f"{reply.summary}: nothing is wrong with it", reply.status, reply.received)


def _said(found: Any) -> str:
    if not isinstance(found, dict):
        return "it can't be told what"
    where, code = found.get("fieldPath") or "the request", found.get("validationCode") or "invalid"
    return " ".join(f"{where}: {code}: {found.get('description') or ''}".split())[:200]


class Ga4(ApiConnector[Ga4Config]):
    name = "ga4"
    summary = "Events for Google Analytics 4, by the Measurement Protocol."
    guide = GUIDE
    Config = Ga4Config
    actions = (SendEvent, Debug)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "ga4",
        "measurement_id": "G-ABC123DEF4",
        "api_secret": "${GA4_API_SECRET}",
    }

    async def check(self, timeout: timedelta) -> Check:
        host = await self.client.reach(self.reach_url(), timeout)
        return Check(
            f"{host} can be reached; Google says 204 to a wrong api_secret too, so look into the property's realtime "
            "report after the first event"
        )

    def faults(self, reply: Reply) -> tuple[str, ...]:
        """What the validation server says, each on a line."""
        messages = reply.body.get("validationMessages") if isinstance(reply.body, dict) else None
        if not isinstance(messages, list):
            raise RetryableError(
                f"Google answered {reply.summary}, but nothing that its validation server says",
                status=reply.status,
                cause="not an answer of the validation server",
                received=dict(reply.received),
            )
        return tuple(self.sorting.redact(_said(found)) for found in messages)

    async def rehearse(self, do: str | None, outgoing: Outgoing, call: Call) -> tuple[str, ...]:
        """By Google's validation server, which records nothing and doesn't look at api_secret."""
        assert isinstance(outgoing, ApiRequest)
        return self.faults(await self.request(replace(outgoing, path=Debug.path), call, idempotent=True))

    def secret_query(self) -> Mapping[str, str]:
        return {"api_secret": self.config.api_secret.get_secret_value()}
