"""A worker that is killed while it archives loses nothing: what left the store is in the archive, whole."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from relay.keeping import Archive
from tests.keeping.test_archive import delivered, housekeeper
from tests.store.bench import Bench, Workspaces, recipe

EVENTS = 300

#: What the killed process does.
PROGRAM = """
import asyncio
import sys
from datetime import timedelta

from relay.keeping import Housekeeper
from relay.settings import Settings
from relay.store import Store

url, prefix, archive = sys.argv[1:]

async def main():
    store = Store(url, prefix)
    await Housekeeper(store, Settings(keep=timedelta(milliseconds=-60_000), archive=archive), "a").sweep()

asyncio.run(main())
"""


def size(archive: Path) -> int:
    return sum(file.stat().st_size for file in archive.glob("*")) if archive.exists() else 0


def kill_when_it_has_written(bench: Bench, archive: Path, seconds: float) -> None:
    """So many seconds later, or when it has ended by itself."""
    before = size(archive)
    words = [sys.executable, "-c", PROGRAM, bench.store.url, bench.store.prefix, str(archive)]
    with subprocess.Popen(words) as process:
        while size(archive) == before and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(seconds)
        process.kill()


async def test_what_is_killed_while_it_archives_loses_nothing(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    here = workspace(r=recipe())
    ids = {(await delivered(bench, here, b'{"id": %d}' % number)).id for number in range(EVENTS)}
    folder = tmp_path / "archive"
    in_the_middle = 0
    for kill in range(8):
        kill_when_it_has_written(bench, folder, 0.002 * kill)
        in_store = {key.rpartition(":")[2] for key in await bench.keys("e:*")}
        archived = {line["id"] for line in Archive(folder).events()}
        assert in_store | archived == ids
        in_the_middle += bool(in_store and archived)
    assert in_the_middle
    await housekeeper(bench, folder).sweep()
    assert await bench.keys("e:*") == []
    assert sorted(line["id"] for line in Archive(folder).events()) == sorted(ids), "each once"
