"""The questions asked before any proof: what vendors ask is answered, and what anybody else asks gives nothing away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.sources.inbound import HandshakeReply, Inbound
from relay.sources.presets import PRESETS
from relay.sources.presets.greetings import (
    dropbox_challenge,
    head_request,
    mailchimp_visit,
    meta_subscription,
    microsoft_graph_validation,
    visit,
)

TOKENS = ("the old one", "meatyhamhock")

#: developers.facebook.com, "Getting started", "Sample verification request".
META = Inbound(
    "GET",
    query=(("hub.mode", "subscribe"), ("hub.challenge", "1158201444"), ("hub.verify_token", "meatyhamhock")),
)

#: dropbox.com/developers, "Webhooks", "The verification request".
DROPBOX = Inbound("GET", query=(("challenge", "abc123"),))

#: As learn.microsoft.com shows it, decoded.
GRAPH_TOKEN = (
    "Validation: Testing client application reachability for subscription Request-Id: "
    "522a8e7e-096a-494c-aaf1-ac0dcfca45b7"
)
GRAPH = Inbound("POST", query=(("validationToken", GRAPH_TOKEN),))

HOSTILE = [
    "",
    "<script>alert(1)</script>",
    "a>b",
    "a\r\nSet-Cookie: a=b",
    "a\x00b",
    "Zoë",
    "\ud800",
    "a" * 1025,
]


def with_query(request: Inbound, **changed: str) -> Inbound:
    return replace(
        request, query=tuple((name, changed.get(name.replace(".", "_"), value)) for name, value in request.query)
    )


def text_of(reply: HandshakeReply | None) -> str:
    assert reply is not None
    assert (reply.status, reply.content_type) == (200, "text/plain; charset=utf-8")
    assert reply.headers == {"X-Content-Type-Options": "nosniff"}
    return reply.body.decode()


def test_microsoft_hears_its_token() -> None:
    assert text_of(microsoft_graph_validation(GRAPH, ())) == GRAPH_TOKEN


def test_dropbox_hears_its_challenge() -> None:
    assert text_of(dropbox_challenge(DROPBOX, ())) == "abc123"


def test_meta_hears_its_challenge_for_either_of_our_tokens() -> None:
    assert text_of(meta_subscription(META, TOKENS)) == "1158201444"
    assert text_of(meta_subscription(with_query(META, hub_verify_token="the old one"), TOKENS)) == "1158201444"


@pytest.mark.parametrize("token", ["", "meatyhamhoc", "meatyhamhock ", "MEATYHAMHOCK", "meatyhamhöck", "\ud800"])
def test_meta_with_another_token_is_refused(token: str) -> None:
    reply = meta_subscription(with_query(META, hub_verify_token=token), TOKENS)
    assert reply is not None
    assert (reply.status, reply.body) == (403, b"")


def test_meta_is_refused_where_we_have_no_token() -> None:
    for request in (META, with_query(META, hub_verify_token="")):
        reply = meta_subscription(request, ())
        assert reply is not None
        assert (reply.status, reply.body) == (403, b"")


def test_meta_is_refused_without_its_token_its_challenge_or_another_mode_than_it_has() -> None:
    wrong = [
        *(replace(META, query=tuple(pair for pair in META.query if pair[0] != name)) for name in ("hub.verify_token",)),
        replace(META, query=tuple(pair for pair in META.query if pair[0] != "hub.challenge")),
        with_query(META, hub_mode="unsubscribe"),
        replace(META, query=(*META.query, ("hub.verify_token", "another"))),
        replace(META, query=(*META.query, ("hub.challenge", "another"))),
        replace(META, query=(*META.query, ("hub.mode", "another"))),
    ]
    for request in wrong:
        reply = meta_subscription(request, TOKENS)
        assert reply is not None
        assert (reply.status, reply.body) == (403, b"")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_echoed_that_a_browser_could_take_for_more_than_text(text: str) -> None:
    assert microsoft_graph_validation(with_query(GRAPH, validationToken=text), ()) is None
    assert dropbox_challenge(with_query(DROPBOX, challenge=text), ()) is None
    reply = meta_subscription(with_query(META, hub_challenge=text), TOKENS)
    assert reply is not None
    assert (reply.status, reply.body) == (403, b"")


def test_the_longest_text_is_echoed() -> None:
    assert text_of(dropbox_challenge(with_query(DROPBOX, challenge="a" * 1024), ())) == "a" * 1024


def test_a_question_that_is_asked_twice_is_none() -> None:
    assert dropbox_challenge(replace(DROPBOX, query=DROPBOX.query * 2), ()) is None
    assert microsoft_graph_validation(replace(GRAPH, query=GRAPH.query * 2), ()) is None


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE"])
def test_only_the_vendors_method_is_a_question(method: str) -> None:
    assert (microsoft_graph_validation(replace(GRAPH, method=method), ()) is not None) == (method == "POST")
    assert (dropbox_challenge(replace(DROPBOX, method=method), ()) is not None) == (method == "GET")
    assert (meta_subscription(replace(META, method=method), TOKENS) is not None) == (method == "GET")
    assert (head_request(Inbound(method), ()) is not None) == (method == "HEAD")
    assert (visit(Inbound(method), ()) is not None) == (method in {"GET", "HEAD"})


def test_an_event_is_no_question() -> None:
    event = Inbound("POST", headers={"x-hub-signature-256": "sha256=0"}, query=(("source", "page"),), body=b"{}")
    for preset in PRESETS.values():
        if preset.greeting is not None:
            assert preset.greeting(event, TOKENS) is None, preset.name


@pytest.mark.parametrize("name", sorted(name for name, preset in PRESETS.items() if preset.greeting is not None))
def test_a_visit_that_asks_nothing_gives_nothing_away(name: str) -> None:
    """An empty 200 at most: neither a secret nor a word of what is behind the address."""
    greeting = PRESETS[name].greeting
    assert greeting is not None
    for method in ("GET", "HEAD", "POST"):
        reply = greeting(Inbound(method, path="/in/vendor", url="https://relay.example.com/in/vendor"), TOKENS)
        assert reply is None or (reply.status, reply.body, dict(reply.headers)) == (200, b"", {})


def test_mailchimps_visit_is_a_request_without_a_body() -> None:
    for method in ("GET", "HEAD", "POST"):
        reply = mailchimp_visit(Inbound(method), {}, "")
        assert reply is not None
        assert (reply.status, reply.body) == (200, b"")
    assert mailchimp_visit(Inbound("POST", body=b"type=subscribe"), {"type": "subscribe"}, "") is None
