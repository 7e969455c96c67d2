"""The JSON Schemas: they take what the relay takes, refuse what a schema can refuse, and know every key there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from relay.connector import connector_class, connector_names
from relay.recipes import Workspace, load_workspace, parse, schema, yaml_tree
from relay.recipes import workspace as workspace_module
from relay.recipes.reader import Reader
from relay.recipes.schema import parts
from relay.sources.presets import PRESETS
from tests.recipes.test_mistakes import GOOD

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "recipes"
#: One shows a connector that isn't installed here: tests/test_third_party.py checks it with that.
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "your-own-connector.md"})]

RELAY_YAML = """\
sources:
  chat: {verify: none}
connections:
""" + "".join(f"  my-{name}: {json.dumps(dict(connector_class(name).example))}\n" for name in connector_names())


@pytest.fixture(autouse=True)
def _only_the_desk_is_installed() -> None:
    """Here the installed connectors are."""


@pytest.fixture(scope="module")
def every_connector(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a connection of each connector: my-http, my-file …"""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "relay.yaml").write_text(RELAY_YAML)
    return load_workspace(folder, {})


@pytest.fixture(scope="module")
def of_recipe(every_connector: Workspace) -> Draft7Validator:
    return Draft7Validator(schema.recipe_schema(every_connector))


@pytest.fixture(scope="module")
def of_any_recipe() -> Draft7Validator:
    return Draft7Validator(schema.recipe_schema())


@pytest.fixture(scope="module")
def of_relay_yaml() -> Draft7Validator:
    return Draft7Validator(schema.workspace_schema())


def read(text: str) -> Any:
    return yaml_tree.plain(yaml_tree.parse(text, "f.yaml"))


def wrong(validator: Draft7Validator, data: Any) -> list[str]:
    return [
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in validator.iter_errors(data)
    ]


def recipe_with(**step: Any) -> dict[str, Any]:
    return {"recipe": "r", "catch": "chat", "steps": {"a": step}}


# --- it is a schema ---


def test_each_schema_is_one_by_its_drafts_own_schema(every_connector: Workspace) -> None:
    for one in (schema.recipe_schema(), schema.recipe_schema(every_connector), schema.workspace_schema()):
        assert one["$schema"] == "http://json-schema.org/draft-07/schema#"
        Draft7Validator.check_schema(one)


def test_each_key_is_described_and_each_reference_leads_somewhere(every_connector: Workspace) -> None:
    for one in (schema.recipe_schema(every_connector), schema.workspace_schema()):
        silent = [
            path
            for path, key in keys_of(one, "")
            if isinstance(key, dict) and not (key.get("description") or narrows(key))
        ]
        assert silent == []
        references = set(re.findall(r'"\$ref": "#/definitions/([^"]*)"', json.dumps(one)))
        assert references <= one["definitions"].keys()
        assert "$defs" not in json.dumps(one)


def narrows(key: dict[str, Any]) -> bool:
    """A key that is described elsewhere: within `if` and `then`."""
    return not key.keys() - {"const", "enum", "$ref"}


