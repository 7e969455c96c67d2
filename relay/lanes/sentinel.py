"""Clients that ask Sentinel, each time they connect, which server is the primary."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError

from relay import store_url

#: A Sentinel on a machine that is away: the next one is asked.
_SENTINEL_SECONDS = 1.0

#: A primary that is silent for longer is about to be replaced, and only who lets go of it finds the next one.
ANSWER_SECONDS = 10.0

#: A machine that is gone closes no connection. Three unanswered probes a second apart are the end of one that is idle,
#: five seconds that of one with something unanswered: about as soon as a Sentinel with its usual settings has decided.
_LET_GO = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 5000))
    if hasattr(socket, name)
}


class _Sentinel(redis.sentinel.Sentinel):
    """Keeps no connection to a Sentinel: it is asked once in a long while."""

    def __init__(self, where: store_url.Sentinels, retry: Retry) -> None:
        super().__init__(where.sentinels, sentinel_kwargs=_login(where) | {"retry": retry})  # type: ignore[no-untyped-call]

    def discover_master(self, service_name: str) -> Any:
        try:
            return super().discover_master(service_name)  # type: ignore[no-untyped-call]
        except MasterNotFoundError:
            raise _nobody_knows(service_name, self.sentinels) from None
        finally:
            for sentinel in self.sentinels:
                sentinel.close()


class _AsyncSentinel(redis.asyncio.sentinel.Sentinel):
    def __init__(self, where: store_url.Sentinels, retry: AsyncRetry) -> None:
        super().__init__(where.sentinels, sentinel_kwargs=_login(where) | {"retry": retry})  # type: ignore[no-untyped-call]

    async def discover_master(self, service_name: str) -> Any:
        try:
            return await super().discover_master(service_name)
        except redis.asyncio.sentinel.MasterNotFoundError:
            raise _nobody_knows(service_name, self.sentinels) from None
        finally:
            await self.aclose()


def _nobody_knows(service: str, asked: list[Any]) -> MasterNotFoundError:
    # redis-py's own message has the representation of each client.
    names = [one.connection_pool.connection_kwargs for one in asked]
    hosts = ", ".join(f"{name['host']}:{name['port']}" for name in names)
    return MasterNotFoundError(f"no Sentinel of {hosts} knows a primary {service!r} that is up")


def client(url: str, *, socket_timeout: float | None) -> redis.Redis:
    where, retry = store_url.sentinels(url), Retry(NoBackoff(), 0)
    options = _options(where) | {"retry": retry, "socket_timeout": socket_timeout}
    made: redis.Redis = _Sentinel(where, retry).master_for(where.service, **options)  # type: ignore[no-untyped-call]
    return made


def async_client(url: str) -> redis.asyncio.Redis:
    where, retry = store_url.sentinels(url), AsyncRetry(NoBackoff(), 0)
    options = _options(where) | {"retry": retry, "socket_timeout": None}
    sentinel = _AsyncSentinel(where, retry)
    made: redis.asyncio.Redis = sentinel.master_for(where.service, **options)
    return made


def ask_each(where: store_url.Sentinels) -> Iterator[tuple[str, dict[str, Any] | redis.RedisError]]:
    """Each Sentinel and what it says of the primary, or why it says nothing."""
    for host, port in where.sentinels:
        sentinel = redis.Redis(host=host, port=port, retry=Retry(NoBackoff(), 0), **_login(where))
        try:
            state: Any = sentinel.sentinel_master(where.service)
            yield f"{host}:{port}", state
        except redis.RedisError as error:
            yield f"{host}:{port}", error
        finally:
            sentinel.close()


def _options(where: store_url.Sentinels) -> dict[str, Any]:
    said = dict(parse_url(where.server))
    said.pop("connection_class", None)
    return said | {
        "ssl": where.tls,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "socket_keepalive_options": _LET_GO,
    }


def _login(where: store_url.Sentinels) -> dict[str, Any]:
    tls = {name: value for name, value in parse_url(where.server).items() if name.startswith("ssl_")}
    return tls | {
        "ssl": where.tls,
        "username": where.username or None,
        "password": where.password or None,
        "socket_timeout": _SENTINEL_SECONDS,
        "socket_connect_timeout": _SENTINEL_SECONDS,
    }
