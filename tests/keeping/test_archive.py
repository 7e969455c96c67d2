"""The archive: what ends is on disk before it is forgotten, is read whatever a kill left, and comes back as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from relay.clock import now_ms
from relay.keeping import Archive, Housekeeper
from relay.keeping.archived import kept_of
from relay.model import Attempt, Event, Fate, Outcome
from relay.settings import Settings
from relay.store import Keeping, Settled
from tests.store.bench import Bench, Workspaces, event_of, recipe

ATTEMPT = Attempt(1, 1_700_000_000_123, 12.5, Outcome(Fate.DELIVERED, "200 OK"), {"url": "http://x/ü"}, {"status": 200})


def housekeeper(bench: Bench, archive: Path | None, worker: str = "a") -> Housekeeper:
    settings = Settings(keep=timedelta(milliseconds=-60_000), archive=str(archive) if archive else "")
    return Housekeeper(bench.store, settings, worker)


async def delivered(bench: Bench, workspace: Any, body: bytes = b'{"id": 1}') -> Event:
    event = await bench.accept(body)
    await bench.route(workspace)
    for lease in await bench.fetch():
        await bench.settle(lease, Settled("delivered", "200 OK", attempt=ATTEMPT))
    return event


async def everything(bench: Bench) -> dict[str, Any]:
    """All keys of events and deliveries with what is in them."""
    keys = [*await bench.keys("e:*"), *await bench.keys("d:*")]
    return {key: sorted((await bench.store.ask("HGETALL", key)).items()) for key in keys}


async def test_what_is_archived_comes_back_as_it_was_and_sends_nothing(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    loaded = workspace(r=recipe())
    events = [await delivered(bench, loaded), await delivered(bench, loaded, '{"id": "ü"}'.encode())]
    before = await everything(bench)
    assert len(before) == 4
    folder = tmp_path / "archive"
    assert await housekeeper(bench, folder).sweep() == 2
    assert await everything(bench) == {}
    archive, keeping = Archive(folder), Keeping(bench.store)
    lines = list(archive.events())
    assert {line["id"] for line in lines} == {event.id for event in events}
    for line in lines:
        kept = kept_of(line)
        assert await keeping.bring_back(kept, line["source"], events[0].received_ms)
        assert not await keeping.bring_back(kept, line["source"], events[0].received_ms), "it is there already"
    assert await everything(bench) == before
    assert await bench.fetch() == []
    assert await bench.replay_event(loaded, events[0]) == {"queued": 1}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in archive.files()} == {0o600}


async def test_a_body_that_is_no_text_comes_back_byte_for_byte(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    event = event_of(bytes(range(256)), source="nobodys")
    await bench.put(event)
    await bench.route(workspace(r=recipe()))
    assert await housekeeper(bench, tmp_path).sweep() == 1
    (line,) = Archive(tmp_path).events()
    await Keeping(bench.store).bring_back(kept_of(line), event.source, event.received_ms)
    stored = await bench.store.event(event.id)
    assert stored is not None
    assert stored.event == event


async def test_a_folder_that_cannot_be_written_to_keeps_everything_in_the_store(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    await delivered(bench, workspace(r=recipe()))
    before = await everything(bench)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        await housekeeper(bench, tmp_path / "file").sweep()
    assert await everything(bench) == before


async def test_a_worker_without_an_archive_leaves_what_ended_to_one_that_has_one(
    bench: Bench, workspace: Workspaces, tmp_path: Path
) -> None:
    loaded = workspace(r=recipe())
    await housekeeper(bench, tmp_path, "a").sweep()
    await delivered(bench, loaded)
    assert await housekeeper(bench, None, "b").sweep() == 0
    assert await housekeeper(bench, tmp_path, "a").sweep() == 1


async def test_one_worker_at_a_time_has_its_turn(bench: Bench) -> None:
    keeping = Keeping(bench.store)
    assert await keeping.turn("sweep", "a", 60_000)
    assert await keeping.turn("sweep", "a", 60_000)
    assert not await keeping.turn("sweep", "b", 60_000)


async def test_what_was_replayed_since_it_was_written_is_not_forgotten(bench: Bench, workspace: Workspaces) -> None:
    loaded = workspace(r=recipe())
    event = await delivered(bench, loaded)
    keeping, cutoff = Keeping(bench.store), now_ms()
    assert await keeping.ended(cutoff, 10) == [event.id]
    await bench.replay_event(loaded, event)
    assert await keeping.forget([event.id], cutoff) == 0
    assert await bench.store.event(event.id) is not None


def test_a_line_written_twice_is_read_once_and_the_later_one_counts(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.append([b'{"kind":"event","id":"e1","n":1}', b'{"kind":"event","id":"e2","n":1}'])
    archive.append([b'{"kind":"event","id":"e1","n":2}', b'{"kind":"audit","id":"a"}'])
    assert [(line["id"], line["n"]) for line in archive.events()] == [("e1", 2), ("e2", 1)]


@pytest.mark.parametrize("cut", [1, 20, 30, 60])
def test_a_torn_end_spoils_nothing_before_it_and_nothing_after(tmp_path: Path, cut: int) -> None:
    archive = Archive(tmp_path)
    path = archive.append([b'{"kind":"event","id":"e1"}'])
    whole = path.stat().st_size
    archive.append([b'{"kind":"event","id":"torn"}' * 1])
    with path.open("r+b") as file:
        file.truncate(min(whole + cut, path.stat().st_size - 1))
    assert [line["id"] for line in archive.events()] == ["e1"]
    assert len(archive.damages) == 1
    again = Archive(tmp_path)
    again.append([b'{"kind":"event","id":"e2"}'])
    assert [line["id"] for line in again.events()] == ["e2", "e1"]
    assert again.damages == []
    with path.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert text == b'{"kind":"event","id":"e1"}\n{"kind":"event","id":"e2"}\n', "as zstdcat reads it"


@pytest.mark.parametrize("at", [0, 5, 15, 22, 30, 45])
def test_damage_in_the_middle_costs_that_page_alone_and_is_told(tmp_path: Path, at: int) -> None:
    archive = Archive(tmp_path)
    path = archive.append([b'{"kind":"event","id":"e1"}'])
    start = path.stat().st_size
    for number in (2, 3):
        archive.append([b'{"kind":"event","id":"e%d"}' % number])
    with path.open("r+b") as file:
        file.seek(start + at)
        byte = file.read(1)
        file.seek(start + at)
        file.write(bytes([byte[0] ^ 0xFF]))
    reader = Archive(tmp_path)
    assert [line["id"] for line in reader.events()] == ["e3", "e1"]
    assert reader.damages
