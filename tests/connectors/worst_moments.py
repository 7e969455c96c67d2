"""The moments at which a delivery can break, each brought about for every connector that speaks HTTP."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from relay.connector import Call, Connector, Context, secrets_in
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.testing import Answer, HttpConnectorContract, Recorded, RecordingServer
from tests.connectors import contract_table
from tests.connectors.fake_google_sheets import FakeGoogle
from tests.connectors.fake_salesforce import FakeTokens

#: Each with what it is called on the page.
MOMENTS = {
    "refused": "nobody listens at the port",
    "dns": "the name can't be resolved",
    "self-signed": "TLS: a certificate that nobody vouches for",
    "other name": "TLS: a good certificate for another name",
    "before": "cut before anything of the request was read",
    "half": "cut when half of the request's body was read",
    "whole": "cut when the whole request was read, before the answer",
    "answer": "200, and cut within the answer's body",
    "hang": "the request is read, and nothing comes",
    "garbage": "the answer isn't HTTP",
}
FATES: dict[type[DeliveryError], str] = {
    RetryableError: "retry",
    PermanentError: "dead",
    HoldError: "hold",
    UnknownOutcomeError: "unknown",
}
HANG = timedelta(seconds=2)
#: Made for each attempt anew, at its own moment.
_OF_THE_ATTEMPT = ("webhook-timestamp", "webhook-signature", "x-amz-date", "authorization")
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Told:
    """What a connector said of a moment.

    requests  what the server got in this attempt, and, after a fate of `retry`, in the next
    leaks     the secrets that stood in message, cause or record
    """

    fate: str
    message: str = ""
    cause: str = ""
    leaks: int = 0
    requests: tuple[Recorded, ...] = ()
    repeated: tuple[Recorded, ...] = ()


@dataclass(frozen=True)
class Row:
    """One action of one connector, as its contract's test class connects it."""

    contract: type[HttpConnectorContract]
    do: str

    @property
    def name(self) -> str:
        return f"{self.contract.connector.name} {self.do}"

    def config(self, url: str, tokens: str) -> Mapping[str, Any]:
        tested = self.contract()
        # Where a token is fetched first, it comes from a server that is well: the moment is the delivery's own.
        if hasattr(tested, "login"):
            tested.login = tokens
        config = dict(tested.config_for(url))
        if "service_account" in config:
            config["service_account"] = FakeGoogle.key_file(tokens)
        return config

    def fields(self) -> Mapping[str, Any]:
        tested = self.contract()
        do, fields = tested.fields()
        return fields if do == self.do else tested.connector.action_class(self.do).examples[0].fields


def rows() -> list[Row]:
    """Every action of every connector that speaks HTTP: those that come with Relay, and those not yet named there."""
    found = []
    for tests in contract_table.classes().values():
        http = [by for by in tests if issubclass(by, HttpConnectorContract)]
        for action in http[0].connector.actions if http else ():
            # By the class that tests this action, where there is one: its connection may have to say more.
            by = next((one for one in http if one().fields()[0] == action.name), http[0])
            found.append(Row(by, action.name))
    return sorted(found, key=lambda row: row.name)


def tell(moment: str, asked: list[Row], tls: Mapping[str, str]) -> dict[str, Told]:
    """Bring the moment about for all of them at once. tls: the addresses of the servers with wrong certificates."""

    async def all_of_them() -> list[Told]:
        return await asyncio.gather(*(_told(row, moment, tls, tokens) for row, tokens in zip(asked, urls, strict=True)))

    with RecordingServer(FakeTokens()) as logins, RecordingServer(FakeGoogle()) as google:
        urls = [google.url if row.contract.connector.name == "google_sheets" else logins.url for row in asked]
        return dict(zip([row.name for row in asked], asyncio.run(all_of_them()), strict=True))


async def _told(row: Row, moment: str, tls: Mapping[str, str], tokens: str) -> Told:
    if moment in ("self-signed", "other name"):
        return await _attempt(row, tls[moment], tokens)
    if moment == "dns":
        return await _attempt(row, "http://relay-test.invalid", tokens)
    if moment == "refused":
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            return await _attempt(row, f"http://127.0.0.1:{taken.getsockname()[1]}", tokens)
    if moment == "before":
        with _closing() as url:
            return await _attempt(row, url, tokens)
    with RecordingServer() as server:
        server.default = {
            "half": Answer(instead="half"),
            "whole": Answer(instead="reset"),
            "answer": Answer(200, b'{"id": "17", "padding": "%s"}' % (b"x" * 400), _JSON, instead="break off"),
            "hang": Answer(instead="hang"),
            "garbage": Answer(instead="garbage"),
        }[moment]
        async with _connected(row, server.url, tokens) as connection:
            told = await _sent(row, connection, HANG if moment == "hang" else timedelta(seconds=10), 1)
            first = tuple(server.requests)
            if told.fate == "retry" and moment == "whole":
                server.default = Answer(body={})
                await _sent(row, connection, timedelta(seconds=10), 2)
        return replace(told, requests=first, repeated=tuple(server.requests[len(first) :]))


_JSON = {"content-type": "application/json"}


async def _attempt(row: Row, url: str, tokens: str) -> Told:
    async with _connected(row, url, tokens) as connection:
        return await _sent(row, connection, timedelta(seconds=10), 1)


@asynccontextmanager
async def _connected(row: Row, url: str, tokens: str) -> AsyncIterator[Connector[Any]]:
    made = row.contract.connector
    connection = made(made.Config.model_validate(row.config(url, tokens)), Context())
    try:
        yield connection
    finally:
        await connection.aclose()


async def _sent(row: Row, connection: Connector[Any], timeout: timedelta, attempt: int) -> Told:
    call = Call("dlv_worst", "dlv_worst", attempt=attempt, timeout=timeout)
    try:
        await connection.send(row.do, connection.outgoing(row.do, row.fields(), call), call)
    except DeliveryError as error:
        said = f"{error}\n{error.cause}\n{error.received}"
        leaks = sum(1 for secret in secrets_in(connection.config) if secret and secret in said)
        return Told(FATES[type(error)], error.message, error.cause, leaks)
    except Exception as error:  # a mistake of the connector's: its row says so
        return Told(f"{type(error).__name__}!", str(error))
    return Told("delivered")


def alike(first: Recorded, second: Recorded) -> bool:
    """The same request, but for what is signed at each attempt's own moment."""

    def kept(request: Recorded) -> Recorded:
        return replace(request, headers={k: v for k, v in request.headers.items() if k not in _OF_THE_ATTEMPT})

    return kept(first) == kept(second)


@contextmanager
def _closing() -> Iterator[str]:
    """A server that resets each connection when the first byte is there, and reads none."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    taken.settimeout(10)
                    taken.recv(1, socket.MSG_PEEK)
                    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    taken.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
