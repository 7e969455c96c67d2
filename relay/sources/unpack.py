"""A body as it was before its sender packed it: `Content-Encoding: gzip`, `deflate`, `br`, `zstd`.

What is stored and what a signature covers are the bytes as they came; only who decodes unpacks. What comes out is
bounded while it comes: a few hundred bytes can stand for gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

import brotli
import zstandard

from relay.errors import BodyError
from relay.model import Event

#: As much as a source may be told to take.
MOST_BYTES = 100_000_000

#: More of them on top of each other is nobody's way of saving bytes.
MAX_ENCODINGS = 3

#: Both formats may be several packed pieces in a row. Each one costs an unpacker, so an empty one isn't free.
MAX_PIECES = 100

#: What the format's RFC 8878 asks every receiver to have, and browsers have. A frame may ask for gigabytes.
_ZSTD_WINDOW_BYTES = 8 * 2**20

#: A zstd unpacker gives all that its input stands for; so little input stands for at most 11 MB.
_ZSTD_SLICE_BYTES = 256

#: Names that mean nothing was packed. Senders do write the charset here.
_NOTHING = frozenset({"", "identity", "none", "utf-8", "utf8"})


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Raises BodyError that names the encoding: for an unknown one, for what isn't it or isn't all of it, and where
    more than `limit` bytes come out.

    encoding  the header's value; several in the order in which they were applied
    """
    if not body or not encoding:
        return body
    names = [name for name in (part.strip().lower() for part in encoding.split(",", 100)) if name not in _NOTHING]
    if len(names) > MAX_ENCODINGS:
        raise BodyError(f"the body is packed more than {MAX_ENCODINGS} times")
    for name in reversed(names):
        unpacker = _UNPACKERS.get(name.removeprefix("x-"))
        if unpacker is None:
            raise BodyError(
                f"the body's content encoding isn't known: {name[:40]!r}; known are gzip, deflate, br and zstd"
            )
        try:
            body = unpacker(body, limit)
        except _TooLongError:
            raise BodyError(f"the body is {name} of more than {limit:,} bytes, the limit of its source") from None
        except _CutOffError:
            raise BodyError(f"the body ends before its {name} does") from None
        except (zlib.error, brotli.error, zstandard.ZstdError, _NotItError) as error:
            raise BodyError(f"the body isn't {name}, which its content encoding says it is: {error}") from None
    return body


def unpacked(event: Event, limit: int = MOST_BYTES) -> Event:
    """The event as if its body had come unpacked. Raises BodyError."""
    encoding = event.headers.get("content-encoding", "")
    if not encoding or event.part:
        return event
    headers = {name: value for name, value in event.headers.items() if name != "content-encoding"}
    return replace(event, headers=headers, body=unpack(event.body, encoding, limit))


class _TooLongError(Exception):
    pass


class _CutOffError(Exception):
    pass


class _NotItError(Exception):
    pass


def _gunzip(body: bytes, limit: int) -> bytes:
    return _pieces(body, limit, lambda rest, room: _inflate(rest, room, zlib.MAX_WBITS | 16))


def _unzstd(body: bytes, limit: int) -> bytes:
    return _pieces(body, limit, _unzstd_frame)


def _deflated(body: bytes, limit: int) -> bytes:
    # The name means zlib's format; half of the world took it for what is inside of that. The first two bytes tell.
    is_zlib = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    found, rest = _inflate(body, limit, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    if rest:
        raise _NotItError(f"there are {len(rest):,} bytes behind its end")
    return found


def _inflate(body: bytes, limit: int, window_bits: int) -> tuple[bytes, bytes]:
    unpacker = zlib.decompressobj(window_bits)
    found = unpacker.decompress(body, limit + 1)
    if len(found) > limit:
        raise _TooLongError
    if not unpacker.eof:
        raise _CutOffError
    return found, unpacker.unused_data


def _unzstd_frame(body: bytes, limit: int) -> tuple[bytes, bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    view = memoryview(body)
    found = bytearray()
    for start in range(0, len(body), _ZSTD_SLICE_BYTES):
        part = view[start : start + _ZSTD_SLICE_BYTES]
        found += unpacker.decompress(part)
        if len(found) > limit:
            raise _TooLongError
        if unpacker.eof:
            return bytes(found), body[start + len(part) - len(unpacker.unused_data) :]
    raise _CutOffError


def _pieces(body: bytes, limit: int, unpack_one: Callable[[bytes, int], tuple[bytes, bytes]]) -> bytes:
    found, rest = unpack_one(body, limit)
    if not rest:
        return found
    every = [found]
    for _ in range(MAX_PIECES - 1):
        limit -= len(found)
        found, rest = unpack_one(rest, limit)
        every.append(found)
        if not rest:
            return b"".join(every)
    raise _NotItError(f"it has more than {MAX_PIECES} pieces")


def _unbrotli(body: bytes, limit: int) -> bytes:
    unpacker = brotli.Decompressor()
    found: bytes = unpacker.process(body, output_buffer_limit=limit + 1)
    if len(found) > limit:
        raise _TooLongError
    if not unpacker.is_finished():
        raise _CutOffError
    return found


_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "deflate": _deflated,
    "br": _unbrotli,
    "zstd": _unzstd,
}
