from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from pydantic import ValidationError

from connectors.s3.connector import S3
from connectors.s3.sign import Credentials, encoded, signed
from relay.connector import Call, Context
from relay.errors import DeliveryError, HoldError, PermanentError, RetryableError
from relay.model import Reply
from relay.testing import HttpConnectorContract, RecordingServer
from tests.connectors.fake_s3 import BUCKET, KEY_ID, REGION, SECRET, FakeS3, Kept, error, judged

KEY = "dlv_0123456789abcdefghjkmnpq"
PIECE = KEY[-10:]
CALL = Call(KEY, KEY, timeout=timedelta(seconds=10))


def config_for(url: str) -> dict[str, Any]:
    return {
        "connector": "s3",
        "base_url": url,
        "allow_private": True,
        "bucket": BUCKET,
        "region": REGION,
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
    }


class TestContract(HttpConnectorContract):
    connector = S3
    idempotent = True
    forbidden_holds = True

    def config_for(self, url: str) -> Mapping[str, Any]:
        return config_for(url)

    async def test_a_2xx_is_a_delivery(self) -> None:
        """With an ETag: a login page says 200 too."""
        with RecordingServer() as server:
            server.answer(200, headers={"ETag": '"abc"'})
            async with self._connected(server.url) as connection:
                reply = await send(connection)  # type: ignore[arg-type]
            assert reply.body["etag"] == "abc"  # type: ignore[index,call-overload]
            server.answer(200, "<html>please log in</html>")
            assert (await self._failure(server.url)).cause == "s3 no etag"

    async def test_every_attempt_sends_the_same_request(self) -> None:
        """Its proof carries the time it was made, so all but that."""
        with RecordingServer(FakeS3()) as server, RecordingServer(FakeS3()) as other:
            for one in (server, other):
                async with self._connected(one.url) as connection:
                    await send(connection)  # type: ignore[arg-type]
            first, second = ({**one.requests[0].headers} for one in (server, other))
        for headers in (first, second):
            for name in ("x-amz-date", "authorization", "host"):
                del headers[name]
        assert first == second


@contextlib.asynccontextmanager
async def connected(server: RecordingServer | str, **more: Any) -> AsyncIterator[S3]:
    url = server if isinstance(server, str) else server.url
    made = S3(S3.Config.model_validate({**config_for(url), **more}), Context())
    try:
        yield made
    finally:
        await made.aclose()


async def send(made: S3, do: str = "text", call: Call = CALL, **fields: Any) -> Reply:
    if do == "text":
        fields = {"path": "chats/a.txt", "text": "hello", **fields}
    return await made.send(do, made.outgoing(do, fields, call), call)


