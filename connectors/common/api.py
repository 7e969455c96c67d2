"""What the connectors of one vendor's HTTP API share: a client, a request without secrets, the vendor's own errors.

A connector says how it proves who it is (`credentials`), and what an answer means where its status alone doesn't tell
(`judge`). An action says what to send (`prepare`, which gives an ApiRequest).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast
from urllib.parse import urlencode

from pydantic import Field, field_validator

from connectors.common.encode import to_form, to_json, urlencoded
from connectors.common.plain import plain_url
from relay.connector import Action, Call, Check, ConnectionConfig, Connector, Context, Fields, Outgoing, secrets_in
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.http import (
    HIDDEN,
    HOLD_ON,
    RETRY_ON,
    Client,
    ClientOptions,
    HttpRequest,
    Received,
    Redactor,
    Sorting,
    base_headers,
    decode,
    retry_after,
    sort_response,
)
from relay.model import JSON, Reply

_CONTENT_TYPES = {"json": "application/json; charset=utf-8", "form": "application/x-www-form-urlencoded"}


class ApiConfig(ConnectionConfig):
    """Base of the connections to a vendor's API: give `base_url` its default."""

    base_url: str = Field(description="Where the API lives; another one is for sandboxes, tests and proxies.")
    allow_private: bool = Field(False, description="Let it connect to private addresses (127.0.0.1, 10.…, …).")

    @field_validator("base_url")
    @classmethod
    def _is_a_plain_url(cls, value: str) -> str:
        return plain_url(value)


@dataclass(frozen=True, slots=True)
class ApiRequest(Outgoing):
    """One request, without what proves who we are: that is added when it is sent.

    path     below the connection's base_url, percent-encoded where it holds a value: use `quote(value, safe="")`
    body     for `json` and `form`; `content_type` overrules the usual one
    hidden   names of headers, and of query parameters, that the connection adds: shown as ***; a request that names
             no header takes no credentials along
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    base_url: str
    path: str
    kind: Literal["", "json", "form"] = ""
    body: Any = None
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    hidden: tuple[str, ...] = ("authorization",)
    hidden_query: tuple[str, ...] = ()
    hidden_path: bool = False

    @property
    def url(self) -> str:
        """Without what the connection adds to it."""
        query = urlencoded(self.query) if self.query else ""
        base = self.base_url.rstrip("/")
        return f"{base}{self.path}{'?' + query if query else ''}"

    def content(self) -> bytes:
        if self.kind == "json":
            return to_json(self.body)
        return to_form(self.body or {}) if self.kind == "form" else b""

    def preview(self) -> dict[str, Any]:
        path, mark, query = self.url.partition("?")
        shown = f"{path}{'/' + HIDDEN if self.hidden_path else ''}{mark}{query}"
        for name in self.hidden_query:
            shown += f"{'&' if '?' in shown else '?'}{name}={HIDDEN}"
        headers = dict(self.headers)
        if self.kind:
            headers["content-type"] = self.content_type or _CONTENT_TYPES[self.kind]
        headers |= dict.fromkeys(self.hidden, HIDDEN)
        preview: dict[str, Any] = {"method": self.method, "url": shown, "headers": headers}
        if self.kind:
            preview[self.kind] = self.body
        return preview


@dataclass(frozen=True, slots=True)
class Said:
    """What a vendor answered, and the errors made of it: they carry its status and, redacted, its words.

    body  decoded by its content type: a text where it isn't JSON or XML
    """

    received: Received
    body: JSON
    record: Mapping[str, Any]

    @property
    def status(self) -> int:
        return self.received.status

    def header(self, name: str) -> str | None:
        return self.received.headers.get(name.lower())

    def retry(self, message: str, cause: str, after: timedelta | None = None) -> RetryableError:
        """after: how long the vendor asks us to wait; by its Retry-After where that isn't said."""
        wait = after if after is not None else retry_after(self.header("retry-after"))
        return RetryableError(
            self._sentence(message), retry_after=wait, status=self.status, cause=cause, received=dict(self.record)
        )

    def permanent(self, message: str, cause: str) -> PermanentError:
        return PermanentError(self._sentence(message), status=self.status, cause=cause, received=dict(self.record))

    def hold(self, message: str, cause: str) -> HoldError:
        return HoldError(self._sentence(message), status=self.status, cause=cause, received=dict(self.record))

    def unknown(self, message: str, cause: str) -> UnknownOutcomeError:
        return UnknownOutcomeError(
            self._sentence(message), status=self.status, cause=cause, received=dict(self.record)
        )  # fmt: skip

    def _sentence(self, message: str) -> str:
        return f"{self.received.host} answered {self.received.line}: {message}"


ConfigT = TypeVar("ConfigT", bound=ApiConfig)
FieldsT = TypeVar("FieldsT", bound=Fields)


