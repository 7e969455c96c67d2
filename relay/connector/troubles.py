"""The kinds of failure that no connector has for itself: they stand in the index of the connectors' pages."""

from __future__ import annotations

from dataclasses import dataclass

from relay.connector.guide import Trouble


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    about: str
    troubles: tuple[Trouble, ...]


NETWORK = Group(
    "On the way there",
    "What can happen between the relay and any destination in a network.",
    (
        Trouble(
            "dns failure",
            "The destination's name can't be looked up.",
            "admin",
            "Nothing where it passes. Else check the name in the connection, and the machine's name servers.",
            "retry",
        ),
        Trouble(
            "no connection, connect timeout",
            "Nobody answers at the address, or not in time, or a firewall keeps the relay out. Nothing had been sent.",
            "admin",
            "Nothing where it passes. Else check host and port, and the firewall.",
            "retry",
        ),
        Trouble(
            "tls failure",
            "No secure connection: mostly a certificate that has run out, or one of a private authority.",
            "admin",
            (
                "Have the destination renew its certificate; for a private authority, name its certificate in "
                "`ca_file` where the connector has it."
            ),
            "retry",
        ),
        Trouble(
            "private address refused",
            (
                "The destination's name leads to a private address, such as 10.0.0.5: that is refused unless it is "
                "allowed, so that no event can make the relay reach into your network. After a redirect only that "
                "delivery dies."
            ),
            "admin",
            "Set `allow_private: true` on the connection if that address is meant.",
            "hold",
        ),
        Trouble(
            "connection closed",
            (
                "The destination closed the connection without an answer. Where the request may have arrived and a "
                "repeat could do harm, the outcome is unknown."
            ),
            "operator",
            "Where it says unknown, look at the destination before you replay.",
            "retry or unknown",
        ),
        Trouble(
            "reply broke off",
            (
                "The destination took it, and its answer broke off before what the step saves of it had come. A repeat "
                "does no harm there, so it is asked again."
            ),
            "nobody",
            "",
            "retry",
        ),
        Trouble(
            "no answer in time",
            (
                "The request went out, and no answer came within the step's `timeout`. Where a repeat could do harm, "
                "the outcome is unknown."
            ),
            "operator",
            "Where it says unknown, look at the destination before you replay. If it happens often, raise `timeout`.",
            "retry or unknown",
        ),
        Trouble(
            "timeout",
            "The attempt as a whole took longer than the step's `timeout` and was ended by the relay.",
            "operator",
            "Look at the destination before you replay. If it happens often, raise `timeout`.",
            "unknown",
        ),
    ),
)

HTTP = Group(
    "What a destination can answer by HTTP",
    (
        "A connector that knows more of an answer than its number uses a cause of its own, which stands on its page. "
        "Which of 403 and 409 are held or retried differs too: that stands there as well."
    ),
    (
        Trouble(
            "http 401",
            "The destination doesn't take the credentials. No delivery of the connection would get further.",
            "admin",
            (
                "Put valid credentials into the connection: the lane goes on by itself when they have changed. Else "
                "say `relay lanes resume`."
            ),
            "hold",
        ),
        Trouble(
            "http 403",
            (
                "The credentials are known, and may not do this. It is held where the connector knows that every "
                "delivery would fail alike; otherwise it is a dead letter."
            ),
            "vendor",
            "Give the account the right that is missing, then resume the lane or replay the dead letters.",
            "hold or dead",
        ),
        Trouble(
            "http 404",
            "There is nothing at that address: a wrong path, or an id that is gone.",
            "author",
            "Correct the id or the path in the recipe or the connection, and replay.",
            "dead",
        ),
        Trouble(
            "http 408, http 425, http 429, http 423",
            (
                "Too slow, too early or too many: the destination asks to try later. Its Retry-After is kept to, up to "
                "the longest step of the retries."
            ),
            "nobody",
            "If 429 comes often, lower the connection's `limit`.",
            "retry",
        ),
        Trouble(
            "http 410 gone",
            "The destination wants no more, for good. The connection is off until an operator turns it on.",
            "admin",
            "Ask there, correct the address, and say `relay lanes resume`.",
            "hold",
        ),
        Trouble(
            "http 3*",
            "It points to another address, which isn't followed.",
            "admin",
            "Put the address that the message names into the connection.",
            "dead",
        ),
        Trouble(
            "http 4*",
            "Any other number from 400 to 499: the destination refuses this request, and would again.",
            "author",
            "Read the attempt's answer; correct the recipe or the event, and replay.",
            "dead",
        ),
        Trouble(
            "http 5*",
            "The destination is broken or too busy. It is retried for about a day.",
            "nobody",
            "If it lasts, ask there; replay what has died meanwhile.",
            "retry",
        ),
        Trouble(
            "http *",
            "Any other number.",
            "operator",
            "Read the attempt's answer.",
        ),
        Trouble(
            "answer is not http",
            "Something answered that doesn't speak HTTP: mostly a wrong port.",
            "admin",
            "Check the address. Where it says unknown, look at the destination before you replay.",
            "retry or unknown",
        ),
        Trouble(
            "invalid address", "The address can't be called.", "admin", "Correct the connection's address.", "dead"
        ),
        Trouble(
            "redirect circle",
            "The destination sends the request round and round.",
            "admin",
            "Put the right address into the connection.",
            "dead",
        ),
        Trouble(
            "redirect refused",
            (
                "The destination points to an address that may not be followed: another host, one without encryption, "
                "one with credentials in it, or one that would lose the body."
            ),
            "admin",
            "Put the right address into the connection, or name the host under `redirect_hosts`.",
            "dead",
        ),
        Trouble(
            "ca_file can't be used",
            "The file with the certificates to trust can't be read, or isn't PEM.",
            "admin",
            "Correct the path or the file, then resume the lane.",
            "hold",
        ),
        Trouble(
            "* can't be used",
            "The client certificate or its key can't be read, don't belong together, or need a password.",
            "admin",
            "Correct `client_cert`, then resume the lane.",
            "hold",
        ),
        Trouble(
            "client certificate refused",
            "The destination asks for a client certificate, or doesn't take the one it was shown.",
            "admin",
            "Give the connection a `client_cert`, or a renewed one, or have its issuer trusted there.",
            "hold",
        ),
    ),
)

