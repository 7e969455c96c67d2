"""An event and its deliveries as a line of the archive, and back.

A line reads by itself: it has what `relay events show` and `relay deliveries show` tell. Beside it stand, as `kept`,
fields as the store had them, so that nothing is lost on the way back.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from relay import jsontext
from relay.clock import isoformat, to_ms
from relay.model import Event
from relay.store import KeptDelivery, KeptEvent, StoredDelivery, StoredEvent
from relay.store.codec import pack_event, unpack_event

#: What the readable part of an event's line has.
_TOLD = frozenset((b"x", b"so", b"st", b"ty", b"ds", b"open", b"sw"))


def line_of(kept: KeptEvent) -> bytes:
    """JSON, without the end of the line."""
    fields = kept.fields
    event = unpack_event(kept.id, fields[b"x"], fields.get(b"ty", b"").decode())
    ids = tuple(delivery.id for delivery in kept.deliveries)
    shown = StoredEvent(event, fields[b"st"].decode(), ids).as_json()
    del shown["deliveries"]
    whole = {
        **shown,
        "kind": "event",
        "ended_at": isoformat(kept.ended_ms),
        "path": event.path,
        "query": [list(pair) for pair in event.query],
        "headers": dict(event.headers),
        "remote": event.remote,
        "key": event.key,
        "part": event.part,
        **_body(event.body),
        "deliveries": [_delivery(delivery) for delivery in kept.deliveries],
        "kept": _written({name: value for name, value in fields.items() if name not in _TOLD}),
    }
    return jsontext.dumps(whole)


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(body).decode()}


def _delivery(delivery: KeptDelivery) -> dict[str, Any]:
    shown = StoredDelivery.read(delivery.id, delivery.fields).as_json(whole=True)
    kept = {name: value for name, value in delivery.fields.items() if not name.startswith(b"a:")}
    return {**shown, "kept": _written(kept)}


def audit_line(place: str, entry: Mapping[str, Any]) -> bytes:
    return jsontext.dumps({"id": place, "kind": "audit", **{"target" if k == "id" else k: v for k, v in entry.items()}})


def event_of(line: Mapping[str, Any]) -> Event:
    """Raises KeyError, ValueError where it is none."""
    body = line["body"].encode() if "body" in line else base64.b64decode(line["body_base64"])
    return Event(
        id=line["id"],
        source=line["source"],
        method=line["method"],
        path=line["path"],
        query=tuple((name, value) for name, value in line["query"]),
        headers=line["headers"],
        body=body,
        received_ms=_ms(line["received_at"]),
        type=line["type"],
        key=line["key"],
        remote=line["remote"],
        part=line["part"],
    )


def kept_of(line: Mapping[str, Any]) -> KeptEvent:
    """What `line_of` was given. Raises KeyError, ValueError where it is no such line."""
    event = event_of(line)
    fields = _read(line["kept"])
    fields |= {b"x": pack_event(event), b"st": line["status"].encode(), b"ty": event.type.encode()}
    deliveries = []
    for shown in line["deliveries"]:
        attempts = [{**attempt, "at": _ms(attempt["at"])} for attempt in shown["attempts"]]
        of = _read(shown["kept"]) | {b"a:%d" % n: jsontext.dumps(a) for n, a in enumerate(attempts, 1)}
        deliveries.append(KeptDelivery(shown["id"], of))
    return KeptEvent(event.id, _ms(line["ended_at"]), fields, deliveries)


def _ms(moment: str) -> int:
    return to_ms(datetime.fromisoformat(moment))


def _written(fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Text as it is, bytes as {"base64": …}."""
    written: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            written[name.decode()] = value.decode()
        except UnicodeDecodeError:
            written[name.decode()] = {"base64": base64.b64encode(value).decode()}
    return written


def _read(written: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {
        name.encode(): value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
        for name, value in written.items()
    }
