"""The starter workspace works as it is, overwrites nothing, and keeps its key to itself."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from relay import starter
from relay.errors import ConfigError
from relay.recipes import load_workspace, run_tests


def test_the_starter_workspace_is_valid_and_its_own_tests_pass(tmp_path: Path) -> None:
    folder = tmp_path / "recipes"
    starter.write(folder)
    assert starter.ensure_key(folder)
    workspace = load_workspace(folder)
    assert workspace.problems == []
    results = run_tests(workspace)
    assert results
    assert [result.diff for result in results if not result.passed] == []


def test_it_refuses_to_overwrite_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text("sources: {}\n")
    with pytest.raises(ConfigError, match="is a workspace already"):
        starter.write(tmp_path)
    assert (tmp_path / "relay.yaml").read_text() == "sources: {}\n"


def test_it_leaves_other_files_of_the_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    starter.write(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_key_is_random_readable_by_its_owner_alone_and_written_once(tmp_path: Path) -> None:
    keys = set()
    for name in ("a", "b"):
        folder = tmp_path / name
        starter.write(folder)
        assert starter.ensure_key(folder)
        key = folder / starter.KEY
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
        keys.add(key.read_text())
        assert not starter.ensure_key(folder)
        assert key.read_text() in keys
    assert len(keys) == 2
    assert all(len(key) >= 24 for key in keys)


def test_the_key_is_not_for_version_control_and_none_is_shipped(tmp_path: Path) -> None:
    starter.write(tmp_path)
    assert "secrets/" in (tmp_path / ".gitignore").read_text()
    assert not (tmp_path / starter.KEY).exists()


def test_the_example_posts_to_the_port_that_the_relay_is_on(tmp_path: Path) -> None:
    starter.write(tmp_path, port=9000)
    assert starter.posts_to(tmp_path, 9000)
    assert not starter.posts_to(tmp_path, 8080)


def test_a_workspace_without_the_example_gets_no_key(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text("sources: {}\n")
    assert not starter.is_example(tmp_path)
    assert not starter.ensure_key(tmp_path)
    assert not (tmp_path / "secrets").exists()


def test_the_package_carries_every_file_of_the_starter_and_no_secret() -> None:
    import subprocess
    import tomllib

    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    listed = subprocess.run(
        ["git", "ls-files", "recipes"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    # The schemas are made anew for each workspace.
    shipped = [path for path in listed if not path.endswith(".gitignore") and "/.schema/" not in path]
    assert sorted(packed) == sorted(shipped)
    assert all(target == f"relay/starter_files/{path.removeprefix('recipes/')}" for path, target in packed.items())
