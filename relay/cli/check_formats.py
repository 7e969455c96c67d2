"""What `relay check` found, in the forms that machines read: JSON Lines, GitHub's workflow commands, SARIF."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relay.recipes.codes import CODES
from relay.recipes.recipe import Problem

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

FORMATS = ("text", "json", "github", "sarif")


def row(problem: Problem) -> dict[str, Any]:
    """A problem as a line of `--format json`."""
    place = problem.place
    return {
        "name": str(place),
        "status": problem.severity,
        "code": problem.code,
        "message": problem.message,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "recipe": problem.recipe,
    }


def github(problem: Problem, env: Mapping[str, str] = os.environ) -> str:
    """A workflow command: GitHub shows it at the file's line in the pull request.

    docs.github.com, "Workflow commands", "Setting an error message"; what is escaped how is in its actions/toolkit,
    packages/core/src/command.ts.
    """
    place = problem.place
    properties = {
        "file": from_root(place.file, env.get("GITHUB_WORKSPACE")),
        "line": place.line,
        "col": place.column,
        "title": f"relay check: {problem.code}",
    }
    written = ",".join(f"{key}={_property(str(value))}" for key, value in properties.items())
    return f"::{problem.severity} {written}::{_data(problem.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(problems: Sequence[Problem], env: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """One run as a SARIF 2.1.0 log: a rule for each code that was found, files relative to the root of the checkout."""
    codes = sorted({problem.code for problem in problems})
    levels = {problem.code: problem.severity for problem in reversed(problems)}
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CODES[code]},
            "defaultConfiguration": {"level": levels[code]},
        }
        for code in codes
    ]
    root = env.get("GITHUB_WORKSPACE")
    results = [
        {
            "ruleId": problem.code,
            "ruleIndex": codes.index(problem.code),
            "level": problem.severity,
            "message": {"text": problem.message},
            "locations": [_location(problem, root)],
        }
        for problem in problems
    ]
    tool = {"driver": {"name": "relay", "version": _version(), "rules": rules}}
    run = {"tool": tool, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _location(problem: Problem, root: str | None) -> dict[str, Any]:
    place = problem.place
    uri = quote(Path(from_root(place.file, root)).as_posix())
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": place.line, "startColumn": place.column},
        }
    }


def from_root(file: str, root: str | None = None) -> str:
    """A file as it is named in the checkout: from `root`, else from here. One outside of it keeps its own name."""
    absolute = Path(file).absolute()
    for base in (root, Path.cwd()):
        if base is not None and absolute.is_relative_to(base):
            return str(absolute.relative_to(base))
    return file


def counts(problems: Iterable[Problem]) -> tuple[int, int]:
    """(errors, warnings)."""
    every = [problem.severity for problem in problems]
    return every.count("error"), every.count("warning")


def _version() -> str:
    try:
        return version("relay")
    except PackageNotFoundError:
        return "0"
