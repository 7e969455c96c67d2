"""What every connector must keep to, as test classes to inherit from.

class TestWebhook(HttpConnectorContract):
    connector = Webhook

    def config_for(self, url):
        return {"connector": "webhook", "url": url, "allow_private": True, "secret": "s3cret"}
"""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest
from pydantic import BaseModel, ValidationError

from relay.connector import Call, Connector, Context, describe, secrets_in
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.testing.server import RecordingServer

CALL = Call(delivery_id="dlv_contract0123456789abcdefg", idempotency_key="dlv_contract0123456789abcdefg")


def _again(attempt: int) -> Call:
    return Call(CALL.delivery_id, CALL.idempotency_key, attempt=attempt)


class ConnectorContract:
    """For any connector. `connector` is the class; `example_config` a valid connection, by default its example."""

    connector: ClassVar[type[Connector[Any]]]

    def example_config(self) -> Mapping[str, Any]:
        return self.connector.example

    def _connection(self, folder: Path) -> Connector[Any]:
        config = self.connector.Config.model_validate(dict(self.example_config()))
        return self.connector(config, Context(data_dir=folder / "data"))

    def _examples(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for action in self.connector.actions:
            assert action.examples, f"{action.name} has no example"
            for example in action.examples:
                yield action.name, example.fields

    def test_the_example_is_valid(self) -> None:
        self.connector.Config.model_validate(dict(self.connector.example))

    def test_every_example_of_every_action_is_valid(self, tmp_path: Path) -> None:
        connection = self._connection(tmp_path)
        for do, fields in self._examples():
            assert connection.outgoing(do, fields, CALL).preview()

    def test_an_unknown_key_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError, match="no_such_key"):
            self.connector.Config.model_validate({**self.connector.example, "no_such_key": 1})
        connection = self._connection(tmp_path)
        for do, fields in self._examples():
            with pytest.raises(PermanentError, match="no_such_key"):
                connection.outgoing(do, {**fields, "no_such_key": 1}, CALL)

    def test_every_field_is_described(self) -> None:
        for model in (self.connector.Config, *(action.With for action in self.connector.actions)):
            for name, info in model.model_fields.items():
                assert info.description, f"{model.__name__}.{name} has no description"
        text = describe(self.connector)
        assert all(action.name in text for action in self.connector.actions)

    def test_no_secret_is_ever_shown(self, tmp_path: Path) -> None:
        config = self.connector.Config.model_validate(dict(self.example_config()))
        secrets = [secret for secret in secrets_in(config) if secret]
        connection = self.connector(config, Context(data_dir=tmp_path))
        shown = [repr(config), str(config), repr(connection), config.model_dump_json()]
        for do, fields in self._examples():
            outgoing = connection.outgoing(do, fields, CALL)
            shown += [repr(outgoing), str(outgoing), json.dumps(outgoing.preview(), default=str)]
        for secret in secrets:
            assert not [text for text in shown if secret in text], "a secret is shown"

    def test_a_wrong_setting_is_refused_without_showing_the_secrets_beside_it(self) -> None:
        config = self.connector.Config.model_validate(dict(self.example_config()))
        with pytest.raises(ValidationError) as caught:
            self.connector.Config.model_validate({**self.example_config(), "no_such_key": 1})
        for secret in secrets_in(config):
            assert not secret or secret not in str(caught.value)

    def test_a_preview_is_plain_json(self, tmp_path: Path) -> None:
        connection = self._connection(tmp_path)
        for do, fields in self._examples():
            preview = connection.outgoing(do, fields, CALL).preview()
            assert json.loads(json.dumps(preview)) == preview

    def test_a_dry_run_opens_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def forbidden(*_: Any, **__: Any) -> NoReturn:
            raise AssertionError("a dry run must open nothing")

        connection = self._connection(tmp_path)
        monkeypatch.setattr(socket.socket, "connect", forbidden)
        monkeypatch.setattr(socket, "getaddrinfo", forbidden)
        for do, fields in self._examples():
            connection.outgoing(do, fields, CALL).preview()
        assert list(tmp_path.iterdir()) == [], "a dry run must write nothing"

    def test_every_attempt_sends_the_same(self, tmp_path: Path) -> None:
        connection = self._connection(tmp_path)
        for do, fields in self._examples():
            first, fifth = (connection.outgoing(do, fields, _again(n)).preview() for n in (1, 5))
            assert first == fifth

    def test_several_deliveries_of_a_batchable_action_make_one(self, tmp_path: Path) -> None:
        connection = self._connection(tmp_path)
        for action in self.connector.actions:
            if action.batchable:
                fields = action.examples[0].fields
                merged = action.merged([fields, fields])
                assert connection.outgoing(action.name, merged, CALL).preview()


