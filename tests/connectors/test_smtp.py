from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.smtp.connector import Smtp
from connectors.smtp.text import text_of
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError, UnknownOutcomeError
from relay.model import Reply
from relay.testing import ConnectorContract
from tests.connectors.fake_smtp import PASSWORD, USER, MailServer, certificate, mail_server

CALL = Call("dlv_1", "dlv_1", moment=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
AT_ONCE = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.15))
QUICK = Call("dlv_1", "dlv_1", timeout=timedelta(seconds=0.4))
FIELDS = {"to": "ana@example.com", "subject": "Hello", "text": "Hi"}

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")


class TestContract(ConnectorContract):
    connector = Smtp


def connection(port: int = 9, **settings: Any) -> Smtp:
    config = {
        "connector": "smtp", "host": "127.0.0.1", "port": port, "security": "none", "allow_private": True,
        "from": "Relay <relay@example.com>",
    }  # fmt: skip
    return Smtp(Smtp.Config.model_validate({**config, **settings}), Context())


async def send(made: Smtp, call: Call = CALL, **fields: Any) -> Reply:
    return await made.send("send", made.outgoing("send", {**FIELDS, **fields}, call), call)


async def failure(made: Smtp, call: Call = CALL, **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(made, call, **fields)
    return caught.value


def refusal(made: Smtp | None = None, **fields: Any) -> str:
    with pytest.raises(PermanentError) as caught:
        (made or connection()).outgoing("send", {**FIELDS, **fields}, CALL)
    return caught.value.message


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with mail_server() as made:
        yield made


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return certificate(tmp_path_factory.mktemp("smtp"))


# What is sent


async def test_a_mail_arrives_whole(server: MailServer) -> None:
    reply = await send(
        connection(server.port),
        **{"from": "Zoë Q. <zoe@exämple.com>"},
        to=["Ana <ana@example.com>", {"name": "Lee, \"Sam\" <x@y>", "address": "sam@mail.local"}],
        cc="root@localhost",
        bcc=["boss@example.com", "ana@EXAMPLE.com"],
        reply_to="desk@example.com",
        subject="Tränscript – " + "long " * 40,
        text="Zoë\n.\n..\r\nlone \r cr\n" + "x" * 3000 + "\n.",
        html="<p>Zoë</p>",
        attachments=[
            {"filename": "C:\\docs\\Zoë's \"cv\".pdf", "content_type": "application/pdf",
             "base64": b64encode(bytes(range(256)) * 300).decode()},
            {"filename": "a.csv", "content_type": "text/csv", "text": "a,ü\n.\n"},
        ],
        headers={"In-Reply-To": "<1@example.com>", "X-Team": "Zoë"},
    )  # fmt: skip
    (mail,) = server.mails
    message = mail.message
    assert mail.sender == "zoe@xn--exmple-cua.com"
    assert mail.recipients == ["ana@example.com", "sam@mail.local", "root@localhost", "boss@example.com"]
    assert [(a.display_name, a.addr_spec) for a in message["to"].addresses] == [
        ("Ana", "ana@example.com"), ("Lee, \"Sam\" <x@y>", "sam@mail.local")
    ]  # fmt: skip
    assert message["from"].addresses[0].display_name == "Zoë Q."
    assert (message["cc"], message["reply-to"], message["x-team"]) == ("root@localhost", "desk@example.com", "Zoë")
    assert message["subject"] == ("Tränscript – " + "long " * 40)
    assert message["message-id"] == "<dlv_1@xn--exmple-cua.com>"
    assert message["date"] == "Sun, 01 Mar 2026 12:30:00 +0000"
    assert message["auto-submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n") == "Zoë\n.\n..\nlone \n cr\n" + "x" * 3000 + "\n.\n"
    assert html.get_content() == "<p>Zoë</p>\r\n"
    pdf, csv = message.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ('Zoë\'s "cv".pdf', bytes(range(256)) * 300)
    assert csv.get_payload(decode=True) == "a,ü\n.\n".encode()
    assert (reply.status, reply.summary) == (250, "250 2.0.0 queued as 4ABC; 4 recipients")
    assert reply.body == {"message_id": message["message-id"], "accepted": 4, "refused": {}}


async def test_every_attempt_sends_the_same_bytes(server: MailServer) -> None:
    made = connection(server.port)
    for attempt in (1, 2):
        call = Call("dlv_1", "dlv_1", attempt=attempt, moment=CALL.moment)
        await send(made, call, html="<b>Hi</b>", attachments=[{"filename": "a", "text": "b"}])
    first, second = server.mails
    assert first.content == second.content
    await send(made, Call("dlv_2", "a key with spaces"))
    assert server.mails[2].message["message-id"] != first.message["message-id"]


async def test_text_is_made_of_html_where_it_is_missing(server: MailServer) -> None:
    await send(connection(server.port), text=None, html="<style>p{}</style><p>Dear <b>Ana</b>,</p><p>Bye</p>")
    body = server.mails[0].message.get_body(("plain",))
    assert body is not None
    assert body.get_content() == "Dear Ana,\r\n\r\nBye\r\n"


def test_the_text_of_html_is_what_a_person_reads() -> None:
    html = (
        "<title>t</title><h1>Hi &amp; Zoë</h1>See <a href='https://x.y/?a=1&amp;b=2'>this</a>.<br>Bye<ul><li>a<li>b"
        "</ul><script>alert('<p>')</script> 3 &lt; 4<!-- c --><img alt='logo'> <a href='javascript:x'>no</a>"
    )
    assert text_of(html) == "Hi & Zoë\n\nSee this (https://x.y/?a=1&b=2).\nBye\n\n- a\n- b\n\n3 < 4logo no"


@pytest.mark.parametrize("piece", ["<!--", "<a ", "<", "<p>", "<script>", "<a href=", "&#", "a", " "])
def test_no_html_keeps_the_processor_busy(piece: str) -> None:
    began = time.monotonic()
    text_of("<" + piece * (200_000 // len(piece)))
    assert time.monotonic() - began < 2


async def test_letters_beyond_ascii_before_the_at_need_a_server_that_takes_them(server: MailServer) -> None:
    error = await failure(connection(server.port), to="zoë@example.com")
    assert isinstance(error, PermanentError)
    assert error.cause == "no smtputf8"
    async with mail_server(enable_SMTPUTF8=True) as other:
        await send(connection(other.port), to="Zoë <zoë@exämple.com>")
        (mail,) = other.mails
    assert mail.recipients == ["zoë@xn--exmple-cua.com"]
    assert "SMTPUTF8" in mail.options


# What is refused before anything is opened


@pytest.mark.parametrize("bad", ["a\r\nBcc: evil@x.com", "a\nb", "a\rb", "a\0b", "a\x85b", "a\u2028b", "a\x1bb",
    "=?utf-8?q?a=0AX-Evil=3A_1?=", "=?utf-8?q?a=0D=0A=0D=0Abody?=", "=?nope?q?a?="])  # fmt: skip
@pytest.mark.parametrize("where", ["subject", "to", "name", "from", "reply_to", "header", "filename"])
def test_a_header_cannot_smuggle_anything(bad: str, where: str) -> None:
    named: dict[str, Any] = {
        "subject": {"subject": bad},
        "to": {"to": f"{bad} <ana@example.com>"},
        "name": {"cc": {"name": bad, "address": "ana@example.com"}},
        "from": {"from": f"{bad}@example.com"},
        "reply_to": {"reply_to": [f"ana@example.com{bad}"]},
        "header": {"headers": {"X-A": bad}},
        "filename": {"attachments": [{"filename": bad, "text": ""}]},
    }
    assert "Evil" not in refusal(**named[where])


@pytest.mark.parametrize(
    "address",
    ["", "ana", "@example.com", "=?utf-8?q?a=0Ab?=@x.com", "a <a@b.c> c",
     "ana@", "a@b.c, d@e.f", "a@b.c;d@e.f", "<a@b.c> <d@e.f>", "Ana <evil@x.c> <a@b.c>",
     "Lee, Ana <a@b.c>", "a b@c.d", "a..b@c.d", ".a@c.d", "a@b..c", "a@-b.c", "a@b_c.d", "a@[127.0.0.1]", '"a b"@c.d',
     "a@b.c> SIZE=1", "a@b.c\\", "x" * 65 + "@a.b", "a@" + "x." * 130 + "x", "\ud800@a.b", "a@\ud800.b"],
)  # fmt: skip
def test_an_address_is_one_address(address: str) -> None:
    assert "to.0" in refusal(to=[address])


@pytest.mark.parametrize("name", ["Bcc", "from", "Content-Type", "MIME-Version", "Message-ID", "X A", "X:", "", "Ü"])
def test_headers_that_are_not_the_steps_to_set_are_refused(name: str) -> None:
    assert "header" in refusal(headers={name: "x"})


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"to": None}, "name a recipient"),
        ({"to": "", "cc": []}, "name a recipient"),
        ({"text": None}, "say text or html"),
        ({"text": "\ud800"}, "half a character"),
        ({"subject": "\ud800"}, "half a character"),
        ({"to": [f"a{n}@b.c" for n in range(101)]}, "max_recipients"),
        ({"attachments": [{"filename": "a", "base64": "!"}]}, r"attachments.0.base64"),
        ({"attachments": [{"filename": "a"}]}, "base64 or text"),
        ({"attachments": [{"filename": "..", "text": ""}]}, "name of a file"),
        ({"attachments": [{"filename": "a", "text": "", "content_type": "message/rfc822"}]}, "content_type"),
        ({"attachments": [{"filename": "a", "text": "", "content_type": "a/b\r\nX: y"}]}, "content_type"),
        ({"text": "x" * 2_000_000}, "max_message"),
        ({"attachments": [{"filename": "a", "text": "x" * 2_000_000}]}, "max_message"),
    ],
)
def test_what_cannot_be_a_mail_is_named(fields: dict[str, Any], why: str) -> None:
    assert why in refusal(connection(max_message="1MB"), **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"to": "a" + " " * 300_000 + "<a@b.c>"},
        {"to": '"' + "\\" * 300_000},
        {"to": "a" * 300_000 + "@b.c"},
        {"to": "a@" + "ü" * 300_000},
        {"subject": "ü " * 150_000},
        {"subject": "=?" * 150_000},
        {"headers": {"X-A": "a," * 150_000}},
    ],
)
def test_no_header_keeps_the_processor_busy(fields: dict[str, Any]) -> None:
    began = time.monotonic()
    assert "longer than" in refusal(**fields)
    assert time.monotonic() - began < 1


