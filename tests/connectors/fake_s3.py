"""S3 as far as one bucket goes: it refuses what S3 refuses, with S3's errors. botocore's signer judges signatures."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from relay.testing import Answer, Recorded

KEY_ID, SECRET, REGION, BUCKET = (
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "eu-west-2",
    "drops",
)
_KNOWN = {
    "accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "if-none-match",
    "user-agent", "x-amz-checksum-mode", "x-amz-checksum-sha256", "x-amz-content-sha256", "x-amz-date",
    "x-amz-security-token", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class", "x-amz-tagging",
}  # fmt: skip


def error(status: int, code: str, more: dict[str, str] | None = None, words: str = "words of the server") -> Answer:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{words}</Message></Error>'
    return Answer(status, body, {"content-type": "application/xml", **(more or {})})


@dataclass
class Kept:
    data: bytes
    headers: dict[str, str]


@dataclass
class FakeS3:
    """may_read: whether the credentials may look at what is there. checksums: whether it keeps and tells them."""

    token: str = ""
    may_read: bool = True
    tells: bool = True
    objects: dict[str, Kept] = field(default_factory=dict)

    def __call__(self, request: Recorded) -> Answer:
        refused = self._signature(request)
        if refused is not None:
            return refused
        path = urlsplit(request.target).path
        _, bucket, key = path.split("/", 2)
        if bucket != BUCKET:
            return error(404, "NoSuchBucket")
        key = unquote(key)
        if not key:
            return self._list(request)
        if request.method == "HEAD":
            return self._head(key)
        if request.method != "PUT":
            return error(405, "MethodNotAllowed")
        return self._put(key, request)

    def _list(self, request: Recorded) -> Answer:
        if request.method != "GET" or dict(request.query).get("list-type") != "2":
            return error(405, "MethodNotAllowed")
        return Answer(200, "<ListBucketResult/>", {"etag": "x"}) if self.may_read else error(403, "AccessDenied")

    def _head(self, key: str) -> Answer:
        if not self.may_read:
            return Answer(403)
        kept = self.objects.get(key)
        if kept is None:
            return Answer(404)
        told = kept.headers if self.tells else {}
        return Answer(200, kept.data, {"etag": f'"{hashlib.md5(kept.data).hexdigest()}"', **told})

    def _put(self, key: str, request: Recorded) -> Answer:
        headers = request.headers
        if len(key.encode()) > 1024:
            return error(400, "KeyTooLongError")
        unknown = [one for one in headers if one not in _KNOWN and not one.startswith("x-amz-meta-")]
        if unknown:
            return error(400, "InvalidArgument", words=f"{unknown}")
        if len(parse_qsl(headers.get("x-amz-tagging", ""), strict_parsing=bool(headers.get("x-amz-tagging")))) > 10:
            return error(400, "InvalidTag")
        digest = hashlib.sha256(request.body)
        if headers.get("x-amz-checksum-sha256", "") != base64.b64encode(digest.digest()).decode():
            return error(400, "BadDigest")
        if headers.get("if-none-match") == "*" and key in self.objects:
            return error(412, "PreconditionFailed")
        kept = {one: value for one, value in headers.items() if one.startswith(("x-amz-meta-", "x-amz-checksum-sha"))}
        self.objects[key] = Kept(request.body, kept)
        return Answer(200, b"", {"etag": f'"{hashlib.md5(request.body).hexdigest()}"'})

    def _signature(self, request: Recorded) -> Answer | None:
        headers = request.headers
        proof = headers.get("authorization", "")
        if not proof.startswith("AWS4-HMAC-SHA256 Credential="):
            return error(403, "AccessDenied")
        parts = dict(part.strip().split("=", 1) for part in proof.removeprefix("AWS4-HMAC-SHA256 ").split(","))
        key_id, _, region, service, end = parts["Credential"].split("/")
        if key_id != KEY_ID:
            return error(403, "InvalidAccessKeyId")
        if (region, service, end) != (REGION, "s3", "aws4_request"):
            return error(400, "AuthorizationHeaderMalformed", {"x-amz-bucket-region": REGION})
        stamp = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs((datetime.now(UTC) - stamp).total_seconds()) > 900:
            return error(403, "RequestTimeTooSkewed")
        if headers.get("x-amz-security-token", "") != self.token:
            return error(400, "InvalidToken")
        if headers["x-amz-content-sha256"] != hashlib.sha256(request.body).hexdigest():
            return error(400, "XAmzContentSHA256Mismatch")
        signed = parts["SignedHeaders"].split(";")
        lacking = [one for one in headers if (one.startswith("x-amz-") or one == "host") and one not in signed]
        if lacking:
            return error(403, "AccessDenied", words=f"not signed: {lacking}")
        if judged(request.method, f"http://{headers['host']}{request.target}", headers, signed) != parts["Signature"]:
            return error(403, "SignatureDoesNotMatch")
        return None


def judged(
    method: str, url: str, headers: object, signed: list[str], secret: str = SECRET, region: str = REGION
) -> str:
    """botocore's signature of a request that came, by the headers it says are signed."""
    given = dict(headers)  # type: ignore[call-overload]
    # S3 encodes the decoded path anew, so that a `&` or `(` which came as it is makes no difference.
    parts = urlsplit(url)
    url = parts._replace(path=quote(unquote(parts.path), safe="/-_.~")).geturl()
    asked = AWSRequest(method, url, headers={name: given[name] for name in signed})
    asked.context["timestamp"] = given["x-amz-date"]
    signer = S3SigV4Auth(Credentials(KEY_ID, secret), "s3", region)
    signer.headers_to_sign = lambda request: request.headers  # type: ignore[method-assign]
    return str(signer.signature(signer.string_to_sign(asked, signer.canonical_request(asked)), asked))
