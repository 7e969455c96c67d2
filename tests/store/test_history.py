"""Which versions are in force, and which were: told once, kept as long as anything names them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from relay.clock import now_ms
from relay.recipes import version_of
from relay.store import History
from relay.store.history import MOST_ENTRIES
from tests.store.bench import Bench, Workspaces

WEB, WORKER = "web host:1", "worker host:2"
DAY_MS = 86_400_000


@pytest.fixture
def history(bench: Bench) -> History:
    return History(bench.store)


def version(text: str) -> tuple[str, str]:
    return version_of(text), text


async def put(history: History, by: str = WORKER, **recipes: str) -> list[str]:
    """By recipe its text; an empty one takes it out of force."""
    told = {name: version(text) if text else ("", "") for name, text in recipes.items()}
    return await history.put_in_force(told, {}, by)


async def test_what_is_put_in_force_is_in_force_for_everybody(history: History) -> None:
    assert await history.in_force() == await history.in_force()
    new = await history.put_in_force({"a": version("A"), "b": version("B")}, {"relay.yaml": version("R")}, WORKER)
    assert new == ["a", "b", "relay.yaml"]
    known = await history.in_force()
    assert known.recipes == {"a": version_of("A"), "b": version_of("B")}
    assert known.files == {"relay.yaml": version_of("R")}
    assert await history.texts([("a", version_of("A")), ("a", "none"), ("b", version_of("B"))]) == ["A", None, "B"]
    assert await history.file_texts(["relay.yaml", "tables/x.csv"]) == ["R", None]


async def test_the_first_that_sees_a_change_is_the_one_that_is_named(history: History) -> None:
    told = [put(history, by=f"worker host:{number}", a="A") for number in range(5)]
    assert sorted(map(len, await asyncio.gather(*told))) == [0, 0, 0, 0, 1]
    (entry,) = await history.entries("a")
    assert entry.by.startswith("worker host:")
    number = await history.number()
    assert await put(history, a="A") == []
    assert await history.number() == number, "nothing has changed, and nobody need look"


async def test_the_history_says_from_when_until_when_and_by_whom(history: History) -> None:
    began = now_ms()
    for by, text in ((WEB, "one"), (WORKER, "two"), (WEB, ""), (WORKER, "one")):
        await put(history, by, a=text)
        await asyncio.sleep(0.002)
    entries = await history.entries("a")
    assert [(one.version, one.by) for one in entries] == [
        (version_of("one"), WORKER), ("", WEB), (version_of("two"), WORKER), (version_of("one"), WEB),
    ]  # fmt: skip
    assert entries[0].until_ms is None
    assert [one.until_ms for one in entries[1:]] == [one.from_ms for one in entries[:-1]]
    assert began <= entries[-1].from_ms <= entries[0].from_ms <= now_ms()
    assert (await history.in_force()).recipes == {"a": version_of("one")}


async def test_a_recipe_that_is_taken_out_of_force_keeps_its_history(history: History) -> None:
    await put(history, a="one", b="two")
    await put(history, a="")
    assert (await history.in_force()).recipes == {"b": version_of("two")}
    assert await history.recipes() == ["a", "b"]
    assert await history.versions("a") == {version_of("one"): "one"}
    assert await put(history, a="") == [], "it is out of force already"


async def test_a_file_that_is_gone_is_forgotten(history: History) -> None:
    await history.put_in_force({}, {"tables/x.csv": version("x"), "relay.yaml": version("r")}, WORKER)
    await history.put_in_force({}, {"tables/x.csv": ("", "")}, WORKER)
    assert (await history.in_force()).files == {"relay.yaml": version_of("r")}
    assert await history.file_texts(["tables/x.csv"]) == [None]


async def test_names_that_look_like_something_else_are_told_apart(history: History) -> None:
    await put(history, **{"a": "1", "a:b": "2", "relay.yaml": "3", "ä -": "4"})
    assert await history.versions("a") == {version_of("1"): "1"}
    assert await history.versions("a:b") == {version_of("2"): "2"}
    assert (await history.in_force()).files == {}
    assert [one.version for one in await history.entries("ä -")] == [version_of("4")]


async def test_three_hundred_recipes_are_told_at_once(history: History) -> None:
    recipes = {f"r{number}": f"text {number}" for number in range(300)}
    assert sorted(await put(history, **recipes)) == sorted(recipes)
    assert len((await history.in_force()).recipes) == 300


async def test_the_audit_has_who_restored_what(bench: Bench, history: History) -> None:
    await history.restored("a", version_of("one"), "ana")
    (entry,) = await bench.operators.audit()
    assert {key: entry[key] for key in ("who", "what", "id", "version")} == {
        "who": "ana", "what": "restore", "id": "a", "version": version_of("one"),
    }  # fmt: skip


# -- what is forgotten


async def forget(history: History, *, after_days: int = 0) -> int:
    """As a worker does it every hour, so many days later."""
    grace_ms = 8 * DAY_MS
    if after_days:
        for name, marked in (
            await history.store.ask("ZRANGE", history.store.key("x:unnamed"), 0, -1, "WITHSCORES") or ()
        ):
            await history.store.ask(
                "ZADD", history.store.key("x:unnamed"), float(marked) - after_days * DAY_MS, name
            )  # fmt: skip
    return await history.forget_versions(grace_ms)


async def test_the_history_is_bounded_and_what_it_lets_go_is_forgotten_in_time(history: History) -> None:
    for number in range(MOST_ENTRIES + 5):
        await put(history, a=f"text {number}")
    assert len(await history.entries("a")) == MOST_ENTRIES
    assert len(await history.versions("a")) == MOST_ENTRIES + 5
    assert await forget(history) == 0, "it is only marked"
    assert await forget(history, after_days=7) == 0, "not yet"
    assert await forget(history, after_days=2) == 5
    assert len(await history.versions("a")) == MOST_ENTRIES
    assert await forget(history, after_days=30) == 0
    assert await history.texts([("a", version_of("text 0")), ("a", version_of("text 104"))]) == [None, "text 104"]


async def test_a_version_in_force_is_never_forgotten_however_old(history: History) -> None:
    await put(history, old="kept")
    await history.store.ask("DEL", history.store.key("h:old"))
    await forget(history)
    assert await forget(history, after_days=30) == 0
    assert await history.versions("old") == {version_of("kept"): "kept"}


async def test_a_version_that_comes_in_force_again_is_no_longer_marked(history: History) -> None:
    for number in range(MOST_ENTRIES + 1):
        await put(history, a=f"text {number}")
    await forget(history)
    await put(history, a="text 0")
    assert await forget(history, after_days=30) == 0, "and the one that it drove out is only marked now"
    assert (await history.in_force()).recipes["a"] == version_of("text 0")
    assert version_of("text 0") in await history.versions("a")


async def test_a_version_that_a_replay_brings_along_is_kept_for_it(bench: Bench, history: History) -> None:
    await bench.store.keep_versions({("a", "v1"): "text"})
    await forget(history)
    await bench.store.keep_versions({("a", "v1"): "text"})
    assert await forget(history, after_days=30) == 0
    assert await forget(history, after_days=30) == 1


async def test_no_version_is_forgotten_that_a_kept_delivery_names(
    bench: Bench, history: History, workspace: Workspaces
) -> None:
    """A dead letter waits for ever, and is replayed by the recipe it was routed with."""
    recipe = {"recipe": "r", "catch": "chat", "steps": {"a": {"to": "sink", "with": {"path": "/", "json": {"n": 1}}}}}
    first = workspace(r=recipe)
    text = first.recipes["r"].text
    await put(history, r=text)
    await bench.accept()
    await bench.route(first)
    lease = await bench.take()
    for number in range(MOST_ENTRIES + 3):
        await put(history, r=f"{text}# {number}\n")
    named = first.recipes["r"].version
    # Long after: the delivery is as old as it can be, and still there.
    await forget(history)
    delivery = (await bench.store.ask("ZRANGE", bench.store.key("x:d"), 0, -1))[0]
    await bench.store.ask("ZADD", bench.store.key("x:d"), now_ms() - 100 * DAY_MS, delivery)
    assert await forget(history, after_days=9) == 3
    assert await bench.store.version("r", named) == text
    assert await forget(history, after_days=9) == 0
    assert await bench.store.version("r", named) == text

    await bench.settle(lease)
    while await bench.store.sweep(now_ms() + 1):
        pass
    assert await forget(history, after_days=9) == 1
    assert await bench.store.version("r", named) is None


async def test_no_version_is_forgotten_that_a_closed_batch_is_rendered_by(
    bench: Bench, history: History, workspace: Workspaces
) -> None:
    """Its rows were routed with another one. It may wait in a held lane for as long as its deliveries."""
    recipe = {"recipe": "r", "catch": "chat", "steps": {"a": {"to": "sink", "with": {"path": "/", "json": {"n": 1}}}}}
    await bench.accept()
    await bench.route(workspace(r=recipe))
    delivery = (await bench.store.ask("ZRANGE", bench.store.key("x:d"), 0, -1))[0].decode()
    await bench.store.ask("ZADD", bench.store.key("x:d"), now_ms() - 100 * DAY_MS, delivery)
    await bench.store.keep_versions({("r", "closed"): "a text"})
    await bench.store.ask("HSET", bench.store.key("d:", delivery), "bt", "bat_1")
    await bench.store.ask("HSET", bench.store.key("bt:bat_1"), "ver", "closed")
    await forget(history)
    assert await forget(history, after_days=9) == 0
    assert await bench.store.version("r", "closed") == "a text"
    await bench.store.ask("DEL", bench.store.key("bt:bat_1"))
    await bench.store.ask("HDEL", bench.store.key("d:", delivery), "bt")
    assert await forget(history, after_days=9) == 1


async def add_deliveries(history: History, names: dict[str, int], recipe: str = "r", version: str = "other") -> None:
    """Rows as old as can be, each at its score."""
    index = history.store.key("x:d")
    for name, at in names.items():
        await history.store.ask("HSET", history.store.key("d:", name), "re", recipe, "ver", version)
        await history.store.ask("ZADD", index, at, name)


async def remove_deliveries(history: History, names: Iterable[str]) -> None:
    for name in names:
        await history.store.ask("DEL", history.store.key("d:", name))
        await history.store.ask("ZREM", history.store.key("x:d"), name)


@pytest.mark.parametrize("at_once", [False, True], ids=["one after another", "in the same millisecond"])
async def test_no_version_is_missed_while_another_worker_sweeps(
    history: History, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """What it removes was seen already; what comes after it is seen all the same."""
    monkeypatch.setattr("relay.store.history._PAGE", 5)
    many = {f"a{number:02}": 1 if at_once else number for number in range(20)}
    try:
        await add_deliveries(history, many)
        await add_deliveries(history, {"b": 1 if at_once else 20}, version="named")
        look, looks = history._named, []

        async def swept(names: Sequence[str]) -> set[str]:
            looks.append(len(names))
            found = await look(names)
            await remove_deliveries(history, names if "b" not in names else ())
            return found

        monkeypatch.setattr(history, "_named", swept)
        assert await history._used(100) == {"r:other", "r:named"}
        assert max(looks) <= 5
        assert len(looks) > 4
    finally:
        await remove_deliveries(history, [*many, "b"])


async def test_it_is_looked_twice_before_a_version_is_forgotten(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history.store.keep_versions({("r", "v1"): "a text"})
    await forget(history)
    looks: list[set[str]] = [set(), {"r:v1"}]

    async def used(_: int) -> set[str]:
        return looks.pop(0)

    with monkeypatch.context() as second:
        second.setattr(history, "_used", used)
        assert await forget(history, after_days=9) == 0
        assert looks == []
    assert await forget(history) == 0, "it counts anew"
    assert await forget(history, after_days=9) == 1
