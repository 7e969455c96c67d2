"""Watching a folder: a save is taken when it is whole, however it is made, and nothing is taken for one that isn't."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from relay.recipes.files import FILE
from relay.recipes.watch import PATIENCE_SECONDS, QUIET_SECONDS, SHRUNK_SECONDS, Watch

RELAY = b'sources:\n  chat: {verify: {bearer: "${file:secrets/key}"}}\n'
LOOK = 0.25


class Bench:
    """A folder, its watch, and a clock that only moves when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100.0
        self.write(FILE, RELAY)
        self.write("a.yaml", b"recipe: a, and long enough to be cut\n")
        self.write("b.yaml", b"recipe: b\n")
        self.write("secrets/key", b"hush\n")
        self.write("tables/courses.csv", b"code,title\n1,One\n")
        self.watch = Watch(folder, clock=lambda: self.now)
        self.watch.begin()

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def look(self, seconds: float = LOOK) -> bool:
        self.now += seconds
        return self.watch.look()

    def until_taken(self, most_seconds: float = 5.0) -> float:
        """Look as a process does. After how many seconds something was taken."""
        began = self.now
        while not self.look():
            assert self.now - began < most_seconds, "nothing was taken"
        return self.now - began

    def quiet(self, seconds: float = 4.0) -> bool:
        """Whether nothing is taken for so long."""
        taken = [self.look() for _ in range(round(seconds / LOOK))]
        return not any(taken)

    @property
    def contents(self) -> dict[str, Any]:
        return dict(self.watch.files.contents)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "recipes")


def test_it_begins_with_what_is_there_the_secrets_that_relay_yaml_names_among_it(bench: Bench) -> None:
    assert sorted(bench.contents) == ["a.yaml", "b.yaml", FILE, "secrets/key", "tables/courses.csv"]
    assert bench.contents["secrets/key"] == b"hush\n"
    assert bench.watch.files.recipes == ["a", "b"]
    assert bench.watch.files.tables == ["courses"]
    assert bench.quiet()


def test_what_an_editor_leaves_beside_a_file_is_none_of_its_business(bench: Bench) -> None:
    for name in (".a.yaml.swp", ".#a.yaml", "#a.yaml#", "~a.yaml", "a.yaml~", "a.yaml.bak", "4913", "notes.txt"):
        bench.write(name, b"recipe: not one\n")
    (bench.folder / "folder.yaml").mkdir()
    (bench.folder / "dangling.yaml").symlink_to(bench.folder / "nothing")
    assert bench.quiet()


@pytest.mark.parametrize("name", ["a.yaml", FILE, "secrets/key", "tables/courses.csv", "new.yaml", "tables/new.csv"])
def test_a_save_of_any_file_that_matters_is_taken_at_the_second_look(bench: Bench, name: str) -> None:
    bench.write(name, b"# longer than what was there before, by far: " + RELAY * 3)
    assert bench.until_taken() <= 2 * LOOK
    assert bench.contents[name].startswith(b"# longer")
    assert bench.quiet()


def test_a_file_that_is_still_being_written_is_not_taken(bench: Bench) -> None:
    for step in range(20):
        bench.write("b.yaml", b"recipe: b\n" + b"# more\n" * (step + 1))
        assert not bench.look()
    assert bench.until_taken() <= 2 * LOOK
    assert bench.contents["b.yaml"].count(b"more") == 20


def test_a_file_cut_to_nothing_and_then_written_is_taken_once_and_whole(bench: Bench) -> None:
    """`>` of a shell, and editors that write in place: for a moment the file is empty, or half of it is there."""
    bench.write("a.yaml", b"")
    assert not bench.look()
    assert not bench.look()
    bench.write("a.yaml", b"recipe: a")
    assert not bench.look()
    assert not bench.look()
    bench.write("a.yaml", b"recipe: a, and longer than it has ever been before\n")
    bench.until_taken()
    assert bench.contents["a.yaml"].endswith(b"before\n")


