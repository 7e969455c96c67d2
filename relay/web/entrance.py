"""`/in/<source>[/<token>]` as a bare ASGI endpoint: every request passes here, so nothing is done that need not be."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

import orjson
from starlette.types import Message, Receive, Scope, Send

from relay import log
from relay.catch import Answer, Catcher, answer_refusal, answer_store_error
from relay.errors import RefusedError, StoreError
from relay.model import Event
from relay.recipes.respond import BODILESS
from relay.respond import Responder
from relay.sources.inbound import Inbound

PREFIX = "/in/"


class Entrance:
    """Reads a request within its limit, hands it to the catcher, and answers: at once, or as a recipe says."""

    def __init__(
        self, catcher: Catcher, responder: Responder, public_url: str = "", max_body_bytes: int = 100_000_000
    ) -> None:
        self._catcher = catcher
        self._responder = responder
        self._public_url = public_url.rstrip("/")
        self._max_body_bytes = max_body_bytes
        self._log = log.get()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        source, _, token = scope["path"][len(PREFIX) :].partition("/")
        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            limit = min(self._catcher.limit(source), self._max_body_bytes)
            body = await _read(receive, headers.get("content-length"), limit)
            request = Inbound(
                method=scope["method"],
                path=scope["path"],
                query=_query(scope["query_string"]),
                headers=headers,
                body=body,
                token=token,
                url=self._url(scope, headers),
            )
            answer = await self._catcher.catch(source, request, _remote(scope))
            recipe = self._responder.recipe(source)
            if answer.event is None or recipe is None:
                messages = _messages(answer)
            else:
                messages = await self._responded(recipe, answer.event, answer, receive)
        except RefusedError as error:
            self._log.warning("event.refused", source=source[:100], status=error.status, reason=error.reason)
            messages = _messages(answer_refusal(error))
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

    def _url(self, scope: Scope, headers: dict[str, str]) -> str:
        """The address the sender called: some vendors sign it."""
        base = self._public_url or f"{scope['scheme']}://{headers.get('host', '')}"
        query = scope["query_string"].decode("latin-1")
        return f"{base}{scope.get('raw_path', b'').decode('latin-1') or scope['path']}{'?' + query if query else ''}"


class _TooLongError(RefusedError):
    def __init__(self, limit: int) -> None:
        super().__init__(413, "body too large", f"the body is longer than the limit of {limit:,} bytes")


class _GoneError(RefusedError):
    """The sender hung up before its body had come."""

    def __init__(self) -> None:
        super().__init__(400, "incomplete body", "the sender closed the connection before its body had come")


async def _read(receive: Receive, declared: str | None, limit: int) -> bytes:
    """The body. Raises RefusedError (413) as soon as it is known to be too long, declared or chunked."""
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise _TooLongError(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        if chunk := message.get("body", b""):
            size += len(chunk)
            if size > limit:
                raise _TooLongError(limit)
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _hung_up(receive: Receive) -> None:
    """Until the sender, whose body has been read, closes the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _query(query_string: bytes) -> tuple[tuple[str, str], ...]:
    if not query_string:
        return ()
    return tuple(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=10_000))


def _remote(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


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
