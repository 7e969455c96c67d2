"""A signal is heard whichever thread the kernel gives it to."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.harness import eventually, relay_up, write_workspace


def give(pid: int, thread: int, number: signal.Signals) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.tgkill(pid, thread, number) != 0:
        raise OSError(ctypes.get_errno(), f"tgkill {pid} {thread}")


@pytest.mark.parametrize("name", ["worker", "web"])
def test_a_process_stops_whichever_thread_is_told_so(tmp_path: Path, name: str) -> None:
    write_workspace(tmp_path, {"sources": {}, "connections": {}}, {})
    with relay_up(tmp_path, "--workers", "1") as relay:
        process = relay.children()[name]
        others = [thread.id for thread in process.threads() if thread.id != process.pid]
        assert others
        # Its main thread waits, and nothing else wakes it.
        give(process.pid, others[-1], signal.SIGTERM)
        eventually(lambda: not psutil.pid_exists(process.pid), 20)
        assert relay.log(f"{name}.stopped")
        eventually(lambda: relay.children().get(name), 20)
        os.kill(relay.process.pid, 0)
