"""How the Google Sheets connector speaks to Google: gspread in a thread, over the relay's own HTTP client.

gspread blocks, so its calls run in a thread of the connection's own: the event loop's own few threads also look up
names, and a slow sheet must not hold those up. gspread takes any session; ours hands each request to the relay's client
on the event loop. So the time limit, the guard against private addresses, what is recorded and the sorting of outcomes
are those of every other connector, and nothing depends on `APIError.code`, which is -1 for an error that isn't JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode

from connectors.common.api import ApiConnector, Said
from connectors.common.encode import to_json
from connectors.google_sheets.config import GOOGLE, SheetsConfig, account, key_lines
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, RetryableError, UnknownOutcomeError
from relay.http import HIDDEN, Client, ClientOptions, HttpRequest, Received, Redactor, Sorting, base_headers, decode

if TYPE_CHECKING:
    from google.oauth2.service_account import Credentials
    from gspread.http_client import HTTPClient

SCOPE = "https://www.googleapis.com/auth/spreadsheets"

#: A column of a hundred thousand keys is a few megabytes.
_MAX_REPLY_BYTES = 32_000_000
#: Google's quotas are filled up each minute, and a 429 doesn't say when.
_QUOTA_WAIT = timedelta(seconds=60)

T = TypeVar("T")


@dataclass(slots=True)
class Errand:
    """One attempt, as the thread works on it.

    loop       where its requests are sent
    ends       when its time is up, by the loop's clock
    repeats    a repeat of its writing does no harm: no answer means trying again
    given_up   nobody waits for it any more: it must write nothing more
    status     of the answer to its last request
    cut        why that isn't whole
    record     what the attempt keeps of it
    """

    loop: asyncio.AbstractEventLoop
    ends: float
    repeats: bool = False
    given_up: bool = False
    status: int = 200
    cut: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)


class _Answer:
    """What gspread reads of a response; a failure never gets as far."""

    ok = True

    def __init__(self, body: Any) -> None:
        self._body = body

    def json(self) -> Any:
        return self._body


@dataclass(frozen=True, slots=True)
class _TokenAnswer:
    """What google-auth reads of a response."""

    status: int
    data: bytes
    headers: Mapping[str, str]


class _Hiding(Redactor):
    """Hides the key, and the token of the hour."""

    token = ""

    def __call__(self, text: str) -> str:
        text = super().__call__(text)
        return text.replace(self.token, HIDDEN) if self.token else text


class Session:
    """gspread's session, and google-auth's transport. Used from one thread only, for one errand at a time."""

    def __init__(self, api: SheetsApi, errand: Errand) -> None:
        self._api = api
        self._credentials: Credentials | None = None
        self.errand = errand

    def request(
        self, method: str, url: str, *, json: Any = None, params: Mapping[str, Any] | None = None, **_: Any
    ) -> _Answer:
        """One request. Where the token isn't taken any more, once more with a new one."""
        assert url.startswith(GOOGLE)
        target = self._api.config.base_url.rstrip("/") + url.removeprefix(GOOGLE)
        query = urlencode(params or {}, doseq=True)
        content = b"" if json is None else to_json(json)
        # Writing the same into the same cells once more does no harm; a second append makes a second row.
        repeats = self.errand.repeats or not url.endswith(":append")
        for again in (False, True):
            headers = {**base_headers(), "authorization": f"Bearer {self._token(anew=again)}"}
            if content:
                headers["content-type"] = "application/json; charset=utf-8"
            asked = HttpRequest(method.upper(), f"{target}?{query}" if query else target, headers, content)
            received = self._exchange(asked, repeats=repeats)
            if received.status != 401:
                break
        self._api.sorted(received)
        return _Answer(self._body(received, repeats=repeats))

    def _body(self, received: Received, *, repeats: bool) -> Any:
        record = received.record(self._api.sorting.redact)
        self.errand.status, self.errand.cut, self.errand.record = received.status, received.cut, record
        body = decode(received.body, received.headers.get("content-type", ""))
        if isinstance(body, dict) and not received.cut:
            return body
        if received.cut and not repeats:
            return {}  # the status says that it is done
        said = Said(received, body, record)
        what = received.cut or "what came isn't what the Sheets API answers"
        cause = "not an answer of sheets"
        raise said.retry(what, cause) if repeats else said.unknown(f"{what}; it may have been done", cause)

    def _exchange(self, asked: HttpRequest, *, repeats: bool) -> Received:
        """One request on the event loop. Waits for it: it ends by the errand's own time."""
        errand, loop = self.errand, self.errand.loop
        left = errand.ends - loop.time()
        if errand.given_up or left <= 0:
            raise RetryableError("the time was up before anything was written", cause="no time left")
        sending = self._api.client.send(asked, timeout=timedelta(seconds=left), idempotent=repeats)
        future = asyncio.run_coroutine_threadsafe(sending, loop)
        try:
            return future.result(left + 2)
        except TimeoutError:  # the loop itself has ended
            future.cancel()
            raise UnknownOutcomeError("no answer in time", cause="no answer in time") from None

    def _token(self, *, anew: bool) -> str:
        """Of the account, made anew when it has run out. Raises HoldError where Google gives none."""
        credentials = self._credentials
        if credentials is None:
            from google.oauth2.service_account import Credentials

            try:
                credentials = Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                    dict(self._api.info), scopes=[SCOPE]
                )
            except ValueError:
                raise HoldError(
                    "the service account's private_key can't be read; download the key file again",
                    cause="private key unreadable",
                ) from None
            self._credentials = credentials
        if anew or not credentials.valid:
            # `refresh` and no more: `before_request` also starts a thread that asks Google in which regions it may be.
            credentials.refresh(self._ask_for_token)
            self._api.hiding.token = str(credentials.token)
        return str(credentials.token)

    def _ask_for_token(
        self, url: str, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] | None = None, **_: Any
    ) -> _TokenAnswer:
        """google-auth's transport. A failure is raised here: google-auth would sleep, and ask again by itself."""
        named = {**base_headers(), **{name.lower(): value for name, value in (headers or {}).items()}}
        received = self._exchange(HttpRequest(method, url, named, body), repeats=True)
        record = received.record(self._api.sorting.redact)
        if received.status != 200:
            said = Said(received, None, record)
            if received.status >= 500 or received.status in (408, 429):
                raise said.retry("no token could be had", f"token: http {received.status}")
            error = decode(received.body, received.headers.get("content-type", ""))
            why = error.get("error_description") or error.get("error") if isinstance(error, dict) else ""
            remedy = "make a new key for the account, or see that the relay's clock is right"
            why = self._api.sorting.redact(" ".join(str(why or "").split())[:160])
            raise said.hold(f"no token for {self._api.email}: {why}; {remedy}", "service account refused")
        # Not recorded: it holds the token.
        if b"access_token" not in received.body:
            said = Said(received, None, {"status": received.status})
            raise said.retry("the answer holds no token", "token: not an answer of google")
        return _TokenAnswer(received.status, received.body, received.headers)


