from __future__ import annotations

from collections.abc import Iterator

import pytest

from relay.testing import RecordingServer
from tests.servers import SftpServer, http_sink, openssh_server


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with openssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sink() -> Iterator[RecordingServer]:
    with http_sink() as server:
        yield server
