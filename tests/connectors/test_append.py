from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.files import append
from connectors.files.append import Appended, Entry, append_all
from relay.errors import PermanentError, RetryableError, UnknownOutcomeError

REPOSITORY = Path(__file__).parents[2]


def line(text: str) -> Entry:
    return Entry(text, lambda start: f"{text}\n".encode() if start else f"head\n{text}\n".encode())


def add(root: Path, *texts: str) -> list[bool | type[Exception]]:
    outcomes = append_all(root, "a.csv", [line(text) for text in texts])
    return [o.fresh if isinstance(o, Appended) else type(o) for o in outcomes]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call reads the journal from the disk, as a new process would."""
    append._seen.clear()


def killed_after(monkeypatch: pytest.MonkeyPatch, root: Path, text: str, torn: Callable[[Path], None]) -> None:
    """An append that dies between its intent and its note, with the file as `torn` leaves it."""

    class Killed(BaseException):
        pass

    real = append._Work._note

    def note(self: append._Work, said: dict[str, object], *, sync: bool = False) -> None:
        if "done" in said:
            raise Killed
        real(self, said, sync=sync)

    with monkeypatch.context() as patch:
        patch.setattr(append._Work, "_note", note)
        with pytest.raises(Killed):
            add(root, text)
    append._seen.clear()
    torn(root / "a.csv")


@pytest.mark.parametrize("how", ["every", "random"])
def test_a_process_that_is_killed_at_any_point_leaves_every_row_once(tmp_path: Path, how: str) -> None:
    killing = Path(__file__).with_name("killing.py")
    run = subprocess.run(
        [sys.executable, str(killing), how, str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > (100 if how == "every" else 10), "it killed too little to show anything"


def test_a_repeat_writes_nothing(tmp_path: Path) -> None:
    assert add(tmp_path, "1", "2", "1") == [True, True, False]
    append._seen.clear()
    assert add(tmp_path, "2", "3") == [False, True]
    assert (tmp_path / "a.csv").read_text() == "head\n1\n2\n3\n"


def test_an_append_whose_note_was_lost_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "1")
    killed_after(monkeypatch, tmp_path, "22", lambda file: None)
    assert add(tmp_path, "22", "3") == [False, True]
    assert (tmp_path / "a.csv").read_text() == "head\n1\n22\n3\n"


def test_a_torn_append_is_cut_off_and_kept_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "1")
    killed_after(monkeypatch, tmp_path, "22222", lambda file: os.truncate(file, file.stat().st_size - 3))
    assert add(tmp_path, "3", "22222") == [True, True]
    assert (tmp_path / "a.csv").read_text() == "head\n1\n3\n22222\n"
    assert (tmp_path / ".a.csv.torn").read_text() == "222"


def test_a_power_cut_that_left_zeros_is_cut_off_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def zeroed(file: Path) -> None:
        file.write_bytes(file.read_bytes().replace(b"22222\n", b"\0" * 6))

    add(tmp_path, "1")
    with monkeypatch.context() as patch:
        killed_after(patch, tmp_path, "22222", lambda file: None)
    # In place, so that the inode stays.
    with (tmp_path / "a.csv").open("r+b") as file:
        file.seek(7)
        file.write(b"\0" * 6)
    assert add(tmp_path, "22222") == [True]
    assert (tmp_path / "a.csv").read_text() == "head\n1\n22222\n"


def test_a_file_taken_away_in_between_is_an_unknown_outcome_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(tmp_path, "1")
    killed_after(monkeypatch, tmp_path, "2", lambda file: file.rename(tmp_path / "taken.csv"))
    assert add(tmp_path, "3", "2") == [True, UnknownOutcomeError]
    append._seen.clear()
    assert add(tmp_path, "2") == [True]
    assert (tmp_path / "a.csv").read_text() == "head\n3\n2\n"


def test_a_file_that_was_taken_away_starts_anew_with_its_header(tmp_path: Path) -> None:
    add(tmp_path, "1")
    (tmp_path / "a.csv").unlink()
    assert add(tmp_path, "1", "2") == [False, True]
    assert (tmp_path / "a.csv").read_text() == "head\n2\n"


def test_a_last_line_that_somebody_left_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("head\nby hand")
    add(tmp_path, "1")
    assert (tmp_path / "a.csv").read_text() == "head\nby hand\n1\n"


def test_what_somebody_else_appended_after_a_kill_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def foreign(file: Path) -> None:
        with file.open("a") as opened:
            opened.write("somebody else's, and longer than ours\n")

    add(tmp_path, "1")
    killed_after(monkeypatch, tmp_path, "2", foreign)
    assert add(tmp_path, "2") == [False]
    assert (tmp_path / "a.csv").read_text() == "head\n1\n2\nsomebody else's, and longer than ours\n"


def test_a_row_that_cannot_be_made_leaves_the_others_alone_and_no_empty_file(tmp_path: Path) -> None:
    def impossible(_: bytes) -> bytes:
        raise PermanentError("no")

    bad = Entry("bad", impossible)
    (outcome,) = append_all(tmp_path, "a.csv", [bad])
    assert isinstance(outcome, PermanentError)
    assert not (tmp_path / "a.csv").exists()
    first, second = append_all(tmp_path, "a.csv", [bad, line("1")])
    assert isinstance(first, PermanentError)
    assert second == Appended(fresh=True)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, "1")
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if b"222" in bytes(data) and b"intent" not in bytes(data):
            real(fd, bytes(data)[:2])
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        add(tmp_path, "2222")
    monkeypatch.setattr(os, "write", real)
    assert (tmp_path / "a.csv").read_text() == "head\n1\n"
    assert add(tmp_path, "2222") == [True]


def test_a_lock_that_is_not_let_go_of_is_retryable(tmp_path: Path) -> None:
    add(tmp_path, "1")
    with (tmp_path / ".a.csv.relay").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RetryableError, match="another process"):
            append_all(tmp_path, "a.csv", [line("2")], wait_seconds=0.1)
    assert add(tmp_path, "2") == [True]


def test_the_journal_stays_short_and_remembers_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(append, "REMEMBERED", 10)
    for n in range(100):
        add(tmp_path, str(n))
    assert len((tmp_path / ".a.csv.relay").read_bytes().splitlines()) <= 22
    append._seen.clear()
    assert add(tmp_path, *map(str, range(90, 100))) == [False] * 10


@pytest.mark.parametrize("rubbish", [b'{"intent":[["2"],7,', b"\0\0\0\0", b"{}\n\xff\xfe\n"])
def test_a_torn_journal_does_no_harm(tmp_path: Path, rubbish: bytes) -> None:
    add(tmp_path, "1")
    with (tmp_path / ".a.csv.relay").open("ab") as journal:
        journal.write(rubbish)
    assert add(tmp_path, "1", "2") == [False, True]
    append._seen.clear()
    assert add(tmp_path, "1", "2") == [False, False]
    assert (tmp_path / "a.csv").read_text() == "head\n1\n2\n"
