"""The documentation is held to the code: settings, commands, log lines, links, and every command line it quotes.

`python -m tests.test_docs` writes the table of settings anew.
"""

from __future__ import annotations

import ast
import re
import shutil
import tomllib
from dataclasses import fields
from pathlib import Path
from urllib.parse import unquote

import pytest

from relay import starter
from relay.recipes import load_workspace, run_tests
from relay.settings import Settings
from tests.cli.grammar import commands, parse

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OPERATING = ROOT / "docs" / "operating.md"

#: A command at the start of a line of code, perhaps behind a prompt or a path, or in backticks within a sentence.
_LINE = re.compile(r"^\s*(?:\$ )?(?:\S*/)?(relay [a-z-].*)$")
_INLINE = re.compile(r"`(relay [a-z-][^`]*)`")
_LOG_EVENT = re.compile(
    r"(relay|process|web|request|worker|recipe|source|event|events|delivery|lane|workspace|batch|answer|message)\.[a-z_]+"
)


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def settings_table() -> str:
    written = Settings().environment()
    flags = {option for command in commands().values() for param in command.params for option in param.opts}
    rows = ["| variable | flag | default | what it is |", "|---|---|---|---|"]
    for setting in (field for field in fields(Settings) if "read" in field.metadata):
        variable, flag = f"RELAY_{setting.name.upper()}", f"--{setting.name.replace('_', '-')}"
        default = f"`{written[variable]}`" if written[variable] else ""
        about = setting.metadata["about"]
        rows.append(f"| `{variable}` | {f'`{flag}`' if flag in flags else ''} | {default} | {about} |")
    return "\n".join(rows)


def with_settings(page: str) -> str:
    table = f"<!-- generated: settings -->\n{settings_table()}\n<!-- end -->"
    return re.sub(r"<!-- generated: settings -->\n.*?<!-- end -->", lambda _: table, page, flags=re.DOTALL)


def quoted_commands(page: Path) -> list[str]:
    text = page.read_text()
    # Within a sentence, a command may go over the end of a line.
    sentences = re.sub(r"^```.*?^```|^    .*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    found = [" ".join(command.split()) for command in _INLINE.findall(sentences)]
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            match = _LINE.match(line)
            found += [match[1]] if match else []
    return found


def test_the_table_of_settings_is_the_one_that_the_settings_make() -> None:
    """To write it anew: `python -m tests.test_docs`."""
    page = OPERATING.read_text()
    assert page == with_settings(page)


@pytest.mark.parametrize("name", sorted(Settings.environment_names()))
def test_each_setting_has_its_row(name: str) -> None:
    assert f"\n| `{name}` |" in OPERATING.read_text()


@pytest.mark.parametrize("words", sorted(commands()), ids=" ".join)
def test_each_command_has_its_row_and_a_line_that_calls_it(words: tuple[str, ...]) -> None:
    name = f"relay {' '.join(words)}"
    row = re.search(rf"^\| `{name}` \|.*\| `({name}.*?)` \|$", OPERATING.read_text(), re.MULTILINE)
    assert row is not None, f"docs/operating.md has no row for {name}"
    assert parse(row[1]) == words


def test_no_row_names_a_command_that_is_gone() -> None:
    rows = re.findall(r"^\| `relay ([a-z -]+)` \|", OPERATING.read_text(), re.MULTILINE)
    assert {tuple(row.split()) for row in rows} == commands().keys()


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_command_line_that_is_quoted_can_be_parsed(page: Path) -> None:
    wrong = {}
    for line in quoted_commands(page):
        words = line.split()
        try:
            if len(words) == 2 and any(path[0] == words[1] for path in commands()):
                continue  # a command that is talked about: `relay dead`, `relay try`
            if tuple(words[1:3]) in commands() and len(words) == 3:
                continue
            parse(line)
        except Exception as error:
            wrong[line] = f"{type(error).__name__}: {error}"
    assert wrong == {}


def test_the_pages_do_quote_commands() -> None:
    assert sum(len(quoted_commands(page)) for page in PAGES) > 60


def test_the_floors_are_drawn_as_they_are_held() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = pyproject["tool"]["importlinter"]["contracts"][0]
    drawing = re.search(r"^  cli .*?^```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL | re.MULTILINE)
    assert drawing is not None
    drawn = [re.split(r"\s{2,}", line.strip())[0] for line in drawing[0].splitlines()[:-1]]
    assert drawn == contract["layers"]


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert missing == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index_and_in_the_readme() -> None:
    index, readme = (ROOT / "docs" / "README.md").read_text(), (ROOT / "README.md").read_text()
    docs = ROOT / "docs"
    # A folder's pages are in its own index.
    pages = [
        page
        for page in [*docs.glob("*.md"), *docs.glob("*/README.md")]
        if page.parent != docs or page.name != "README.md"
    ]
    for page in pages:
        assert f"({page.relative_to(docs)})" in index
        assert f"(docs/{page.relative_to(docs)})" in readme


def logged() -> dict[str, set[str]]:
    """Each log event of the code, with the fields that are named where it is written."""
    found: dict[str, set[str]] = {}
    for file in [*(ROOT / "relay").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            event = node.args[0].value
            # `log.info(…)`, or `(log.warning if dead else log.info)(…)`.
            func = node.func.body if isinstance(node.func, ast.IfExp) else node.func
            logs = isinstance(func, ast.Attribute) and func.attr in ("info", "warning", "error")
            if logs and isinstance(event, str) and _LOG_EVENT.fullmatch(event):
                found.setdefault(event, set()).update(word.arg for word in node.keywords if word.arg)
    return found


def test_each_log_line_has_its_row_with_its_fields() -> None:
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|([^|]*)\|", OPERATING.read_text(), re.MULTILINE))
    code = logged()
    assert rows.keys() == code.keys()
    missing = {event: names - set(re.findall(r"`(\w+)`", rows[event])) for event, names in code.items()}
    assert {event: names for event, names in missing.items() if names} == {}


def test_the_readmes_recipe_works_in_the_starter_workspace(tmp_path: Path) -> None:
    (recipe,) = re.findall(r"```yaml\n(recipe:.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    starter.write(tmp_path / "recipes")
    starter.ensure_key(tmp_path / "recipes")
    (tmp_path / "recipes" / "low-ratings.yaml").write_text(recipe)
    workspace = load_workspace(tmp_path / "recipes")
    assert workspace.problems == []
    results = run_tests(workspace, {"low-ratings"})
    assert [result.name for result in results if result.passed] == [
        "a low rating is a row and a ticket",
        "a good rating goes nowhere",
    ]


def test_the_shipped_workspace_is_the_readmes_beginning(tmp_path: Path) -> None:
    shipped = shutil.copytree(ROOT / "recipes", tmp_path / "recipes", ignore=shutil.ignore_patterns("secrets"))
    assert sorted(path.name for path in shipped.glob("*.yaml")) == ["closed-chats.yaml", "relay.yaml"]


if __name__ == "__main__":
    OPERATING.write_text(with_settings(OPERATING.read_text()))
