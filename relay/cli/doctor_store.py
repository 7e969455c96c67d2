"""What `relay doctor` finds of the store: its version, what it promises, its room, and what runs into limits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from relay.clock import now_ms

if TYPE_CHECKING:
    from relay.settings import Settings
    from relay.store import Store

#: The first Redis whose scripts and sorted sets do all that the lanes ask of them.
_OLDEST = (7, 2)

#: The file, what is appended to it, and both again while it is written anew.
_DISK_TIMES_MEMORY = 3

_HOUR_MS = 3_600_000

#: What a request is answered that ran into a limit.
_LIMITS = (413, 429, 503)


def finding(name: str, status: str, message: str) -> dict[str, Any]:
    return {"name": name, "status": status, "message": message}


async def store_findings(settings: Settings, store: Store, redis_url: str) -> list[dict[str, Any]]:
    from relay import embedded
    from relay.shortage import shortages
    from relay.store import promises, vitals

    info = await store.ask("INFO", "server")
    server = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    seen = await store.run(vitals())
    disk = embedded.disk(settings, redis_url)
    used, limit = seen.used_bytes, seen.limit_bytes
    name = f"{server.get('server_name', 'redis')} {server.get('valkey_version') or server.get('redis_version')}"
    found = [finding("store", "ok", f"{name}, {used:,} bytes used{f' of {limit:,}' if limit else ''}")]
    # Valkey tells the Redis version it is compatible with, too.
    release = server.get("redis_version", "0")
    if tuple(map(int, release.split(".")[:2])) < _OLDEST:
        found.append(finding("store", "error", f"version {release} is too old: Redis 7.2 or any Valkey is needed"))
    found += [finding("store", one.severity, one.message) for one in await promises(store, seen)]
    found += [
        finding(what, "error", f"{why}; events are refused")
        for what, why in shortages(seen, disk).items()
        if what != "eviction"
    ]
    if disk is not None:
        free = disk.free_bytes()
        found.append(finding("disk", "ok", f"{free:,} bytes free in {disk.folder}"))
        most = settings.max_memory * _DISK_TIMES_MEMORY + settings.min_disk
        if free + used < most:
            found.append(finding("disk", "warning", _too_small(settings.max_memory, most)))
    found += [finding("limit", "warning", message) for message in await _refused(store)]
    return found


def _too_small(memory: int, most: int) -> str:
    return (
        f"a store of {memory:,} bytes (RELAY_MAX_MEMORY) can come to need {most:,} bytes of disk: the file, what is "
        "appended to it, and the file that is written anew; make room, or lower RELAY_MAX_MEMORY"
    )


async def _refused(store: Store) -> list[str]:
    """By source and status, what ran into a limit within the last hour."""
    from relay.store import Senders

    number: Counter[tuple[str, int]] = Counter()
    async for one in Senders(store).rejected(now_ms() - _HOUR_MS):
        if one.status in _LIMITS:
            number[one.source, one.status] += 1 + one.more
    return [
        f"{source}: some {times:,} requests were answered {status} within the last hour; "
        f"see relay sources rejected {source}"
        for (source, status), times in number.most_common(20)
    ]
