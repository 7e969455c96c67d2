"""What is in force of files that change: a function of the files and of what was valid last, and of nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from relay.errors import ConfigError
from relay.recipes import Workspace, load_workspace, version_of
from relay.recipes.files import FILE, read_files
from relay.recipes.reload import Changes, Kept, Loader, changes_between, valid_files, with_errors, with_kept
from tests.recipes.conftest import ENV, RELAY_YAML

LOW = "recipe: Low\ncatch: chat\nsteps:\n  a: {to: desk, do: note, with: {title: $.t}}\ntests: []\n"
HIGH = LOW.replace("Low", "High")
BROKEN = LOW.replace("to: desk", "to: dsk")
UNREADABLE = "recipe: [\n"


class Bench:
    """Processes that read one folder, and the store that they tell of what is valid."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder
        self.kept = Kept()
        self.loader = Loader(folder.path, ENV)

    def load(self, loader: Loader | None = None, *, tell: bool = True) -> Workspace:
        """As a process does it: ask, load, tell."""
        loader = loader or self.loader
        files = with_kept(read_files(self.folder.path), self.kept)
        workspace = loader.load(files, self.kept)
        if tell:
            names = valid_files(workspace, files)
            texts = {name: files.as_is(name) for name in names}
            recipes = {name: recipe.text for name, recipe in workspace.recipes.items()}
            self.kept = Kept({**self.kept.files, **texts}, recipes)
        return workspace

    def write(self, name: str, text: str) -> None:
        self.folder.write(name, text)

    def save(self, name: str, text: str) -> Workspace:
        self.write(name, text)
        return self.load()

    def delete(self, name: str) -> Workspace:
        (self.folder.path / name).unlink()
        return self.load()


@pytest.fixture
def bench(folder: Any) -> Bench:
    folder.recipe(LOW)
    folder.recipe(HIGH, "high")
    bench = Bench(folder)
    workspace = bench.load()
    assert sorted(workspace.recipes) == ["high", "low"]
    assert workspace.errors == []
    return bench


