"""The disk fills: nothing that was answered is lost, nothing is started in vain, and all goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent.parent


def namespace() -> list[str]:
    """The words before a command that may mount. Skips where the system lets nobody."""
    for words in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        mounts = [*words, "sh", "-c", "mount -t tmpfs tmpfs /tmp"]
        try:
            if subprocess.run(mounts, capture_output=True, timeout=10).returncode == 0:
                return words
        except OSError:
            break
    pytest.skip("no file system may be mounted here: run as root with CAP_SYS_ADMIN, or allow user namespaces")


@pytest.mark.timeout(180)
def test_a_full_disk_loses_nothing_and_is_over_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [*namespace(), sys.executable, "-m", "tests.flow.full_disk", str(tmp_path / "home")],
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("done\n")
