"""Connections to Redis, and the pipeline that concurrent callers share (group commit)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import hiredis
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    ReadOnlyError,
    TryAgainError,
)
from redis.retry import Retry

from relay.lanes import sentinel
from relay.lanes.replicas import Replicas
from relay.lanes.script import Argument, Command
from relay.store_url import is_sentinel

T = TypeVar("T")

#: What redis-py raises when the server is away, restarts, or is still reading its data.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError, EOFError)

#: redis-py's own default is 5 s with retries, which breaks blocking reads: those set it to None.
SOCKET_TIMEOUT_SECONDS = 30.0


#: The first probe after 30 s of silence, then every 10 s; three without an answer are the end.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}

#: The first words of refusals that pass: reading its data, run by somebody's long script, a replica, a full disk.
_PASSING = re.compile(r"(^|\W)(BUSY|CLUSTERDOWN|TRYAGAIN|LOADING|MASTERDOWN|READONLY|NOREPLICAS|MISCONF) ")


class StoreLostError(Exception):
    """The connection to Redis was lost, or can't be made; whether the last command was carried out isn't known."""


# Neither client retries by itself: a script that moves messages must not be sent twice behind its caller's back.


def connect(url: str, *, socket_timeout: float | None = SOCKET_TIMEOUT_SECONDS, keepalive: bool = False) -> redis.Redis:
    """A blocking client; its pool is thread-safe. `keepalive` finds out within a minute that the other side is gone."""
    if is_sentinel(url):
        return sentinel.client(url, socket_timeout=socket_timeout and min(socket_timeout, sentinel.ANSWER_SECONDS))
    options: dict[str, Any] = {"socket_timeout": socket_timeout, "socket_connect_timeout": 5}
    if keepalive and not url.startswith("unix:"):
        options |= {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    return redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)


def connect_async(url: str) -> redis.asyncio.Redis:
    """For a Pipeline, which sets a time limit on each exchange: one on each reply would cost a timer a reply."""
    if is_sentinel(url):
        return sentinel.async_client(url)
    return redis.asyncio.Redis.from_url(
        url, socket_timeout=None, socket_connect_timeout=5, retry=AsyncRetry(NoBackoff(), 0)
    )


def answer_seconds(url: str) -> float:
    """How long an answer is waited for."""
    return sentinel.ANSWER_SECONDS if is_sentinel(url) else SOCKET_TIMEOUT_SECONDS


def passes(error: redis.RedisError) -> bool:
    """Whether the server will take the same command later. A script's error has the server's word further behind."""
    # redis-py takes the word off where it has a class for it.
    known = (ReadOnlyError, BusyLoadingError, MasterDownError, ClusterDownError, TryAgainError)
    return isinstance(error, known) or _PASSING.search(str(error)) is not None


def _demoted(error: BaseException) -> bool:
    """Whether this server is a replica by now. A name may lead to its successor; this connection never will."""
    return isinstance(error, ReadOnlyError) or "READONLY " in str(error)


def run(client: redis.Redis, command: Command[T]) -> T:
    """Run one command on a blocking client. Raises StoreLostError where the server is away."""
    try:
        try:
            return command.read(client.execute_command(*command.words))
        except NoScriptError:
            assert command.script
            client.script_load(command.script.text)
            return command.read(client.execute_command(*command.words))
    except CONNECTION_ERRORS as error:
        raise StoreLostError(str(error) or type(error).__name__) from error
    except redis.ResponseError as error:
        if _demoted(error):
            client.connection_pool.disconnect(inuse_connections=False)
        if passes(error):
            raise StoreLostError(str(error)) from error
        raise


def _packed(words: tuple[Argument, ...]) -> bytes:
    """Raises UnicodeEncodeError, TypeError."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says a tuple of one
    return packed


#: Command, as it goes over the wire, its answer, and until when somebody waits for that.
_Waiting = tuple[Command[Any], bytes, asyncio.Future[Any], float | None]

#: How much later than it was said somebody may hear that time is up: a timer for each command would cost more than it.
_LATE_SECONDS = 0.2


