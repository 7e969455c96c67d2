"""`# relay: ignore unused-source` — a warning that is known and meant, at the end of its line or in the line above."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from relay.recipes.recipe import Problem

_IGNORE = re.compile(r"#\s*relay:\s*ignore\s+([\w-]+(?:\s*,\s*[\w-]+)*)")


def unignored(problems: Iterable[Problem], text_of: Callable[[str], str]) -> list[Problem]:
    """The problems without the warnings whose code is ignored at their place. No error can be ignored.

    text_of  a file's text by its path as it stands in a place; empty where there is none
    """
    lines: dict[str, list[str]] = {}
    kept = []
    for problem in problems:
        if problem.severity == "warning":
            file = problem.place.file
            if file not in lines:
                text = text_of(file)
                lines[file] = text.splitlines() if "relay:" in text else []
            if problem.code in _ignored(lines[file], problem.place.line):
                continue
        kept.append(problem)
    return kept


def _ignored(lines: list[str], number: int) -> set[str]:
    found = set()
    for index in (number - 2, number - 1):
        line = lines[index] if 0 <= index < len(lines) else ""
        # A comment above counts where it has the line to itself.
        if index == number - 1 or line.lstrip().startswith("#"):
            for match in _IGNORE.finditer(line):
                found |= {word.strip() for word in match[1].split(",")}
    return found
