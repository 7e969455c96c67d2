"""HTTP/1.1 with limits: how long the head of a request may be, how long it may take, how many may be connected.

uvicorn's protocol bounds none of these. What is refused here never reaches the app.

A head is the request's target and its header lines, each counted as `name: value` and a line break.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, ClassVar, cast

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from relay import log
from relay.web.limits import Limits

_RETRY_AFTER_SECONDS = 5

#: Connections to the store, the log, the workspace's files; and those that are being told that they are too many.
_OTHER_FILES = 500
_MOST_TOLD = 100

_WORDS = {
    400: ("bad request", "what came isn't HTTP/1.1, or isn't all of it"),
    408: ("request timeout", "the head of the request had not come within {head_seconds:g}s"),
    431: ("headers too large", "the head of the request is longer than {head_bytes:,} bytes, or {head_lines} lines"),
    503: ("unavailable", "there are {max_connections:,} connections, which is as many as are served"),
}


def raise_open_files(wanted: int) -> int:
    """As many connections as are wanted, or as many as the system lets this process have, beside what else it opens."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < most:
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - _OTHER_FILES))


def _cycle(receive: Any) -> RequestResponseCycle | None:
    """The request that a `receive` of ASGI is of, where this server has made it."""
    cycle = getattr(receive, "__self__", None)
    return cycle if isinstance(cycle, RequestResponseCycle) else None


def whole_body(receive: Any) -> bytes | None:
    """The body, where all of it has come and nobody has asked for any: nothing to wait for, and nothing to time."""
    cycle = _cycle(receive)
    if cycle is None or cycle.more_body or cycle.disconnected or cycle.response_complete:
        return None
    body = bytes(cycle.body)
    cycle.body = bytearray()
    cycle.message_event.clear()
    return body


def answer_at_once(receive: Any, status: int, content_type: str, body: bytes) -> bool:
    """A whole answer in one write, in a fifth of the time that `send` takes. False where it has to go by that.

    content_type  as the relay itself has written it
    """
    cycle = _cycle(receive)
    if (
        cycle is None
        or cycle.disconnected
        or cycle.response_started
        or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD"
    ):
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    lines = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    lines.append(b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type.encode("latin-1"), len(body)))
    lines += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


class _RefusalError(Exception):
    """Ends the parser's work from inside of a callback."""


