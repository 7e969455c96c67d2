"""Hosts with folders of their own on one store, and what a process that reloads for months leaves behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relay import reload
from relay.errors import StoreError
from relay.recipes import Workspace, version_of
from relay.reload import Reloader
from relay.store import History, Store

RELAY = "sources:\n  chat: {verify: none}\nconnections:\n  drop: {connector: file}\n"
RECIPE = "recipe: One\ncatch: chat\nsteps:\n  row: {to: drop, do: csv, with: {path: a.csv, row: {A: $.a}}}\ntests: []\n"
NEWER = RECIPE + "# newer\n"
BROKEN = RECIPE.replace("to: drop", "to: drup")


class Host:
    """A process with a folder of its own. It looks when it is told to."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        (folder / "tables").mkdir(parents=True)
        self.write("relay.yaml", RELAY)
        self.write("one.yaml", RECIPE)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    async def start(self) -> Host:
        self.reloader = Reloader(self.folder, self.store, f"worker {self.folder.name}")
        self.workspace = await self.reloader.begin()
        return self

    async def look(self) -> Workspace:
        self.reloader._watch.look(at_once=True)
        self.workspace = await self.reloader._load()
        return self.workspace

    async def save(self, name: str, text: str) -> None:
        self.write(name, text)
        await self.look()

    async def delete(self, name: str) -> None:
        (self.folder / name).unlink()
        await self.look()


@pytest.fixture
async def store(valkey_url: str, prefix: str) -> AsyncIterator[Store]:
    store = Store(valkey_url, prefix)
    yield store
    await store.aclose()


@pytest.fixture
def history(store: Store) -> History:
    return History(store)


@pytest.fixture
async def ahead(tmp_path: Path, store: Store) -> Host:
    return await Host(tmp_path / "ahead", store).start()


@pytest.fixture
async def lagging(tmp_path: Path, store: Store, ahead: Host) -> Host:
    return await Host(tmp_path / "lagging", store).start()


async def versions(history: History, recipe: str) -> list[str]:
    """Oldest first."""
    return [entry.version for entry in reversed(await history.entries(recipe))]


async def test_a_folder_that_lags_takes_nothing_newer_out_of_force(
    ahead: Host, lagging: Host, history: History
) -> None:
    await ahead.save("one.yaml", NEWER)
    await ahead.save("new.yaml", RECIPE)
    await ahead.save("tables/marks.csv", "key,mark\na,1\n")
    await ahead.save("relay.yaml", RELAY + "# newer\n")
    expected = await history.in_force()
    # Something else comes first over there.
    await lagging.save("third.yaml", RECIPE)
    known = await history.in_force()
    assert known.recipes == {**expected.recipes, "third": version_of(RECIPE)}
    assert known.files == expected.files
    await lagging.save("one.yaml", NEWER)
    assert await versions(history, "one") == [version_of(RECIPE), version_of(NEWER)]
    # And back, on any of them.
    await lagging.save("one.yaml", RECIPE)
    assert (await history.in_force()).recipes["one"] == version_of(RECIPE)


async def test_what_a_folder_has_lost_is_out_of_force_and_what_it_never_had_is_not(
    ahead: Host, lagging: Host, history: History
) -> None:
    await ahead.save("new.yaml", RECIPE)
    await ahead.save("tables/marks.csv", "key,mark\na,1\n")
    await lagging.delete("one.yaml")
    known = await history.in_force()
    assert set(known.recipes) == {"new"}
    assert set(known.files) == {"relay.yaml", "tables/marks.csv"}
    await ahead.delete("tables/marks.csv")
    await ahead.delete("new.yaml")
    known = await history.in_force()
    assert (set(known.recipes), set(known.files)) == (set(), {"relay.yaml"})


async def test_an_error_that_comes_and_goes_is_no_news(ahead: Host, lagging: Host, history: History) -> None:
    await ahead.save("one.yaml", NEWER)
    await lagging.save("one.yaml", BROKEN)
    assert lagging.workspace.recipes["one"].version == version_of(NEWER)
    await lagging.save("one.yaml", RECIPE)
    assert (await history.in_force()).recipes["one"] == version_of(NEWER)


async def test_a_recipe_that_another_file_makes_valid_is_news(ahead: Host, history: History) -> None:
    late = RECIPE.replace("to: drop", "to: late")
    await ahead.save("one.yaml", late)
    assert (await history.in_force()).recipes["one"] == version_of(RECIPE)
    await ahead.save("relay.yaml", RELAY + "  late: {connector: file}\n")
    assert (await history.in_force()).recipes["one"] == version_of(late)


async def test_a_table_that_was_deleted_while_a_file_was_refused_is_gone_afterwards(
    ahead: Host, history: History
) -> None:
    await ahead.save("tables/marks.csv", "key,mark\na,1\n")
    await ahead.save("one.yaml", BROKEN)
    await ahead.delete("tables/marks.csv")
    assert "tables/marks.csv" in (await history.in_force()).files
    await ahead.save("one.yaml", RECIPE)
    assert set((await history.in_force()).files) == {"relay.yaml"}


async def test_a_folder_that_was_away_takes_nothing_out_of_force_that_it_never_had(
    ahead: Host, lagging: Host, history: History
) -> None:
    await ahead.save("new.yaml", RECIPE)
    (lagging.folder / "one.yaml").unlink()
    await lagging.delete("relay.yaml")
    assert set(lagging.workspace.recipes) == {"one", "new"}
    lagging.write("one.yaml", RECIPE)
    await lagging.save("relay.yaml", RELAY)
    assert set((await history.in_force()).recipes) == {"one", "new"}


async def test_a_process_that_starts_tells_all_that_changed_while_there_was_none(ahead: Host, history: History) -> None:
    ahead.write("two.yaml", RECIPE)
    (ahead.folder / "one.yaml").unlink()
    await ahead.start()
    assert set((await history.in_force()).recipes) == {"two"}


async def test_what_could_not_be_told_is_told_when_the_store_is_back(
    ahead: Host, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:

        async def put(*_: Any) -> list[str]:
            raise StoreError("away")

        away.setattr(ahead.reloader._history, "put_in_force", put)
        await ahead.save("one.yaml", NEWER)
    assert (await history.in_force()).recipes["one"] == version_of(RECIPE)
    await ahead.look()
    assert (await history.in_force()).recipes["one"] == version_of(NEWER)


class Circle:
    def __init__(self) -> None:
        self.itself = self
        self.many: list[list[Any]] = [[] for _ in range(400)]


async def test_garbage_that_the_collector_does_not_see_is_bounded(ahead: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reload leaves a circle, as a template does, that is put out of the collector's sight while it is in use."""
    monkeypatch.setattr(reload, "_GROWN", 2000)
    reloader, made = ahead.reloader, []
    load = reloader._loader.load
    in_use: list[Circle] = []

    def leaving(*words: Any) -> Workspace:
        in_use[:] = [Circle()]
        made.append(weakref.ref(in_use[0]))
        reloader._parsed = reload._MANY
        return load(*words)

    monkeypatch.setattr(reloader._loader, "load", leaving)
    try:
        for _ in range(100):
            await ahead.look()
        assert len(made) == 100
        assert sum(one() is not None for one in made) < 20
    finally:
        gc.unfreeze()
