"""relay.yaml and the folder around it: each part stands alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from relay.errors import ConfigError
from relay.recipes import EventView, Workspace, load_workspace
from relay.retry import RetryPolicy
from relay.sources.presets import PRESETS

RECIPE = "recipe: r\ncatch: chat\nsteps: {a: {to: desk, do: note, with: {title: $.t}}}\ntests: []\n"


def test_a_workspace_holds_its_sources_connections_recipes_and_policies(folder: Any) -> None:
    folder.recipe(RECIPE)

    workspace = folder.load()

    assert workspace.problems == []
    assert [one.id for one in workspace.recipes_for("chat")] == ["low"]
    assert workspace.recipes_for("other") == []
    config = workspace.connections["desk"].config
    assert config is not None
    assert config.token.get_secret_value() == "d"  # type: ignore[attr-defined]
    assert workspace.sources["chat"].unavailable is None
    assert workspace.sources["chat"].config.secrets == ("c",)
    assert workspace.retries == {
        "patient": RetryPolicy((timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1)))
    }


def test_an_unset_secret_disables_what_it_belongs_to_and_nothing_else(folder: Any) -> None:
    folder.recipe(RECIPE)

    workspace = folder.load(env={})

    source, connection = workspace.sources["chat"], workspace.connections["desk"]
    assert source.config is None
    assert "relay.yaml:2:28: ${CHAT_TOKEN} isn't set: set CHAT_TOKEN" in source.unavailable
    assert connection.config is None
    assert "relay.yaml:4:50: ${DESK_TOKEN} isn't set" in connection.held
    assert "low" in workspace.recipes
    assert folder.lines(workspace) == []
    assert len(folder.lines(workspace, "warning")) == 2


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_whose_secret_is_unset_is_unavailable_for_that_alone(folder: Any, preset: str) -> None:
    how = "secret: '${GONE}'" + (", verify_token: '${GONE}'" if PRESETS[preset].asks_token else "")
    folder.write("relay.yaml", f"sources:\n  s: {{preset: {preset}, {how}}}\n")

    workspace = folder.load()

    assert folder.lines(workspace) == []
    source = workspace.sources["s"]
    assert source.config is None
    assert "${GONE} isn't set" in source.unavailable
    assert source.declared is not None


def test_an_empty_secret_is_as_good_as_none(folder: Any) -> None:
    workspace = folder.load(env={"CHAT_TOKEN": "", "DESK_TOKEN": "d"})
    assert "${CHAT_TOKEN} is empty" in workspace.sources["chat"].unavailable


def test_a_secret_in_a_file_is_read_without_its_line_break(folder: Any) -> None:
    folder.write("relay.yaml", 'sources:\n  chat: {verify: {bearer: "${file:secrets/chat}"}}\n')
    assert "${file:secrets/chat} isn't there" in folder.load().sources["chat"].unavailable

    folder.write("secrets/chat", "hush\n")
    assert folder.load().sources["chat"].config.secrets == ("hush",)


def test_secrets_may_be_a_list_while_they_are_being_changed(folder: Any) -> None:
    folder.write("relay.yaml", 'sources:\n  chat: {verify: {bearer: ["${CHAT_TOKEN}", "${DESK_TOKEN}"]}}\n')
    assert folder.load().sources["chat"].config.secrets == ("c", "d")


def test_an_invalid_source_or_connection_disables_itself_alone(folder: Any) -> None:
    folder.recipe(RECIPE)
    folder.write(
        "relay.yaml",
        "sources:\n"
        '  chat: {verify: {bearer: "${CHAT_TOKEN}"}}\n'
        "  form: {verfy: none}\n"
        "  expr: {verify: none, event_id: $.id | lowr}\n"
        "  Bad Name: {verify: none}\n"
        "connections:\n"
        "  desk: {connector: desk, tem: support}\n"
        "  other: {connector: dsk}\n",
    )

    workspace = folder.load()

    assert workspace.sources["chat"].config is not None
    assert "unknown key `verfy`: did you mean `verify`?" in workspace.sources["form"].unavailable
    assert "unknown filter `lowr`" in workspace.sources["expr"].unavailable
    assert "is a part of an address" in workspace.sources["Bad Name"].unavailable
    assert "unknown key `tem`: did you mean `team`?" in workspace.connections["desk"].held
    assert "unknown connector `dsk`: did you mean `desk`?" in workspace.connections["other"].held
    # The recipe is right; its connection holds.
    assert "low" in workspace.recipes
    assert [line.split(": ")[0] for line in folder.lines(workspace)] == [
        "relay.yaml:3:10",
        "relay.yaml:4:41",
        "relay.yaml:5:3",
        "relay.yaml:7:27",
        "relay.yaml:8:22",
    ]


def test_event_id_is_evaluated_on_the_event(folder: Any, view: Any) -> None:
    folder.write("relay.yaml", "sources:\n  chat: {verify: none, event_id: $.id, event_type: '$headers[\"X-Kind\"]'}\n")
    source = folder.load().sources["chat"]
    event: EventView = view({"id": 7}, headers={"x-kind": "closed"})
    assert source.event_id.evaluate(event) == 7
    assert source.event_type.evaluate(event) == "closed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "relay.yaml:1:1: there is no such file: `relay init` makes a starter workspace"),
        ("a: [\n", "relay.yaml:1:4: the `[` that opens here is never closed"),
        ("- a\n", "relay.yaml:1:1: relay.yaml is written as `key: value`"),
        ("sources: [a]\n", "relay.yaml:1:10: `sources` is written as `name: settings`"),
    ],
)
def test_a_relay_yaml_that_cannot_be_read_as_a_whole_is_an_error(folder: Any, text: str | None, message: str) -> None:
    if text is None:
        (folder.path / "relay.yaml").unlink()
    else:
        folder.write("relay.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_workspace(folder.path)
    assert message in str(caught.value)


def test_a_broken_recipe_is_kept_with_its_source_as_far_as_that_can_be_read(folder: Any) -> None:
    folder.recipe("recipe: r\ncatch: chat  # comment\nsteps: {{", "unparsable")
    folder.recipe("recipe: r\nsteps: {}", "sourceless")
    folder.recipe("recipe: r\ncatch: caht\nsteps: {a: {to: desk}}", "misspelt")
    (folder.path / "latin.yaml").write_bytes(b"recipe: caf\xe9\n")

    workspace = folder.load()

    assert {name: one.catch for name, one in workspace.broken.items()} == {
        "unparsable": "chat", "sourceless": None, "misspelt": None, "latin": None,
    }  # fmt: skip
    assert {one.id for one in workspace.broken_for("chat")} == {"unparsable", "sourceless", "misspelt", "latin"}
    assert {one.id for one in workspace.broken_for("form")} == {"sourceless", "misspelt", "latin"}
    assert "isn't UTF-8" in str(workspace.broken["latin"].problems[0])
    assert workspace.broken["unparsable"].text.startswith("recipe: r")


def test_what_works_but_should_be_known_is_a_warning(folder: Any) -> None:
    folder.write(
        "relay.yaml",
        "sources:\n  chat: {verify: none}\n  form: {verify: {bearer: hush}}\n"
        "connections:\n  desk: {connector: desk, team: x, token: hush}\n  spare: {connector: desk, team: y}\n"
        "alerts:\n  - {on: dead_letter, to: desk}\n",
    )
    folder.recipe("recipe: r\ncatch: chat\npick: {x: $.x}\nsteps: {a: {to: desk, do: note, with: {title: t}}}\n")
    folder.write("old.yml", "recipe: r\n")
    folder.write(".hidden.yaml", "recipe: r\n")

    workspace: Workspace = folder.load()

    assert folder.lines(workspace) == []
    assert [line.split(": ", 1) for line in folder.lines(workspace, "warning")] == [
        ["low.yaml:1:1", "the recipe has no tests"],
        ["low.yaml:3:8", "`x` is picked, and nothing uses it"],
        ["old.yml:1:1", "a recipe's file ends in .yaml: rename it to old.yaml, or it isn't read"],
        ["relay.yaml:2:18", "`verify: none`: whoever knows the address of `chat` is believed"],
        ["relay.yaml:3:3", "no recipe catches the source `form`: its events are accepted, and nothing becomes of them"],
        ["relay.yaml:3:27", "a secret is written in clear: put it into the environment as ${NAME}"],
        ["relay.yaml:5:43", "a secret is written in clear: put it into the environment as ${NAME}"],
        ["relay.yaml:6:3", "nothing uses the connection `spare`"],
        ["relay.yaml:8:3", "`alerts` is not supported yet by this version: nobody is told"],
    ]
    assert workspace.alerts == [{"on": "dead_letter", "to": "desk"}]