class SheetsApi(ApiConnector[SheetsConfig]):
    """A connection to one spreadsheet: one request after another, from one thread."""

    def __init__(self, config: SheetsConfig, context: Context) -> None:
        super().__init__(config, context)
        text = config.service_account.get_secret_value().strip()
        self.info = {} if text.startswith("${") else account(text)
        self.email = self.info.get("client_email", "the service account")
        options = ClientOptions(
            allow_private=config.allow_private, idle_seconds=context.idle_seconds, max_reply_bytes=_MAX_REPLY_BYTES
        )
        self.client = Client(options)
        self.hiding = _Hiding(key_lines(self.info))
        self.sorting = Sorting(redact=self.hiding)
        self._session: Session | None = None
        self._http: HTTPClient | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[HTTPClient, Errand], T], call: Call, *, repeats: bool) -> T:
        """Do the work in the connection's thread, with gspread. Raises a DeliveryError sorted by fate."""
        loop = asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="google-sheets")
        errand = Errand(loop, loop.time() + call.timeout.total_seconds(), repeats)
        try:
            return await loop.run_in_executor(self._threads, partial(self._work, work, errand))
        except asyncio.CancelledError:
            errand.given_up = True
            raise

    def _work(self, work: Callable[[HTTPClient, Errand], T], errand: Errand) -> T:
        if self._session is None:
            self._session = Session(self, errand)
        self._session.errand = errand
        if self._http is None:
            # A third of a second to import, which only those who use it should spend.
            from gspread.http_client import HTTPClient

            self._http = HTTPClient(cast(Any, None), session=cast(Any, self._session))
        return work(self._http, errand)

    def judge(self, said: Said) -> DeliveryError | None:
        status = said.status
        if status < 300 or status == 410:
            return None
        error = said.body.get("error") if isinstance(said.body, dict) else None
        error = error if isinstance(error, dict) else {}
        message = self.sorting.redact(" ".join(str(error.get("message") or "").split())[:200])
        reasons = {d.get("reason") for d in error.get("details") or () if isinstance(d, dict)}
        if status == 401:
            return said.hold("Google doesn't take the account's token; check the key and the clock", "http 401")
        if status == 429 or (status == 403 and "RATE_LIMIT_EXCEEDED" in reasons):
            waits = None if said.header("retry-after") else _QUOTA_WAIT
            return said.retry("more calls than the quota allows", "quota of google sheets", waits)
        if status == 403:
            return self._forbidden(said, reasons, error.get("status"))
        if status == 404:
            what = "there is no such spreadsheet; take its id from its address in the browser"
            return said.permanent(what, "spreadsheet not found")
        if status == 400 and message:
            return _refused(said, message)
        return None

    def _forbidden(self, said: Said, reasons: set[Any], status: Any) -> DeliveryError | None:
        if "SERVICE_DISABLED" in reasons:
            project = self.info.get("project_id", "the account's project")
            what = f"switch on the Google Sheets API in the Google Cloud project {project}"
            return said.hold(what, "sheets api is switched off")
        if "ACCESS_TOKEN_SCOPE_INSUFFICIENT" in reasons:
            return said.hold("the token may not write spreadsheets", "scope missing")
        if status == "PERMISSION_DENIED":
            return said.hold(f"share the sheet with {self.email}, as Editor", "sheet not shared")
        return None

    async def aclose(self) -> None:
        if self._threads is not None:
            if self._session is not None:
                self._session.errand.given_up = True
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
        await self.client.aclose()


def _refused(said: Said, message: str) -> DeliveryError:
    low = message.lower()
    if "above the limit of" in low and "cells" in low:
        what = "the spreadsheet is full; empty it or begin another one"
        return said.permanent(what, "spreadsheet is full")
    if "protected" in low:
        return said.permanent("it is protected; let the account edit the protected range", "range is protected")
    if "unable to parse range" in low:
        return said.permanent("the spreadsheet has no such sheet; name one of its tabs under `sheet`", "no such sheet")
    return said.permanent(message, "http 400")
