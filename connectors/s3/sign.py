"""AWS Signature Version 4, as S3 wants it: the path is encoded once, and every header is signed.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
Ours, and not botocore's, which brings 15 MB of descriptions of other services; tests hold it to botocore's signer.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
_PORTS = {"http": 80, "https": 443}
#: Proxies change these on the way.
_UNSIGNED = frozenset({"user-agent", "accept", "accept-encoding", "expect"})


@dataclass(frozen=True, slots=True)
class Credentials:
    key_id: str
    secret: str = field(repr=False)
    region: str
    token: str = field(default="", repr=False)


def encoded(key: str) -> str:
    """An object's key as a path.

    aiohttp sends some of it plain (`&`, `=`, `(`, …): a server signs the path that it has decoded and encoded anew.
    """
    return quote(key, safe="/-_.~")


def signed(
    method: str, url: str, headers: Mapping[str, str], content: bytes, credentials: Credentials, now: datetime
) -> dict[str, str]:
    """The headers (lower-case names) with those that prove who we are."""
    parts = urlsplit(url)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(content).hexdigest()
    given = {**headers, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    if credentials.token:
        given["x-amz-security-token"] = credentials.token
    own_port = parts.port in (None, _PORTS[parts.scheme])
    host = (f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname) or ""
    signing = {name: " ".join(value.split()) for name, value in given.items() if name not in _UNSIGNED}
    signing["host"] = host if own_port else f"{host}:{parts.port}"
    names = ";".join(sorted(signing))
    lines = "".join(f"{name}:{signing[name]}\n" for name in sorted(signing))
    query = "&".join(sorted(pair if "=" in pair else f"{pair}=" for pair in parts.query.split("&") if pair))
    canonical = "\n".join((method, parts.path or "/", query, lines, names, digest))
    scope = f"{stamp[:8]}/{credentials.region}/{_SERVICE}/aws4_request"
    text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret}".encode()
    for piece in scope.split("/"):
        key = hmac.digest(key, piece.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    proof = f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**given, "authorization": proof}
