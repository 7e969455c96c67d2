"""What `relay doctor` says of a store on several machines: its replicas, its Sentinels, and what would be lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from relay import store_url
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.store import Store

#: A replica that has said nothing for so long, or is so far behind, would be a poor successor.
_LATE_SECONDS = 5
_LATE_BYTES = 10_000_000

_ASK_SECONDS = 3.0

Finding = dict[str, Any]


def _finding(status: str, message: str, name: str = "replicas") -> Finding:
    return {"name": name, "status": status, "message": message}


async def replication(settings: Settings, store: Store) -> list[Finding]:
    """Raises StoreError where the store is away."""
    info = _pairs((await store.ask("INFO", "replication")).decode())
    if info["role"] != "master":
        what = f"this server is a replica of {info['master_host']}:{info['master_port']} and takes no events"
        return [_finding("error", f"{what}: name its primary, or its Sentinels by sentinel://…", "store")]
    if not settings.redis_url:
        return []
    replicas = [_replica(value) for name, value in info.items() if name.startswith("slave") and "ip=" in value]
    found: list[Finding] = []
    online = [replica for replica in replicas if replica["state"] == "online"]
    for replica in replicas:
        found.append(_state(replica, int(info["master_repl_offset"])))
        found += await asyncio.to_thread(_keeps, settings, replica)
    return [*found, *_promises(settings, len(online), await asyncio.to_thread(_least, settings.store))]


def _promises(settings: Settings, online: int, least: int | None) -> list[Finding]:
    """What the number of replicas means. `least` is the store's min-replicas-to-write; None where it won't tell."""
    asked = settings.replicas
    if online < asked:
        return [_finding("error", f"RELAY_REPLICAS is {asked}, and {online} are connected: each event is answered 503")]
    if asked:
        spare = f"{online - asked} may be away" if online > asked else "none may be away, or events are answered 503"
        return [
            _finding("ok", f"{asked} of {online} must have an event ({settings.replica_keeps}) before its 2xx; {spare}")
        ]
    if not online:
        return [_finding("ok", "the store is a primary without replicas")]
    if least:
        return [
            _finding("ok", f"{online} connected; without {least} the store takes nothing (min-replicas-to-write)"),
            _finding("warning", "RELAY_REPLICAS is 0: a failover can lose the events of the last moments"),
        ]
    return [
        _finding(
            "warning",
            "RELAY_REPLICAS is 0 and so is min-replicas-to-write: a primary that is cut off goes on accepting events, "
            "which are lost when it comes back; set RELAY_REPLICAS=1",
        )
    ]


def _state(replica: dict[str, str], offset: int) -> Finding:
    name, behind = f"{replica['ip']}:{replica['port']}", max(0, offset - int(replica["offset"]))
    late = replica["state"] != "online" or int(replica["lag"]) > _LATE_SECONDS or behind > _LATE_BYTES
    about = f"{name} is {replica['state']}, {behind:,} bytes behind, heard {replica['lag']} s ago"
    return _finding("warning" if late else "ok", about)


def _keeps(settings: Settings, replica: dict[str, str]) -> list[Finding]:
    """Whether it writes to disk, as the primary does: it may be the primary tomorrow."""
    import redis

    from relay.lanes import connect

    name = f"{replica['ip']}:{replica['port']}"
    client = connect(store_url.at(settings.store, replica["ip"], int(replica["port"])), socket_timeout=_ASK_SECONDS)
    try:
        said = {word: next(iter(client.config_get(word).values()), "") for word in ("appendonly", "appendfsync")}
    except (redis.RedisError, OSError) as error:
        return [_finding("warning", f"{name} can't be asked what it keeps on disk: {error}")]
    finally:
        client.close()
    if said == {"appendonly": "yes", "appendfsync": "always"}:
        return []
    if said["appendonly"] != "yes" and settings.replica_keeps == "disk" and settings.replicas:
        return [
            _finding("error", f"{name} keeps nothing on disk, which RELAY_REPLICA_KEEPS asks for: `appendonly yes`")
        ]
    return [_finding("warning", f"{name} would lose events as a primary: `appendonly yes` and `appendfsync always`")]


def _least(url: str) -> int | None:
    import redis

    from relay.lanes import connect

    client = connect(url, socket_timeout=_ASK_SECONDS)
    try:
        said: Any = client.config_get("min-replicas-to-write")
        return int(next(iter(said.values()), 0))
    except (redis.RedisError, OSError):
        return None
    finally:
        client.close()


def sentinels(settings: Settings) -> list[Finding]:
    """What each Sentinel says: also where the store can't be reached, and most of all then."""
    if not store_url.is_sentinel(settings.store):
        return []
    import redis

    from relay.lanes.sentinel import ask_each

    where, said, found = store_url.sentinels(settings.store), {}, []
    for name, answer in ask_each(where):
        if isinstance(answer, redis.ResponseError | redis.AuthenticationError):
            found.append(_finding("error", f"{name} refuses: {answer}", "sentinel"))
        elif isinstance(answer, Exception):
            found.append(_finding("warning", f"{name} gives no answer: {answer}", "sentinel"))
        else:
            said[name] = answer
    for name, answer in said.items():
        others, quorum = int(answer["num-other-sentinels"]), int(answer["quorum"])
        about = f"{name}: the primary is {answer['ip']}:{answer['port']}; {others} other Sentinels, quorum {quorum}"
        if others < 2:
            found.append(
                _finding("warning", f"{about}: with fewer than three, one that is gone ends failover", "sentinel")
            )
        else:
            found.append(_finding("ok", about, "sentinel"))
    if len({(answer["ip"], answer["port"]) for answer in said.values()}) > 1:
        found.append(_finding("error", "the Sentinels do not agree on the primary: is the network cut?", "sentinel"))
    return found


def _replica(text: str) -> dict[str, str]:
    """`ip=10.0.0.2,port=6379,state=online,offset=123,lag=0`"""
    return dict(word.partition("=")[::2] for word in text.split(","))


def _pairs(text: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