async def test_a_step_may_say_how_it_was_submitted(server: MailServer) -> None:
    await send(connection(server.port), headers={"auto-submitted": "auto-replied"})
    assert server.mails[0].message.get_all("auto-submitted") == ["auto-replied"]


def test_recipients_may_be_bound_to_domains() -> None:
    made = connection(recipient_domains=["Example.com"])
    made.outgoing("send", FIELDS, CALL)
    assert "recipient_domains" in refusal(made, bcc="a@evil.example.com")


def test_a_sender_is_needed_somewhere() -> None:
    assert "name a sender" in refusal(connection(**{"from": None}))


texts = st.text(st.characters(codec="utf-8"), max_size=60)


@settings(max_examples=40, deadline=None)
@given(subject=texts, name=texts, text=texts, html=texts)
def test_whatever_events_hold_a_mail_has_the_headers_it_was_given(
    subject: str, name: str, text: str, html: str
) -> None:
    fields = {"to": {"name": name, "address": "ana@example.com"}, "subject": subject, "text": text, "html": html}
    try:
        outgoing: Any = connection().outgoing("send", fields, CALL)
    except PermanentError as error:
        assert "control character" in error.message or "encoded word" in error.message  # noqa: PT017
        return
    head, _, body = outgoing.envelope.content.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert names == [b"From", b"To", b"Subject", b"Message-ID", b"Date", b"Auto-Submitted", b"MIME-Version",
                     b"Content-Type"]  # fmt: skip
    assert body.count(b"\r\n--=_0_") + body.startswith(b"--=_0_") == 3
    assert outgoing.envelope.recipients == ["ana@example.com"]