class ApiConnector(Connector[ConfigT]):
    """Base of the connectors of a vendor's API.

    hold_on      statuses that mean bad credentials, or missing rights
    puts_repeat  whether a PUT or DELETE does no harm the second time, as HTTP has it
    """

    hold_on: ClassVar[frozenset[int]] = HOLD_ON
    puts_repeat: ClassVar[bool] = True
    retry_on: ClassVar[frozenset[int]] = RETRY_ON

    def __init__(self, config: ConfigT, context: Context) -> None:
        super().__init__(config, context)
        options = ClientOptions(allow_private=config.allow_private, idle_seconds=context.idle_seconds)
        self.client = Client(options)
        self.sorting = Sorting(retry_on=self.retry_on, hold_on=self.hold_on, redact=Redactor(secrets_in(config)))

    async def credentials(self, timeout: timedelta, *, anew: bool = False) -> Mapping[str, str]:
        """Headers (lower-case names) that prove who we are. anew: what was given last was refused with a 401."""
        return {}

    def secret_query(self) -> Mapping[str, str]:
        """Parameters that prove who we are: name them in the request's `hidden_query`."""
        return {}

    def secret_path(self) -> str:
        """The end of the address, where it is a secret: the request has `hidden_path` then."""
        return ""

    @property
    def renews(self) -> bool:
        """Whether asking for credentials anew may help after a 401: then the request is sent once more."""
        return False

    def judge(self, said: Said) -> DeliveryError | None:
        """What an answer means, where its status alone doesn't tell; None leaves it to the status."""
        return None

    async def request(self, outgoing: ApiRequest, call: Call, *, idempotent: bool = False) -> Reply:
        """Send it once; after a 401, once more with credentials made anew. Raises a DeliveryError sorted by fate."""
        repeatable = True if idempotent else None if self.puts_repeat else False
        return self.sorted(await self._answered(outgoing, call, idempotent=repeatable))

    async def check(self, timeout: timedelta) -> Check:
        """For vendors without a harmless call: whether the host is there, and where tokens are fetched, gives one."""
        host = await self.client.reach(self.reach_url(), timeout)
        if self.renews:
            await self.credentials(timeout)
            return Check(f"{host} can be reached, and a token was given; what the token may do wasn't tried")
        return Check(f"{host} can be reached; it has no harmless call, so the credentials weren't tried")

    def reach_url(self) -> str:
        return self.config.base_url

    async def ask(self, outgoing: ApiRequest, timeout: timedelta) -> Said:
        """A harmless call and its answer, which is JSON. Raises a DeliveryError sorted by fate."""
        call = Call("check", "check", timeout=timeout)
        received = await self._answered(outgoing, call, idempotent=True)
        said = self._said(received)
        error = self.judge(said)
        # What a delivery's answer would have to hold is no matter here.
        if error is not None and not (200 <= said.status < 300 and isinstance(error, UnknownOutcomeError)):
            raise error
        sort_response(received, self.sorting)
        if not isinstance(said.body, dict):
            raise said.permanent("that isn't the API's answer; check base_url", "not the api")
        return said

    def _said(self, received: Received) -> Said:
        body = decode(received.body, received.headers.get("content-type", ""))
        return Said(received, body, received.record(self.sorting.redact))

    def sorted(self, received: Received) -> Reply:
        error = self.judge(self._said(received))
        if error is not None:
            raise error
        return sort_response(received, self.sorting)

    async def _answered(self, outgoing: ApiRequest, call: Call, *, idempotent: bool | None) -> Received:
        """Credentials and a repeat take their time from the attempt's."""
        end = _end(call.timeout)
        received = await self._sent(outgoing, call, idempotent=idempotent, anew=False)
        if received.status == 401 and self.renews:
            rest = replace(call, timeout=_until(end))
            received = await self._sent(outgoing, rest, idempotent=idempotent, anew=True)
        return received

    async def _sent(self, outgoing: ApiRequest, call: Call, *, idempotent: bool | None, anew: bool) -> Received:
        end = _end(call.timeout)
        headers = {**base_headers(), **{name.lower(): value for name, value in outgoing.headers.items()}}
        if outgoing.kind:
            headers["content-type"] = outgoing.content_type or _CONTENT_TYPES[outgoing.kind]
        if outgoing.hidden:
            headers |= await self.credentials(call.timeout, anew=anew)
        path, _, query = outgoing.url.partition("?")
        path += self.secret_path() if outgoing.hidden_path else ""
        added = urlencode({name: self.secret_query()[name] for name in outgoing.hidden_query})
        query = "&".join(part for part in (query, added) if part)
        request = HttpRequest(outgoing.method, f"{path}?{query}" if query else path, headers, outgoing.content())
        return await self.client.send(request, timeout=_until(end), idempotent=idempotent)

    async def aclose(self) -> None:
        await self.client.aclose()


def _end(timeout: timedelta) -> float:
    return asyncio.get_running_loop().time() + timeout.total_seconds()


def _until(end: float) -> timedelta:
    return timedelta(seconds=max(end - asyncio.get_running_loop().time(), 0.001))


class ApiAction(Action[ConfigT, FieldsT, ApiRequest], Generic[ConfigT, FieldsT]):
    """Base of their actions: `prepare` says what is sent."""

    async def send(self, outgoing: ApiRequest, call: Call) -> Reply:
        connection = cast("ApiConnector[ConfigT]", self.connection)
        return await connection.request(outgoing, call, idempotent=self.idempotent)
