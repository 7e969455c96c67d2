"""Reloading: the workspace of a process follows its folder.

What is valid is told to the store, and what isn't is asked of it: so all processes agree on what is in force, those too
that were not there when it was saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from relay import log
from relay.errors import ConfigError, Place, StoreError
from relay.recipes.files import FILE, Files, read_files, secrets_in
from relay.recipes.own import Own, news_of
from relay.recipes.parse import version_of
from relay.recipes.recipe import Problem
from relay.recipes.reload import Changes, Kept, Loader, changes_between, with_errors, with_kept
from relay.recipes.watch import Watch
from relay.recipes.workspace import Refused, Workspace, read_setup
from relay.store import History, InForce, Store

T = TypeVar("T")

#: How often the folder is looked at; and how soon again when something has changed, to see whether it has settled.
LOOK_SECONDS = 0.5
_AGAIN_SECONDS = 0.25

#: While a file is refused, how often the store is asked whether another process has seen something better.
_ASK_SECONDS = 0.5

#: A pause after each recipe that was parsed: the event loop is to run meanwhile.
_BREATH_SECONDS = 0.0005

#: So many recipes at once are worth keeping from the collector's eyes.
_MANY = 20

#: So many objects more than after the last whole collection, and there is one: of what the collector doesn't see,
#: circles have become garbage. It stops every thread, for 0.1 s where 300 recipes are in force.
_GROWN = 50_000

#: What to do with a workspace that has come in force: it, the one before, and what differs.
Take = Callable[[Workspace, Workspace, Changes], Awaitable[None]]


class Reloader:
    """Keeps a workspace up to its folder."""

    workspace: Workspace

    def __init__(self, folder: Path, store: Store, by: str) -> None:
        """`by` is the process, for the history."""
        self._watch = Watch(folder)
        self._loader = Loader(folder, breathe=self._breathe)
        self._parsed = 0
        self._frozen = 0
        self._history = History(store)
        self._by = by
        self._log = log.get()
        self._known = InForce()
        self._kept = Kept()
        self._own: Own | None = None
        self._unsure = False
        self._refused: dict[str, Refused] = {}
        self._wake = threading.Event()
        self._asked = False
        self._closed = False

    async def begin(self) -> Workspace:
        """What is in force at the start. Raises ConfigError where relay.yaml can't be read, and none is kept."""
        await _apart(self._watch.begin)
        self.workspace = await self._load()
        self._tell(with_errors(self.workspace))
        return self.workspace

    def now(self) -> None:
        """Look at once, and take what is there. May be called by a signal handler."""
        self._asked = True
        self._wake.set()

    async def follow(self, take: Take) -> NoReturn:
        """Until it is cancelled: put in force what changes."""
        change: asyncio.Future[tuple[float, bool]] | None = None
        try:
            while True:
                change = change or _apart(self._change)
                await asyncio.wait({change}, timeout=_ASK_SECONDS if self._asks else None)
                try:
                    if change.done():
                        ended, change = change, None
                        await self._reload(take, *ended.result())
                    elif await self._has_news():
                        await self._reload(take, time.perf_counter(), asked=False)
                except Exception as error:  # noqa: BLE001 - nobody foresaw it; what is in force stays so
                    self._log.error("workspace.mistake", exc_info=error)
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._closed = True
            self._wake.set()

    def refuses_relay_yaml(self) -> bool:
        """Whether it has an error: then it may name what isn't in force."""
        return any(file.endswith(FILE) for file in self._refused)

    # -- looking, in a thread: a drive that hangs must not stop the process

    def _change(self) -> tuple[float, bool]:
        """Return when the folder has changed and settled, or somebody asked: when that was, and whether."""
        while True:
            self._wake.wait(_AGAIN_SECONDS if self._watch.settling else LOOK_SECONDS)
            self._wake.clear()
            asked, self._asked = self._asked, False
            started = time.perf_counter()
            is_new = self._watch.look(at_once=asked)
            if is_new or asked or self._closed:
                return started, asked

    @property
    def _asks(self) -> bool:
        return self._unsure or bool(self._refused)

    async def _has_news(self) -> bool:
        try:
            return self._unsure or await self._history.number() != self._known.number
        except StoreError:
            return False

    # -- loading

    async def _load(self) -> Workspace:
        """Raises ConfigError."""
        self._unsure = False
        try:
            self._known = await self._history.in_force()
        except StoreError:
            # What was known last is what is in force, as far as anybody can tell.
            self._unsure = True
        own = files = self._watch.files
        workspace = None
        if not self._refused:
            with contextlib.suppress(ConfigError):
                workspace = await self._parse(files, Kept())
        if workspace is None or workspace.errors:
            self._kept = await self._last_valid(files)
            files = with_kept(files, self._kept)
            self._watch.also = secrets_in(self._kept.files.get(FILE, "").encode())
            workspace = await self._parse(files, self._kept)
        await self._tell_store(workspace, own)
        return workspace

    async def _tell_store(self, workspace: Workspace, files: Files) -> None:
        """Before anything is routed by it: other processes have to find the texts of what they are to deliver."""
        known = Own(self._known.recipes, self._known.files)
        news = news_of(workspace, files, self._own, known)
        try:
            await self._history.put_in_force(news.recipes, news.files, self._by)
        except StoreError:
            self._unsure = True
        if not self._unsure:
            # Else it is told once more, for what was known may be old.
            self._own = news.own

    async def _last_valid(self, files: Files) -> Kept:
        try:
            return await last_valid(self._history, self._known, files)
        except StoreError:
            self._unsure = True
            return self._kept

    async def _parse(self, files: Files, kept: Kept) -> Workspace:
        return await _apart(lambda: self._quietly(files, kept))

    def _quietly(self, files: Files, kept: Kept) -> Workspace:
        """What is parsed lives until it is parsed again: to search it for garbage would stop every thread for long."""
        self._parsed = 0
        gc.disable()
        try:
            return self._loader.load(files, kept)
        finally:
            if self._parsed >= _MANY:
                self._freeze()
            gc.enable()

    def _freeze(self) -> None:
        grown = gc.get_freeze_count() > self._frozen + _GROWN
        if grown:
            gc.unfreeze()
            gc.collect()
        gc.freeze()
        if grown or not self._frozen:
            self._frozen = gc.get_freeze_count()

    def _breathe(self) -> None:
        self._parsed += 1
        time.sleep(_BREATH_SECONDS)

    async def _reload(self, take: Take, since: float, asked: bool) -> None:
        try:
            workspace = await self._load()
            changes = changes_between(self.workspace, workspace)
            if changes:
                await take(workspace, self.workspace, changes)
            self.workspace = workspace
        except ConfigError as error:
            # relay.yaml can't be read, and the store knows no other: all stays as it is.
            place = error.place or Place(str(self._watch.folder / FILE))
            self._tell([Refused(place.file, Problem(place, "error", error.message), 1)])
            return
        if changes or asked:
            took_ms = round((time.perf_counter() - since) * 1000, 1)
            self._log.info("workspace.reloaded", process=self._by, **changes.named(), took_ms=took_ms)
        self._tell(with_errors(workspace))

    def _tell(self, refused: list[Refused]) -> None:
        """Log what is refused, once for each change of it."""
        for one in refused:
            if self._refused.get(one.file) != one:
                place = one.problem.place
                self._log.error(
                    "workspace.refused",
                    process=self._by,
                    file=place.file,
                    line=place.line,
                    column=place.column,
                    message=one.problem.message,
                    errors=one.errors,
                    in_force=one.version,
                )
        self._refused = {one.file: one for one in refused}


