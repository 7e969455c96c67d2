"""Any HTTP API: JSON, forms, XML or text to a path below the connection's base URL."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus, unquote

from yarl import URL

from connectors.common.encode import to_form, to_json, to_text, to_xml, urlencoded
from connectors.common.plain import wrong_header
from connectors.guides.http import GUIDE
from connectors.http.config import HttpConfig
from connectors.http.extras import Rules, Signer, TokenSource, check_size, client_options, encoded, judge
from connectors.http.fields import RequestFields
from relay.connector import Action, Call, Check, Connector, Context, Example, Outgoing, secrets_in
from relay.errors import PermanentError
from relay.http import (
    BROKE_OFF,
    HIDDEN,
    HOLD_ON,
    IDEMPOTENT_METHODS,
    RETRY_ON,
    Client,
    HttpRequest,
    Received,
    Redactor,
    Sorting,
    base_headers,
    decode,
    redact_headers,
    redact_url,
    sort_response,
)
from relay.model import Reply

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_CONTENT_TYPES = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml",
    "text": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Request(Outgoing):
    """One request, ready to be sent; `repr` and `preview` show no secret."""

    method: str
    url: str = field(repr=False)
    shown_url: str
    headers: dict[str, str] = field(repr=False)
    hidden: frozenset[str]
    kind: str
    body: Any
    content: bytes = field(repr=False)
    rules: Rules | None = None

    def preview(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "method": self.method,
            "url": redact_url(str(URL(self.shown_url))),  # aiohttp spells URLs as yarl does
            "headers": redact_headers(self.headers, self.hidden),
        }
        if self.kind:
            shown[self.kind] = self.body
        return shown


class Send(Action[HttpConfig, RequestFields, Request]):
    name = "request"
    summary = (
        "Send one HTTP request; any 2xx answer is a delivery. A batch is one request with a list of its rows' `json`."
    )
    With = RequestFields
    batchable = True
    row_fields = ("json",)
    examples = (
        Example("JSON", {"path": "/contacts", "json": {"email": "ana@example.com", "tags": ["chat"]}}),
        Example("A form", {"path": "/Messages.json", "form": {"To": "+442079460000", "Body": "Hello"}}),
        Example(
            "XML to be put in place",
            {
                "method": "PUT",
                "path": "/students/20159707",
                "query": {"validate": True},
                "xml": {"student": {"@id": "20159707", "surname": "Lovelace", "course": ["C1", "C2"]}},
            },
        ),
        Example("Text", {"path": "/notes", "headers": {"Content-Type": "text/markdown"}, "text": "# Hello"}),
        Example("Deleting what may be gone", {"method": "DELETE", "path": "/contacts/17", "accept": [404]}),
        Example("Asking", {"method": "GET", "path": "/contacts", "query": {"email": "ana@example.com"}}),
    )

    def __init__(self, connection: Connector[HttpConfig]) -> None:
        super().__init__(connection)
        config = self.config
        auth = config.auth
        base, _, self._base_query = config.base_url.partition("?")
        self._base = self._shown_base = base
        self._secret_query = self._shown_query = ""
        static = {**base_headers(), **{name.lower(): value for name, value in config.headers.items()}}
        hidden = set()
        if auth is not None:
            if auth.bearer is not None:
                static["authorization"] = f"Bearer {auth.bearer.get_secret_value()}"
            elif auth.basic is not None:
                pair = f"{auth.basic.username}:{auth.basic.password.get_secret_value()}"
                static["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            elif auth.header is not None and auth.value is not None:
                static[auth.header.lower()] = auth.value.get_secret_value()
                hidden.add(auth.header.lower())
            elif auth.query is not None and auth.value is not None:
                self._secret_query = f"{quote_plus(auth.query)}={quote_plus(auth.value.get_secret_value())}"
                self._shown_query = f"{quote_plus(auth.query)}={HIDDEN}"
            elif auth.path is not None:
                self._base = base.rstrip("/") + "/" + auth.path.get_secret_value().lstrip("/")
                self._shown_base = f"{base.rstrip('/')}/{HIDDEN}"
            elif auth.oauth2 is not None:
                static["authorization"] = HIDDEN  # put in when it is sent
        self._signer: Signer | None = None
        if auth is not None and auth.hmac is not None:
            self._signer = Signer(auth.hmac)
            # Made when it is sent: a dry run doesn't depend on the clock.
            static |= dict.fromkeys(auth.hmac.headers(), HIDDEN)
            hidden |= auth.hmac.headers()
        self._static = static
        self._hidden = frozenset(hidden)
        self._credentials = frozenset(hidden | ({"authorization"} if "authorization" in static else set()))
        self._idempotency_header = (config.idempotency_header or "").lower()
        self._repeats = config.idempotent and bool(self._idempotency_header)
        # Else the method says it.
        self._repeatable = True if self._repeats else None
        assert isinstance(connection, Http)
        self._tokens = connection.tokens
        self._extra = self._signer is not None or self._tokens is not None
        self._rules = Rules(success=config.success) if config.success is not None else None
        redact = Redactor([*secrets_in(config), static.get("authorization", "").rpartition(" ")[2].replace(HIDDEN, "")])
        self.sorting = Sorting(
            retry_on=RETRY_ON | ({409} if config.retry_on_409 else set()),
            hold_on=HOLD_ON | ({403} if config.hold_on_403 else set()),
            redact=self._tokens.redactor(redact) if self._tokens is not None else redact,
        )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if any("json" not in fields for fields in many):
            raise PermanentError("only `json` can be sent in a batch: give each row one", cause="batch without json")
        return {**many[0], "json": [fields["json"] for fields in many]}

    def prepare(self, fields: RequestFields, call: Call) -> Request:
        kind = fields.kind
        headers = self._static.copy()
        if self._idempotency_header:
            headers[self._idempotency_header] = call.idempotency_key
        if kind:
            headers["content-type"] = _CONTENT_TYPES[kind]
        for name, value in fields.headers.items():
            if value is None:
                continue
            text = to_text(value)
            wrong = wrong_header(name, text)
            if wrong:
                raise PermanentError(wrong, cause="header refused")
            if name.lower() in self._credentials:
                raise PermanentError(f"the header {name} is set by the connection's auth", cause="header refused")
            headers[name.lower()] = text
        body, content = self._body(kind, fields, headers)
        check_size(content, self.config.max_body)
        path = _safe_path(fields.path) if fields.path else ""
        query = urlencoded(fields.query) if fields.query else ""
        return Request(
            method=fields.method,
            url=_joined(self._base, path, self._base_query, query, self._secret_query),
            shown_url=_joined(self._shown_base, path, self._base_query, query, self._shown_query),
            headers=headers,
            hidden=self._hidden,
            kind=kind,
            body=body,
            content=content,
            rules=self._rules if fields.accept is None and fields.success is None else self._rules_of(fields),
        )

    def _rules_of(self, fields: RequestFields) -> Rules:
        return Rules(frozenset(fields.accept or ()), fields.success or self.config.success)

    def _body(self, kind: str, fields: RequestFields, headers: Mapping[str, str]) -> tuple[Any, bytes]:
        if kind == "json":
            return fields.json_, to_json(fields.json_)
        if kind == "form":
            return fields.form, to_form(fields.form or {})
        if kind == "xml":
            return fields.xml, to_xml(fields.xml)
        if kind == "text":
            return fields.text, encoded(fields.text or "", headers["content-type"])
        return None, b""

    async def send(self, outgoing: Request, call: Call) -> Reply:
        assert isinstance(self.connection, Http)
        if self._extra or outgoing.rules is not None:
            return await self._send_with_extras(outgoing, call)
        request = HttpRequest(outgoing.method, outgoing.url, outgoing.headers, outgoing.content)
        received = await self.connection.client.send(request, timeout=call.timeout, idempotent=self._repeatable)
        return self._told(received, sort_response(received, self.sorting), outgoing)

    async def look(self, path: str, timeout: timedelta) -> str:
        """GET a path that changes nothing, and say what came."""
        call = Call("check", "check", timeout=timeout)
        request = self.prepare(RequestFields(method="GET", path=path), call)
        # It isn't a delivery, whose key the API would keep.
        request.headers.pop(self._idempotency_header, None)
        received = await self._exchanged(request, call)
        if received.status == 401 and self._tokens is not None:
            received = await self._exchanged(request, call, anew=True)
        return f"{received.host} answered GET {path} with {sort_response(received, self.sorting).summary}"

    async def _send_with_extras(self, outgoing: Request, call: Call) -> Reply:
        rules = outgoing.rules or Rules()
        received = await self._exchanged(outgoing, call)
        if received.status == 401 and self._tokens is not None:
            received = await self._exchanged(outgoing, call, anew=True)
        if received.status in rules.accept:
            body = decode(received.body, received.headers.get("content-type", ""))
            summary = f"{received.line}, which the step accepts"
            reply = Reply(body, summary, received.status, received.record(self.sorting.redact))
            return self._told(received, reply, outgoing)
        reply = sort_response(received, self.sorting)
        if rules.success is not None and outgoing.method != "HEAD":
            judge(received, reply, rules.success, self.sorting.redact, idempotent=self._may_repeat(outgoing))
        return self._told(received, reply, outgoing)

    def _may_repeat(self, outgoing: Request) -> bool:
        return self._repeats or outgoing.method in IDEMPOTENT_METHODS

    def _told(self, received: Received, reply: Reply, outgoing: Request) -> Reply:
        broke_off = received.cut == BROKE_OFF and self._may_repeat(outgoing)
        return replace(reply, partial=True) if broke_off else reply

    async def _exchanged(self, outgoing: Request, call: Call, *, anew: bool = False) -> Received:
        assert isinstance(self.connection, Http)
        headers = outgoing.headers.copy()
        if self._tokens is not None:
            headers |= await self._tokens.headers(call.timeout, anew=anew)
        if self._signer is not None:
            headers |= self._signer.headers(outgoing.method, outgoing.url, outgoing.content, call.idempotency_key)
        request = HttpRequest(outgoing.method, outgoing.url, headers, outgoing.content)
        return await self.connection.client.send(request, timeout=call.timeout, idempotent=self._repeatable)


def _joined(base: str, path: str, *queries: str) -> str:
    url = f"{base.rstrip('/')}/{path}" if path else base
    query = "&".join(part for part in queries if part)
    return f"{url}?{query}" if query else url


@lru_cache(maxsize=4096)
def _safe_path(path: str) -> str:
    """The path as it goes into a URL, without its first slash. Raises PermanentError where it could lead elsewhere.

    Event data ends up in paths, so nothing in a path may choose the host, climb out of the base path or start a query.
    """

    def refused(why: str) -> PermanentError:
        return PermanentError(f"the path {path[:200]!r} {why}", cause="path refused")

    if _ABSOLUTE.match(path) or "\\" in path:
        raise refused("is an address of its own; a path goes below the connection's base_url")
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in path):
        raise refused("holds a control character")
    if "?" in path or "#" in path:
        raise refused("holds a ? or #: write the query under `query`, and `| url_encode` for a value that may hold one")
    # Twice: what one server decodes once, a proxy before it may decode again.
    plain = unquote(unquote(path)).replace("\\", "/")
    if any(segment in ("..", ".") for segment in plain.split("/")):
        raise refused("climbs out of its folder with `.` or `..`")
    try:
        # A % that starts no escape is a percent sign.
        whole = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", path)
        return quote(whole, safe="/%:@!$&'()*+,;=~-._").lstrip("/")
    except UnicodeEncodeError:
        raise refused("holds half a character") from None


class Http(Connector[HttpConfig]):
    name = "http"
    summary = "Any HTTP API: JSON, forms, XML or text."
    guide = GUIDE
    Config = HttpConfig
    actions = (Send,)
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "http",
        "base_url": "https://api.example.com/v2",
        "auth": {"bearer": "${CRM_TOKEN}"},
        "limit": {"rate": "100/min", "concurrency": 4},
    }

    def __init__(self, config: HttpConfig, context: Context) -> None:
        options = client_options(config, context.idle_seconds)
        self.client = Client(options)
        oauth2 = config.auth.oauth2 if config.auth is not None else None
        self.tokens = TokenSource(oauth2, options) if oauth2 is not None else None
        super().__init__(config, context)

    async def check(self, timeout: timedelta) -> Check:
        if self.config.check is not None:
            action = self.action("request")
            assert isinstance(action, Send)
            return Check(await action.look(self.config.check, timeout))
        host = await self.client.reach(self.config.base_url, timeout)
        if self.tokens is not None:
            await self.tokens.headers(timeout, anew=False)
            return Check(f"{host} can be reached, and a token was given; name a path to GET under `check` to try it")
        return Check(f"{host} can be reached; name a path to GET under `check` to have the credentials tried, too")

    async def aclose(self) -> None:
        if self.tokens is not None:
            await self.tokens.aclose()
        await self.client.aclose()