def test_a_file_that_stays_empty_is_taken_in_the_end(bench: Bench) -> None:
    bench.write("a.yaml", b"")
    taken = bench.until_taken()
    assert SHRUNK_SECONDS <= taken <= SHRUNK_SECONDS + 2 * LOOK
    assert bench.contents["a.yaml"] == b""


def test_a_file_that_vim_replaces_is_never_seen_as_gone(bench: Bench) -> None:
    """It is renamed to a backup, written anew, and the backup is deleted."""
    path, backup = bench.folder / "a.yaml", bench.folder / "a.yaml~"
    path.rename(backup)
    assert not bench.look()
    assert not bench.look()
    path.write_bytes(b"recipe: a, as vim has written it just now\n")
    assert not bench.look()
    backup.unlink()
    assert bench.look()
    assert bench.contents["a.yaml"].startswith(b"recipe: a, as vim")


def test_a_file_put_in_place_by_a_rename_is_taken(bench: Bench) -> None:
    """The way of careful editors: another file, of the same length and the same time, takes its place."""
    path, other = bench.folder / "b.yaml", bench.folder / "b.tmp"
    other.write_bytes(b"recipe: c\n")
    shutil.copystat(path, other)
    other.replace(path)
    bench.until_taken()
    assert bench.contents["b.yaml"] == b"recipe: c\n"


