"""One request, from the source that it names to the answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from relay import log
from relay.catch.answers import Answer, answer_accepted, answer_handshake, answer_refusal
from relay.catch.parts import decoded, event_of, events_in, verified
from relay.catch.ready import ReadySource
from relay.clock import now_ms
from relay.errors import RefusedError, StoreFullError, StoreUnavailableError
from relay.logbook import UNKNOWN, Logbook, shortened
from relay.model import Event
from relay.recipes import Workspace
from relay.shortage import StoreWatch
from relay.sources.config import SourceConfig
from relay.sources.handshake import handshake
from relay.sources.inbound import HandshakeReply, Inbound
from relay.sources.redact import HIDDEN
from relay.sources.verify import which
from relay.store import MOST_KEPT_SECRETS, Rejected, Senders, Store, source_lane

#: When a source that can't be used is asked again, in seconds: some vendors come again only for less than a minute.
_COME_AGAIN = "30"

#: How old the last use of a kept secret is before another is written.
_USED_ANEW_MS = 3_600_000

#: Ten megabytes can cost a second and a quarter of a gigabyte to decode.
_LONG_BODIES_AT_ONCE = 2

#: So many events are written by one act: the store does nothing else meanwhile.
_MOST_PARTS_AT_ONCE = 500


class Catcher:
    """The sources of a workspace, ready to catch."""

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        logbook: Logbook | None = None,
        unsure: Callable[[], bool] = lambda: False,
        watch: StoreWatch | None = None,
    ) -> None:
        """unsure: whether there may be sources that aren't in force, for relay.yaml has an error."""
        self._store = store
        self._senders = Senders(store)
        self._logbook = logbook or Logbook(store)
        self._watch = watch or StoreWatch(store)
        self._long_bodies = asyncio.Semaphore(_LONG_BODIES_AT_ONCE)
        self._log = log.get()
        self._sources = workspace.sources
        self._unsure = unsure
        ringing = {recipe.catch for recipe in workspace.recipes.values() if recipe.respond is not None}
        self._ready_sources = {
            name: ReadySource(source, source.config, rings=name in ringing)
            for name, source in workspace.sources.items()
            if source.config is not None
        }

    def admit(self, name: str, remote: str) -> int:
        """The largest body of the source, in bytes. Raises RefusedError: no such source, or too many requests of it."""
        ready = self._ready(name)
        if ready.limiter is not None and (wait := ready.limiter.take_from(remote, time.monotonic())):
            raise _too_many("address", "more requests from one address than `limit.per_address` takes", wait)
        return ready.config.max_body

    def greets(self, name: str) -> bool:
        """Whether the source's vendor asks questions before there is any proof."""
        ready = self._ready_sources.get(name)
        return ready is not None and ready.greets

    def greet(self, name: str, request: Inbound) -> Answer | None:
        """The answer to a vendor's question that comes before any proof, and before any body; None for all else."""
        ready = self._ready(name)
        preset = ready.config.known
        assert preset is not None
        assert preset.greeting is not None
        reply = preset.greeting(request, ready.config.verify_tokens)
        if reply is None:
            return None
        if reply.status >= 300:
            raise RefusedError(
                reply.status, "refused", "the vendor's question doesn't hold the `verify_token`, or isn't one"
            )
        self._logbook.handshake(event_of(name, request, now_ms()))
        self._log.info("source.handshake", source=name, method=request.method)
        return answer_handshake(reply)

    async def catch(self, name: str, request: Inbound) -> Answer:
        """One request. Raises RefusedError; every other end is an Answer."""
        started = time.perf_counter()
        ready = self._ready(name)
        config = ready.config
        if request.method not in config.methods and not (ready.asks and request.method in ("GET", "HEAD")):
            _wrong_method(request, config)
        received_ms = now_ms()
        event = event_of(name, request, received_ms)
        matched = await verified(ready, request, event)
        events: Sequence[Event] = (event,)
        if ready.reads_body:
            body = await decoded(event, config, self._long_bodies)
            reply = handshake(config, request, body, matched)
            if reply is not None:
                return await self._shake_hands(ready, event, reply)
            if request.method not in config.methods:
                _wrong_method(request, config)
            if config.known is not None and config.known.kept is not None:
                await self._signed_with_a_kept_secret(ready, request, received_ms)
            events = events_in(ready, event, body)
        if ready.limiter is not None and (wait := ready.limiter.take(time.monotonic())):
            raise _too_many("rate", "more requests than `limit.rate` takes", wait)
        earlier = await self._accept(ready, events, matched)
        took_ms = round((time.perf_counter() - started) * 1000, 1)
        if len(events) > 1 or events[0].part:
            return self._answer_parts(ready, events, earlier, took_ms)
        event = events[0]
        if earlier[0]:
            self._log.info("event.duplicate", event_id=earlier[0], source=name, took_ms=took_ms)
            return answer_accepted(config, 200, {"id": earlier[0], "status": "duplicate"}, event, earlier[0])
        self._log.info("event.caught", event_id=event.id, source=name, bytes=len(event.body), took_ms=took_ms)
        return answer_accepted(config, 202, {"id": event.id, "status": "accepted"}, event, event.id)

    def reject(self, name: str, request: Inbound, error: RefusedError) -> Answer:
        """What a refused request is answered. It is noted for operators, without what proves a sender."""
        ready = self._ready_sources.get(name)

        def rejected() -> Rejected:
            # Of a source that there isn't, or that can't be used, it isn't known what its secrets are.
            headers = ready.shown(request.headers) if ready is not None else {}
            return Rejected(
                at_ms=now_ms(),
                source=name[:100],
                status=error.status,
                reason=error.reason,
                method=request.method,
                remote=request.remote,
                headers={key: value[:200] for key, value in list(headers.items())[:50]},
                bytes=len(request.body),
            )

        self._logbook.rejected(name if name in self._sources else UNKNOWN, rejected)
        return answer_refusal(error, ready.config if ready is not None else None)

    async def _accept(self, ready: ReadySource, events: Sequence[Event], matched: str) -> list[str]:
        """For each event the id of the one that it repeats, or "". All are on disk when it returns."""
        # No asyncio.timeout: its timer would take a tenth of the time of a request.
        until = time.monotonic() + ready.patience_seconds
        try:
            await self._watch.check(until)
            try:
                return await self._keep(ready, events, ready.mark(matched), until)
            except StoreFullError as error:
                self._watch.refused(error)
                raise
        except TimeoutError:
            raise _gave_up(ready) from None

    async def _keep(self, ready: ReadySource, events: Sequence[Event], mark: str, until: float) -> list[str]:
        earlier: list[str] = []
        name, window = ready.source.name, ready.config.duplicates
        for start in range(0, len(events), _MOST_PARTS_AT_ONCE):
            some = [(event, ready.payload.of(event.id)) for event in events[start : start + _MOST_PARTS_AT_ONCE]]
            first = mark if not start else ""
            earlier += await self._store.accept(
                some, source_lane(name), window, rings=ready.rings, mark=first, until=until
            )
        return earlier

    def _answer_parts(
        self, ready: ReadySource, events: Sequence[Event], earlier: Sequence[str], took_ms: float
    ) -> Answer:
        ids = [before or event.id for event, before in zip(events, earlier, strict=True)]
        duplicates = sum(1 for before in earlier if before)
        new = len(events) - duplicates
        size = sum(len(event.body) for event in events)
        line: dict[str, Any] = {"source": ready.source.name, "events": new, "duplicates": duplicates}
        self._log.info("events.caught", **line, first=ids[0], bytes=size, took_ms=took_ms)
        status, word = (202, "accepted") if new else (200, "duplicate")
        body = {"id": ids[0], "status": word, "ids": ids, "duplicates": duplicates}
        return answer_accepted(ready.config, status, body)

    async def _shake_hands(self, ready: ReadySource, event: Event, reply: HandshakeReply) -> Answer:
        self._log.info("source.handshake", source=event.source, method=event.method)
        if not reply.keep:
            self._logbook.handshake(event)
            return answer_handshake(reply)
        # On disk before it is answered: the vendor says it but once.
        async with _patiently(ready):
            dropped = await self._senders.handshake(_without(event, reply.keep), reply.keep)
        if dropped:
            self._log.error("source.secret_dropped", source=event.source, most=MOST_KEPT_SECRETS)
        self._log.info("source.secret_kept", source=event.source, see=f"relay sources secrets {event.source} --reveal")
        return answer_handshake(reply)

    async def _signed_with_a_kept_secret(self, ready: ReadySource, request: Inbound, received_ms: int) -> None:
        """Raises RefusedError (401) unless it is."""
        preset = ready.config.known
        assert preset is not None
        async with _patiently(ready):
            kept = dict(await self._senders.kept(ready.source.name))
        if not kept:
            why = f"{preset.vendor} has given no secret yet: make the webhook again, so that it asks and gives one"
            raise RefusedError(401, "unauthorized", why)
        verifier = ready.verifier_of(tuple(kept))
        secret = [*kept][which(verifier.verify(request, received_ms))]
        if received_ms - kept[secret] > _USED_ANEW_MS:
            # The one that goes, where there are too many, is the one that was used longest ago.
            await self._senders.used(ready.source.name, secret, received_ms)

    def _ready(self, name: str) -> ReadySource:
        ready = self._ready_sources.get(name)
        if ready is not None:
            return ready
        source = self._sources.get(name)
        if source is None and self._unsure():
            why = f"no source is called {name[:100]!r} in what is in force; relay.yaml has an error and may have one"
            raise RefusedError(503, "unavailable", why, {"Retry-After": _COME_AGAIN})
        if source is None:
            raise RefusedError(404, "not found", f"no source is called {name[:100]!r}")
        # Never 401 or 410: the sender is not wrong, and must not switch its webhook off.
        raise RefusedError(503, "unavailable", source.unavailable or "", {"Retry-After": _COME_AGAIN})


@contextlib.asynccontextmanager
async def _patiently(ready: ReadySource) -> AsyncIterator[None]:
    """The store answers in time, or the sender is asked to come again: it doesn't wait for ever either."""
    try:
        async with asyncio.timeout(ready.patience_seconds):
            yield
    except TimeoutError:
        raise _gave_up(ready) from None


def _gave_up(ready: ReadySource) -> StoreUnavailableError:
    return StoreUnavailableError(f"the store gave no answer within {ready.patience_seconds:g}s")


def _too_many(limit: str, reason: str, wait_seconds: float) -> RefusedError:
    return RefusedError(429, "too many requests", reason, {"Retry-After": str(math.ceil(wait_seconds))}, limit)


def _wrong_method(request: Inbound, config: SourceConfig) -> NoReturn:
    allowed = ", ".join(config.methods)
    raise RefusedError(405, "method not allowed", f"{request.method} is not one of {allowed}", {"Allow": allowed})


def _without(event: Event, secret: str) -> Event:
    """The vendor's question without the secret in it, which is kept apart; a body can spell it in many ways."""
    headers = {name: value.replace(secret, HIDDEN) for name, value in event.headers.items()}
    return shortened(replace(event, headers=headers, body=b""))
