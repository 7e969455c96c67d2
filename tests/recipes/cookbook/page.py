"""docs/cookbook.md quotes recipes/cookbook/: `python -m tests.recipes.cookbook.page` puts the files into it anew."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from relay.recipes import Workspace, load_workspace

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "cookbook.md"
COOKBOOK = ROOT / "recipes" / "cookbook"
RECIPES = sorted(path.stem for path in COOKBOOK.glob("*.yaml") if path.name != "relay.yaml")

_QUOTE = re.compile(r"(<!-- (recipe|relay): ([\w-]+) -->\n```yaml\n)(.*?)(```\n<!-- end -->)", re.DOTALL)


def text_of(name: str) -> str:
    return (COOKBOOK / f"{name}.yaml").read_text()


def entries() -> dict[str, dict[str, str]]:
    """relay.yaml as text: section → name → its lines, with their comments."""
    found: dict[str, dict[str, str]] = {}
    for block in re.split(r"^(?=\w+:\n)", text_of("relay"), flags=re.MULTILINE)[1:]:
        section, _, lines = block.partition(":\n")
        each = [entry.rstrip() for entry in re.split(r"^  (?=\S)", lines, flags=re.MULTILINE)[1:]]
        found[section] = {entry.partition(":")[0]: f"  {entry}\n" for entry in each}
    return found


def needed(name: str) -> str:
    """The lines of relay.yaml that a recipe needs: its source, its connections, its retry policies."""
    recipe = _workspace().recipes[name]
    wanted = {
        "sources": [recipe.catch],
        "connections": [step.to for step in recipe.steps.values()],
        "retries": re.findall(r"^ +retry: (\w+)$", recipe.text, re.MULTILINE),
    }
    every = entries()
    return "".join(
        f"{section}:\n" + "".join(every[section][one] for one in dict.fromkeys(names))
        for section, names in wanted.items()
        if names
    )


@cache
def _workspace() -> Workspace:
    return load_workspace(COOKBOOK, {})


def quoted(page: str) -> str:
    """The page with its quotes as the files have them now."""

    def quote(found: re.Match[str]) -> str:
        text = text_of(found[3]) if found[2] == "recipe" else needed(found[3])
        return found[1] + text + found[5]

    return _QUOTE.sub(quote, page)


def quotes(job: str) -> dict[str, str]:
    """What a job's section of the page quotes: `recipe` and `relay`."""
    return {found[2]: found[4] for found in _QUOTE.finditer(job)}


def jobs() -> dict[str, str]:
    """Recipe → the section of the page that is about it, in the page's order."""
    sections = re.split(r"^(?=## )", PAGE.read_text(), flags=re.MULTILINE)
    named = {re.search(r"<!-- recipe: ([\w-]+) -->", section): section for section in sections}
    return {found[1]: section for found, section in named.items() if found is not None}


if __name__ == "__main__":
    PAGE.write_text(quoted(PAGE.read_text()))