def keys_of(one: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(one, list):
        for item in one:
            yield from keys_of(item, path)
    elif isinstance(one, dict):
        for name, key in one.get("properties", {}).items():
            yield f"{path}.{name}", key
            # Not the mapping itself: a connector may well have a field that is called `properties`.
            yield from keys_of(key, f"{path}.properties.{name}")
        for name, inner in one.items():
            if name not in ("examples", "default", "properties"):
                yield from keys_of(inner, f"{path}.{name}")


# --- it takes what the relay takes ---


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.yaml")), ids=lambda file: file.name)
def test_what_is_shipped_is_valid_and_names_its_schema(file: Path) -> None:
    kind = "workspace" if file.name == "relay.yaml" else "recipe"
    text = file.read_text()
    assert text.startswith(schema.MODELINES[kind] + "\n")
    committed = json.loads((SHIPPED / ".schema" / f"{kind}.json").read_text())
    assert wrong(Draft7Validator(committed), read(text)) == []


def test_the_shipped_schemas_are_current() -> None:
    """To renew them: `relay schema --write`."""
    assert not schema.stale(load_workspace(SHIPPED, {}))


def test_what_the_documentation_shows_is_valid(of_any_recipe: Draft7Validator, of_relay_yaml: Draft7Validator) -> None:
    found = {}
    seen = 0
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            key = block.split(":")[0]
            if key == "recipe":
                complaints = wrong(of_any_recipe, read(block))
            elif key in workspace_module.KEYS:
                complaints = wrong(of_relay_yaml, read(block))
            elif key in ("pick", "steps"):
                rest = {"recipe": "r", "catch": "c", "steps": {"s": {"to": "x"}}}
                complaints = wrong(of_any_recipe, rest | read(block))
            else:
                continue
            seen += 1
            if complaints:
                found[f"{page.name}: {block[:60]}"] = complaints
    assert found == {}
    assert seen > 15


def actions() -> Iterator[Any]:
    for name in connector_names():
        for action in connector_class(name).actions:
            for example in action.examples:
                yield pytest.param(name, action, example, id=f"{name}.{action.name}: {example.title}")


@pytest.mark.parametrize(("connector", "action", "example"), list(actions()))
def test_every_example_of_a_connector_is_valid(
    of_recipe: Draft7Validator, connector: str, action: Any, example: Any
) -> None:
    fields = json.loads(json.dumps(example.fields))
    assert wrong(of_recipe, recipe_with(**{"to": f"my-{connector}", "do": action.name, "with": fields})) == []


def test_the_workspace_of_every_connector_is_valid(of_relay_yaml: Draft7Validator) -> None:
    assert wrong(of_relay_yaml, read(RELAY_YAML)) == []


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_known_with_what_it_needs(of_relay_yaml: Draft7Validator, name: str) -> None:
    needs = {"secret": "${S}"} | ({"verify_token": "${V}"} if PRESETS[name].asks_token else {})
    assert wrong(of_relay_yaml, {"sources": {"s": {"preset": name, **needs}}}) == []
    assert wrong(of_relay_yaml, {"sources": {"s": {"preset": name}}}) != []
    own = {"preset": name, "verify": "none"} | {key: value for key, value in needs.items() if key != "secret"}
    assert wrong(of_relay_yaml, {"sources": {"s": own}}) == []


@pytest.mark.parametrize("text", ["$.x", "$x | default(1)", "{{ $.x }}", "a {{ $.x }} b"])
@pytest.mark.parametrize("connector", connector_names())
def test_an_expression_may_stand_wherever_a_typed_value_does(
    every_connector: Workspace, connector: str, text: str
) -> None:
    definitions = schema.recipe_schema(every_connector)["definitions"]
    for action in connector_class(connector).actions:
        for path, key in keys_of(definitions[f"{connector}.{action.name}"], ""):
            assert wrong(Draft7Validator(key), text) == [], f"{action.name}{path}"


@pytest.mark.parametrize("connector", connector_names())
def test_a_reference_may_stand_wherever_relay_yaml_has_a_typed_value(connector: str) -> None:
    for path, key in keys_of(schema.workspace_schema()["definitions"][connector], ""):
        if path != ".connector":
            assert wrong(Draft7Validator(key), "${NAME}") == [], path


def test_what_the_relay_reads_as_a_number_or_a_truth_is_one_for_the_schema_too(of_relay_yaml: Draft7Validator) -> None:
    sftp = dict(connector_class("sftp").example)
    for more in ({"port": "22"}, {"allow_private": "no"}, {"create_folders": "true"}, {"connect_timeout": "1.5m"}):
        assert wrong(of_relay_yaml, {"connections": {"s": sftp | more}}) == []
        connector_class("sftp").Config.model_validate(sftp | {"private_key": "x"} | more)


def test_null_leaves_a_setting_out(of_recipe: Draft7Validator) -> None:
    assert wrong(of_recipe, recipe_with(**{"to": "my-http", "with": {"method": None, "query": None}})) == []
    assert wrong(of_recipe, recipe_with(**{"to": "my-http", "with": None})) == []


# --- it refuses what it can know ---

STEP = "steps:\n  note:\n    to: my-file\n    do: csv\n    with: {path: a.csv, row: {A: $name}}\n"
RECIPE = f"recipe: Low ratings\ncatch: chat\nwhen: $.rating < 3\npick:\n  name: $.contact.name\n{STEP}tests: []\n"

MISTAKES = [
    ("a key misspelt", "catch:", "cach:"),
    ("a source that isn't there", "catch: chat", "catch: caht"),
    ("no steps", STEP, ""),
    ("a connection misspelt", "to: my-file", "to: my-fil"),
    ("no connection", "    to: my-file\n", ""),
    ("an action misspelt", "do: csv", "do: cvs"),
    ("no action where there are several", "    do: csv\n", ""),
    ("a field misspelt", "row:", "rwo:"),
    ("a needed field missing", "path: a.csv, ", ""),
    ("a number where keys are needed", "row: {A: $name}", "row: 5"),
    ("a nested word misspelt", "row: {A: $name}", "row: {A: 1}, format: {quote: al}"),
    ("a nested key misspelt", "row: {A: $name}", "row: {A: 1}, format: {qote: all}"),
    ("no truth value", "row: {A: $name}", "row: {A: 1}, format: {bom: perhaps}"),
    ("with as text", "with: {path: a.csv, row: {A: $name}}", "with: $name"),
    ("braces around when", "when: $.rating < 3", 'when: "{{ $.rating < 3 }}"'),
    ("a duration without its unit", "do: csv", "do: csv\n    timeout: 30"),
    ("a duration in words", "do: csv", "do: csv\n    timeout: half an hour"),
    ("a policy that is half one", "do: csv", "do: csv\n    retry: {times: 3}"),
    ("a policy of both kinds", "do: csv", "do: csv\n    retry: {after: [5m], times: 3}"),
    ("a policy that isn't there", "do: csv", "do: csv\n    retry: patent"),
    ("a choice misspelt", "do: csv", "do: csv\n    on_fail: ignored"),
    ("a truth value in quotes", "do: csv", 'do: csv\n    keep_empty: "true"'),
    ("foreach that is no expression", "do: csv", "do: csv\n    foreach: items"),
    ("foreach over a list that is written out", "do: csv", "do: csv\n    foreach: [1, 2]"),
    ("a batch that never closes", "do: csv", "do: csv\n    batch: {max: 5}"),
    ("a batch that closes in two ways", "do: csv", 'do: csv\n    batch: {every: 1h, at: "02:00"}'),
    ("a time of day that is none", "do: csv", 'do: csv\n    batch: {at: "25:00"}'),
    ("batch and order_by", "do: csv", "do: csv\n    batch: {every: 1h}\n    order_by: $.id"),
    ("a saved text", "do: csv", "do: csv\n    save: {id: id}"),
    ("a dash in a pick's name", "  name: $.contact.name", "  first-name: $.contact.name"),
    ("an answer that can't be", "tests: []", "respond: {status: 999}"),
    ("an answer that switches webhooks off", "tests: []", "respond: {status: 410}"),
    ("a body with a status that has none", "tests: []", "respond: {status: 204, body: {a: 1}}"),
    ("a late body with a status that has none", "tests: []", "respond: {late: {status: 205, body: {a: 1}}}"),
    ("an answer of an unknown form", "tests: []", "respond: {as: yaml}"),
    ("a test without its name", "tests: []", "tests: [{event: a.json, expect: skipped}]"),
    ("a test that expects nothing", "tests: []", "tests: [{name: t, event: a.json}]"),
    ("a test with another word for skipped", "tests: []", "tests: [{name: t, event: a.json, expect: skiped}]"),
    ("a change that isn't a path", "tests: []", "tests: [{name: t, event: a, expect: skipped, change: {a: 2}}]"),
    ("tests that are no list", "tests: []", "tests: {name: t}"),
    ("a list of steps", STEP, "steps:\n  - to: my-file\n"),
]  # fmt: skip


def test_the_recipe_that_the_mistakes_are_made_in_has_none(of_recipe: Draft7Validator) -> None:
    assert wrong(of_recipe, read(RECIPE)) == []


@pytest.mark.parametrize(("mistake", "old", "new"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_a_mistake_is_refused_by_the_schema_and_by_the_relay(
    of_recipe: Draft7Validator, every_connector: Workspace, mistake: str, old: str, new: str
) -> None:
    text = RECIPE.replace(old, new)
    assert text != RECIPE
    assert wrong(of_recipe, read(text)) != []
    (every_connector.folder / "low.yaml").write_text(text)
    assert "low" in load_workspace(every_connector.folder, {}).broken


@pytest.mark.parametrize(
    "text",
    [
        "sorces: {}",
        "sources: {Chat: {verify: none}}",
        "sources: {chat: {}}",
        "sources: {chat: {verify: never}}",
        "sources: {chat: {verify: {hedaer: X, equals: x}}}",
        "sources: {chat: {verify: none, duplicates: 5}}",
        "sources: {chat: {verify: none, max_body: 5}}",
        "sources: {chat: {verify: none, methods: [GTE]}}",
        "sources: {shop: {preset: shopfy, secret: x}}",
        "sources: {chat: {verify: none, secret: x}}",
        "connections: {a: {}}",
        "connections: {a: {connector: htpp}}",
        "connections: {a: {connector: http}}",
        "connections: {a: {connector: http, base_url: 5}}",
        "connections: {a: {connector: http, base_url: x, allow_private: perhaps}}",
        "connections: {a: {connector: http, base_url: x, connect_timeout: ten}}",
        "connections: {a: {connector: http, base_url: x, max_reply: lots}}",
        "connections: {a: {connector: file, limit: {concurrency: 0}}}",
        "connections: {a: {connector: file, limit: {rat: 60/min}}}",
        "retries: {a: {times: 3}}",
    ],
)
def test_a_mistake_in_relay_yaml_is_refused_by_the_schema_and_by_the_relay(
    of_relay_yaml: Draft7Validator, tmp_path: Path, text: str
) -> None:
    assert wrong(of_relay_yaml, read(text)) != []
    (tmp_path / "relay.yaml").write_text(text)
    assert load_workspace(tmp_path, {}).errors != []


def test_without_a_workspace_any_source_and_connection_passes(of_any_recipe: Draft7Validator) -> None:
    step = {"to": "whatever", "do": "anything", "with": {"whoever": "knows"}}
    assert wrong(of_any_recipe, recipe_with(**step) | {"catch": "elsewhere"}) == []
    assert wrong(of_any_recipe, recipe_with(to="whatever", timeout=30)) != []


# --- it knows what the reader knows ---

EVERYTHING = """\
recipe: Everything
catch: chat
types: [a.b]
when: $.rating < 3
timezone: Europe/London
pick: {name: $.name}
tables: {t: {a: b}}
steps:
  a: {to: desk, do: note, with: {title: $name}, save: {id: $.id}, retry: {times: 1, first: 1s}}
  b: {to: desk, do: note, with: {title: $name}, batch: {every: 1h}}
respond: {body: {id: $a.id}, late: {status: 202}}
tests: [{name: t, event: a.json, expect: skipped}]
"""


def test_each_key_that_the_reader_knows_is_in_the_schema_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[frozenset[str]] = set()
    real = Reader.known_keys

    def recording(self: Reader, node: Any, keys: Any, what: str = "key") -> None:
        if what == "key":
            known.add(frozenset(keys))
        real(self, node, keys, what)

    monkeypatch.setattr(Reader, "known_keys", recording)
    parse.read_recipe("everything", EVERYTHING, "everything.yaml")

    assert {frozenset(one["properties"]) for one in closed(schema.recipe_schema())} == known


def closed(one: Any) -> Iterator[dict[str, Any]]:
    """The objects of a schema that know all their keys."""
    if isinstance(one, list):
        for item in one:
            yield from closed(item)
    elif isinstance(one, dict):
        if one.get("additionalProperties") is False and "properties" in one:
            yield one
        for name, inner in one.items():
            if name not in ("examples", "default"):
                yield from closed(inner)


def test_each_key_of_relay_yaml_is_in_its_schema_and_no_other() -> None:
    assert tuple(schema.workspace_schema()["properties"]) == workspace_module.KEYS


def test_the_schema_of_a_workspace_knows_its_names(folder: Any) -> None:
    folder.recipe(GOOD)
    made = schema.recipe_schema(load_workspace(folder.path, {}))
    assert made["properties"]["catch"]["enum"] == ["chat"]
    assert made["properties"]["steps"]["additionalProperties"]["properties"]["to"]["enum"] == ["desk"]
    retry = made["properties"]["steps"]["additionalProperties"]["properties"]["retry"]
    assert retry["anyOf"][0] == {"enum": ["patient", "default"]}


def test_an_editor_is_shown_every_filter_where_an_expression_may_stand() -> None:
    from relay.recipes.filters import FILTERS

    shown = schema.recipe_schema()["properties"]["pick"]["additionalProperties"]["markdownDescription"]
    assert [name for name, one in FILTERS.items() if f"- `{one.signature}` " not in shown] == []


def test_names_may_be_in_any_script() -> None:
    for name in ("größe", "имя", "a1_b"):
        assert re.search(parts.NAME, name)
        assert re.search(parts.STEP_NAME, name)
    for name in ("1a", "a b", "", "-a", "a.b"):
        assert not re.search(parts.NAME, name)
        assert not re.search(parts.STEP_NAME, name)


# --- its files ---


def test_the_files_are_written_where_the_recipes_name_them_and_only_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text("sources: {chat: {verify: none}}\n")
    workspace = load_workspace(tmp_path, {})
    for line in schema.MODELINES.values():
        assert not (tmp_path / line.partition("$schema=")[2]).exists()

    assert not schema.stale(workspace)
    assert schema.refresh(workspace) == []  # who has none wants none
    assert len(schema.write(tmp_path / schema.FOLDER, workspace)) == 2
    assert schema.write(tmp_path / schema.FOLDER, workspace) == []
    for line in schema.MODELINES.values():
        assert (tmp_path / line.partition("$schema=")[2]).exists()

    (tmp_path / "relay.yaml").write_text("sources: {form: {verify: none}}\n")
    changed = load_workspace(tmp_path, {})
    assert schema.stale(changed)
    assert [path.name for path in schema.refresh(changed)] == ["recipe.json"]
    assert not schema.stale(changed)
    assert sorted(path.name for path in (tmp_path / schema.FOLDER).iterdir()) == ["recipe.json", "workspace.json"]


def test_the_files_hold_no_setting_of_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "relay.yaml").write_text(
        "sources: {chat: {verify: {bearer: hush-hush}}}\n"
        "connections: {crm: {connector: http, base_url: https://inside.example.com, auth: {bearer: hush-hush}}}\n"
    )
    for text in schema.texts(load_workspace(tmp_path, {})).values():
        assert "hush-hush" not in text
        assert "inside.example.com" not in text
