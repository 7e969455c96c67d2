"""Fixtures of all tests: a real Valkey for the session, a key prefix of its own for each test."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from relay import embedded

_numbers = itertools.count()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="relay-test-") as folder:
        data_dir = Path(folder)
        process = embedded.start(data_dir)
        try:
            url = embedded.url(data_dir)
            embedded.wait_until_ready(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(valkey_url)
    yield client
    client.close()


@pytest.fixture
def prefix() -> str:
    """One Valkey serves many tests: no two share a key."""
    return f"t{os.getpid()}-{next(_numbers)}:"
