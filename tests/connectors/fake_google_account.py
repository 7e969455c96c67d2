"""Google's token endpoint, for one service account (RFC 7523): it looks at all that a JWT says and who signed it."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from relay.testing import Answer, Recorded

EMAIL = "relay@my-project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@cache
def _key() -> rsa.RSAPrivateKey:
    # Google's have 2048 bits; half of it makes a hundred tests quicker.
    return rsa.generate_private_key(public_exponent=65537, key_size=1024)


class FakeAccount:
    """tokens     that were given, and when they run out
    clock      what time it is at Google
    """

    def __init__(self) -> None:
        self.tokens: dict[str, float] = {}
        self.grants = 0
        self.clock: Any = time.time

    @staticmethod
    def key_file(url: str) -> str:
        pem = _key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = {"type": "service_account", "project_id": "my-project", "private_key_id": "0123456789abcdef0123"}
        more = {"private_key": pem.decode(), "client_email": EMAIL, "token_uri": f"{url}/token"}
        return json.dumps(info | more)

    def token(self, request: Recorded) -> Answer:
        def refused(error: str, description: str) -> Answer:
            return Answer(400, {"error": error, "error_description": description})

        if request.method != "POST" or request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return refused("invalid_request", "Bad Request")
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if set(form) != {"grant_type", "assertion"} or form["grant_type"] != GRANT:
            return refused("unsupported_grant_type", "Invalid grant_type: " + form.get("grant_type", ""))
        parts = form["assertion"].split(".")
        if len(parts) != 3:
            return refused("invalid_grant", "Bad Request")
        head, claims, signature = (urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts)
        told, said = json.loads(head), json.loads(claims)
        if told.get("alg") != "RS256" or told.get("typ") != "JWT":
            return refused("invalid_grant", "Invalid JWT: unsupported algorithm.")
        try:
            text = ".".join(parts[:2]).encode()
            _key().public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return refused("invalid_grant", "Invalid JWT Signature.")
        if said.get("iss") != EMAIL:
            return refused("invalid_grant", "Invalid grant: account not found")
        if said.get("aud") != AUDIENCE:
            return refused("invalid_grant", "Invalid JWT: Failed audience check.")
        now = self.clock()
        if not now - 300 < said["iat"] < now + 300 or not now < said["exp"] <= said["iat"] + 3600:
            return refused(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your "
                "iat and exp values in the JWT claim.",
            )
        if said.get("scope") != SCOPE:
            return refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        self.grants += 1
        token = f"ya29.s3cret-token-{self.grants}"
        self.tokens[token] = now + 3599
        return Answer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})
