"""Which versions of the recipes are in force, and which were: told by the first process that sees a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import orjson

from relay.clock import now_ms
from relay.lanes import Command
from relay.store.base import audit_entry, pairs, store_script
from relay.store.store import Store

_IN_FORCE = store_script("in_force")
_FORGET = store_script("forget_versions")

#: So many times that a recipe came in force, or went out of it, are kept.
MOST_ENTRIES = 100

#: How many deliveries are looked at in one exchange.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class InForce:
    """What the store knows to be in force.

    number   counts the changes: the same number, the same state
    recipes  the version of each recipe
    files    the last version without an error of relay.yaml and other files
    """

    number: int = 0
    recipes: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


#: A version and its text; both empty where there is none any more.
Version = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A version that came in force. `version` is empty where the recipe was taken out of it.

    until_ms  when the next one did; None where it still is in force
    by        the process that was first to see it: worker or web, machine, number
    """

    version: str
    from_ms: int
    until_ms: int | None
    by: str


class History:
    def __init__(self, store: Store) -> None:
        self.store = store

    # -- what is in force

    async def number(self) -> int:
        """Differs from before where anything has been put in force since."""
        return await self.store.run(Command(("GET", self.store.key("force:n")), lambda reply: int(reply or 0)))

    async def in_force(self) -> InForce:
        # The number first: what changes in between is looked at once more.
        number = await self.number()
        recipes, files = await self.store.run_many([self._hash("force"), self._hash("files")])
        return InForce(number, recipes, files)

    async def file_texts(self, names: Sequence[str]) -> list[str | None]:
        """The last texts without an error."""
        command = Command(("HMGET", self.store.key("texts"), *names), _texts)
        return await self.store.run(command) if names else []

    async def put_in_force(self, recipes: Mapping[str, Version], files: Mapping[str, Version], by: str) -> list[str]:
        """Which of them are news: another process may have been first."""
        words = [("recipe", name, *version) for name, version in recipes.items()]
        words += [("file", name, *version) for name, version in files.items()]
        new: list[str] = []
        # A store is busy for as long as a script runs: a few at a time.
        for start in range(0, len(words), 50):
            part = chain.from_iterable(words[start : start + 50])
            new.extend(
                await self.store.run(Command.call(_IN_FORCE, self.store.keys, "", by, MOST_ENTRIES, *part, read=_names))
            )
        return new

    # -- what was in force

    async def entries(self, recipe: str) -> list[Entry]:
        """Newest first."""
        lines = await self.store.run(self._entries(recipe))
        found: list[Entry] = []
        for line in lines:
            at, version, by = line.split(" ", 2)
            until = found[-1].from_ms if found else None
            found.append(Entry("" if version == "-" else version, int(at), until, by))
        return found

    async def versions(self, recipe: str) -> dict[str, str]:
        """Every text of the recipe that is kept, by version: those too that only a delivery still names."""
        names = await self.store.run(Command(("HKEYS", self.store.key("versions")), _names))
        versions = [version for name, _, version in (name.rpartition(":") for name in names) if name == recipe]
        texts = await self.texts((recipe, version) for version in versions)
        return {version: text for version, text in zip(versions, texts, strict=True) if text is not None}

    async def recipes(self) -> list[str]:
        """Those that were ever in force."""
        return sorted(await self.store.run(Command(("SMEMBERS", self.store.key("recipes")), _names)))

    async def texts(self, versions: Iterable[tuple[str, str]]) -> list[str | None]:
        """By recipe and version; None for one that isn't kept."""
        fields = [f"{recipe}:{version}" for recipe, version in versions]
        if not fields:
            return []
        command = Command(("HMGET", self.store.key("versions"), *fields), _texts)
        return await self.store.run(command)

    async def restored(self, recipe: str, version: str, who: str) -> None:
        """For the audit: somebody put a version back into the file."""
        entry = orjson.dumps(audit_entry(who, "restore", recipe, version=version))
        await self.store.write("XADD", self.store.key("audit"), "MAXLEN", "~", 100_000, "*", "j", entry)

    # -- what is forgotten

    async def forget_versions(self, grace_ms: int) -> int:
        """Forget texts that have been out of every history for so long, and that no kept delivery names. How many.

        Two looks: what is found without a name is marked, and forgotten when the mark is old. What comes to be named in
        the meantime loses its mark.
        """
        now = now_ms()
        marks = self.store.key("x:unnamed")
        unnamed = await self._unnamed()
        before = {name.decode() for name in await self.store.ask("ZRANGE", marks, 0, -1)}
        if named := before - unnamed:
            await self.store.ask("ZREM", marks, *named)
        if new := unnamed - before:
            await self._mark("NX", now, new)
        old = await self.store.ask("ZRANGE", marks, "-inf", now - grace_ms, "BYSCORE")
        if not old:
            return 0
        due = {name.decode() for name in old}
        used = due & await self._used(now - grace_ms)
        if due - used:
            # Twice, for what is forgotten is gone for good, and other processes change what is looked at.
            used |= due & await self._used(now - grace_ms)
        if used:
            # Looked at again when as much time has passed.
            await self._mark("XX", now, used)
        if not due - used:
            return 0
        words = ("", now - grace_ms, *sorted(due - used))
        return await self.store.run(Command.call(_FORGET, self.store.keys, *words, read=int))

    async def _mark(self, which: str, at_ms: int, names: Iterable[str]) -> None:
        """Also where the store is full: what is forgotten makes room."""
        all_of = sorted(names)
        for start in range(0, len(all_of), _PAGE):
            words = _scored(at_ms, all_of[start : start + _PAGE])
            await self.store.write("ZADD", self.store.key("x:unnamed"), which, *words)

    async def _unnamed(self) -> set[str]:
        """Texts that are kept, and are in no history and not in force."""
        force, kept = await self.store.run_many(
            [self._hash("force"), Command(("HKEYS", self.store.key("versions")), _names)]
        )
        recipes = await self.recipes()
        histories = await self.store.run_many([self._entries(recipe) for recipe in recipes])
        named = {f"{recipe}:{version}" for recipe, version in force.items()}
        for recipe, lines in zip(recipes, histories, strict=True):
            named |= {f"{recipe}:{line.split(' ', 2)[1]}" for line in lines}
        return set(kept) - named

    async def _used(self, made_before_ms: int) -> set[str]:
        """What kept deliveries name that were made before then. A newer one names nothing that was marked then."""
        found: set[str] = set()
        index, since = self.store.key("x:d"), "-inf"
        while page := await self.store.run(_by_score(index, since, made_before_ms, "LIMIT", 0, _PAGE)):
            last = page[-1][1]
            # Not by an offset: where a sweep removes entries that were seen, it would skip others. All of the last
            # score at once, for the next page begins after it.
            ties = await self.store.run(_by_score(index, last, last))
            names = list(dict.fromkeys(name for name, _ in chain(page, ties)))
            for start in range(0, len(names), _PAGE):
                found |= await self._named(names[start : start + _PAGE])
            since = f"({last}"
        return found

    async def _named(self, deliveries: Sequence[str]) -> set[str]:
        fields = [Command(("HMGET", self.store.key("d:", one), "re", "ver", "bt"), _texts) for one in deliveries]
        rows = await self.store.run_many(fields)
        batches = [(recipe, batch) for recipe, _, batch in rows if batch]
        closed = await self.store.run_many(
            [Command(("HMGET", self.store.key("bt:", batch), "ver"), _texts) for _, batch in batches]
        )
        found = {f"{recipe}:{version}" for recipe, version, _ in rows if version}
        return found | {
            f"{recipe}:{version}" for (recipe, _), (version,) in zip(batches, closed, strict=True) if version
        }

    # -- commands

    def _hash(self, name: str) -> Command[dict[str, str]]:
        return Command(
            ("HGETALL", self.store.key(name)),
            lambda reply: {field.decode(): value.decode() for field, value in pairs(reply).items()},
        )

    def _entries(self, recipe: str) -> Command[list[str]]:
        return Command(("LRANGE", self.store.key("h:", recipe), 0, -1), _names)


def _by_score(index: str, low: str, high: str | int, *limit: str | int) -> Command[list[tuple[str, str]]]:
    """(name, score) of each entry, the lowest score first."""
    return Command(("ZRANGE", index, low, high, "BYSCORE", *limit, "WITHSCORES"), _with_scores)


def _with_scores(reply: Any) -> list[tuple[str, str]]:
    # RESP2 gives a flat list, RESP3 pairs.
    entries = reply if reply and isinstance(reply[0], list) else list(zip(reply[::2], reply[1::2], strict=True))
    return [(name.decode(), score.decode() if isinstance(score, bytes) else repr(score)) for name, score in entries]


def _scored(score: int, names: Iterable[str]) -> list[str | int]:
    return [word for name in names for word in (score, name)]


def _names(reply: Any) -> list[str]:
    return [name.decode() for name in reply]


def _texts(reply: Any) -> list[str | None]:
    return [text.decode() if text is not None else None for text in reply]
