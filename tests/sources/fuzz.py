"""A long look for a body that the decoders don't bear: `python -m tests.sources.fuzz --seconds 600`.

Bodies are made from what is known to be awkward, and changed at random. Where `atheris` is installed (nothing else
needs it), it looks by what is covered instead: `pip install atheris`. What is found is written to a file, which
`--only FILE` tries again; once it is mended it belongs into test_decode_fuzz.py, as an example.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import zstandard

from relay.errors import BodyError
from relay.sources.decode import decode
from relay.sources.split import Split
from relay.sources.unpack import unpack

TYPES = (
    "",
    "application/json",
    "application/json; charset=utf-16",
    "application/json; charset=latin-1",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=shift_jis",
    "multipart/form-data; boundary=x",
    "application/xml",
    "text/xml; charset=latin-1",
    "text/plain",
    "text/csv; charset=gb18030",
    "image/png",
)
HOWS = ("auto", "json", "form", "xml", "text", "query")
ENCODINGS = ("", "", "", "", "gzip", "deflate", "br", "zstd", "gzip, br", "gzip,gzip,gzip,gzip", "identity", "lzw")

#: What a body may cost that is as long as a fuzzer makes them.
MOST_BYTES = 65_536
MOST_SECONDS = 1.0
MOST_UNPACKED = 200_000

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 1),
    "deflate": lambda body: zlib.compress(body, 1),
    "br": lambda body: brotli.compress(body, quality=1),
    "zstd": lambda body: zstandard.compress(body, 1),
}

AWKWARD: tuple[bytes, ...] = (
    b'{"a": [1, 2.5, "x\\ud83d", null, true], "b": {"c": 12345678901234567890123}}',
    b"[" * 200 + b"]" * 200,
    b'{"a":' * 130 + b"1" + b"}" * 130,
    b'{"a": 1, "a": 2}',
    b"[NaN, 1e999, -0, 1E5, 0.1, -0.0]",
    b'"\\u0000\\ud800\\udc00\\udfff"',
    b'\xef\xbb\xbf{"a": 1}',
    '{"a": "Zoë"}'.encode("utf-16"),
    '{"a": "Zoë"}'.encode("utf-32-be"),
    b"a=1&a=2&b[c]=3&b[d][]=4&b[d][]=5&e[0]=x&e[1]=y&f=%E2%82%AC&g=%ff%00+%",
    b"a=1&a[b]=2&a[]=3&a[#text]=4&[x]=5&y[z=6&q]]=7",
    b"a" + b"[b]" * 31 + b"=1",
    b"payload=%7B%22a%22%3A1%7D",
    b'--x\r\nContent-Disposition: form-data; name="a[b]"\r\n\r\n1\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="f"; filename="n"\r\nContent-Type: image/png\r\n\r\n\0\xff\r\n--x--',
    b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=cp1252\r\n\r\n\xeb\r\n--x--',
    b"\r\n--x \t\r\n\r\n\r\n--x--",
    b'<?xml version="1.0" encoding="ISO-8859-1"?><a b="c"><d>1</d><d>2</d>t<![CDATA[<&]]>&#65;<e/></a>',
    '<?xml version="1.0" encoding="utf-16"?><a>Zoë</a>'.encode("utf-16"),
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b'<s:E xmlns:s="u" s:i="1" i="2"><s:B/></s:E>',
    b"<a>" * 101 + b"</a>" * 101,
    b"some text, and no more\r\n",
    b"\x89PNG\r\n\x1a\n\x00\xff",
    b"",
)
PIECES = (
    *(bytes([byte]) for byte in b'{}[]",:=&%+<>/!?-\r\n\t \\\0\x7f\xff'),
    b"\\ud800",
    b"\\u0000",
    b"9" * 30,
    b"1e999",
    b"NaN",
    b"%ff",
    b"[]",
    b"[0]",
    b"[#text]",
    b"--x",
    b"--x--",
    b"\r\n",
    b"\r\n--x",
    b'Content-Disposition: form-data; name="a"\r\n\r\n',
    b"<a>",
    b"</a>",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE ",
    b"&#xD800;",
    b"&lt;",
    b"<?xml version='1.0' encoding='",
    b"utf-7",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
)


class Found(AssertionError):  # noqa: N818 - it is what is looked for
    """Something that must not be."""


def check(data: bytes) -> None:
    """Raises Found. The first bytes say how the rest is to be decoded."""
    if len(data) < 4:
        return
    body = data[4:]
    content_type = TYPES[data[0] % len(TYPES)]
    if data[0] > 200:
        line, _, body = body.partition(b"\n")
        content_type = line.decode("latin-1")
    how = HOWS[data[1] % len(HOWS)]
    encoding = ENCODINGS[data[2] % len(ENCODINGS)]
    if data[3] & 1 and encoding in PACKERS:
        body = PACKERS[encoding](body)
    query = [("q[a]", body[:20].decode("latin-1"))] if data[3] & 2 else []
    started = time.process_time()
    try:
        value = decode(
            body,
            content_type,
            query,
            how=how,
            json_field="payload" if data[3] & 4 else None,
            encoding=encoding,
            limit=MOST_UNPACKED,
        )
    except BodyError:
        return
    except Exception as error:
        raise Found(f"{type(error).__name__}: {error}") from error
    finally:
        took = time.process_time() - started
        if took > MOST_SECONDS:
            raise Found(f"it took {took:.1f} s")
    _check_value(value)
    if how == "json" and not encoding and body and "charset" not in content_type:
        _check_json(body, value)
    Split.of("$.a[*]").items(value)


def check_all(data: bytes) -> None:
    check(data)
    if len(data) > 4 and data[3] & 8:
        check_packed(data[4:])


def check_packed(data: bytes) -> None:
    """What was packed comes out as it was; what was changed on the way is a bad body. Raises Found."""
    for name, pack in PACKERS.items():
        packed = pack(data)
        if unpack(packed, name, MOST_BYTES) != data:
            raise Found(f"{name} gives something else")
        for changed in (packed + b"\0", packed[:-1]):
            try:
                taken = bool(changed) and unpack(changed, name, MOST_BYTES) is not None
            except BodyError:
                continue
            if taken:
                raise Found(f"{name} takes what is too long, or cut off")


def _check_value(value: Any) -> None:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Found(f"it can't be written: {error}") from error
    try:
        again = decode(text, "application/json")
    except BodyError as error:
        raise Found(f"what is written can't be read: {error}") from error
    if not _same(again, value):
        raise Found("what is written reads as something else")


def _check_json(body: bytes, value: Any) -> None:
    try:
        # More byte order marks than one do no harm.
        text = body.decode(json.detect_encoding(body)).lstrip("\ufeff")
        expected = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Found(f"the standard library doesn't take it: {error}") from error
    if "\\u" not in text and not _same(expected, value):
        raise Found("the standard library reads something else")


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


def mutated(chance: random.Random) -> bytes:
    body = bytearray(chance.choice(AWKWARD))
    for _ in range(chance.choice((0, 1, 1, 2, 4, 16))):
        place = chance.randrange(len(body) + 1)
        match chance.randrange(6):
            case 0:
                body[place:place] = chance.choice(PIECES)
            case 1:
                body[place : place + chance.randrange(8)] = b""
            case 2:
                body[place : place + 1] = bytes([chance.randrange(256)])
            case 3:
                body[place:place] = body[place : place + chance.randrange(40)] * chance.choice((1, 2, 50))
            case 4:
                body[place:place] = chance.choice(AWKWARD)
            case _:
                body[place:place] = chance.choice(PIECES) * chance.choice((2, 20, 3000))
    return bytes(chance.randrange(256) for _ in range(4)) + bytes(body[:MOST_BYTES])


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, default=600, help="how long to look")
    words.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    words.add_argument("--only", type=Path, help="a file of what was found before")
    words.add_argument("--into", type=Path, default=Path(), help="the folder for what is found")
    words.add_argument("--corpus", type=Path, help="the folder in which atheris keeps what it has learned")
    asked = words.parse_args()
    if asked.only:
        check(asked.only.read_bytes())
        print("It is borne.")
        return 0
    try:
        import atheris  # type: ignore[import-not-found,unused-ignore]
    except ModuleNotFoundError:
        return at_random(asked.seconds, asked.seed, asked.into)
    return by_coverage(atheris, asked.seconds, asked.seed, asked.into, asked.corpus)


def at_random(seconds: float, seed: int, into: Path) -> int:
    chance = random.Random(seed)
    print(f"Seed {seed}, at random.")
    found: dict[str, bytes] = {}
    tried = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        data = mutated(chance)
        tried += 1
        try:
            check(data)
            if tried % 10 == 0:
                check_packed(data[4:])
        except Found as error:
            what = str(error)[:60]
            if what not in found or len(data) < len(found[what]):
                found[what] = data
    for number, (what, data) in enumerate(found.items(), 1):
        path = into / f"found-{number}.bin"
        path.write_bytes(data)
        print(f"{what} ({len(data)} bytes) {path}")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{tried:,} bodies, {len(found)} found. Most memory: {most:,} (KB; on macOS bytes).")
    return 1 if found else 0


def by_coverage(atheris: Any, seconds: float, seed: int, into: Path, corpus: Path | None) -> int:
    import importlib

    for name in [name for name in sys.modules if name.startswith(("relay.sources", "python_multipart", "defusedxml"))]:
        del sys.modules[name]
    with atheris.instrument_imports(include=["relay.sources", "python_multipart", "defusedxml"]):
        for name in ("relay.sources.decode", "relay.sources.unpack", "relay.sources.split"):
            importlib.import_module(name)
    modules = sys.modules
    globals()["decode"] = modules["relay.sources.decode"].decode
    globals()["unpack"] = modules["relay.sources.unpack"].unpack
    globals()["Split"] = modules["relay.sources.split"].Split
    if corpus is not None:
        corpus.mkdir(parents=True, exist_ok=True)
        for number, body in enumerate(AWKWARD):
            for kind in range(len(TYPES)):
                (corpus / f"seed-{number}-{kind}").write_bytes(bytes([kind, 0, 0, 0]) + body)
    options = [f"-max_total_time={seconds:.0f}", f"-seed={seed}", f"-max_len={MOST_BYTES}", "-rss_limit_mb=1024"]
    options += ["-timeout=5", f"-artifact_prefix={into}/found-", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, *([str(corpus)] if corpus else [])], check_all)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