class HttpConnectorContract(ConnectorContract):
    """For a connector that speaks HTTP.

    config_for        a connection to a server at `url`, with a secret in it
    fields            a `with` and its `do`; by default the first action's first example
    idempotent        whether an unknown outcome may be retried
    forbidden_holds   whether this connection takes 403 for bad credentials
    """

    idempotent: ClassVar[bool] = False
    forbidden_holds: ClassVar[bool] = False

    def config_for(self, url: str) -> Mapping[str, Any]:
        raise NotImplementedError("say how to connect to a server at this URL")

    def fields(self) -> tuple[str | None, Mapping[str, Any]]:
        action = self.connector.actions[0]
        return action.name, action.examples[0].fields

    def example_config(self) -> Mapping[str, Any]:
        return self.config_for("http://127.0.0.1:9")

    @asynccontextmanager
    async def _connected(self, url: str) -> AsyncIterator[Connector[Any]]:
        connection = self.connector(self.connector.Config.model_validate(dict(self.config_for(url))), Context())
        try:
            yield connection
        finally:
            await connection.aclose()

    async def _failure(self, url: str, timeout: timedelta = timedelta(seconds=10)) -> DeliveryError:
        do, fields = self.fields()
        async with self._connected(url) as connection:
            call = Call(CALL.delivery_id, CALL.idempotency_key, timeout=timeout)
            with pytest.raises(DeliveryError) as caught:
                await connection.send(do, connection.outgoing(do, fields, call), call)
        return caught.value

    async def test_a_2xx_is_a_delivery(self) -> None:
        do, fields = self.fields()
        with RecordingServer() as server:
            server.answer(201, {"id": 7})
            async with self._connected(server.url) as connection:
                reply = await connection.send(do, connection.outgoing(do, fields, CALL), CALL)
            assert len(server.requests) == 1
        assert (reply.status, reply.body) == (201, {"id": 7})

    async def test_every_attempt_sends_the_same_request(self) -> None:
        do, fields = self.fields()
        with RecordingServer() as server:
            async with self._connected(server.url) as connection:
                for attempt in (1, 2):
                    call = _again(attempt)
                    await connection.send(do, connection.outgoing(do, fields, call), call)
            first, second = server.requests
        assert first == second

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 529])
    async def test_what_may_get_better_is_retried_when_the_destination_says(self, status: int) -> None:
        with RecordingServer() as server:
            server.answer(status, headers={"Retry-After": "7"})
            error = await self._failure(server.url)
        assert isinstance(error, RetryableError)
        assert (error.status, error.retry_after) == (status, timedelta(seconds=7))

    @pytest.mark.parametrize("status", [400, 404, 405, 413, 422])
    async def test_a_wrong_request_is_dead_at_once(self, status: int) -> None:
        with RecordingServer() as server:
            server.answer(status, {"error": "no"})
            error = await self._failure(server.url)
        assert isinstance(error, PermanentError)
        assert error.status == status

    async def test_bad_credentials_hold_the_lane(self) -> None:
        with RecordingServer() as server:
            server.answer(401)
            error = await self._failure(server.url)
        assert isinstance(error, HoldError)

    async def test_403_is_what_the_connector_takes_it_for(self) -> None:
        with RecordingServer() as server:
            server.answer(403)
            error = await self._failure(server.url)
        assert isinstance(error, HoldError if self.forbidden_holds else PermanentError)

    async def test_410_switches_the_connection_off(self) -> None:
        with RecordingServer() as server:
            server.answer(410)
            error = await self._failure(server.url)
        assert isinstance(error, HoldError)
        assert error.cause == "http 410 gone"

    async def test_nobody_there_is_retried(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            error = await self._failure(f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert isinstance(error, RetryableError)

    async def test_no_answer_is_an_unknown_outcome_unless_a_repeat_does_no_harm(self) -> None:
        with RecordingServer() as server:
            server.answer(instead="hang")
            error = await self._failure(server.url, timeout=timedelta(seconds=0.5))
        assert isinstance(error, RetryableError if self.idempotent else UnknownOutcomeError)

    async def test_no_secret_is_in_an_error_or_a_record(self) -> None:
        config = self.connector.Config.model_validate(dict(self.config_for("http://127.0.0.1:9")))
        secrets = [secret for secret in secrets_in(config) if secret]
        assert secrets, "config_for must have a secret in it"
        with RecordingServer() as server:
            server.answer(422, {"echo": [f"you sent {secret}" for secret in secrets]})
            error = await self._failure(server.url)
        text = json.dumps([str(error), error.cause, error.received], ensure_ascii=False)
        for secret in secrets:
            assert secret not in text


def assert_no_secret(config: BaseModel, *texts: object) -> None:
    """For tests of your own: none of the config's secrets is in any of the texts."""
    for secret in secrets_in(config):
        for text in texts:
            assert not secret or secret not in str(text)
