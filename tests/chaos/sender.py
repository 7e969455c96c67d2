"""The sender: it sends each event again and again until it has a 2xx, and writes down what it did and heard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.chaos.workspace import KEY, ORDER_KEYS, SOURCES, body_of

#: What a sender may hear and come again. Anything else switches a webhook off at some sender or other.
PASSING = (429, 503)


@dataclass
class Sent:
    """An event as its sender knows it."""

    source: str
    body: dict[str, Any]
    ids: set[str] = field(default_factory=set)
    tries: int = 0


class Sender:
    """`sent` is the ledger by the event's own id; the file has it line by line."""

    def __init__(self, url: str, ledger: Path, rng: Random, pace_seconds: float) -> None:
        self.url = url
        self.rng = rng
        self.pace_seconds = pace_seconds
        self.sent: dict[str, Sent] = {}
        self.wrong: list[str] = []
        self._ledger = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers: dict[str, int] = defaultdict(int)
        self._ending = asyncio.Event()

    @property
    def accepted(self) -> int:
        return sum(1 for sent in self.sent.values() if sent.ids)

    def end(self) -> None:
        """Nothing new; what has no 2xx yet is still sent again."""
        self._ending.set()

    async def run(self) -> None:
        """Until `end`, and until everything has its 2xx."""
        connector = aiohttp.TCPConnector(limit=64)
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            keys = [f"key{number}" for number in range(ORDER_KEYS)]
            others = [source for source in SOURCES if source != "chats" for _ in range(3)]
            await asyncio.gather(
                *(self._line(session, "chats", key) for key in keys),
                *(self._line(session, name, "") for name in others),
            )

    async def _line(self, session: aiohttp.ClientSession, source: str, key: str) -> None:
        """One event after another, each when the last has its 2xx: what has a key has an order."""
        rng = Random(self.rng.random())
        turn = 0
        while not self._ending.is_set():
            turn += 1
            self._numbers[source] += 1
            body = body_of(source, self._numbers[source], key, turn, rng)
            sent = self.sent[body["id"]] = Sent(source, body)
            await asyncio.gather(*(self._until_taken(session, sent) for _ in range(2 if rng.random() < 0.03 else 1)))
            if rng.random() < 0.05:
                await self._until_taken(session, sent)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self.pace_seconds * rng.uniform(0.2, 1.8))

    async def _until_taken(self, session: aiohttp.ClientSession, sent: Sent) -> None:
        while True:
            sent.tries += 1
            self._write(sent, "sends", sent.body if sent.tries == 1 else None)
            try:
                async with session.post(f"{self.url}/in/{sent.source}", json=sent.body, headers=KEY) as answer:
                    text = await answer.text()
                    self._write(sent, answer.status, text)
                    if answer.status in (200, 202):
                        sent.ids.add(json.loads(text)["id"])
                        return
                    if answer.status not in PASSING:
                        self.wrong.append(f"{sent.body['id']} was answered {answer.status}: {text[:200]}")
                    elif "Retry-After" not in answer.headers:
                        self.wrong.append(f"{sent.body['id']} was answered {answer.status} without Retry-After")
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self._write(sent, type(error).__name__, str(error))
            await asyncio.sleep(0.2)

    def _write(self, sent: Sent, what: Any, more: Any) -> None:
        line = {"at": time.time(), "id": sent.body["id"], "source": sent.source, "what": what, "more": more}
        os.write(self._ledger, json.dumps(line).encode() + b"\n")