async def last_valid(history: History, known: InForce, files: Files) -> Kept:
    """The texts that may have to stand in for files with errors. Raises StoreError."""
    names = [name for name, version in known.files.items() if version != version_of(files.as_is(name))]
    texts = await history.file_texts(names)
    recipes = await history.texts(known.recipes.items())
    return Kept(_there(names, texts), _there(known.recipes, recipes))


async def in_force(folder: Path, store: Store) -> Workspace:
    """What the processes on this folder have in force, as far as they agree with the store.

    Raises ConfigError where relay.yaml can't be read and none is kept, StoreError.
    """
    history, files = History(store), read_files(folder)
    kept = await last_valid(history, await history.in_force(), files)
    return Loader(folder).load(with_kept(files, kept), kept)


def _there(names: Iterable[str], texts: Sequence[str | None]) -> dict[str, str]:
    return {name: text for name, text in zip(names, texts, strict=True) if text is not None}


def ensure_readable(folder: Path, redis_url: str, prefix: str) -> None:
    """Raises ConfigError where relay.yaml can't be read as a whole, and the store keeps none that could."""
    files = read_files(folder)
    try:
        read_setup(files.folder, files.text(FILE))
    except ConfigError:
        if not asyncio.run(_keeps(redis_url, prefix)):
            raise


async def _keeps(redis_url: str, prefix: str) -> bool:
    store = Store(redis_url, prefix)
    try:
        return FILE in (await History(store).in_force()).files
    except StoreError:
        return False
    finally:
        await store.aclose()


def _apart(work: Callable[[], T]) -> asyncio.Future[T]:
    """Run it in a thread of its own, which nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only where T is

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="workspace", daemon=True).start()
    return future
