"""A receiver as the libraries of Standard Webhooks and of Svix make one: it checks each message and acts once on it."""

from __future__ import annotations

import svix
from standardwebhooks import Webhook as Judge

from relay.testing import Answer, Recorded, RecordingServer

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEWER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDEkmwLpk8g50="


class Receiver:
    """`with Receiver() as receiver:` then `receiver.url`; what it acted on is in `receiver.acted`."""

    def __init__(self, secret: str = SECRET) -> None:
        self.secret = secret
        self.acted: dict[str, bytes] = {}
        self.server = RecordingServer(default=self._answer)

    @property
    def url(self) -> str:
        return f"{self.server.url}/hooks"

    def _answer(self, request: Recorded) -> Answer:
        if request.method != "POST" or request.path != "/hooks":
            return Answer(404, {"error": "not a webhook's address"})
        if request.headers.get("content-type") != "application/json":
            return Answer(415, {"error": "application/json only"})
        try:
            judge(self.secret, request)
        except Exception as error:
            return Answer(401, {"error": str(error)})
        self.acted.setdefault(request.headers["webhook-id"], request.body)
        return Answer(204)

    def __enter__(self) -> Receiver:
        self.server.__enter__()
        return self

    def __exit__(self, *why: object) -> None:
        self.server.__exit__(None, None, None)
        assert not self.server.complaints


def judge(secret: str, request: Recorded) -> None:
    """Raises what the libraries raise where the message isn't signed with this secret."""
    headers = dict(request.headers)
    Judge(secret).verify(request.body, headers)
    svix.Webhook(secret).verify(request.body, headers)
