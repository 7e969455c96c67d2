"""What is kept of senders beside their events: what they were refused for, the secrets they gave and signed with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from relay import jsontext
from relay.clock import isoformat, now_ms
from relay.lanes import Command
from relay.model import Event
from relay.store.base import audit_entry, pairs, store_script
from relay.store.codec import pack_event
from relay.store.store import Store

_HANDSHAKE = store_script("handshake")

#: Of a source: each webhook at the vendor's has one, and there may be one a project.
MOST_KEPT_SECRETS = 1_000

#: Of a source, the newest: anybody may ask, and fills nothing by it.
MOST_HANDSHAKES = 20

#: Refused requests that are kept, of all sources together, and for how long.
MOST_REJECTED = 2_000
_REJECTED_MS = 24 * 3600 * 1000

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request that was refused.

    source   as the address named it; it may be none of ours
    reason   why, in words that the sender was not told
    headers  without what proves a sender
    bytes    how long the body was, as far as it was read
    more     how many more of the source were refused in the same second, and not kept
    """

    at_ms: int
    source: str
    status: int
    reason: str
    method: str
    remote: str
    headers: Mapping[str, str]
    bytes: int = 0
    more: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.source,
            "status": self.status,
            "at": isoformat(self.at_ms),
            "reason": self.reason,
            "method": self.method,
            "remote": self.remote,
            "bytes": self.bytes,
            "more": self.more,
            "headers": dict(self.headers),
        }


@dataclass(frozen=True, slots=True)
class SecretUse:
    """How often requests were signed with one of several secrets, and when last."""

    times: int
    last_ms: int


class Senders:
    """This side of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stream = store.key("rejected")

    # -- handshakes, and the secrets given in them

    async def handshake(self, event: Event, keep: str = "") -> int:
        """Keep a vendor's question, and the secret it gave with it. How many others had to go for that."""
        count: Command[Any] = Command(("HINCRBY", self._store.key("stats"), f"handshake:{event.source}", 1))
        dropped, _ = await self._store.run_many([self._handshake(event, keep), count])
        return int(dropped)

    async def used(self, source: str, secret: str, at_ms: int) -> None:
        """A kept secret was signed with: of too many, the one that was used longest ago goes."""
        await self._store.ask("ZADD", self._store.key("ks:", source), "XX", "GT", at_ms, secret)

    def _handshake(self, event: Event, keep: str = "") -> Command[int]:
        packed = pack_event(event)
        words = ("", event.id, event.source, event.received_ms, packed, MOST_HANDSHAKES, keep, MOST_KEPT_SECRETS)
        return Command.call(_HANDSHAKE, self._store.keys, *words, read=int, promised=bool(keep))

    async def kept(self, source: str) -> list[tuple[str, int]]:
        """The secrets that a source's vendor gave, the last used first, each with when (ms). Never show one unasked."""
        reply = await self._store.ask("ZRANGE", self._store.key("ks:", source), 0, -1, "REV", "WITHSCORES")
        flat = [word for row in reply for word in (row if isinstance(row, list | tuple) else (row,))]
        return [(secret.decode(), int(float(at))) for secret, at in zip(flat[::2], flat[1::2], strict=True)]

    async def forget(self, source: str, secret: str, who: str) -> bool:
        """Take back a kept secret: what is signed with it is refused from now on."""
        gone = await self._store.ask("ZREM", self._store.key("ks:", source), secret)
        if gone:
            entry = orjson.dumps(audit_entry(who, "forget secret", source))
            await self._store.write("XADD", self._store.key("audit"), "MAXLEN", "~", 100_000, "*", "j", entry)
        return bool(gone)

    async def uses(self, source: str) -> dict[str, SecretUse]:
        """By the mark of each secret that has matched while there were several."""
        found = pairs(await self._store.ask("HGETALL", self._store.key("sm:", source)))
        return {
            mark.decode(): SecretUse(int(times), int(found.get(mark + b":at", b"0")))
            for mark, times in found.items()
            if not mark.endswith(b":at")
        }

    # -- what was refused

    async def note(
        self, handshakes: Sequence[Event], rejected: Sequence[Rejected], counts: Mapping[str, int]
    ) -> None:  # fmt: skip
        """Write what has come together. counts: `refused:<source>`, `handshake:<source>`: how many, kept or not."""
        commands: list[Command[Any]] = [self._handshake(event) for event in handshakes]
        stats = self._store.key("stats")
        commands += [Command(("HINCRBY", stats, name, number)) for name, number in counts.items()]
        for one in rejected:
            entry = jsontext.dumps(one.as_json() | {"at": one.at_ms})
            commands.append(Command(("XADD", self._stream, "MAXLEN", "~", MOST_REJECTED, "*", "j", entry)))
        if rejected:
            commands.append(Command(("XTRIM", self._stream, "MINID", "~", now_ms() - _REJECTED_MS)))
        await self._store.run_many(commands)

    async def rejected(self, since_ms: int | None = None) -> AsyncIterator[Rejected]:
        """Newest first, those of the last day."""
        oldest, last = max(since_ms or 0, now_ms() - _REJECTED_MS), "+"
        while rows := await self._store.ask("XREVRANGE", self._stream, last, oldest, "COUNT", _PAGE):
            for place, fields in rows:
                values = orjson.loads(pairs(fields)[b"j"])
                values["at_ms"], values["source"] = values.pop("at"), values.pop("name")
                yield Rejected(**values)
                last = "(" + place.decode()
