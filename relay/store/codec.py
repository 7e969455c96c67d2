"""How events and edits are packed: a small JSON head, the raw body, and zstd over both; and what else is packed so."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import zstandard

from relay.jsontext import dumps
from relay.model import Event
from relay.store.records import PassedOver

# Level 1 packs a 4 KB transcript in some 15 µs to a third; higher levels cost more than the disk they save.
_compressor = zstandard.ZstdCompressor(level=1, write_content_size=True, write_checksum=False)
_decompressor = zstandard.ZstdDecompressor()

_HEAD = struct.Struct("<I")
_PLAIN, _ZSTD = b"\x00", b"\x01"

#: Below this zstd's own frame outweighs what it saves.
_WORTH_PACKING_BYTES = 200


def pack(head: Mapping[str, Any], body: bytes) -> bytes:
    json = dumps(head)
    whole = _HEAD.pack(len(json)) + json + body
    if len(whole) < _WORTH_PACKING_BYTES:
        return _PLAIN + whole
    return _ZSTD + _compressor.compress(whole)


def unpack(packed: bytes) -> tuple[dict[str, Any], bytes]:
    whole = packed[1:] if packed[:1] == _PLAIN else _decompressor.decompress(packed[1:])
    (length,) = _HEAD.unpack_from(whole)
    start = _HEAD.size
    return orjson.loads(whole[start : start + length]), whole[start + length :]


def pack_event(event: Event) -> bytes:
    head: dict[str, Any] = {
        "s": event.source,
        "m": event.method,
        "p": event.path,
        "q": event.query,
        "h": dict(event.headers),
        "at": event.received_ms,
        "k": event.key,
        "r": event.remote,
    }
    if event.part:
        head["pt"] = event.part
    return pack(head, event.body)


def unpack_event(event_id: str, packed: bytes, event_type: str = "") -> Event:
    head, body = unpack(packed)
    return Event(
        id=event_id,
        source=head["s"],
        method=head["m"],
        path=head["p"],
        query=tuple((key, value) for key, value in head["q"]),
        headers=head["h"],
        body=body,
        received_ms=head["at"],
        type=event_type,
        key=head["k"],
        remote=head["r"],
        part=head.get("pt", 0),
    )


def pack_passed_over(passed_over: Sequence[PassedOver]) -> bytes:
    """Nothing for none."""
    return pack({"no": [(one.recipe, one.version, one.why) for one in passed_over]}, b"") if passed_over else b""


def unpack_passed_over(packed: bytes | None) -> list[PassedOver]:
    return [PassedOver(*words) for words in unpack(packed)[0]["no"]] if packed else []
