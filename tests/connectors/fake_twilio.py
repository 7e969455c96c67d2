"""Twilio's messages and accounts: the parameters of its SDK (PyPI's twilio 9.13.0), the errors of its pages of codes.

The magic numbers are those of Twilio's test credentials.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from relay.testing.server import Answer, Recorded

ACCOUNT = "AC" + "0" * 31 + "1"
KEY = "SK" + "0" * 31 + "2"
SERVICE = "MG" + "0" * 31 + "3"
TEMPLATE = "HX" + "0" * 31 + "4"
FROM = "+15005550006"

_FORM = {
    "To", "StatusCallback", "ApplicationSid", "ProvideFeedback", "Attempt", "ValidityPeriod", "ForceDelivery",
    "ContentRetention", "AddressRetention", "SmartEncoded", "PersistentAction", "TrafficType", "ShortenUrls",
    "ScheduleType", "SendAt", "SendAsMms", "ContentVariables", "MessageIntent", "RiskCheck", "From", "FallbackFrom",
    "MessagingServiceSid", "Body", "MediaUrl", "ContentSid",
}  # fmt: skip
_TO = {
    "+15005550001": (21211, "Invalid 'To' Phone Number: +1500555XXXX"),
    "+15005550002": (21612, "Message cannot be sent with the current combination of 'To' and/or 'From' parameters"),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region indicated by the 'To'"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number +15005550009 is not a valid mobile number"),
    "+15005550010": (21608, "The number +15005550010 is unverified. Trial accounts cannot send to unverified numbers"),
}
_FROM = {
    "+15005550007": (21606, "The 'From' phone number provided (+15005550007) is not a valid message-capable number"),
    "+15005550001": (21212, "Invalid From Number (caller ID): +15005550001"),
    "+15005550008": (21611, "This 'From' number has exceeded the maximum number of queued messages"),
}


def refused(status: int, code: int, message: str = "no") -> Answer:
    info = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(status, {"code": code, "message": message, "more_info": info, "status": status})


@dataclass
class FakeTwilio:
    """`RecordingServer(default=FakeTwilio().answer)`. A key sees messages, and no account, as a standard one does."""

    auth_token: str = "s3cret-auth/token"
    key_secret: str = "s3cret-key"
    status: str = "active"
    type: str = "Full"
    messages: list[dict[str, str]] = field(default_factory=list)

    def answer(self, request: Recorded) -> Answer:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        known = {f"{ACCOUNT}:{self.auth_token}": True, f"{KEY}:{self.key_secret}": False}
        owner = known.get(b64decode(pair).decode()) if scheme == "Basic" else None
        if owner is None:
            return refused(401, 20003, "Authenticate")
        place = re.fullmatch(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})(/Messages)?\.json", request.path)
        if place is None or place[1] != ACCOUNT:
            return refused(404, 20404, f"The requested resource {request.path} was not found")
        if request.method == "GET" and not place[2]:
            return self._account() if owner else refused(401, 20003, "Authenticate")
        if request.method == "GET":
            return Answer(200, {"messages": [], "page_size": 1, "page": 0})
        if not place[2] or request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return refused(405, 20004, "Method not allowed")
        return self._sent(parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True))

    def _account(self) -> Answer:
        body = {"sid": ACCOUNT, "friendly_name": "ACME", "status": self.status, "type": self.type}
        return Answer(200, {**body, "auth_token": self.auth_token, "uri": f"/2010-04-01/Accounts/{ACCOUNT}.json"})

    def _sent(self, pairs: list[tuple[str, str]]) -> Answer:
        form = dict(pairs)
        media = [value for name, value in pairs if name == "MediaUrl"]
        assert set(form) <= _FORM, form
        assert len(form) + max(len(media) - 1, 0) == len(pairs), "a field is given twice"
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", form.get("To", "")):
            return refused(400, 21211, f"Invalid 'To' Phone Number: {form.get('To')}")
        sender, service = form.get("From", ""), form.get("MessagingServiceSid", "")
        if not sender and not service:
            return refused(400, 21603, "A 'From' phone number is required.")
        if service and service != SERVICE:
            return refused(400, 21701, "The Messaging Service does not exist")
        if sender in _FROM:
            return refused(429 if sender == "+15005550008" else 400, *_FROM[sender])
        if form["To"] in _TO:
            return refused(400, *_TO[form["To"]])
        if wrong := _wrong_content(form, media):
            return refused(400, *wrong)
        self.messages.append(form)
        return Answer(201, message(sid=f"SM{len(self.messages):032d}", to=form["To"], body=form.get("Body", "")))


def message(**more: Any) -> dict[str, Any]:
    body = {"sid": "SM" + "0" * 32, "status": "queued", "error_code": None, "error_message": None}
    return {**body, "account_sid": ACCOUNT, "direction": "outbound-api", "num_segments": "1", **more}


def _wrong_content(form: dict[str, str], media: list[str]) -> tuple[int, str] | None:
    if "ContentVariables" in form:
        variables = json.loads(form["ContentVariables"])
        if "ContentSid" not in form or not all(isinstance(value, str) for value in variables.values()):
            return 21656, "The ContentVariables Parameter is invalid."
    if form.get("ContentSid", TEMPLATE) != TEMPLATE:
        return 21654, "The ContentSid does not exist"
    if not ("ContentSid" in form or form.get("Body") or media):
        return 21602, "Message body is required."
    if len(form.get("Body", "")) > 1600:
        return 21617, "The concatenated message body exceeds the 1600 character limit"
    if len(media) > 10:
        return 21623, "Number of media files exceeds allowed limit"
    if not 1 <= int(form.get("ValidityPeriod", "36000")) <= 36_000:
        return 30036, "Validity Period expired"
    return None
