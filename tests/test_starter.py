"""The starter workspace and the cookbook work as they are, overwrite nothing, and keep their secrets to themselves."""

from __future__ import annotations

import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from relay import starter
from relay.errors import ConfigError
from relay.recipes import load_workspace, run_tests, schema
from relay.recipes.files import signatures


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


def test_the_cookbook_is_a_workspace_of_its_own(tmp_path: Path) -> None:
    number = starter.write_cookbook(tmp_path / "cookbook")
    workspace = load_workspace(tmp_path / "cookbook", {})
    assert workspace.errors == []
    assert {problem.code for problem in workspace.problems} == {"unset-secret"}
    assert len(workspace.recipes) == number >= 30
    results = run_tests(workspace)
    assert [(result.name, result.diff) for result in results if not result.passed] == []
    assert not (tmp_path / "cookbook" / "secrets").exists()


def test_an_editor_finds_the_cookbooks_schema(tmp_path: Path) -> None:
    starter.write_cookbook(tmp_path)
    for path in tmp_path.glob("*.yaml"):
        named = path.read_text().splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (tmp_path / named).is_file()
        assert named.endswith("workspace.json" if path.name == "relay.yaml" else "recipe.json")


def test_the_starter_does_not_bring_the_cookbook_along(tmp_path: Path) -> None:
    starter.write(tmp_path)
    assert not (tmp_path / "cookbook").exists()


@pytest.mark.parametrize("name", ["meetings.yaml", "samples/lead.form", "tables/courses.csv"])
def test_the_cookbook_overwrites_no_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(ConfigError, match=f"has a file {name} already"):
        starter.write_cookbook(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "mine"


def test_what_a_folder_ignores_already_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.bak\n")
    starter.write(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*.bak\nsecrets/\n"


def test_a_workspace_takes_nothing_from_the_cookbook_inside_of_it(tmp_path: Path) -> None:
    """As in a checkout: recipes/cookbook beside recipes/relay.yaml."""
    starter.write(tmp_path)
    starter.ensure_key(tmp_path)
    alone, files, schemas = load_workspace(tmp_path), signatures(tmp_path, []), schema.texts(load_workspace(tmp_path))
    starter.write_cookbook(tmp_path / "cookbook")
    workspace = load_workspace(tmp_path)
    assert workspace.problems == []
    assert (workspace.recipes.keys(), workspace.sources.keys()) == (alone.recipes.keys(), alone.sources.keys())
    # What is watched is what is read: a change to the cookbook reloads nothing.
    assert signatures(tmp_path, []) == files
    assert schema.texts(workspace) == schemas


def test_the_package_carries_every_file_of_both_and_no_secret() -> None:
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "recipes"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    # The schemas are made anew for each workspace.
    shipped = {path for path in listed if not path.endswith(".gitignore") and "/.schema/" not in path}
    carried = {path for path in shipped if path in packed or str(Path(path).parent) in packed}
    assert carried == shipped
    # Nothing is named that isn't there, and of folders only those that hold no secrets.
    assert all((root / path).is_file() for path in packed if path.endswith(".yaml"))
    folders = [path for path in packed if (root / path).is_dir()]
    assert folders == ["recipes/cookbook/samples", "recipes/cookbook/tables"]
    assert all(target == packed_as(path) for path, target in packed.items())


def packed_as(path: str) -> str:
    name = path.removeprefix("recipes/")
    within = name.removeprefix("cookbook/")
    return f"relay/starter_files/{name}" if within == name else f"relay/cookbook_files/{within}"


def test_the_source_distribution_carries_them_too() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]["build"]["targets"]
    for path in build["wheel"]["force-include"]:
        folder = str(Path(path).parent)
        assert {path, folder, f"{folder}/*.yaml"} & set(build["sdist"]["include"])