# The way there


@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("implicit", [False, True])
async def test_it_logs_in_over_tls_only(tls: tuple[ssl.SSLContext, Path], implicit: bool, method: str) -> None:
    context, pem = tls
    other = "LOGIN" if method == "PLAIN" else "PLAIN"
    async with mail_server(context, implicit=implicit, auth=True, auth_exclude_mechanism=[other]) as server:
        made = connection(
            server.port, security="tls" if implicit else "starttls", ca_file=pem, username=USER, password=PASSWORD
        )
        await send(made)
        (mail,) = server.mails
        assert mail.user == USER
        wrong = connection(
            server.port, security="tls" if implicit else "starttls", ca_file=pem, username=USER, password="wr0ng-pass"
        )
        error = await failure(wrong)
        assert isinstance(error, HoldError)
        assert (error.status, error.cause) == (535, "smtp 535")
        assert "username and password" in error.message
        missing = connection(server.port, security="tls" if implicit else "starttls", ca_file=pem)
        assert isinstance(await failure(missing), HoldError)
        assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_nobody_vouches_for_is_refused(tls: tuple[ssl.SSLContext, Path], security: str) -> None:
    async with mail_server(tls[0], implicit=security == "tls") as server:
        error = await failure(connection(server.port, security=security))
    assert isinstance(error, RetryableError)
    assert error.cause == "tls failure"
    assert "self-signed certificate" in error.message