def test_a_change_that_keeps_the_length_and_the_time_of_the_file_is_seen(bench: Bench) -> None:
    path = bench.folder / "b.yaml"
    before = path.stat()
    path.write_bytes(b"recipe: c\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    bench.until_taken()
    assert bench.contents["b.yaml"] == b"recipe: c\n"


def test_a_second_save_within_one_tick_of_a_slow_clock_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems whose clock ticks once in two seconds: both saves of one length look alike."""
    from relay.recipes import files

    fine = files._signature
    # Of the four, only the length is left that tells them apart: it doesn't.
    monkeypatch.setattr(files, "_signature", lambda status: (0, 0, fine(status)[2], 0))
    watch = bench.watch = Watch(bench.folder, clock=lambda: bench.now)
    watch.begin()
    bench.write("b.yaml", b"recipe: one\n")
    bench.until_taken()
    bench.write("b.yaml", b"recipe: two\n")
    bench.until_taken()
    assert bench.contents["b.yaml"] == b"recipe: two\n"
    assert bench.quiet(10)


def test_a_file_that_is_deleted_is_taken_as_gone_after_a_while(bench: Bench) -> None:
    (bench.folder / "a.yaml").unlink()
    taken = bench.until_taken()
    assert SHRUNK_SECONDS <= taken <= SHRUNK_SECONDS + 2 * LOOK
    assert "a.yaml" not in bench.contents


def test_a_file_that_is_touched_or_saved_as_it_was_is_no_change(bench: Bench) -> None:
    (bench.folder / "a.yaml").touch()
    bench.write("b.yaml", b"recipe: b\n")
    assert bench.quiet()


def test_a_checkout_of_many_files_is_taken_as_a_whole(bench: Bench) -> None:
    """Other processes see each state between; a workspace of half of them may be valid, and not what anybody meant."""
    for number in range(40):
        bench.write(f"r{number}.yaml", b"recipe: r\n")
        assert number % 8 or not bench.look(0.1)
    assert bench.until_taken() <= 2 * LOOK
    assert len(bench.watch.files.recipes) == 42


def test_a_file_that_never_rests_does_not_keep_the_others_waiting(bench: Bench) -> None:
    bench.write("a.yaml", b"recipe: a, which is saved once and for all\n")
    began = bench.now
    number = 0
    while True:
        number += 1
        bench.write("b.yaml", b"recipe: b\n" * number)
        if bench.look():
            break
    assert bench.now - began <= PATIENCE_SECONDS + 2 * LOOK
    assert bench.contents["a.yaml"].startswith(b"recipe: a, which")
    assert bench.contents["b.yaml"] == b"recipe: b\n"


def test_without_relay_yaml_nothing_else_of_the_folder_is_believed(bench: Bench) -> None:
    """A network drive that is gone leaves an empty folder: its recipes were not deleted by anybody."""
    elsewhere = bench.folder.with_name("elsewhere")
    bench.folder.rename(elsewhere)
    bench.until_taken()
    assert sorted(bench.contents) == ["a.yaml", "b.yaml", "secrets/key", "tables/courses.csv"]
    assert bench.quiet()

    bench.folder.mkdir()
    assert bench.quiet()

    bench.folder.rmdir()
    elsewhere.rename(bench.folder)
    bench.until_taken()
    assert sorted(bench.contents) == ["a.yaml", "b.yaml", FILE, "secrets/key", "tables/courses.csv"]


def test_a_secret_that_comes_later_is_seen_and_one_that_goes_too(bench: Bench) -> None:
    bench.write(FILE, RELAY.replace(b"secrets/key", b"secrets/another"))
    bench.until_taken()
    bench.write("secrets/another", b"hush hush\n")
    bench.until_taken()
    assert bench.contents["secrets/another"] == b"hush hush\n"
    (bench.folder / "secrets/another").unlink()
    bench.until_taken()
    assert "secrets/another" not in bench.contents


def test_a_file_that_may_not_be_read_says_so_once(bench: Bench) -> None:
    link = bench.folder / "c.yaml"
    link.symlink_to("/proc/self/mem")
    bench.quiet()
    assert bench.quiet(), "not again and again"


def test_at_once_takes_what_is_there(bench: Bench) -> None:
    bench.write("a.yaml", b"")
    assert bench.watch.look(at_once=True)
    assert bench.contents["a.yaml"] == b""


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_done_to_the_folder_what_is_taken_ends_up_as_what_is_there(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    names = [f"r{number}.yaml" for number in range(4)] + ["tables/t.csv", FILE, "secrets/key"]
    for _ in range(60):
        name = rng.choice(names)
        path = bench.folder / name
        match rng.choice(["write", "cut", "delete", "rename", "look", "wait"]):
            case "write":
                bench.write(name, RELAY * rng.randint(1, 3) + b"#" * rng.randint(0, 3))
            case "cut" if path.exists():
                path.write_bytes(path.read_bytes()[: rng.randint(0, 40)])
            case "delete" if name != FILE:
                path.unlink(missing_ok=True)
            case "rename" if path.exists() and name != FILE:
                path.replace(bench.folder / rng.choice([one for one in names if "/" not in one and one != FILE]))
            case "look":
                bench.look(rng.random())
            case _:
                bench.look(2.0)
    bench.write(FILE, RELAY)
    bench.quiet(8)
    there = {str(p.relative_to(bench.folder)): p.read_bytes() for p in bench.folder.rglob("*.*") if p.is_file()}
    secret = bench.folder / "secrets/key"
    assert bench.contents == there | ({"secrets/key": secret.read_bytes()} if secret.exists() else {})


def test_a_look_at_three_hundred_recipes_costs_next_to_nothing(bench: Bench) -> None:
    for number in range(300):
        bench.write(f"r{number}.yaml", b"recipe: r\n")
    bench.quiet(8)
    began = time.process_time()
    for _ in range(100):
        bench.look()
    seconds = (time.process_time() - began) / 100
    print(f"a look at 300 recipes: {seconds * 1000:.2f} ms")
    # Twice a second: half a percent of a processor, and ten times that where tests run beside each other.
    assert seconds < 0.025


def test_a_save_is_in_force_within_two_seconds_whatever_it_is() -> None:
    from relay.reload import LOOK_SECONDS

    slowest = LOOK_SECONDS + SHRUNK_SECONDS + 2 * LOOK
    assert slowest < 2.0
    assert LOOK_SECONDS + QUIET_SECONDS + LOOK < 1.0