TOKENS = Group(
    "Where access tokens are fetched (OAuth 2)",
    "For connections with `oauth` or `oauth2`, and those of vendors whose only way in it is.",
    (
        Trouble(
            "token: invalid_client",
            "The vendor doesn't know the app, or its secret is wrong.",
            "admin",
            "Check `client_id` and `client_secret`.",
            "hold",
        ),
        Trouble(
            "token: invalid_grant",
            (
                "The refresh token or the signed assertion isn't taken: it was revoked, has run out, or the app is no "
                "longer allowed in."
            ),
            "admin",
            (
                "Make a new refresh token, or check the private key, and that the app is still allowed in. A clock "
                "that is wrong by minutes does the same."
            ),
            "hold",
        ),
        Trouble("token: invalid_scope", "The vendor doesn't give this scope.", "admin", "Check `scope`.", "hold"),
        Trouble(
            "token: unauthorized_client, token: unsupported_grant_type",
            "The app may not get tokens in this way.",
            "vendor",
            "Allow this way (client credentials, JWT bearer …) on the vendor's page of the app.",
            "hold",
        ),
        Trouble(
            "token: *",
            (
                "No token for another reason; `http` with 5xx, 408 or 429, `temporarily_unavailable` and the like are "
                "retried, the others hold the lane."
            ),
            "admin",
            "Where the lane is held: read the message, and check `token_url`, `client_id` and `client_secret`.",
            "retry or hold",
        ),
        Trouble(
            "no token in time",
            "The place that gives out tokens didn't answer within half the step's `timeout`. Nothing was sent.",
            "nobody",
            "",
            "retry",
        ),
    ),
)

RELAY = Group(
    "Before anything is sent",
    "Nothing has left the relay when one of these is told.",
    (
        Trouble(
            "invalid step fields",
            "What the recipe made of this event isn't a valid `with`: a key is missing, unknown, or of the wrong kind.",
            "author",
            (
                "Mend the recipe, or the event by `relay dead edit`, and replay. `relay try` shows what is made of an "
                "event."
            ),
            "dead",
        ),
        Trouble(
            "not json, not xml, not unicode",
            (
                "A value can't be written in the form that is sent: half a character, an endless number, a name that "
                "XML doesn't allow."
            ),
            "author",
            "Mend the recipe or the event, and replay.",
            "dead",
        ),
        Trouble(
            "connection incomplete",
            (
                "The connection lacks a setting: a `${NAME}` or `${file:…}` is unset, or the connection is gone from "
                "relay.yaml."
            ),
            "admin",
            "Put it there: the lane goes on by itself.",
            "hold",
        ),
        Trouble(
            "step missing",
            "The recipe that is in force no longer has this step.",
            "author",
            "Discard the delivery, or put the step back and replay.",
            "dead",
        ),
        Trouble("event missing", "The event is no longer kept.", "operator", "Discard the delivery.", "dead"),
        Trouble(
            "recipe version missing",
            "The version of the recipe that the event was routed with is no longer kept.",
            "operator",
            "Replay it: that takes the recipe as it is in force now.",
            "dead",
        ),
    ),
)

GENERIC = (NETWORK, HTTP, TOKENS, RELAY)
