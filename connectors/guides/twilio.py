"""The page of the connector `twilio`."""

from __future__ import annotations

from relay.connector import Guide, Trouble

GUIDE = Guide(
    setup=(
        "Log in at https://console.twilio.com and copy the Account SID (`AC…`) from the first page.",
        (
            "Open Account, API keys & tokens, press Create API key, choose the type Standard, and copy the SID (`SK…`) "
            "and the secret, which is shown once. The auth token of the first page works as well, but opens the whole "
            "account."
        ),
        (
            "Buy a number that can send SMS (Phone Numbers, Buy a number), or make a messaging service (Messaging, "
            "Services) with a sender in it: its SID begins with `MG`."
        ),
        "Register the sender where its country wants that: US numbers need A2P 10DLC, toll-free ones a verification.",
        "Allow the countries you send to under Messaging, Settings, Geo permissions: a new account has only its own.",
        (
            "In relay.yaml, set `account_sid`, `api_key_sid`, `api_key_secret: ${TWILIO_SECRET}`, and `from` or "
            "`messaging_service_sid`; then run `relay connections test NAME`."
        ),
        (
            "To learn whether messages arrive, set `status_callback` in the step to the address of a source of Relay "
            "with the preset `twilio`: a delivery here means that Twilio has taken the message, not that the phone has "
            "it."
        ),
    ),
    repeats="Twilio has no idempotency key for messages. A refusal (a code of its own, 429, or a 503 with "
    "`Retry-After`) means that nothing was sent. After a lost answer or another server error the message may be on its "
    "way: the attempt is recorded as *may have happened*, and the step's `on_unknown` decides. With `retry`, somebody "
    "may get a text twice, and it is charged twice; with `hold`, an operator looks into Twilio's message log (Monitor, "
    "Logs, Messaging) and then replays or discards.",
    limits=(
        "A text has at most 1600 characters. Longer ones are refused before they are sent.",
        (
            "Each segment is charged: 160 characters (153 where there are several) of GSM's alphabet, or 70 (67) as "
            "soon as one character is outside it, such as a curly quote or an emoji. `max_segments` refuses what would "
            "cost more."
        ),
        "At most ten `media_urls`. Twilio fetches them itself, so they must be reachable for it.",
        (
            "Many senders send one segment a second; Twilio queues the rest for up to ten hours, or for `validity`. "
            "Where its queue is full (21611) or too many requests run at once (20429), Relay tries again."
        ),
    ),
    troubles=(
        Trouble(
            "twilio 20003, twilio 20006, twilio 20008",
            "Twilio doesn't take the credentials, or the account is suspended.",
            "admin",
            "Check account SID and API key; look into the console for a suspension; then resume the connection.",
            "hold",
        ),
        Trouble(
            "twilio 20404",
            "There is no such account at this address.",
            "admin",
            "Check `account_sid`, and `base_url` where the account is in another region.",
            "hold",
        ),
        Trouble(
            "twilio 20005, twilio 10001",
            "The account isn't active.",
            "vendor",
            "Look into the console, mostly at its billing, and resume the connection.",
            "hold",
        ),
        Trouble(
            "twilio 20429",
            "Too many requests at once.",
            "nobody",
            "",
            "retry",
        ),
        Trouble(
            "twilio 21611",
            "The sender's queue at Twilio is full.",
            "admin",
            "Where it goes on, lower the connection's `limit` or send by a messaging service with more senders.",
            "retry",
        ),
        Trouble(
            "twilio 21610",
            "This person has answered STOP. Nothing was sent.",
            "author",
            "Never send to them again: take them off the list, and discard the dead letter. Only they can undo it, by "
            "START.",
            "dead",
        ),
        Trouble(
            "twilio 21211",
            "The number isn't one. Nothing was sent.",
            "operator",
            "Correct the number in the dead letter and replay, or discard it.",
            "dead",
        ),
        Trouble(
            "twilio 21614",
            "The number isn't a mobile's. Nothing was sent.",
            "operator",
            "Correct the number in the dead letter and replay, or discard it.",
            "dead",
        ),
        Trouble(
            "twilio 21408",
            "The account may not send to that country.",
            "vendor",
            "Allow the country under Geo permissions and replay.",
            "dead",
        ),
        Trouble(
            "twilio 21608",
            "A trial account sends to verified numbers only.",
            "vendor",
            "Verify the number or upgrade the account, and replay.",
            "dead",
        ),
        Trouble(
            "twilio 21606",
            "The sender can't send text messages there, or isn't of this account.",
            "admin",
            "Set another `from` and replay.",
            "dead",
        ),
        Trouble(
            "twilio 21612",
            "Twilio has no way from this sender to that number.",
            "admin",
            "Set another `from`, such as one of that country, and replay.",
            "dead",
        ),
        Trouble(
            "twilio names no message",
            "Twilio said yes and named no message: it may have been sent.",
            "operator",
            "Look into Twilio's message log before you replay.",
            "unknown",
        ),
        Trouble(
            "twilio no sender",
            "Neither the connection nor the step says who sends. Nothing was sent.",
            "admin",
            "Set `from` or `messaging_service_sid` and replay.",
            "dead",
        ),
        Trouble(
            "twilio *",
            "Twilio refuses this message; with 401 or 403 the credentials. The attempt says why and links Twilio's "
            "page of that code.",
            "author",
            "Correct the recipe or the dead letter, and replay.",
            "hold or dead",
        ),
        Trouble(
            "http 5*",
            "A server error: the message may have been sent. `on_unknown` decides.",
            "operator",
            "With `on_unknown: hold`, look into Twilio's message log before you replay.",
            "unknown",
        ),
        Trouble(
            "text too long, empty text, too many segments",
            "The text has more than 1600 characters or more segments than `max_segments`, or there is none. Nothing "
            "was sent.",
            "author",
            "Shorten the text, replace characters outside GSM's alphabet, or give it a value, and replay.",
            "dead",
        ),
    ),
    verified="The request field by field against Twilio's own Python SDK 9.13.0; codes and answers as Twilio's pages "
    "describe them, against a strict fake and not against Twilio's own service. Not verified: whether Twilio counts a "
    "character beyond the first 65,536 as one or as two of the 1600, and whether its 503 with `Retry-After` never "
    "sends.",
)
