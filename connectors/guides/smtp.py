"""The text of the page of e-mail."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        (
            "Ask whoever runs your mail for a mailbox or an account for the relay, the name of the server for outgoing "
            "mail, and whether it wants *STARTTLS* (mostly port 587) or *TLS from the start* (mostly port 465)."
        ),
        (
            "At providers with two-factor sign-in, make an *app password* for the relay. Microsoft 365 and Google "
            "switch sign-in by password off for many accounts: ask there for *authenticated SMTP*, or for a relay by "
            "the sender's address."
        ),
        (
            "Ask that the relay's machine may send as the address in `from` (SPF and DKIM of your domain), or the mail "
            "ends as spam."
        ),
        (
            "In relay.yaml, give the connection `host`, `username`, `from`, and `password: ${SMTP_PASSWORD}`; the "
            "secret goes into the environment or a secret's file."
        ),
        (
            "Where the recipients come from events, set `recipient_domains`, so that nobody can have mail sent to "
            "strangers."
        ),
        (
            "A server in your own network needs `allow_private: true`, and perhaps `security: none`, which sends no "
            "password."
        ),
    ),
    repeats=(
        "Each attempt sends the same bytes under the same `Message-ID`, by which many mail servers show a mail once. "
        "SMTP itself has no key against repeats: when the connection breaks after the whole mail went out, the outcome "
        "is unknown, and the step's `on_unknown` decides. At any earlier point nothing was sent, and it is retried."
    ),
    limits=(
        (
            "Three connections at once: this is the connection's `limit`, as Microsoft 365 counts them. Providers also "
            "limit the mails of an hour or a day: add a `rate`."
        ),
        (
            "100 recipients a mail (`max_recipients`), 25 MB with attachments (`max_message`). A server's own limit is "
            "asked for and kept to before the mail is sent."
        ),
        "If the server refuses a recipient for good, nobody gets the mail, unless `refused_recipients: skip`.",
    ),
    troubles=(
        Trouble(
            "smtp 530, smtp 534, smtp 535, smtp 538",
            "The server doesn't take user name and password, or wants another way to sign in.",
            "admin",
            (
                "Check both; make an app password; have authenticated SMTP switched on for the mailbox. The lane goes "
                "on when the secret has changed."
            ),
            "hold",
        ),
        Trouble(
            "smtp *",
            (
                "The server's own number. From 400 to 499 it is retried. From 500 it is a dead letter, and while "
                "connecting or signing in it holds the lane: the server takes no mail from the relay."
            ),
            "operator",
            "The message has the server's words: show them to whoever runs your mail.",
        ),
        Trouble(
            "recipient refused: smtp *",
            (
                "The server doesn't take a recipient, so nobody was sent the mail. From 500 it is a dead letter, below "
                "that it is retried."
            ),
            "operator",
            "Correct the address by `relay dead edit`, and replay; or set `refused_recipients: skip`.",
            "retry or dead",
        ),
        Trouble(
            "no starttls",
            "The server offers no encryption on this port.",
            "admin",
            "Set `security: tls` (port 465), or ask there; `none` is for your own network only.",
            "hold",
        ),
        Trouble(
            "no way to log in",
            "The server offers no sign-in by password that the relay knows.",
            "admin",
            "Leave out user name and password if it lets your machine in, or ask there.",
            "hold",
        ),
        Trouble(
            "answer is not smtp",
            (
                "Something answered that isn't a mail server: mostly a wrong port. After the whole mail was out, the "
                "outcome is unknown."
            ),
            "admin",
            "Check `host`, `port` and `security`.",
            "retry or unknown",
        ),
        Trouble(
            "mail too large",
            "The mail is larger than the connection's `max_message` or the server's limit. Nothing was sent.",
            "author",
            "Attach less, or put a link into the mail.",
            "dead",
        ),
        Trouble(
            "no sender, no recipient",
            "The mail has no sender, or the event gave no recipient.",
            "author",
            "Give the connection `from`; give the step a `when` for events without an address.",
            "dead",
        ),
        Trouble(
            "too many recipients, recipient not allowed",
            "More than `max_recipients`, or a domain that isn't among `recipient_domains`.",
            "admin",
            "Raise or widen it if that is meant, and replay. Else discard it.",
            "dead",
        ),
        Trouble(
            "not a mail address",
            "A sender or recipient isn't an address. The message names the field.",
            "operator",
            "Correct it by `relay dead edit`, and replay.",
            "dead",
        ),
        Trouble(
            "control character in a header, bad header",
            (
                "A header holds a line break, is too long, or isn't one a step may set: so nobody can slip in further "
                "recipients."
            ),
            "author",
            "Correct the recipe or the event, and replay.",
            "dead",
        ),
        Trouble(
            "bad attachment",
            "An attachment's name, content type or base64 is wrong.",
            "author",
            "Correct the recipe, and replay.",
            "dead",
        ),
        Trouble(
            "bad mail, text can't be encoded",
            "The mail can't be written, or a text holds half a character.",
            "author",
            "Correct the event by `relay dead edit`, and replay.",
            "dead",
        ),
        Trouble(
            "no smtputf8",
            "The server takes no addresses with letters such as é before the @.",
            "operator",
            "Ask for another address of that person.",
            "dead",
        ),
    ),
    check="It connects, encrypts, signs in, and leaves without sending a mail.",
    verified=(
        "Against a real SMTP server on this machine, with encryption, sign-in, refused recipients, and connections "
        "broken at each step. What certain providers allow is general knowledge and changes: ask yours."
    ),
)