def refused(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """By the file's name: where its first error is, and which version is in force."""
    return {
        Path(one.file).name: (f"{one.problem.place.line}:{one.problem.place.column}", one.version)
        for one in workspace.refused
    }


# -- recipes


def test_a_valid_save_is_in_force(bench: Bench) -> None:
    text = LOW.replace("$.t", "$.title")
    workspace = bench.save("low.yaml", text)
    assert workspace.recipes["low"].version == version_of(text)
    assert workspace.refused == []


@pytest.mark.parametrize("text", [BROKEN, UNREADABLE, "", "recipe: Low\n", LOW[:60], "\0"])
def test_an_invalid_save_changes_nothing_and_is_named_with_its_place(bench: Bench, text: str) -> None:
    before = bench.load()
    workspace = bench.save("low.yaml", text)
    assert workspace.recipes["low"].version == version_of(LOW)
    assert workspace.recipes["low"].plan is not None
    assert workspace.recipes["high"] is before.recipes["high"]
    assert workspace.broken == {}
    assert refused(workspace)["low.yaml"][1] == version_of(LOW)
    (one,) = workspace.refused
    assert one.problem in workspace.problems
    assert one.errors == len(workspace.errors)


def test_what_is_in_force_in_its_place_is_compiled_and_whole(bench: Bench, view: Any) -> None:
    workspace = bench.save("low.yaml", UNREADABLE)
    recipe = workspace.recipes["low"]
    assert [step.step for step in recipe.plan(view({"t": "x"})).steps] == ["a"]
    assert recipe.text == LOW
    assert workspace.recipes_for("chat") == [workspace.recipes["high"], recipe]


def test_a_save_that_mends_it_is_in_force_and_one_that_takes_the_error_back_too(bench: Bench) -> None:
    bench.save("low.yaml", BROKEN)
    mended = bench.save("low.yaml", LOW + "# mended\n")
    assert (mended.recipes["low"].version, mended.refused) == (version_of(LOW + "# mended\n"), [])
    bench.save("low.yaml", BROKEN)
    back = bench.save("low.yaml", LOW + "# mended\n")
    assert (back.recipes["low"].version, back.refused) == (version_of(LOW + "# mended\n"), [])


def test_a_new_invalid_recipe_is_broken_and_waits(bench: Bench) -> None:
    workspace = bench.save("new.yaml", BROKEN)
    assert "new" not in workspace.recipes
    assert workspace.broken["new"].catch == "chat"
    assert workspace.refused == []
    (one,) = with_errors(workspace)
    assert (one.recipe, one.version) == ("new", "")


def test_a_deleted_recipe_is_out_of_force_and_does_not_come_back_by_an_invalid_file_of_its_name(bench: Bench) -> None:
    workspace = bench.delete("low.yaml")
    assert sorted(workspace.recipes) == ["high"]
    workspace = bench.save("low.yaml", BROKEN)
    assert sorted(workspace.recipes) == ["high"]
    assert sorted(workspace.broken) == ["low"]


def test_a_recipe_deleted_while_it_is_refused_is_out_of_force(bench: Bench) -> None:
    bench.save("low.yaml", BROKEN)
    workspace = bench.delete("low.yaml")
    assert (sorted(workspace.recipes), workspace.refused, workspace.broken) == (["high"], [], {})


def test_what_no_version_of_the_relay_can_read_any_more_is_broken(bench: Bench) -> None:
    bench.kept = Kept(bench.kept.files, {"low": "recipe: of another time\nfrom: chat\n", "high": HIGH})
    workspace = bench.save("low.yaml", BROKEN)
    assert sorted(workspace.broken) == ["low"]
    assert workspace.refused == []


# -- relay.yaml


@pytest.mark.parametrize(
    "wrong",
    [
        RELAY_YAML.replace("team: support", "tem: support"),
        RELAY_YAML.replace("connector: desk", "connector: dsk"),
        RELAY_YAML.replace("bearer", "barer"),
        RELAY_YAML.replace("times: 3", "times: many"),
        RELAY_YAML + "more: {}\n",
        "sources: [\n",
        "- a\n",
        "",
    ],
)
def test_an_error_in_relay_yaml_leaves_all_of_it_as_it_was_and_recipes_change_all_the_same(
    bench: Bench, wrong: str
) -> None:
    before = bench.load()
    bench.write("low.yaml", LOW + "# another\n")
    workspace = bench.save(FILE, wrong.replace("chat:", "chat2:", 1) if "chat:" in wrong else wrong)
    assert changes_between(before, workspace) == Changes(recipes_changed=["low"])
    assert workspace.sources["chat"].config == before.sources["chat"].config
    assert workspace.connections["desk"].config == before.connections["desk"].config
    assert workspace.retries == before.retries
    assert workspace.recipes["low"].version == version_of(LOW + "# another\n")
    assert refused(workspace)[FILE][1] == version_of(RELAY_YAML)


def test_without_relay_yaml_all_is_as_it_was(bench: Bench) -> None:
    before = bench.load()
    for path in bench.folder.path.glob("*.yaml"):
        path.unlink()
    workspace = bench.load()
    assert not changes_between(before, workspace)
    assert refused(workspace) == {FILE: ("1:1", version_of(RELAY_YAML))}
    assert "there is no such file" in workspace.refused[0].problem.message
    # A process that starts while the drive is away, too.
    assert not changes_between(before, bench.load(Loader(bench.folder.path, ENV)))


def test_a_relay_yaml_that_never_was_valid_is_in_force_as_far_as_it_goes(folder: Any) -> None:
    folder.recipe(LOW)
    bench = Bench(folder)
    workspace = bench.save(FILE, RELAY_YAML + "  odd: {times: many}\n")
    assert workspace.sources["chat"].config is not None
    assert workspace.refused == []
    workspace = bench.save(FILE, RELAY_YAML.replace("chat:", "form:") + "  odd: {times: many}\n")
    assert sorted(workspace.sources) == ["form"]
    assert [one.version for one in with_errors(workspace) if one.file.endswith(FILE)] == [""]


def test_a_relay_yaml_that_cannot_be_read_and_never_could_is_an_error(folder: Any) -> None:
    bench = Bench(folder)
    folder.write(FILE, "sources: [\n")
    with pytest.raises(ConfigError, match="closed"):
        bench.load()


def test_an_unset_secret_is_no_error_it_disables_what_it_belongs_to(bench: Bench) -> None:
    workspace = bench.save(FILE, RELAY_YAML.replace("${DESK_TOKEN}", "${file:secrets/desk}"))
    assert workspace.refused == []
    assert "secrets/desk" in str(workspace.connections["desk"].held)
    workspace = bench.save("secrets/desk", "hush\n")
    assert workspace.connections["desk"].held is None
    (bench.folder.path / "secrets/desk").unlink()
    assert bench.load().connections["desk"].held is not None


def test_a_secret_that_changes_changes_its_connection_alone(bench: Bench) -> None:
    bench.write("secrets/desk", "one\n")
    before = bench.save(FILE, RELAY_YAML.replace("${DESK_TOKEN}", "${file:secrets/desk}"))
    after = bench.save("secrets/desk", "two\n")
    assert changes_between(before, after) == Changes(connections=["desk"])
    assert after.recipes["low"] is before.recipes["low"], "it isn't parsed again for that"


def test_a_connection_that_recipes_use_may_go_and_they_stay_in_force(bench: Bench) -> None:
    """Their deliveries wait for it to come back; other steps go on."""
    workspace = bench.save(FILE, RELAY_YAML.replace("  desk:", "  table:"))
    assert sorted(workspace.connections) == ["table"]
    assert sorted(workspace.recipes) == ["high", "low"]
    assert refused(workspace).keys() == {"high.yaml", "low.yaml"}
    assert "unknown connection `desk`" in workspace.refused[0].problem.message
    assert bench.save(FILE, RELAY_YAML).refused == []


def test_a_rename_over_several_saves_comes_through(bench: Bench) -> None:
    bench.save("low.yaml", LOW.replace("to: desk", "to: table"))
    bench.save(FILE, RELAY_YAML.replace("  desk:", "  table:"))
    workspace = bench.save("high.yaml", HIGH.replace("to: desk", "to: table"))
    assert workspace.refused == []
    assert {step.to for recipe in workspace.recipes.values() for step in recipe.steps.values()} == {"table"}


def test_a_named_policy_that_goes_leaves_the_recipe_that_names_it_in_force_with_the_default(bench: Bench) -> None:
    text = LOW.replace("to: desk", "to: desk, retry: patient")
    assert bench.save("low.yaml", text).recipes["low"].steps["a"].retry is not None
    workspace = bench.save(FILE, RELAY_YAML.partition("retries:")[0])
    assert workspace.recipes["low"].steps["a"].retry is None
    assert "unknown retry policy `patient`" in workspace.refused[0].problem.message


# -- tables

TABLE = "code,title\n1,One\n"
USES = LOW.replace("$.t}", """'$.t | lookup("courses", "title")'}""")


def looked_up(workspace: Workspace, view: Any, recipe: str = "low") -> Any:
    from relay.recipes import Scope

    found = workspace.recipes[recipe]
    one = view({"t": "1"})
    return found.steps["a"].render(Scope(one, found.picked(one)))["title"]


@pytest.fixture
def tabled(bench: Bench) -> Bench:
    bench.write("tables/courses.csv", TABLE)
    assert bench.save("low.yaml", USES).errors == []
    return bench


def test_a_table_that_changes_is_in_force_in_the_recipes_that_look_into_it(tabled: Bench, view: Any) -> None:
    before = tabled.load()
    after = tabled.save("tables/courses.csv", TABLE.replace("One", "First"))
    assert changes_between(before, after) == Changes(tables=["courses"])
    assert looked_up(after, view) == "First"
    assert after.recipes["high"] is before.recipes["high"]


def test_a_table_with_an_error_is_as_it_was(tabled: Bench, view: Any) -> None:
    workspace = tabled.save("tables/courses.csv", "code,title\n1,One\n1,Two\n")
    assert looked_up(workspace, view) == "One"
    assert refused(workspace) == {"courses.csv": ("3:1", version_of(TABLE))}
    assert looked_up(tabled.load(Loader(tabled.folder.path, ENV)), view) == "One"


def test_a_table_that_is_deleted_is_there_for_the_recipe_that_was_valid_with_it(tabled: Bench, view: Any) -> None:
    workspace = tabled.delete("tables/courses.csv")
    assert refused(workspace).keys() == {"low.yaml"}
    assert looked_up(workspace, view) == "One"
    assert looked_up(tabled.load(Loader(tabled.folder.path, ENV)), view) == "One"


# -- agreement


def test_a_process_that_starts_anew_agrees_with_those_that_were_there(bench: Bench) -> None:
    running = bench.save("low.yaml", BROKEN)
    bench.write(FILE, "sources: [\n")
    running = bench.load()
    starting = bench.load(Loader(bench.folder.path, ENV))
    assert not changes_between(running, starting)
    assert starting.refused == running.refused


def test_a_process_that_missed_a_valid_save_agrees_with_one_that_saw_it(bench: Bench) -> None:
    """Two saves within a second: one process looks after each of them, the other only after the second."""
    other = Loader(bench.folder.path, ENV)
    bench.load(other)
    bench.save("low.yaml", LOW + "# valid, and seen by one\n")
    seen = bench.save("low.yaml", BROKEN)
    assert not changes_between(seen, bench.load(other))


def _save(bench: Bench, rng: random.Random) -> None:
    """Something that an admin may do to the folder."""
    name = rng.choice(["low", "high", "new"])
    path = bench.folder.path / f"{name}.yaml"
    connection = rng.choice(["desk", "table"])
    match rng.randint(0, 7):
        case 0 | 1 | 2:
            bench.write(f"{name}.yaml", LOW.replace("to: desk", f"to: {connection}") + f"# {rng.randint(0, 9)}\n")
        case 3:
            bench.write(f"{name}.yaml", rng.choice([UNREADABLE, BROKEN, ""]))
        case 4:
            path.unlink(missing_ok=True)
        case 5:
            bench.write(FILE, RELAY_YAML.replace("  desk:", f"  {connection}:"))
        case 6:
            bench.write(FILE, rng.choice(["sources: [", RELAY_YAML.replace("team", "tem")]))
        case 7:
            bench.write("tables/t.csv", rng.choice([TABLE, "code\n", TABLE + "2,Two\n"]))


def in_force(workspace: Workspace) -> Mapping[str, Any]:
    return {
        "recipes": {name: (recipe.version, recipe.text) for name, recipe in workspace.recipes.items()},
        "broken": {
            name: (one.catch, [str(problem) for problem in one.problems]) for name, one in workspace.broken.items()
        },
        "sources": {name: (one.config, one.unavailable) for name, one in workspace.sources.items()},
        "connections": {name: (one.connector, one.config, one.held) for name, one in workspace.connections.items()},
        "retries": workspace.retries,
        "tables": {name: (dict(table.rows), table.broken) for name, table in workspace.tables.items()},
        "refused": sorted(workspace.refused, key=lambda one: one.file),
        "problems": workspace.problems,
    }


@pytest.mark.parametrize("seed", range(25))
def test_whatever_is_saved_all_processes_agree_and_what_is_parsed_no_second_time_is_as_if_it_were(
    bench: Bench, seed: int
) -> None:
    rng = random.Random(seed)
    others = [Loader(bench.folder.path, ENV) for _ in range(2)]
    for _ in range(30):
        _save(bench, rng)
        tells = rng.random() < 0.7
        first = bench.load(tell=tells)
        for other in others:
            if rng.random() < 0.5:
                assert in_force(bench.load(other, tell=False)) == in_force(bench.load(bench.loader, tell=False))
        fresh = Loader(bench.folder.path, ENV)
        if tells:
            assert in_force(bench.load(fresh, tell=False)) == in_force(bench.load(tell=False))
        else:
            assert in_force(bench.load(fresh, tell=False)) == in_force(first)


def test_where_nothing_was_ever_in_force_it_is_what_reading_the_folder_gives(bench: Bench) -> None:
    bench.write("new.yaml", BROKEN)
    assert in_force(Loader(bench.folder.path, ENV).load()) == in_force(load_workspace(bench.folder.path, ENV))


# -- what is parsed


def test_only_what_changed_is_parsed_again(bench: Bench) -> None:
    parsed = []
    loader = Loader(bench.folder.path, ENV, breathe=lambda: parsed.append(1))
    for number in range(20):
        bench.write(f"r{number}.yaml", LOW)
    bench.load(loader)
    assert len(parsed) == 22
    bench.load(loader)
    assert len(parsed) == 22
    bench.write("r7.yaml", HIGH)
    bench.load(loader)
    assert len(parsed) == 23
    # A connection that none of them uses, a source that none of them catches, a line above all of them.
    more = "  more: {connector: desk, team: x}\n"
    text = "# a comment\n" + RELAY_YAML.replace("connections:\n", f"connections:\n{more}")
    bench.write(FILE, text.replace("sources:\n", "sources:\n  more: {verify: none}\n"))
    bench.load(loader)
    assert len(parsed) == 23
    bench.write("broken.yaml", BROKEN)
    bench.load(loader)
    assert len(parsed) == 24
    # What might mend a broken one.
    bench.write(FILE, text.replace("  more:", "  dsk:"))
    assert "broken" in bench.load(loader).recipes
    assert len(parsed) == 25


# -- what is told


def test_changes_are_told_by_name(bench: Bench) -> None:
    before = bench.load()
    bench.write("new.yaml", LOW)
    bench.write("high.yaml", HIGH + "# x\n")
    (bench.folder.path / "low.yaml").unlink()
    root = RELAY_YAML.replace("connections:\n", "connections:\n  more: {connector: desk, team: x}\n")
    root = (
        root.replace("sources:\n", "sources:\n  form: {verify: none}\n")
        .replace("times: 3", "times: 4")
        .replace("team: support", "team: sales")
    )
    after = bench.save(FILE, root)
    assert changes_between(before, after).named() == {
        "recipes_added": ["new"],
        "recipes_changed": ["high"],
        "recipes_removed": ["low"],
        "sources": ["form"],
        "connections": ["desk", "more"],
        "retries": ["patient"],
    }
    assert not changes_between(after, bench.load())
    assert not Changes()


def test_every_file_with_an_error_is_told_with_what_is_in_force(bench: Bench) -> None:
    bench.write("new.yaml", BROKEN)
    bench.write("tables/courses.csv", "code\n")
    bench.write(FILE, RELAY_YAML.replace("team", "tem"))
    workspace = bench.save("low.yaml", BROKEN + "more: 1\n")
    told = {Path(one.file).name: (one.recipe, one.errors, one.version) for one in with_errors(workspace)}
    assert told == {
        "new.yaml": ("new", 1, ""),
        "low.yaml": ("low", 2, version_of(LOW)),
        "courses.csv": (None, 1, ""),
        FILE: (None, 1, version_of(RELAY_YAML)),
    }