async def refused(made: S3, do: str = "text", **fields: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(made, do, **fields)
    return caught.value


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


@pytest.fixture
def server(s3: FakeS3) -> Iterator[RecordingServer]:
    with RecordingServer(s3) as made:
        yield made


# -- the signature


def test_the_signature_is_the_one_that_aws_publishes() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, `PUT Object`."""
    headers = {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
    url = "https://examplebucket.s3.amazonaws.com/" + encoded("test$file.text")
    proof = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET, "us-east-1")
    made = signed("PUT", url, headers, b"Welcome to Amazon S3.", proof, datetime(2013, 5, 24, tzinfo=UTC))
    assert made["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_signature_of_a_query_is_the_one_that_aws_publishes(query: str, signature: str) -> None:
    url = f"https://examplebucket.s3.amazonaws.com/{query}"
    proof = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET, "us-east-1")
    made = signed("GET", url, {}, b"", proof, datetime(2013, 5, 24, tzinfo=UTC))
    assert made["authorization"].endswith(signature)


@settings(max_examples=60, deadline=None)
@given(
    key=st.text(min_size=1, max_size=40),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    content=st.binary(max_size=40),
    port=st.sampled_from(["", ":80", ":9000"]),
)
def test_botocore_signs_alike(key: str, value: str, content: bytes, port: str) -> None:
    url = f"http://drops.example{port}/{encoded(key.encode('utf-8', 'replace').decode())}"
    headers = {"x-amz-meta-a": value, "content-type": "text/plain"}
    proof = Credentials(KEY_ID, SECRET, REGION, "token")
    made = signed("PUT", url, headers, content, proof, datetime(2026, 4, 3, tzinfo=UTC))
    given_ = {**made, "host": f"drops.example{port.removeprefix(':80')}" if port != ":9000" else "drops.example:9000"}
    names = made["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert made["authorization"].endswith(judged("PUT", url, given_, names))


# -- what arrives


async def test_every_format_arrives_under_a_key_that_is_the_deliverys_own(server: RecordingServer, s3: FakeS3) -> None:
    async with connected(server, prefix="/relay/in/") as made:
        csv = await send(made, "csv", path="a.csv", rows=[{"Näme": "Zoë"}], format={"encoding": "cp1252"})
        await send(made, "jsonl", path="/b.jsonl", records=[{"a": 1}, 2])
        await send(made, "json", path="c ü+&.json", content={"ü": [None]}, unique=False)
        await send(made, "xml", path="d.xml", root="r", content={"@a": 1}, unique=False)
        await send(made, text="Zoë", path=f"e/{KEY}")
    assert csv.body == {
        "bucket": BUCKET, "key": f"relay/in/a_{PIECE}.csv", "bytes": 9, "etag": csv.body["etag"], "fresh": True,
    }  # type: ignore[index,call-overload]  # fmt: skip
    assert {
        key: kept.data.decode("cp1252" if key.endswith("csv") else "utf-8") for key, kept in s3.objects.items()
    } == {
        f"relay/in/a_{PIECE}.csv": "Näme\nZoë\n",
        f"relay/in/b_{PIECE}.jsonl": '{"a":1}\n2\n',
        "relay/in/c ü+&.json": '{"ü":[null]}\n',
        "relay/in/d.xml": '<?xml version="1.0" encoding="UTF-8"?>\n<r a="1"/>\n',
        f"relay/in/e/{KEY}": "Zoë",
    }
    types = [one.headers["content-type"] for one in server.requests]
    assert types[:2] == ["text/csv; charset=cp1252", "application/x-ndjson"]


async def test_what_is_kept_beside_an_object(server: RecordingServer) -> None:
    more = {"encryption": "aws:kms", "kms_key": "arn:aws:kms:eu-west-2:1:key/a", "storage_class": "STANDARD_IA"}
    async with connected(server, **more) as made:
        await send(made, tags={"team": "a b&c", "ü": 1}, metadata={"Event-Id": 7}, content_type="text/markdown")
    headers = server.requests[0].headers
    assert headers["x-amz-tagging"] == "team=a%20b%26c&%C3%BC=1"
    assert headers["x-amz-meta-event-id"] == "7"
    assert headers["content-type"] == "text/markdown"
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:eu-west-2:1:key/a"
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert headers["if-none-match"] == "*"


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "../a"}, {"path": "a\n"}, {"path": "a/"}, {"path": "ü" * 250 + "/" + "ü" * 120 + "/" + "ü" * 200},
        {"path": "x/" * 520 + "a"}, {"text": "\ud800"}, {"metadata": {"a": "b\r\nc: d"}}, {"metadata": {"a b": 1}},
        {"metadata": {"a": "ü"}}, {"metadata": {"a": "x" * 2050}}, {"tags": {str(n): 1 for n in range(11)}},
        {"tags": {"": 1}}, {"tags": {"a": "x" * 257}}, {"content_type": "a\r\nb: c"},
    ],
)  # fmt: skip
async def test_what_s3_would_not_take_is_not_sent(server: RecordingServer, fields: dict[str, Any]) -> None:
    async with connected(server) as made:
        assert isinstance(await refused(made, **fields), PermanentError)
    assert server.requests == []


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({"base_url": ""}, "https://drops.s3.eu-west-2.amazonaws.com/a%20b/%C3%BC"),
        ({"base_url": "", "bucket": "a.b"}, "https://s3.eu-west-2.amazonaws.com/a.b/a%20b/%C3%BC"),
        ({"base_url": "", "addressing": "path"}, "https://s3.eu-west-2.amazonaws.com/drops/a%20b/%C3%BC"),
        ({"base_url": "https://m.example:9000/"}, "https://m.example:9000/drops/a%20b/%C3%BC"),
        ({"base_url": "https://m.example:9000", "addressing": "virtual"}, "https://drops.m.example:9000/a%20b/%C3%BC"),
    ],
)
def test_the_bucket_stands_in_the_host_or_in_the_path(config: dict[str, Any], url: str) -> None:
    said = {name: value for name, value in {**config_for("http://x"), **config}.items() if value}
    assert S3.Config.model_validate({**said, "allow_private": False}).url("a b/ü") == url


@pytest.mark.parametrize(
    "config",
    [
        {"bucket": "a/b"}, {"bucket": ""}, {"region": "a b"}, {"access_key_id": "a\nb"}, {"kms_key": "a"},
        {"base_url": "https://a/?b"}, {"session_token": "a\r\nb"}, {"storage_class": ""},
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        S3.Config.model_validate({**config_for("http://x"), **config})


# -- repeats


@pytest.mark.parametrize("instead", ["reset", "close", "hang"])
async def test_a_cut_line_is_tried_again_and_the_object_is_there_once(
    server: RecordingServer, s3: FakeS3, instead: str
) -> None:
    server.answer(instead=instead)  # type: ignore[arg-type]
    call = Call(KEY, KEY, timeout=timedelta(seconds=0.4))
    async with connected(server) as made:
        with pytest.raises(RetryableError):
            await send(made, call=call)
        assert (await send(made)).body["fresh"] is True  # type: ignore[index,call-overload]
        again = await send(made, call=Call(KEY, KEY, attempt=3))
    assert again.body["fresh"] is False  # type: ignore[index,call-overload]
    assert "is there already" in again.summary
    assert list(s3.objects) == [f"chats/a_{PIECE}.txt"]


@pytest.mark.parametrize("tells", [True, False])
async def test_an_earlier_attempts_object_is_known_by_its_hash_or_its_etag(
    server: RecordingServer, s3: FakeS3, tells: bool
) -> None:
    s3.tells = tells
    async with connected(server) as made:
        await send(made, unique=False)
        assert (await send(made, unique=False)).body["fresh"] is False  # type: ignore[index,call-overload]


async def test_somebody_elses_object_is_left_as_it_is(server: RecordingServer, s3: FakeS3) -> None:
    for content in (b"HELLO", b"longer than ours"):
        s3.objects["chats/a.txt"] = Kept(content, {})
        async with connected(server) as made:
            found = await refused(made, unique=False)
        assert isinstance(found, PermanentError)
        assert found.cause == "object is there already"
        assert s3.objects["chats/a.txt"].data == content


async def test_credentials_that_may_only_write_know_their_own_key(server: RecordingServer, s3: FakeS3) -> None:
    s3.may_read = False
    async with connected(server) as made:
        await send(made)
        assert (await send(made)).body["fresh"] is False  # type: ignore[index,call-overload]
        await send(made, path="b.txt", unique=False)
        assert "can't be looked at" in str(await refused(made, path="b.txt", unique=False))


async def test_an_object_that_is_gone_again_is_written_by_the_next_attempt(server: RecordingServer) -> None:
    server.answer(412)
    async with connected(server) as made:
        assert isinstance(await refused(made), RetryableError)
        await send(made)


async def test_a_server_without_conditions_overwrites_where_that_is_said(server: RecordingServer, s3: FakeS3) -> None:
    async with connected(server, only_new=False) as made:
        for text in ("one", "two"):
            await send(made, text=text)
    assert [kept.data for kept in s3.objects.values()] == [b"two"]


# -- refusals


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", HoldError), (404, "NoSuchBucket", HoldError), (403, "InvalidAccessKeyId", HoldError),
        (403, "SignatureDoesNotMatch", HoldError), (403, "RequestTimeTooSkewed", HoldError),
        (400, "ExpiredToken", HoldError), (400, "InvalidToken", HoldError), (301, "PermanentRedirect", HoldError),
        (501, "NotImplemented", HoldError), (400, "KMS.DisabledException", HoldError), (403, "Other", HoldError),
        (503, "SlowDown", RetryableError), (500, "InternalError", RetryableError),
        (400, "RequestTimeout", RetryableError),
        (503, "ServiceUnavailable", RetryableError), (409, "ConditionalRequestConflict", RetryableError),
        (400, "BadDigest", RetryableError), (307, "TemporaryRedirect", RetryableError), (503, "New", RetryableError),
        (507, "XMinioStorageFull", RetryableError), (400, "InvalidTag", PermanentError),
        (400, "KeyTooLongError", PermanentError), (400, "EntityTooLarge", PermanentError),
    ],
)  # fmt: skip
async def test_each_code_has_its_fate(status: int, code: str, kind: type[DeliveryError]) -> None:
    with RecordingServer(error(status, code, {"Retry-After": "7"}, words="s3cret")) as server:
        async with connected(server) as made:
            found = await refused(made)
    assert type(found) is kind
    assert found.cause == (f"s3 {code}" if code != "New" else "http 503")
    assert code == "New" or "s3cret" not in str(found)
    if isinstance(found, RetryableError):
        assert found.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"access_key_id": "OTHER"}, "s3 InvalidAccessKeyId"),
        ({"secret_access_key": "wrong"}, "s3 SignatureDoesNotMatch"),
        ({"region": "us-east-1"}, "s3 AuthorizationHeaderMalformed"),
        ({"bucket": "other"}, "s3 NoSuchBucket"),
        ({"session_token": "old"}, "s3 InvalidToken"),
    ],
)
async def test_a_wrong_connection_is_held_and_said_by_the_harmless_call(
    server: RecordingServer, config: dict[str, Any], cause: str
) -> None:
    async with connected(server, **config) as made:
        found = await refused(made)
        with pytest.raises(HoldError) as caught:
            await made.check(timedelta(seconds=5))
    assert (type(found), found.cause, caught.value.cause) == (HoldError, cause, cause)
    assert "region" not in config or REGION in str(found)
    assert SECRET not in json.dumps([str(found), found.received])


async def test_temporary_credentials_bring_their_token(s3: FakeS3, server: RecordingServer) -> None:
    s3.token = "to+ken/="
    async with connected(server, session_token="to+ken/=") as made:
        await send(made)
        shown = made.outgoing("text", {"path": "a", "text": "b"}, CALL).preview()
    assert "to+ken" not in json.dumps(shown)


async def test_the_harmless_call_writes_nothing(server: RecordingServer, s3: FakeS3) -> None:
    async with connected(server) as made:
        assert "has the bucket drops" in (await made.check(timedelta(seconds=5))).found
        s3.may_read = False
        assert "s3:PutObject" in (await made.check(timedelta(seconds=5))).missing[0]
        server.answer(503)
        with pytest.raises(RetryableError):
            await made.check(timedelta(seconds=5))
    assert {one.method for one in server.requests} == {"GET"}


# -- another's server


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    made = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


async def test_motos_server_keeps_what_we_send(moto: str) -> None:
    client = boto3.client(
        "s3", endpoint_url=moto, region_name=REGION, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET
    )
    async with connected(moto) as made:
        missing = await refused(made)
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        await made.check(timedelta(seconds=5))
        await send(made, path="ü b+.txt", text="Zoë", tags={"a": "b c"}, metadata={"x": "y"})
        again = await send(made, path="ü b+.txt", text="Zoë", tags={"a": "b c"}, metadata={"x": "y"})
        client.put_object(Bucket=BUCKET, Key="theirs.txt", Body=b"theirs")
        clash = await refused(made, path="theirs.txt", unique=False)
    assert (type(missing), missing.cause) == (HoldError, "s3 NoSuchBucket")
    key = f"ü b+_{PIECE}.txt"
    found = client.get_object(Bucket=BUCKET, Key=key)
    assert found["Body"].read().decode() == "Zoë"
    assert (found["ContentType"], found["Metadata"]["x"]) == ("text/plain; charset=utf-8", "y")
    assert client.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"] == [{"Key": "a", "Value": "b c"}]
    assert again.body["fresh"] is False  # type: ignore[index,call-overload]
    assert clash.cause == "object is there already"
    client.close()


def test_a_preview_of_xml_reads_it_by_its_encoding() -> None:
    made = S3(S3.Config.model_validate(S3.example), Context())
    fields = {"path": "x.xml", "root": "r", "content": {"a": "é"}, "encoding": "iso-8859-1"}
    assert "<a>é</a>" in made.outgoing("xml", fields, Call("dlv_1", "dlv_1")).preview()["xml"]