class Protocol(HttpToolsProtocol):
    """One connection.

    head_bytes, head_lines  a longer head is answered 431
    head_seconds            a head that takes longer is answered 408; a connection that says nothing is closed
    max_connections         the next is answered 503, unless one that says nothing can be closed for it
    idle_seconds            how long such a one has said nothing
    linger_seconds          how long a sender that is still sending is listened to after its answer: closed at once, the
                            connection would be reset, and the answer with it
    stuck_seconds           how long a sender may leave its answers unread
    max_pipelined           as many requests may wait for the one before them
    """

    head_bytes = 65_536
    head_lines = 200
    head_seconds = 15.0
    max_connections = 5_000
    idle_seconds = 5.0
    linger_seconds = 5.0
    stuck_seconds = 30.0
    max_pipelined = 100

    #: Who hears that there are too many connections.
    limits: ClassVar[Limits | None] = None

    #: When the connections were last looked through for idle ones.
    _looked_at = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._way: _Way
        self._timer: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._deaf = False
        self._in_head = False
        self._head_is_timed = False
        self._status = 0
        #: Bytes of a message since its beginning, or since the last of its body; the parser keeps some of them.
        self._unheard = 0
        self._chunk = 0
        self._since = 0.0

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._way = _Way(transport, self)
        super().connection_made(cast(asyncio.Transport, self._way))
        self._since = self.loop.time()
        too_many = len(self.connections) - self.max_connections
        if too_many <= 0 or self._made_room():
            self._set_timer(self.head_seconds)
        elif too_many <= _MOST_TOLD:
            self._reached()
            self._refuse(503)
        else:
            self._reached()
            self._deaf = True
            self._way.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_timer()
        if self._stuck is not None:
            self._stuck.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._chunk = len(data)
        self._unheard += self._chunk
        self._unset_keepalive_if_required()
        self._feed(data)
        self._watch()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _decline(self, rest: bytes) -> None:
        """Nobody has to take an offer to go on with another protocol. The parser does, and takes the body for that: the
        event would be accepted without it. So another parser reads on, which is told how long the body is.
        """
        framing = (b"content-length", b"transfer-encoding")
        lines = [name + b": " + value + b"\r\n" for name, value in self.scope["headers"] if name in framing]
        self.parser = httptools.HttpRequestParser(_AfterHead(self))
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"".join([b"POST / HTTP/1.1\r\n", *lines, b"\r\n", rest]))

    def _watch(self) -> None:
        """Something has come: is there too much of it, and does a clock run for the rest?"""
        if self._deaf:
            return
        if self._unheard > self.head_bytes and (self._in_head or self._in_body()):
            self._refuse(431)
        elif self._in_head:
            if not self._head_is_timed:
                self._head_is_timed = True
                self._set_timer(self.head_seconds)
        elif self._timer is None and self.timeout_keep_alive_task is None and self._is_idle():
            # What came is no head, and the time for the next one no longer runs.
            self._set_timer(self.head_seconds)

    def shutdown(self) -> None:
        """The process ends: nobody is waited for who isn't owed an answer."""
        self.linger_seconds = 0
        if self._way.lingers:
            self._way.close_now()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stuck is None:
            self._stuck = self.loop.call_later(self.stuck_seconds, self._way.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    # The parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_is_timed = False
        self._unheard = self._chunk

    def on_headers_complete(self) -> None:
        headers = self.headers
        if len(headers) > self.head_lines or (self._unheard > self.head_bytes and self._head_size() > self.head_bytes):
            self._status = 431
            raise _RefusalError
        super().on_headers_complete()
        if len(self.pipeline) > self.max_pipelined:
            raise _RefusalError
        self._in_head = False
        self._unheard = 0
        self._unset_timer()
        # What is called a header from here on is a trailer: no proxy in front has looked at it, so it is none of ours.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        self._unheard = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # only for the parser
        self._unheard = 0
        super().on_message_complete()
        if self.cycle.more_body:
            # All of what was not wanted has come: the connection is good for another request.
            self.cycle.more_body = False
            self._unset_timer()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._since = self.loop.time()
        if self._in_body() and self._is_idle() and not self._way.is_closing():
            # It was answered before all of it had come.
            self._unset_keepalive_if_required()
            self._set_timer(self.linger_seconds)

    # What is refused

    def _reached(self) -> None:
        if self.limits is not None:
            self.limits.reached("connections", _WORDS[503][1].format(max_connections=self.max_connections))

    def send_400_response(self, msg: str) -> None:
        """The parser stopped: by itself, or because it was told to."""
        self._refuse(self._status or 400)

    def _refuse(self, status: int) -> None:
        self._deaf = True
        self._unset_timer()
        cycle = self._request()
        word, reason = _WORDS[status]
        limits = {name: getattr(self, name) for name in ("head_seconds", "head_bytes", "head_lines", "max_connections")}
        remote = self.client[0] if self.client else ""
        log.get().warning("request.refused", status=status, reason=reason.format(**limits), remote=remote)
        if len(self.pipeline) > self.max_pipelined:
            self._way.abort()
            return
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or not cycle.more_body:
                # The answers to the requests before it come first. One here would be taken for theirs.
                cycle.keep_alive = False
                return
            # The request itself is broken off, and its app hears it.
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or not cycle.response_started or cycle.response_complete:
            self._way.write(self._answer(status, word))
        self._way.close()

    def _answer(self, status: int, word: str) -> bytes:
        body = orjson.dumps({"error": word})
        lines = [STATUS_LINE[status]]
        lines += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        if status == 503:
            lines.append(b"retry-after: %d\r\n" % _RETRY_AFTER_SECONDS)
        lines.append(b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        return b"".join([*lines, body])

    def _late(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(408)
        else:
            self._way.close_now()

    # The state

    def _in_body(self) -> bool:
        cycle = self._request()
        return cycle is not None and cycle.more_body and not self._in_head

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _is_idle(self) -> bool:
        cycle = self._request()
        return cycle is None or cycle.response_complete

    def _request(self) -> RequestResponseCycle | None:
        """The last one whose head has come. uvicorn says that there always is one."""
        return self.cycle

    def _set_timer(self, seconds: float) -> None:
        self._unset_timer()
        self._timer = self.loop.call_later(seconds, self._late)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _made_room(self) -> bool:
        """Close those that have said nothing for a while: many of them may only hold the places of others."""
        now = self.loop.time()
        if now - self._looked_at < 1:
            return False
        type(self)._looked_at = now
        idle = [
            one
            for one in self.connections
            if isinstance(one, Protocol) and one._is_idle() and now - one._since > one.idle_seconds
        ]
        for one in idle:
            one._way.close_now()
        return bool(idle)

    def ends_early(self) -> bool:
        """Whether the sender may still be sending when its connection is to be closed: then nothing more is heard."""
        if not (self._deaf or self._in_head or self._in_body()):
            return False
        self._deaf = True
        self._unset_timer()
        return self.linger_seconds > 0


class _AfterHead:
    """Listens to a parser for the protocol, from the end of the first head on."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._begun = False
        self.on_body = protocol.on_body
        self.on_message_complete = protocol.on_message_complete

    def on_message_begin(self) -> None:
        if self._begun:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._begun:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._begun:
            self._protocol.on_headers_complete()
        self._begun = True


class _Way:
    """The transport, but it closes gently where the sender may still be sending."""

    __slots__ = ("_protocol", "_transport", "abort", "get_extra_info", "lingers")

    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self.lingers = False
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info

    def write(self, data: bytes) -> None:
        # The first of several requests isn't told that the connection is gone.
        if not self.is_closing():
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self.lingers or self._transport.is_closing()

    def pause_reading(self) -> None:
        if not self.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self.lingers or self._transport.is_closing():
            return
        if self._protocol.ends_early():
            self.lingers = True
            self.resume_reading()
            self._transport.write_eof()
            self._protocol.loop.call_later(self._protocol.linger_seconds, self.close_now)
        else:
            self._transport.close()

    def close_now(self) -> None:
        self._transport.close()
