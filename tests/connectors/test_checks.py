"""`check` of each connector: a harmless call that says who we are there, and what keeps deliveries from arriving."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.connector import Check, Context, connector_class, secrets_in
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.http import Client, ClientOptions
from relay.testing import Answer, Recorded, RecordingServer
from tests.connectors import fake_discord, fake_hubspot, fake_mailchimp, fake_slack, fake_teams, fake_zendesk
from tests.connectors.fake_airtable import FakeAirtable
from tests.connectors.fake_azure_devops import FakeAzureDevOps
from tests.connectors.fake_google_account import EMAIL
from tests.connectors.fake_google_sheets import BOOK, FakeGoogle
from tests.connectors.fake_notion import FakeNotion
from tests.connectors.fake_oauth import CLIENT_ID, CLIENT_SECRET, FakeOAuth
from tests.connectors.fake_rally import FakeRally
from tests.connectors.fake_smtp import PASSWORD, USER, certificate, mail_server
from tests.connectors.tls_server import Authority

SECOND = timedelta(seconds=5)
Fake = Callable[[Recorded], Answer]


@dataclass(frozen=True)
class Vendor:
    """A connection to the fake that is right. wrong: what makes its credentials wrong."""

    connector: str
    fake: Callable[[], Any]
    config: Mapping[str, Any]
    found: str
    wrong: Mapping[str, Any] = field(default_factory=dict)
    base: str = ""


def google() -> FakeGoogle:
    return FakeGoogle(["Name"])


VENDORS = {
    one.connector: one
    for one in (
        Vendor(
            "slack", fake_slack.FakeSlack, {"token": fake_slack.TOKEN}, "relay in Acme", {"token": "xoxb-other"}, "/api"
        ),
        Vendor(
            "discord",
            fake_discord.FakeDiscord,
            {"webhook": f"https://d.example/api/webhooks/{fake_discord.WEBHOOK_ID}/{fake_discord.TOKEN}"},
            "Relay, which posts to the channel 7",
            {"webhook": f"https://d.example/api/webhooks/{fake_discord.WEBHOOK_ID}/s3cret-of-another"},
        ),
        Vendor(
            "hubspot",
            fake_hubspot.FakeHubSpot,
            {"token": fake_hubspot.TOKEN},
            "may read",
            {"token": "pat-other-s3cret"},
        ),
        Vendor(
            "zendesk",
            fake_zendesk.FakeZendesk,
            {"email": fake_zendesk.EMAIL, "api_token": fake_zendesk.TOKEN},
            "Ana, agent",
            {"api_token": "other-s3cret"},
        ),
        Vendor(
            "mailchimp",
            fake_mailchimp.FakeMailchimp,
            {"api_key": fake_mailchimp.KEY},
            "takes the key",
            {"api_key": "fedcba9876543210-us6"},
            "/3.0",
        ),
        Vendor(
            "airtable",
            lambda: FakeAirtable().answer,
            {"base": "appFake1", "token": "pat.s3cret"},
            "the token of usrAna",
            {"token": "pat.other-s3cret"},
        ),
        Vendor(
            "notion",
            lambda: FakeNotion().answer,
            {"token": "ntn_s3cret"},
            "Relay in Acme",
            {"token": "ntn_other-s3cret"},
        ),
        Vendor(
            "rally",
            lambda: FakeRally().answer,
            {"api_key": "_s3cret/key", "project": 123},
            "ana@example.com, who sees the project Portal",
            {"api_key": "_other-s3cret"},
        ),
        Vendor(
            "azure_devops",
            lambda: FakeAzureDevOps().answer,
            {"organization": "contoso", "project": "Fabrikam Fiber", "pat": "s3cret-p/at"},
            "contoso/Fabrikam Fiber, with Bug",
            {"pat": "other-s3cret"},
        ),
    )
}


async def check(connector: str, config: Mapping[str, Any]) -> Check:
    kind = connector_class(connector)
    model = kind.Config.model_validate({"connector": connector, "allow_private": True, **config})
    made = kind(model, Context())
    try:
        found = await made.check(SECOND)
    except DeliveryError as error:
        assert_nothing_told(model, error.message, error.cause, json.dumps(error.received))
        raise
    finally:
        await made.aclose()
    assert_nothing_told(model, found.found, *found.missing)
    return found


def assert_nothing_told(config: Any, *texts: str) -> None:
    for text in texts:
        assert not [secret for secret in secrets_in(config) if len(secret) > 3 and secret in text], text
        assert "s3cret" not in text
        assert "\n" not in text


def fake_of(vendor: Vendor) -> Fake:
    made: Fake = vendor.fake()
    return made


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_who_we_are_there_is_told_and_nothing_is_written(vendor: Vendor) -> None:
    with RecordingServer(default=fake_of(vendor)) as server:
        found = await check(vendor.connector, {**vendor.config, "base_url": server.url + vendor.base})
    assert vendor.found in found.found
    assert found.missing == ()
    assert {(request.method, request.body) for request in server.requests} <= {("GET", b""), ("POST", b"")}


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_bad_credentials_are_told_as_such(vendor: Vendor) -> None:
    with RecordingServer(default=fake_of(vendor)) as server:
        config = {**vendor.config, **vendor.wrong, "base_url": server.url + vendor.base}
        with pytest.raises(HoldError):
            await check(vendor.connector, config)


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_that_nobody_is_there_is_told(vendor: Vendor) -> None:
    with pytest.raises(RetryableError, match=r"no connection to 127\.0\.0\.1"):
        await check(vendor.connector, {**vendor.config, "base_url": f"http://127.0.0.1:{_free_port()}"})


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
@pytest.mark.parametrize("page", ["<html>Welcome</html>", "{}", "[]"])
async def test_an_answer_of_somebody_else_is_no_success(vendor: Vendor, page: str) -> None:
    kind = "text/html" if page[0] == "<" else "application/json"
    with (
        RecordingServer(default=Answer(200, page, {"Content-Type": kind})) as server,
        pytest.raises(DeliveryError),
    ):
        await check(vendor.connector, {**vendor.config, "base_url": server.url})


async def asked(vendor: str, fake: Any, **more: Any) -> Check:
    one = VENDORS[vendor]
    with RecordingServer(default=fake) as server:
        return await check(vendor, {**one.config, **more, "base_url": server.url + one.base})


async def test_a_missing_scope_is_named_with_its_remedy() -> None:
    (slack,) = (await asked("slack", fake_slack.FakeSlack(scopes={"users:read"}))).missing
    assert "chat:write" in slack
    assert "install it again" in slack
    (hubspot,) = (await asked("hubspot", fake_hubspot.FakeHubSpot(reads=False))).missing
    assert "crm.objects.contacts.read" in hubspot
    (airtable,) = (await asked("airtable", FakeAirtable(scopes=("data.records:read",)).answer)).missing
    assert "data.records:write" in airtable
    assert (await asked("airtable", FakeAirtable(scopes=("data.records:write",)).answer)).missing == ()


async def test_an_end_user_of_zendesk_makes_no_tickets() -> None:
    (missing,) = (await asked("zendesk", fake_zendesk.FakeZendesk(role="end-user"))).missing
    assert "an end user" in missing


async def test_a_token_of_zendesk_that_may_only_write_is_fine() -> None:
    fake = fake_zendesk.FakeZendesk(may_read=False)
    found = await asked("zendesk", fake, email=None, api_token=None, oauth_token=fake_zendesk.OAUTH)
    assert "may not say whose it is" in found.found


async def test_a_project_that_nobody_sees_is_told() -> None:
    (missing,) = (await asked("rally", FakeRally().answer, project=124)).missing
    assert "/project/124" in missing
    with pytest.raises(HoldError, match="project"):
        await asked("azure_devops", FakeAzureDevOps().answer, project="Other")


async def test_a_wrong_address_of_mailchimp_names_base_url() -> None:
    with (
        RecordingServer(default=fake_mailchimp.FakeMailchimp()) as server,
        pytest.raises(PermanentError, match="base_url"),
    ):
        await check("mailchimp", {"api_key": fake_mailchimp.KEY, "base_url": server.url})


async def sheets(fake: FakeGoogle, **more: Any) -> Check:
    with RecordingServer(default=fake) as server:
        config = {"spreadsheet": BOOK, "service_account": FakeGoogle.key_file(server.url), "base_url": server.url}
        return await check("google_sheets", config | more)


async def test_a_spreadsheet_says_with_whom_it_has_to_be_shared() -> None:
    found = await sheets(google())
    assert found.found == f"the account opens Chats of 2026; to write, it has to be shared with {EMAIL} as Editor"
    fake = google()
    fake.shared = set()
    with pytest.raises(HoldError, match=f"share the sheet with {EMAIL}, as Editor"):
        await sheets(fake)
    with pytest.raises(PermanentError, match=f"share it with {EMAIL}, as Editor"):
        await sheets(google(), spreadsheet="1AnotherOne")


# -- where there is no harmless call


def _teams(url: str) -> dict[str, Any]:
    return {"webhook": f"{url}{fake_teams.PATH}?{fake_teams.QUERY}"}


REACHED: dict[str, tuple[str, Callable[[str], dict[str, Any]], str]] = {
    "teams": ("teams", _teams, "without running it"),
    "ga4": ("ga4", lambda url: {"base_url": url, "measurement_id": "G-A", "api_secret": "s3cret"}, "204 to a wrong"),
    "slack webhook": ("slack", lambda url: {"webhook": f"{url}{fake_slack.WEBHOOK_PATH}"}, "without posting"),
    "webhook": ("webhook", lambda url: {"url": url, "secrets": ["whsec_" + "QUJD" * 10]}, "takes the signature"),
    "http": ("http", lambda url: {"base_url": url}, "under `check`"),
}


@pytest.mark.parametrize(("connector", "config", "words"), REACHED.values(), ids=REACHED)
async def test_where_nothing_can_be_tried_the_host_is_connected_to(
    connector: str, config: Callable[[str], dict[str, Any]], words: str
) -> None:
    with RecordingServer() as server:
        found = await check(connector, config(server.url))
        assert server.requests == []
    assert "127.0.0.1 can be reached" in found.found
    assert words in found.found
    with pytest.raises(RetryableError, match=r"no connection to 127\.0\.0\.1: Connection refused"):
        await check(connector, config(f"http://127.0.0.1:{_free_port()}"))


async def test_http_gets_the_path_that_the_connection_names_with_its_credentials() -> None:
    with RecordingServer() as server:
        server.answer(200, {"me": "ana"})
        found = await check("http", {"base_url": server.url, "check": "/me", "auth": {"bearer": "s3cret-t"}})
        server.answer(401, "s3cret-t is no token")
        with pytest.raises(HoldError, match="401"):
            await check("http", {"base_url": server.url, "check": "/me", "auth": {"bearer": "s3cret-t"}})
    assert found.found == "127.0.0.1 answered GET /me with 200 OK"
    request = server.requests[0]
    assert (request.method, request.target, request.body) == ("GET", "/me", b"")
    assert request.headers["authorization"] == "Bearer s3cret-t"
    assert "idempotency-key" not in request.headers


async def test_http_fetches_its_token() -> None:
    fake = FakeOAuth()
    with RecordingServer(default=fake) as server:
        oauth2 = {"token_url": f"{server.url}{fake.path}", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        found = await check("http", {"base_url": server.url, "auth": {"oauth2": oauth2}})
        assert "a token was given" in found.found
        assert fake.given == 1
        with pytest.raises(HoldError, match="client_secret"):
            await check("http", {"base_url": server.url, "auth": {"oauth2": {**oauth2, "client_secret": "s3cret-no"}}})


# -- mail


async def test_a_mail_server_is_logged_in_to_and_gets_no_mail(tmp_path: Path) -> None:
    tls, pem = certificate(tmp_path)
    async with mail_server(tls, auth=True) as server:
        config = {"host": "localhost", "port": server.port, "ca_file": pem, "username": USER, "password": PASSWORD}
        found = await check("smtp", config)
        assert found.found == f"localhost:{server.port} can be reached, encrypted, and takes {USER} and the password"
        assert server.stages[-1] == "QUIT"
        with pytest.raises(HoldError, match="535"):
            await check("smtp", {**config, "password": "other-s3cret"})
        with pytest.raises(RetryableError, match="certificate"):
            await check("smtp", {**config, "ca_file": None})
    assert server.mails == []
    with pytest.raises(RetryableError, match="no connection to localhost"):
        await check("smtp", config)


async def test_a_mail_server_that_hangs_ends_in_time() -> None:
    async with mail_server() as server:
        server.instead = {"EHLO": "hang"}
        made = connector_class("smtp")(
            connector_class("smtp").Config.model_validate(
                {
                    "connector": "smtp",
                    "host": "127.0.0.1",
                    "port": server.port,
                    "security": "none",
                    "allow_private": True,
                }
            ),
            Context(),
        )
        with pytest.raises(RetryableError, match="no answer in time"):
            await made.check(timedelta(seconds=0.2))


# -- reaching a host, in words


async def reach(url: str, **options: Any) -> str:
    client = Client(ClientOptions(**{"allow_private": True, **options}))
    try:
        return await client.reach(url, timedelta(seconds=options.pop("seconds", 3)))
    finally:
        await client.aclose()


async def test_a_name_that_isn_t_there() -> None:
    with pytest.raises(RetryableError, match=r"the name no-such-host\.invalid can't be resolved") as caught:
        await reach("https://no-such-host.invalid/x?s3cret")
    assert caught.value.cause == "dns failure"


async def test_a_port_that_refuses() -> None:
    with pytest.raises(RetryableError, match=r"no connection to 127\.0\.0\.1: Connection refused") as caught:
        await reach(f"https://127.0.0.1:{_free_port()}")
    assert caught.value.cause == "no connection"


async def test_a_private_address() -> None:
    with pytest.raises(HoldError, match="allow_private: true"):
        await reach("http://127.0.0.1:1", allow_private=False)


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://h:99999/", f"http://{'a' * 70}.example/"])
async def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(DeliveryError):
        await reach(url)


async def test_a_server_that_speaks_no_tls() -> None:
    # What it answers to a handshake, a mail server or an HTTP server would answer too.
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        with pytest.raises(RetryableError, match="it doesn't speak TLS at this port"):
            await reach(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")


async def test_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await reach(f"https://127.0.0.1:{port}", ca_file=authority.file) == "127.0.0.1"
        with pytest.raises(RetryableError, match=r"(?i)no secure connection to 127.0.0.1: .*certificate"):
            await reach(f"https://127.0.0.1:{port}")
        with pytest.raises(RetryableError, match="certificate is not valid for 'localhost'"):
            await reach(f"https://localhost:{port}", ca_file=authority.file)


async def test_a_server_that_says_nothing_ends_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(RetryableError, match="didn't take the connection in time"):
            await reach(f"https://127.0.0.1:{silent.getsockname()[1]}", connect_timeout=timedelta(seconds=0.2))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
