"""`/in/<source>[/<token>]` as a bare ASGI endpoint: every request passes here, so nothing is done that need not be."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

import orjson
from starlette.types import Message, Receive, Scope, Send

from relay import log
from relay.catch import Answer, Catcher, answer_store_error
from relay.errors import RefusedError, StoreError
from relay.model import Event
from relay.recipes.respond import BODILESS
from relay.respond import Responder
from relay.sources.inbound import Inbound
from relay.web.body import BodyBudget, read_body
from relay.web.limits import Limits
from relay.web.protocol import answer_at_once
from relay.web.proxies import Proxies

PREFIX = "/in/"

_MOST_PARAMETERS = 10_000


class Entrance:
    """Reads a request within its limit, hands it to the catcher, and answers: at once, or as a recipe says."""

    def __init__(
        self,
        catcher: Catcher,
        responder: Responder,
        proxies: Proxies,
        budget: BodyBudget,
        max_body_bytes: int = 100_000_000,
        limits: Limits | None = None,
    ) -> None:
        self._catcher = catcher
        self._responder = responder
        self._proxies = proxies
        self._budget = budget
        self._max_body_bytes = max_body_bytes
        self._limits = limits or Limits()
        self._log = log.get()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        source, _, token = scope["path"][len(PREFIX) :].partition("/")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        remote = self._proxies.remote(scope, headers)
        body = b""
        query: tuple[tuple[str, str], ...] = ()

        def request() -> Inbound:
            return Inbound(
                method=scope["method"],
                path=scope["path"],
                query=query,
                headers=headers,
                body=body,
                token=token,
                url=self._proxies.url(scope, headers),
                remote=remote,
            )

        with self._budget.share() as share:
            try:
                limit = min(self._catcher.admit(source, remote), self._max_body_bytes)
                query = _query(scope["query_string"])
                answer = self._catcher.greet(source, request()) if self._catcher.greets(source) else None
                if answer is None:
                    body = await read_body(receive, headers, limit, share)
                    answer = await self._catcher.catch(source, request())
                recipe = self._responder.recipe(source)
                if answer.event is None or recipe is None:
                    if _answered(receive, answer):
                        return
                    messages = _messages(answer)
                else:
                    messages = await self._responded(recipe, answer.event, answer, receive)
            except RefusedError as error:
                if error.limit:
                    # Of all senders together, or of one source.
                    whose = error.limit if error.limit == "bodies" else f"{source}: {error.limit}"
                    self._limits.reached(whose, error.reason)
                self._log.warning("event.refused", source=source[:100], status=error.status, reason=error.reason)
                messages = _messages(self._catcher.reject(source, request(), error))
            except StoreError as error:
                self._log.error("event.refused", source=source[:100], status=503, reason=str(error))
                messages = _messages(answer_store_error(error))
        for message in messages:
            await send(message)

    async def _responded(self, recipe: str, event: Event, accepted: Answer, receive: Receive) -> tuple[Message, ...]:
        """What the recipe answers. Whatever becomes of that, the sender hears that its event was accepted."""
        gone = asyncio.create_task(_hung_up(receive))
        try:
            return _messages(await self._responder.respond(event, accepted.event_id, accepted, gone))
        except asyncio.CancelledError:
            # The process ends, and has waited for this request as long as it may: its last word is said at once.
            why = "relay is stopping"
        except Exception as error:  # noqa: BLE001 - an error here is ours; a sender that hears of it sends again
            why = f"{type(error).__name__}: {error}"
        finally:
            gone.cancel()
        self._log.error("answer.failed", event_id=accepted.event_id, recipe=recipe, why=why)
        return _messages(accepted)


async def _hung_up(receive: Receive) -> None:
    """Until the sender, whose body has been read, closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _query(query_string: bytes) -> tuple[tuple[str, str], ...]:
    if not query_string:
        return ()
    try:
        return tuple(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        reason = f"the address has more than {_MOST_PARAMETERS:,} query parameters"
        raise RefusedError(400, "too many query parameters", reason) from None


def _answered(receive: Receive, answer: Answer) -> bool:
    """Whether that was all: the answer that nearly every event gets is written at once."""
    if answer.headers or answer.status in BODILESS:
        return False
    body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
    return answer_at_once(receive, answer.status, answer.content_type, body)


def _messages(answer: Answer) -> tuple[Message, ...]:
    """Raises UnicodeEncodeError, TypeError for what can't be sent; nothing has been sent yet then."""
    body = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
    headers: list[tuple[bytes, bytes]] = []
    if answer.status in BODILESS:
        body = b""
    else:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(body)).encode()))
    headers.extend((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items())
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}