async def test_a_server_without_starttls_gets_nothing(server: MailServer) -> None:
    error = await failure(connection(server.port, security="starttls"))
    assert isinstance(error, HoldError)
    assert "set security: tls" in error.message
    assert "MAIL" not in server.stages


async def test_tls_with_a_server_that_speaks_none_is_retried(server: MailServer) -> None:
    error = await failure(connection(server.port, security="tls", connect_timeout="1s"), QUICK)
    assert isinstance(error, RetryableError)


async def test_a_private_address_is_refused(server: MailServer) -> None:
    for host in ("127.0.0.1", "localhost", "0x7f.1"):
        error = await failure(connection(server.port, host=host, allow_private=False))
        assert isinstance(error, HoldError)
        assert "allow_private: true" in error.message
    assert server.connections == 0


async def test_nobody_there_is_retried() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failure(connection(taken.getsockname()[1]))
    assert isinstance(error, RetryableError)
    assert error.cause == "no connection"


async def test_a_name_that_resolves_to_nothing_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    error = await failure(connection(host="mail.invalid"))
    assert isinstance(error, RetryableError)
    assert error.cause == "dns failure"


# What the server says


@pytest.mark.parametrize(
    ("stage", "answer", "kind"),
    [
        ("greeting", "421 too busy", RetryableError),
        ("greeting", "554 no mail from you", HoldError),
        ("EHLO", "421 too busy", RetryableError),
        ("EHLO", "550 who are you", HoldError),
        ("MAIL", "421 going down", RetryableError),
        ("MAIL", "451 later", RetryableError),
        ("MAIL", "530 5.7.0 authentication required", HoldError),
        ("MAIL", "550 5.7.1 not your address", PermanentError),
        ("MAIL", "552 too large", PermanentError),
        ("RCPT", "421 going down", RetryableError),
        ("RCPT", "450 4.2.0 greylisted", RetryableError),
        ("RCPT", "530 log in first", HoldError),
        ("RCPT", "550 5.1.1 no such user", PermanentError),
        ("DATA", "451 later", RetryableError),
        ("DATA", "554 no valid recipients", PermanentError),
        ("end", "421 going down", RetryableError),
        ("end", "451 4.7.1 later", RetryableError),
        ("end", "554 5.7.1 spam", PermanentError),
    ],
)
async def test_each_answer_has_its_fate(server: MailServer, stage: str, answer: str, kind: type[DeliveryError]) -> None:
    server.instead[stage] = answer
    error = await failure(connection(server.port))
    assert type(error) is kind
    assert error.status == int(answer[:3])
    assert answer in error.message
    assert f"smtp {answer[:3]}" in error.cause
    assert server.mails == []


@pytest.mark.parametrize(("answer", "kind"), [("454 4.7.0 not now", RetryableError), ("534 too weak", HoldError)])
async def test_a_login_that_may_work_later_is_retried(
    tls: tuple[ssl.SSLContext, Path], answer: str, kind: type[DeliveryError]
) -> None:
    async with mail_server(tls[0], auth=True) as server:
        server.instead["AUTH"] = answer
        made = connection(server.port, security="starttls", ca_file=tls[1], username=USER, password=PASSWORD)
        assert type(await failure(made)) is kind
        assert server.stages.count("AUTH") == 1


async def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way(server: MailServer) -> None:
    server.instead["EHLO"] = "502 what?"
    await send(connection(server.port))
    assert "HELO" in server.stages


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("instead", ["close", "reset", "hang", "garbage"])
async def test_what_breaks_before_the_mail_is_retried(server: MailServer, stage: str, instead: str) -> None:
    server.instead[stage] = instead
    error = await failure(connection(server.port), AT_ONCE if instead == "hang" else CALL)
    assert type(error) is RetryableError
    assert server.mails == []


async def test_what_breaks_within_the_mail_is_retried(server: MailServer) -> None:
    # More than the sockets hold, so that it can't all have left.
    much = {**FIELDS, "attachments": [{"filename": "a", "base64": "QUJD" * 3_000_000}]}
    made = connection(server.port)
    outgoing = made.outgoing("send", much, CALL)
    for instead in ("close", "reset", "hang"):
        server.instead["body"] = instead
        seconds = 0.6 if instead == "hang" else 10
        with pytest.raises(RetryableError, match=r"\(sending the mail\)"):
            await made.send("send", outgoing, Call("dlv_1", "dlv_1", timeout=timedelta(seconds=seconds)))
    assert server.mails == []


