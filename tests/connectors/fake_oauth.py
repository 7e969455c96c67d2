"""A strict token endpoint (RFC 6749, RFC 7523): it refuses what the standard lets it refuse, in the standard's words.

PyJWT is the judge of assertions, not the code that made them.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from relay.testing.server import Answer, Recorded

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "app-1", "s3cret/+& pass", "refresh-s3cret"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@lru_cache(maxsize=2)
def a_key(number: int = 0) -> tuple[str, str]:
    """(private, public) in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class FakeOAuth:
    """Give it to RecordingServer as `default`. The n-th token is `token-n`, with what makes it recognisable as secret.

    given     how many tokens it has given out
    rotates   each refresh token is good once, and the answer has the next
    reply     what stands in the answer beside the token
    """

    path = "/oauth/token"

    def __init__(self, *, audience: str = "", subject: str = "", expires_in: Any = 3600, rotates: bool = False) -> None:
        self.given = 0
        self.rotates = rotates
        self.refresh_token = REFRESH_TOKEN
        self.audience, self.subject = audience, subject
        self.reply: dict[str, Any] = {"token_type": "Bearer"}
        if expires_in is not None:
            self.reply["expires_in"] = expires_in

    @property
    def token(self) -> str:
        return f"token-s3cret-{self.given}"

    def __call__(self, request: Recorded) -> Answer:
        problem = self._problem(request)
        if problem:
            status = 401 if problem == "invalid_client" else 400
            return Answer(status, {"error": problem, "error_description": "the fake refuses this"})
        self.given += 1
        reply = {"access_token": self.token, **self.reply}
        if self.rotates:
            self.refresh_token = reply["refresh_token"] = f"{REFRESH_TOKEN}-{self.given}"
        return Answer(200, reply, {"Cache-Control": "no-store"})

    def _problem(self, request: Recorded) -> str:
        if (request.method, request.target) != ("POST", self.path):
            return "invalid_request"
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return "invalid_request"
        pairs = parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        form = dict(pairs)
        if len(form) != len(pairs):  # 3.2: parameters must not be included more than once
            return "invalid_request"
        grant = form.pop("grant_type", "")
        if grant == JWT_BEARER:
            return self._wrong_assertion(form)
        wrong = _wrong_client(request.headers, form)
        if wrong:
            return wrong
        if grant == "refresh_token":
            return "" if form.pop("refresh_token", "") == self.refresh_token else "invalid_grant"
        if grant != "client_credentials":
            return "unsupported_grant_type"
        form.pop("scope", "")
        return "invalid_request" if form else ""

    def _wrong_assertion(self, form: dict[str, str]) -> str:
        if set(form) != {"assertion"}:
            return "invalid_request"
        try:
            claims = jwt.decode(
                form["assertion"],
                a_key()[1],
                algorithms=["RS256"],
                audience=self.audience,
                issuer=CLIENT_ID,
                options={"require": ["iss", "sub", "aud", "exp"]},
            )
        except jwt.InvalidTokenError:
            return "invalid_grant"
        return "" if claims["sub"] == self.subject else "invalid_grant"


def _wrong_client(headers: Mapping[str, str], form: dict[str, str]) -> str:
    given = (form.pop("client_id", ""), form.pop("client_secret", ""))
    if "authorization" in headers:
        if any(given):  # 2.3: not more than one way in a request
            return "invalid_request"
        scheme, _, pair = headers["authorization"].partition(" ")
        name, _, secret = b64decode(pair, validate=True).decode().partition(":")
        given = (unquote_plus(name), unquote_plus(secret)) if scheme == "Basic" else ("", "")
    return "" if given == (CLIENT_ID, CLIENT_SECRET) else "invalid_client"
