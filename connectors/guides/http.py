"""The text of the page of any HTTP API."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Look up in the API's documentation: its address, how one proves who one is, what a request looks like, "
            "and what it answers when it refuses."
        ),
        (
            "Make a key, a token or an app there, if you can for the relay alone and with the rights it needs and no "
            "others."
        ),
        (
            "In relay.yaml, give the connection `base_url` (what all addresses of the API begin with) and one way "
            "under `auth`: `bearer: ${CRM_TOKEN}` for a token, `basic` for user and password, `header` or `query` with "
            "`value` for a key, `path` where the end of the address is the secret, `oauth2` where a token has to be "
            "fetched first. `hmac` signs, alone or beside one of them."
        ),
        "Put the secret itself into the environment or a secret's file; `${NAME}` and `${file:…}` stand for it.",
        (
            "If the documentation names a limit, set `limit`. If 403 means wrong credentials there, set `hold_on_403: "
            "true`; if 409 passes by itself, `retry_on_409: true`."
        ),
        (
            "If the API answers 200 and says in the body that something went wrong, say under `success` what a good "
            "answer holds."
        ),
        "Look at what would be sent with `relay try`, and send one event to a test account.",
    ),
    repeats=(
        "Each request carries the delivery's key as the header `Idempotency-Key` (another name by "
        "`idempotency_header`). If the API's documentation says that it acts once on a key, set `idempotent: true`: a "
        "lost answer is then retried. Else only GET, HEAD, PUT, DELETE and OPTIONS are, as HTTP calls them repeatable; "
        "a POST or PATCH whose answer is lost has an unknown outcome, and the step's `on_unknown` decides."
    ),
    limits=(
        "Only what `limit` says: set what the API's documentation allows.",
        "1 MB of a reply is read (`max_reply`); the rest is left.",
        "Redirects aren't followed unless `follow_redirects` says so, and never with the credentials to another host.",
        "Private addresses are refused unless `allow_private` says so.",
    ),
    troubles=(
        Trouble(
            "http 409",
            "The API says that the request is in conflict with what is there. With `retry_on_409` it is retried.",
            "author",
            "Look up what the API means by it.",
            "dead",
        ),
        Trouble(
            "reply says no success",
            "A 2xx answer in which `success` finds no success. With `success: {retry: true}` it is retried.",
            "author",
            "The message has the API's first words: mend the recipe or the event, and replay.",
            "retry or dead",
        ),
        Trouble(
            "reply cut before its verdict",
            "The answer broke off, or was longer than `max_reply`, before it was known whether it says success.",
            "operator",
            "Look there before you replay; raise `max_reply` if answers are that long.",
            "retry or unknown",
        ),
        Trouble(
            "path refused",
            "A value in `path` would lead to another address. Nothing was sent.",
            "author",
            "Give the value `| url_encode`, and put queries under `query`.",
            "dead",
        ),
        Trouble(
            "header refused",
            "A header has a name or a value that can't be sent, or is one that the connection sets.",
            "author",
            "Correct `headers`, and replay.",
            "dead",
        ),
        Trouble(
            "unknown charset, unencodable character",
            "The text can't be written in the charset that the content-type names.",
            "author",
            "Name `charset=utf-8`, or replace the character by a filter.",
            "dead",
        ),
        Trouble(
            "body too large",
            "The body is larger than the connection's `max_body`. Nothing was sent.",
            "author",
            "Send less, or raise `max_body` if the API takes as much; then replay.",
            "dead",
        ),
        Trouble(
            "batch without json",
            "Only JSON can travel in a `batch`.",
            "author",
            "Give the step `json`, or send without `batch`.",
            "dead",
        ),
    ),
    check=(
        "It sees whether the host can be reached. With `check: /me`, or another path that changes nothing, it GETs "
        "that with the connection's auth, and any 2xx answer is fine."
    ),
    verified=(
        "Against real servers on this machine: redirects, broken connections, certificates, tokens and signatures are "
        "tested. What a certain API does only its documentation says."
    ),
)
