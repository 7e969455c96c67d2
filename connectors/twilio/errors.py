"""What Twilio's answers mean: by its own code, where there is one, and not by the status.

https://www.twilio.com/docs/api/errors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors.common.api import Said
from connectors.common.vendor_words import one_line
from relay.errors import DeliveryError

#: Every delivery would fail alike.
_HOLD = {
    10001: "the account isn't active: look into Twilio's console, mostly at its billing",
    20003: "the credentials aren't taken, or the account is suspended: check account_sid and its API key",
    20005: "the account isn't active: look into Twilio's console, mostly at its billing",
    20006: "the credentials may not do this: use a standard API key, or the auth token",
    20008: "these are test credentials: use the account's own",
    20404: "there is no such account: check account_sid, and that base_url is of the region it belongs to",
}

#: Twilio took nothing, and will.
_RETRY = {
    20429: "too many requests at once",
    21611: "the sender's queue at Twilio is full: lower the connection's `limit`, or send by a messaging service",
}

#: This message is wrong. Twilio's own words name the number, so these are ours.
_DEAD = {
    21211: "`to` is no number that can be called: correct it",
    21212: "the sender isn't valid: set `from` to a number of this account",
    21265: "`to` is a short code, which takes no messages from others",
    21266: "`to` and `from` are the same number",
    21408: "the account may not send to that country: allow it under Messaging, Settings, Geo permissions",
    21602: "the text is empty",
    21604: "`to` is missing",
    21606: "the sender can't send text messages to that country, or isn't of this account: set another `from`",
    21608: "a trial account sends to verified numbers only: verify the number in Twilio's console, or upgrade",
    21609: "`status_callback` isn't an address that Twilio can call: correct it",
    21610: "this person has sent STOP: send them nothing again unless they send START themselves",
    21612: "Twilio has no way from this sender to that number: try another `from`",
    21614: "`to` is no mobile number, so it takes no text messages: correct it",
    21617: "the text is longer than 1600 characters: use `| truncate(1600)`",
    21619: "the text is empty: give `body`, `media_urls` or `content_sid`",
    21620: "one of `media_urls` isn't an address that Twilio can fetch: correct it",
    21623: "there are more than ten `media_urls`",
    21635: "`to` is a landline, which takes no text messages: correct it",
    21654: "there is no such template: check `content_sid`",
    21655: "`content_sid` isn't valid: it is HX and 32 characters",
    21656: "the template doesn't take these `variables`: compare them with its placeholders",
    21659: "`from` is no number of Twilio's: set one of this account",
    21660: "`from` belongs to another account: set one of this account",
    21661: "`from` can't send text messages: set another",
    21701: "there is no such messaging service: check `messaging_service_sid`",
    21703: "the messaging service has no sender: give it one in Twilio's console",
    21704: "the messaging service has no sender: give it one in Twilio's console",
    21705: "`messaging_service_sid` isn't valid: it is MG and 32 characters",
    30007: "the text was filtered as unwanted: look into the sender's registration and the text",
    30034: "the sender isn't registered for US numbers (A2P 10DLC): register it in Twilio's console",
}

#: Twilio's states of a message that won't arrive.
_FAILED = frozenset({"failed", "undelivered", "canceled"})

#: What may be somebody's number in Twilio's words.
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")


def meaning(said: Said, redact: Callable[[str], str]) -> DeliveryError | None:
    """None leaves it to the status."""
    status = said.status
    body: Mapping[str, Any] = said.body if isinstance(said.body, Mapping) else {}
    if 200 <= status < 300:
        return _accepted(said, body, redact)
    code = body.get("code") if type(body.get("code")) is int else 0
    if status == 429 or code in _RETRY:
        return said.retry(_RETRY.get(code or 0, _RETRY[20429]), f"twilio {code}" if code else "http 429")
    if status >= 500:
        if status == 503 and said.header("retry-after"):
            return None  # it says itself that it took nothing and wants it again
        message = "it may have been sent; look into Twilio's message log before it is sent again"
        return said.unknown(message, f"http {status}")
    if not code:
        return None
    assert isinstance(code, int)
    if code in _HOLD:
        return said.hold(_HOLD[code], f"twilio {code}")
    words = _words(body.get("message"), code, redact)
    if status in (401, 403) and code not in _DEAD:
        return said.hold(f"{words}; check the credentials and what they may do", f"twilio {code}")
    # 410 and the like are as dead as 400: one message's, not the connection's.
    return said.permanent(words, f"twilio {code}")


def _accepted(said: Said, body: Mapping[str, Any], redact: Callable[[str], str]) -> DeliveryError | None:
    if said.received.cut:
        return None
    code, state = body.get("error_code"), body.get("status")
    if state in _FAILED or (isinstance(code, int) and code):
        number = code if isinstance(code, int) else 0
        why = _words(body.get("error_message"), number, redact) if number else "it doesn't say why"
        cause = f"twilio {number}" if number else f"twilio {state}"
        return said.permanent(f"the message is {state} already: {why}", cause)
    # An account, a list of messages, a message.
    if body.get("sid") or "messages" in body:
        return None
    return said.unknown("the answer names no message; look into Twilio's message log", "twilio names no message")


def _words(message: Any, code: int, redact: Callable[[str], str]) -> str:
    said = _DEAD.get(code) or _NUMBER.sub("…", one_line(message or "no reason is given", redact))
    return f"{said} (code {code}, https://www.twilio.com/docs/api/errors/{code})"
