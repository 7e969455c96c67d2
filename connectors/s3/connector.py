"""S3 drops: one object for each delivery or batch, at AWS or any server that speaks S3's protocol."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlencode

from connectors.common.api import ApiConnector, Said
from connectors.files.folder import safe_parts
from connectors.files.tabular import merged_rows
from connectors.guides.s3 import GUIDE
from connectors.s3.answers import code_of, judged
from connectors.s3.config import S3Config
from connectors.s3.fields import Beside, S3CsvFields, S3JsonFields, S3JsonlFields, S3TextFields, S3XmlFields
from connectors.s3.sign import signed
from relay.connector import Action, Call, Check, Example, Outgoing
from relay.errors import DeliveryError, PermanentError
from relay.http import HIDDEN, HttpRequest, Received, base_headers, sort_response
from relay.model import Reply

_LONGEST_KEY_BYTES = 1024
#: How much of the delivery's key stands in an object's.
_PIECE = 10
#: The content's hash as metadata of ours: an ETag tells nothing of content that is encrypted with a KMS key.
_OUR_HASH = "x-amz-meta-relay-sha256"


@dataclass(frozen=True, slots=True)
class Put(Outgoing):
    """One object. The same key for every attempt, so a repeat finds the earlier one's.

    own  the key holds a piece of the delivery's: nobody else writes there
    """

    key: str
    url: str
    headers: Mapping[str, str]
    data: bytes = field(repr=False)
    own: bool
    shown: Mapping[str, Any]

    def preview(self) -> dict[str, Any]:
        headers = {**self.headers, "authorization": HIDDEN}
        return {"method": "PUT", "url": self.url, "headers": headers, **self.shown}


def _key(prefix: str, path: str, unique: bool, call: Call) -> str:
    """The same for every attempt of a delivery. Raises PermanentError where the path could lead elsewhere."""
    *above, name = safe_parts(path.lstrip("/"))
    if unique and call.idempotency_key not in path and call.delivery_id not in path:
        piece = "".join(c for c in call.idempotency_key if c.isascii() and c.isalnum())[-_PIECE:]
        stem, dot, extension = name.rpartition(".")
        name = f"{stem}_{piece}.{extension}" if stem else f"{dot}{extension}_{piece}"
    return "/".join(part for part in (prefix.strip("/"), *above, name) if part)


class _Write(Action[S3Config, Any, Put]):
    """What the formats share."""

    idempotent = True

    def put(self, fields: Any, call: Call, data: bytes, content_type: str, shown: Mapping[str, Any]) -> Put:
        assert isinstance(fields, Beside)
        config = self.config
        key = _key(config.prefix, fields.path, fields.unique, call)  # type: ignore[attr-defined]  # all four kinds of fields have both
        if len(key.encode()) > _LONGEST_KEY_BYTES:
            raise PermanentError("the key is longer than 1,024 bytes", cause="path refused")
        digest = hashlib.sha256(data)
        headers = {
            "content-type": fields.content_type or content_type,
            "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
            _OUR_HASH: digest.hexdigest(),
            **{f"x-amz-meta-{name.lower()}": str(value).strip() for name, value in fields.metadata.items()},
        }
        if fields.tags:
            headers["x-amz-tagging"] = urlencode({n: str(v) for n, v in fields.tags.items()}, quote_via=quote)
        if config.only_new:
            headers["if-none-match"] = "*"
        asked = {
            "x-amz-server-side-encryption": config.encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": config.kms_key,
            "x-amz-storage-class": config.storage_class,
        }
        headers |= {name: value for name, value in asked.items() if value is not None}
        own = fields.unique or any(one in key for one in (call.idempotency_key, call.delivery_id))
        return Put(key, config.url(key), headers, data, own, shown)

    async def send(self, outgoing: Put, call: Call) -> Reply:
        return await cast("S3", self.connection).put(outgoing, call)


class Csv(_Write):
    name = "csv"
    summary = "Write a CSV object of its own for the delivery or the batch."
    With = S3CsvFields
    batchable = True
    row_fields = ("row", "rows", "columns")
    examples = (
        Example(
            "A row",
            {"path": "chats/2026-04-03.csv", "row": {"Name": "Ana", "Rating": 2}, "tags": {"team": "admissions"}},
        ),
        Example("Several rows", {"path": "chats.csv", "rows": [{"Name": "Ana", "Rating": 2}, {"Name": "Ben"}]}),
    )

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "row", "rows")

    def prepare(self, fields: S3CsvFields, call: Call) -> Put:
        kind = f"text/csv; charset={fields.format.encoding}"
        return self.put(fields, call, fields.whole(), kind, fields.preview())


class Jsonl(_Write):
    name = "jsonl"
    summary = "Write a JSON Lines object of its own for the delivery or the batch."
    With = S3JsonlFields
    batchable = True
    row_fields = ("record", "records")
    examples = (Example("One record", {"path": "chats/chat.jsonl", "record": {"name": "Ana", "rating": 2}}),)

    @classmethod
    def merged(cls, many: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return merged_rows(many, "record", "records")

    def prepare(self, fields: S3JsonlFields, call: Call) -> Put:
        data = fields.lines()
        return self.put(fields, call, data, "application/x-ndjson", {"records": fields.all_records()})


class Json(_Write):
    name = "json"
    summary = "Write a JSON object of its own for the delivery."
    With = S3JsonFields
    examples = (Example("An object for each delivery", {"path": "chats/chat.json", "content": {"name": "Ana"}}),)

    def prepare(self, fields: S3JsonFields, call: Call) -> Put:
        return self.put(fields, call, fields.whole(), "application/json", {"json": fields.content})


class Xml(_Write):
    name = "xml"
    summary = "Write an XML object of its own for the delivery."
    With = S3XmlFields
    examples = (
        Example(
            "An object for each delivery",
            {"path": "chat.xml", "root": "chat", "content": {"@id": 7, "name": "Ana"}},
        ),
    )

    def prepare(self, fields: S3XmlFields, call: Call) -> Put:
        data = fields.whole()
        return self.put(fields, call, data, "application/xml", {"xml": data.decode(fields.encoding, "replace")})


class Text(_Write):
    name = "text"
    summary = "Write a text object of its own for the delivery."
    With = S3TextFields
    examples = (Example("A transcript", {"path": "chats/chat.txt", "text": "Ana: hello\n"}),)

    def prepare(self, fields: S3TextFields, call: Call) -> Put:
        try:
            data = fields.text.encode()
        except UnicodeEncodeError:
            raise PermanentError("the text holds half a character (a lone surrogate)", cause="not utf-8") from None
        return self.put(fields, call, data, "text/plain; charset=utf-8", {"text": fields.text})


class S3(ApiConnector[S3Config]):
    name = "s3"
    summary = (
        "S3 drops: objects in a bucket of AWS, Cloudflare R2, MinIO or Ceph; no other object's place is ever taken."
    )
    Config = S3Config
    actions = (Csv, Jsonl, Json, Xml, Text)
    guide = GUIDE
    hold_on: ClassVar[frozenset[int]] = frozenset({401, 403})
    example: ClassVar[Mapping[str, Any]] = {
        "connector": "s3",
        "bucket": "example-drops",
        "region": "eu-west-2",
        "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        "secret_access_key": "${S3_SECRET}",
    }

    def judge(self, said: Said) -> DeliveryError | None:
        return judged(said)

    async def put(self, outgoing: Put, call: Call) -> Reply:
        """Raises a DeliveryError sorted by fate."""
        received = await self.exchange("PUT", outgoing.url, call.timeout, outgoing.headers, outgoing.data)
        about = f"{outgoing.key} ({len(outgoing.data)} bytes)"
        body = {"bucket": self.config.bucket, "key": outgoing.key, "bytes": len(outgoing.data)}
        if received.status == 412 and self.config.only_new:
            await self._found(outgoing, call)
            summary = f"{about} is there already, from an earlier attempt"
            record = received.record(self.sorting.redact)
            return Reply(body={**body, "fresh": False}, summary=summary, status=412, received=record)
        reply = self.sorted(received)
        etag = received.headers.get("etag", "").strip('"')
        return Reply(
            body={**body, "etag": etag, "fresh": True},
            summary=f"wrote {about}",
            status=reply.status,
            received=reply.received,
        )

    async def _found(self, outgoing: Put, call: Call) -> None:
        """Raises PermanentError where another object has the key's place."""
        asked = {"x-amz-checksum-mode": "ENABLED"}
        there = await self.exchange("HEAD", outgoing.url, call.timeout, asked)
        if there.status == 403 and outgoing.own:
            return  # credentials that may only write; and only this delivery writes there
        if there.status == 404 or there.status in self.sorting.retry_on or there.status >= 500:
            raise self._said(there).retry("whether the object is there can't be seen", "s3 object can't be seen")
        same = there.headers.get("content-length") == str(len(outgoing.data)) and (
            there.headers.get(_OUR_HASH) == outgoing.headers[_OUR_HASH]
            or there.headers.get("x-amz-checksum-sha256") == outgoing.headers["x-amz-checksum-sha256"]
            or there.headers.get("etag", "").strip('"') == hashlib.md5(outgoing.data, usedforsecurity=False).hexdigest()
        )
        if not same:
            what = "can't be looked at" if there.status == 403 else "has other content"
            raise PermanentError(
                f"{outgoing.key} is there already, {what}, and is left as it is; put something of the event into the "
                "path, or leave `unique` on",
                status=412,
                cause="object is there already",
            )

    async def exchange(
        self, method: str, url: str, timeout: timedelta, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Received:
        plain = {**base_headers(), **(headers or {})}
        # Now, and not the event's moment: the server compares it with its clock.
        proven = signed(method, url, plain, content, self.config.credentials(), datetime.now(UTC))
        return await self.client.send(HttpRequest(method, url, proven, content), timeout=timeout, idempotent=True)

    async def check(self, timeout: timedelta) -> Check:
        """Lists nothing of the bucket. A HEAD would do, but its refusal has no code that tells what is wrong."""
        config = self.config
        received = await self.exchange("GET", f"{config.bucket_url}/?list-type=2&max-keys=0", timeout)
        said = self._said(received)
        if received.status == 403 and code_of(said) == "AccessDenied":
            return Check(
                f"{received.host} knows the access key",
                (
                    (
                        "the credentials may not list the bucket, so it couldn't be looked at (s3:ListBucket, which "
                        "deliveries don't need); see that they may s3:PutObject"
                    ),
                ),
            )
        if not 200 <= received.status < 300:
            raise judged(said) or self._unsorted(received)
        return Check(f"{received.host} has the bucket {config.bucket}, and lets us in")

    def _unsorted(self, received: Received) -> DeliveryError:
        try:
            sort_response(received, self.sorting)
        except DeliveryError as error:
            return error
        raise AssertionError("only refusals come here")
