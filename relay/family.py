"""The processes beside this one: neighbours that have died, and the supervisor above."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence

from relay.lanes import machine


def dead_neighbours(workers: Sequence[str]) -> list[str]:
    """Workers of this machine that are no more: their work need not wait until their leases run out."""
    dead = []
    here = machine()
    for worker in workers:
        host, _, rest = worker.partition(":")
        pid = rest.partition(":")[0]
        if host == here and pid.isdigit() and not _alive(int(pid)):
            dead.append(worker)
    return dead


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_with_parent() -> None:
    """A supervised process ends when its supervisor does, however that came about: its standard input ends then."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(sys.stdin.fileno(), 64):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