class Pipeline:
    """Commands of concurrent tasks, sent together.

    A lone command leaves at once. While one batch is under way, new commands collect and leave as the next batch when
    it has been answered: with an fsync on each write, its cost falls once a batch and no task waits for a timer.

    Each command is atomic by itself; a batch is not a transaction.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        *,
        max_batch: int = 512,
        answer_seconds: float = SOCKET_TIMEOUT_SECONDS,
        replicas: Replicas | None = None,
    ) -> None:
        """`replicas` must have what is promised before the command is answered, or it is a TooFewReplicasError."""
        self._client = client
        self._answer_seconds = answer_seconds
        self._replicas = replicas
        self._max_batch = max_batch
        self._waiting: list[_Waiting] = []
        self._sender: asyncio.Task[None] | None = None
        self._connection: AbstractConnection | None = None
        self._under_way: Sequence[_Waiting] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, command: Command[T], until: float | None = None) -> T:
        """
        until  of the monotonic clock, in seconds: then it is a TimeoutError, a fifth of a second late at the most. The
               command may be carried out all the same

        Raises StoreLostError where the server is away, redis.ResponseError where it refuses the command.
        """
        return command.read(await self._submit(command, until))

    async def run_many(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """All of them in one exchange. Raises as `run` does, for the first that failed."""
        futures = [self._submit(command) for command in commands]
        # Every one is waited for, so that none is left with an exception that nobody looked at.
        replies = await asyncio.gather(*futures, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]

    def _submit(self, command: Command[Any], until: float | None = None) -> asyncio.Future[Any]:
        loop = self._loop
        if loop is None:
            # Once: it asks the system for the process's number each time.
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        # Packed here: what can't be written for the wire is its caller's error, not that of all who travel with it.
        self._waiting.append((command, _packed(command.words), future, until))
        if until is not None and self._timer is None:
            self._timer = loop.call_later(_LATE_SECONDS, self._tell_who_waits_too_long)
        if self._sender is None:
            self._sender = loop.create_task(self._send())
        return future

    def _tell_who_waits_too_long(self) -> None:
        self._timer = None
        now = time.monotonic()
        timed = [(future, until) for _, _, future, until in (*self._under_way, *self._waiting) if until is not None]
        for future, until in timed:
            if until <= now and not future.done():
                future.set_exception(TimeoutError())
        if timed:
            assert self._loop is not None
            self._timer = self._loop.call_later(_LATE_SECONDS, self._tell_who_waits_too_long)

    async def aclose(self) -> None:
        if self._sender is not None:
            await self._sender
        if self._timer is not None:
            self._timer.cancel()
        await self._lose()
        await self._client.aclose()

    async def _send(self) -> None:
        # One turn of the loop: everything that is ready to run joins the first batch.
        await asyncio.sleep(0)
        try:
            while self._waiting:
                batch = self._waiting[: self._max_batch]
                del self._waiting[: self._max_batch]
                # Whoever has given up, while the store hung, doesn't want it done later.
                batch = [one for one in batch if not one[2].done()]
                if batch:
                    self._under_way = batch
                    await self._exchange(batch)
        finally:
            self._under_way = ()
            self._sender = None

    async def _exchange(self, batch: list[_Waiting]) -> None:
        try:
            replies = await self._answers(batch)
            unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                scripts = {script.sha: script for i in unknown if (script := batch[i][0].script)}
                await self._round_trip([_packed(("SCRIPT", "LOAD", s.text)) for s in scripts.values()])
                again = await self._answers([batch[i] for i in unknown])
                for i, reply in zip(unknown, again, strict=True):
                    replies[i] = reply
            if any(isinstance(reply, Exception) and _demoted(reply) for reply in replies):
                await self._lose()
        except CONNECTION_ERRORS as error:
            await self._lose()
            lost = StoreLostError(str(error) or type(error).__name__)
            lost.__cause__ = error
            replies = [lost] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait have to hear of it
            # An answer that makes no sense: the connection is in no known state.
            await self._lose()
            replies = [error] * len(batch)
        except asyncio.CancelledError:
            await self._lose()
            for _, _, future, _ in batch:
                future.cancel()
            raise
        for (_, _, future, _), reply in zip(batch, replies, strict=True):
            if future.done():
                continue
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    async def _answers(self, batch: Sequence[_Waiting]) -> list[Any]:
        packed = [packed for _, packed, _, _ in batch]
        if self._replicas is None or not any(command.promised for command, *_ in batch):
            return await self._round_trip(packed)
        replies = await self._round_trip([*packed, *map(_packed, self._replicas.questions)])
        return self._replicas.judged([command for command, *_ in batch], replies[: len(batch)], replies[-1])

    async def _round_trip(self, packed: Sequence[bytes]) -> list[Any]:
        async with asyncio.timeout(self._answer_seconds):
            return await self._talk(packed)

    async def _talk(self, packed: Sequence[bytes]) -> list[Any]:
        if self._connection is None:
            # Not from the pool: a pool checks a connection for readability each time it is handed out.
            pool = self._client.connection_pool
            self._connection = pool.make_connection()
            await self._connection.connect()
        connection = self._connection
        try:
            await connection.send_packed_command([b"".join(packed)])
        except RuntimeError as error:
            # uvloop's word for a connection that the kernel has given up while nothing was under way.
            raise redis.ConnectionError(f"the connection was lost: {error}") from error
        replies: list[Any] = []
        for _ in packed:
            try:
                replies.append(await connection.read_response())
            except redis.ResponseError as error:
                # BusyLoadingError is a ConnectionError; it and its kin fall through to the caller.
                replies.append(error)
        return replies

    async def _lose(self) -> None:
        lost, self._connection = self._connection, None
        if lost is not None:
            with contextlib.suppress(RuntimeError):  # uvloop's, for one that is closed already
                await lost.disconnect(nowait=True)