@pytest.mark.parametrize("instead", ["close", "reset", "hang", "garbage"])
async def test_what_breaks_after_the_end_of_a_mail_is_unknown(server: MailServer, instead: str) -> None:
    server.instead["end"] = instead
    error = await failure(connection(server.port), QUICK if instead == "hang" else CALL)
    assert type(error) is UnknownOutcomeError
    assert "may be on its way" in error.message
    assert len(server.mails) == 1


@pytest.mark.parametrize("instead", ["close", "reset", "hang", "garbage", "500 what?"])
async def test_what_breaks_after_the_mail_was_taken_is_a_delivery(
    server: MailServer, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.smtp.session._QUIT_SECONDS", 0.1)
    server.instead["QUIT"] = instead
    assert (await send(connection(server.port))).status == 250


THREE = {"to": ["a@x.com", "b@x.com"], "bcc": "c@x.com"}


async def test_nobody_is_sent_a_mail_that_somebody_is_refused(server: MailServer) -> None:
    server.refused = {"b@x.com": "550 5.1.1 no such user", "c@x.com": "450 4.2.0 greylisted"}
    error = await failure(connection(server.port), **THREE)
    assert type(error) is PermanentError
    assert "refused 1 of 3 recipients, so nobody was sent it: b@x.com: 550 5.1.1 no such user" in error.message
    assert error.cause == "recipient refused: smtp 550"
    assert server.mails == []
    server.refused.pop("b@x.com")
    assert type(await failure(connection(server.port), **THREE)) is RetryableError
    server.refused.clear()
    await send(connection(server.port), **THREE)
    assert [mail.recipients for mail in server.mails] == [["a@x.com", "b@x.com", "c@x.com"]]


async def test_where_asked_the_refused_are_left_out_and_named(server: MailServer) -> None:
    made = connection(server.port, refused_recipients="skip")
    server.refused = {"b@x.com": "550 no such user", "c@x.com": "450 greylisted"}
    # Sending to the first alone now would send to it again with the retry for the third.
    assert type(await failure(made, **THREE)) is RetryableError
    assert server.mails == []
    server.refused.pop("c@x.com")
    reply = await send(made, **THREE)
    assert reply.summary.endswith("; 2 recipients; refused: b@x.com")
    assert reply.received["refused"] == {"b@x.com": "550 no such user"}
    assert server.mails[0].recipients == ["a@x.com", "c@x.com"]
    server.refused = dict.fromkeys(("a@x.com", "b@x.com", "c@x.com"), "550 no")
    assert type(await failure(made, **THREE)) is PermanentError


async def test_a_mail_larger_than_the_server_takes_is_not_sent() -> None:
    async with mail_server(data_size_limit=5000) as server:
        error = await failure(connection(server.port), text="x" * 6000)
        assert type(error) is PermanentError
        assert error.cause == "mail too large"
        assert "takes 5000" in error.message
        assert "MAIL" not in server.stages
        await send(connection(server.port))


# Settings and secrets


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"host": "smtp://x"}, "name the server alone"),
        ({"host": "a\r\nb"}, "name the server alone"),
        ({"from": "nobody"}, "no mail address"),
        ({"username": "a"}, "go together"),
        ({"username": "a", "password": "b"}, "plain text"),
        ({"local_name": "a b"}, "pattern"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        connection(**given)


async def test_a_missing_ca_file_holds_the_lane(tmp_path: Path) -> None:
    error = await failure(connection(security="tls", ca_file=tmp_path / "none.pem"))
    assert isinstance(error, HoldError)
    assert "ca_file" in error.message


async def test_a_server_that_repeats_the_password_is_not_quoted(tls: tuple[ssl.SSLContext, Path]) -> None:
    async with mail_server(tls[0], auth=True) as server:
        server.instead["AUTH"] = "535 no user with s3cret-w0rd here\x1b[2J"
        made = connection(server.port, security="starttls", ca_file=tls[1], username=USER, password="s3cret-w0rd")
        error = await failure(made)
    assert "***" in error.message
    assert "s3cret-w0rd" not in error.message + json.dumps(error.received)
    assert "\x1b" not in error.message


async def test_twenty_mails_at_once_keep_to_themselves(server: MailServer) -> None:
    made = connection(server.port)
    await asyncio.gather(
        *(send(made, Call(f"dlv_{n}", f"dlv_{n}"), to=f"a{n}@x.com", subject=f"s{n}") for n in range(20))
    )
    assert sorted((m.recipients[0], m.message["subject"], m.message["message-id"]) for m in server.mails) == sorted(
        (f"a{n}@x.com", f"s{n}", f"<dlv_{n}@example.com>") for n in range(20)
    )
