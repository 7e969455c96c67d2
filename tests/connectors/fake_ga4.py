"""The Measurement Protocol: it answers 204 to anything and keeps only what is right; its validation server says why."""

from __future__ import annotations

import re
import time
from typing import Any

from relay.testing import Answer, Recorded

SECRET = "s3cret/ga+4 key"
MEASUREMENT_ID = "G-ABC123DEF4"
_KNOWN = {"client_id", "user_id", "timestamp_micros", "user_properties", "events", "non_personalized_ads", "consent"}


class FakeGa4:
    """kept  the events that will be in the reports"""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    def __call__(self, request: Recorded) -> Answer:
        debug = request.path == "/debug/mp/collect"
        if request.method != "POST" or (not debug and request.path != "/mp/collect"):
            return Answer(404, "<html>Not Found")
        messages = list(self._wrong(request))
        if debug:
            return Answer(200, {"validationMessages": messages})
        query = dict(request.query)
        if not messages and query == {"measurement_id": MEASUREMENT_ID, "api_secret": SECRET}:
            self.kept += request.json()["events"]
        return Answer(204)

    def _wrong(self, request: Recorded) -> Any:
        def message(where: str, code: str, text: str) -> dict[str, str]:
            return {"fieldPath": where, "description": text, "validationCode": code}

        body = request.json()
        query = dict(request.query)
        if not query.get("measurement_id"):
            yield message("measurement_id", "VALUE_REQUIRED", "Measurement requires a measurement_id.")
        for name in set(body) - _KNOWN:
            yield message(name, "VALUE_INVALID", f"Unable to parse Measurement Protocol JSON payload. {name}")
        if not body.get("client_id"):
            yield message("client_id", "VALUE_REQUIRED", "Measurement requires a client_id.")
        if body.get("timestamp_micros", time.time() * 1e6) < (time.time() - 72 * 3600) * 1e6:
            yield message("timestamp_micros", "VALUE_INVALID", "Measurement timestamp_micros is too old.")
        if len(body["events"]) > 25:
            yield message("events", "EXCEEDED_MAX_ENTITIES", "More than 25 events.")
        for index, event in enumerate(body["events"]):
            name = event["name"]
            if not re.fullmatch(r"[A-Za-z]\w*", name) or len(name) > 40:
                text = f"Event at index: [{index}] has invalid name [{name}]."
                yield message("events", "NAME_INVALID", text)
            if name in ("session_start", "first_visit", "user_engagement"):
                text = f"Event at index: [{index}] has name [{name}] which is reserved."
                yield message("events", "NAME_RESERVED", text)
            if len(event.get("params", {})) > 25:
                yield message("events.params", "EXCEEDED_MAX_ENTITIES", "More than 25 params.")
            if any(isinstance(value, str) and len(value) > 100 for value in event.get("params", {}).values()):
                yield message("events.params", "VALUE_OUT_OF_BOUNDS", "A value is too long.")
