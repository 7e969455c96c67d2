"""The destination: an HTTP server in a process of its own that writes down each arrival before it answers.

It acts once on an idempotency key, and at the careless path on every arrival. `POST /-/mood` tells it how to behave.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from relay.testing import Answer, Recorded, RecordingServer
from tests.chaos.workspace import CARELESS, number_of

#: Moods in which the sink has acted before it spoils its answer.
AFTERWARDS = ("reset after", "garbage after", "hang after", "break off")
#: What it says, and does not act.
REFUSALS = {"401": 401, "410": 410, "429": 429, "503": 503}
MOODS = ("reset", "garbage", "hang", "flapping", "slow", *AFTERWARDS, *REFUSALS)


class Sink:
    def __init__(self, ledger: Path) -> None:
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._replies: dict[tuple[str, str], Any] = {}
        self._moods: dict[str, str] = {}
        self.server = RecordingServer(self.answer)

    def answer(self, request: Recorded) -> Answer:
        self.server.requests.clear()
        place, body = request.path.strip("/"), request.json()
        if place == "-/mood":
            self._moods = body
            return Answer(body={})
        mood = self._moods.get(place, "")
        if mood == "flapping":
            mood = "503" if int(time.monotonic()) % 2 else ""
        key = request.headers.get("idempotency-key", "")
        acts = mood in ("", "slow", *AFTERWARDS)
        repeat = place != CARELESS and (place, key) in self._replies
        line = {"at": time.time(), "place": place, "key": key, "body": body, "mood": mood, "acts": acts and not repeat}
        os.write(self._ledger, json.dumps(line).encode() + b"\n")
        if acts and not repeat:
            self._replies[place, key] = {"number": number_of(body["id"])} if place == "number" else {"ok": True}
        return self._behave(mood, self._replies.get((place, key)))

    def _behave(self, mood: str, reply: Any) -> Answer:
        if mood in REFUSALS:
            headers = {"Retry-After": "1"} if mood in ("429", "503") else {}
            return Answer(REFUSALS[mood], body={"error": mood}, headers=headers)
        if mood == "break off":
            return Answer(body=b'{"ok": true, "more": "to come"}', instead="break off")
        for instead in ("reset", "garbage", "hang"):
            if mood.startswith(instead):
                return Answer(instead=instead)
        return Answer(body=reply, delay_seconds=0.5 if mood == "slow" else 0.01)


async def serve(ledger: Path) -> None:
    """Until its standard input ends."""
    with Sink(ledger).server as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
