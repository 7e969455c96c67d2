"""relay recipes history|diff|restore"""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.common import (
    AsJson,
    Data,
    DryRun,
    Recipes,
    RedisUrl,
    Yes,
    confirm,
    err,
    json_line,
    not_known,
    out,
    show,
    who,
    with_operators,
)
from relay.errors import ConfigError, RelayError
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.recipes import Problem
    from relay.store import Entry, Operators

#: Marks the version that the folder has.
_FILE = "the file"

COLUMNS = ("version", "status", "from", "until", "lines", "by", "file")

Name = Annotated[str, typer.Argument(help="The recipe's name: its file's.")]
Version = Annotated[str, typer.Argument(help="A version, or the beginning of one.")]


def add_to(app: typer.Typer) -> None:
    app.command()(history)
    app.command()(diff)
    app.command()(restore)


@dataclass(frozen=True)
class Past:
    """All that is known of a recipe's versions.

    texts     by version, as far as they are kept
    in_force  empty where none is
    text      what the file holds; None where there is no such file
    problems  the file's errors
    """

    recipe: str
    entries: list[Entry]
    texts: dict[str, str]
    in_force: str
    file: Path
    text: str | None
    problems: list[Problem]

    @property
    def file_version(self) -> str:
        """Of the file as it is; empty where there is none."""
        from relay.recipes import version_of

        return version_of(self.text) if self.text is not None else ""

    def one(self, words: str) -> str:
        """The version that begins like this. Raises ConfigError."""
        found = [version for version in self.texts if version.startswith(words)]
        if words in found or len(found) == 1:
            return words if words in found else found[0]
        if found:
            known = ", ".join(found)
            raise ConfigError(f"`{words}` begins several versions of {self.recipe}: {known}; write more of it")
        newest = dict.fromkeys(entry.version for entry in self.entries if entry.version in self.texts)
        raise not_known("version", words, [*newest, *(self.texts.keys() - newest.keys())])


def past_of(settings: Settings, recipe: str) -> Past:
    """Raises ConfigError where nobody knows such a recipe, StoreError."""
    from relay.store import History

    async def act(operators: Operators) -> tuple[list[Entry], dict[str, str], str, list[str]]:
        history = History(operators.store)
        known = await history.in_force()
        entries, texts = await history.entries(recipe), await history.versions(recipe)
        return entries, texts, known.recipes.get(recipe, ""), await history.recipes()

    entries, texts, in_force, known = with_operators(settings, act)
    file, text, problems, there = _in_folder(settings, recipe)
    if text is None and not entries and not texts:
        raise not_known("recipe", recipe, sorted({*known, *there}))
    return Past(recipe, entries, texts, in_force, file, text, problems)


def _in_folder(settings: Settings, recipe: str) -> tuple[Path, str | None, list[Problem], list[str]]:
    """(the recipe's file, what it holds, its errors, the recipes there are)."""
    from relay.recipes.files import read_files, recipe_file

    files = read_files(settings.recipes)
    name = recipe_file(recipe)
    text = files.as_is(name) if name in files.contents else None
    problems: list[Problem] = []
    if text is not None:
        with contextlib.suppress(ConfigError):
            problems = _errors(settings.recipes, recipe)
    return files.path(name), text, problems, files.recipes


def _errors(folder: Path, recipe: str, text: str | None = None) -> list[Problem]:
    """What is wrong with a recipe's file by today's relay.yaml; with another text in its place, where one is given.

    Raises ConfigError where relay.yaml can't be read.
    """
    from relay.recipes.files import Files, read_files, recipe_file
    from relay.recipes.workspace import read_one, setup_of

    files = read_files(folder)
    if text is not None:
        files = Files(files.folder, {**files.contents, recipe_file(recipe): text.encode()})
    return read_one(files, recipe, setup_of(files)).errors


def history(
    recipe: Name,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """The versions of a recipe that came in force, newest first: when, how many lines changed, and who saw it first.

    [bold]relay recipes history closed-chats[/]
    """
    past = past_of(Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url}), recipe)
    show(_rows(past, as_json=as_json), COLUMNS, as_json=as_json, empty=f"{recipe} was never in force.")
    if not as_json:
        for problem in past.problems[:1]:
            err.print(f"The file has an error, and changes nothing: {problem}", markup=False)


def _rows(past: Past, *, as_json: bool) -> Iterator[dict[str, Any]]:
    from relay.clock import isoformat

    file = past.file_version
    if file and file not in {entry.version for entry in past.entries}:
        status = "refused" if past.problems else "new"
        yield _row(past, file, past.in_force, status, as_json=as_json) | {"file": True if as_json else _FILE}
        file = ""
    for number, entry in enumerate(past.entries):
        before = next((older.version for older in past.entries[number + 1 :] if older.version), "")
        is_now = number == 0 and entry.version == past.in_force
        status = "removed" if not entry.version else "in force" if is_now else "earlier"
        row = _row(past, entry.version, before, status, as_json=as_json)
        row |= {"from": isoformat(entry.from_ms), "until": None, "by": entry.by}
        if entry.until_ms is not None:
            row["until"] = isoformat(entry.until_ms)
        row["file"] = bool(file) and entry.version == file
        if row["file"]:
            file = ""
        yield row if as_json else row | {"file": _FILE if row["file"] else None}


def _row(past: Past, version: str, before: str, status: str, *, as_json: bool) -> dict[str, Any]:
    """`before` is the version that its lines are counted against."""
    row: dict[str, Any] = {"name": past.recipe, "status": status, "version": version or None}
    new = past.text if version == past.file_version else past.texts.get(version)
    old = past.texts.get(before, "" if not before else None)
    added = removed = None
    if version and new is not None and old is not None:
        lines = list(_difference(old, new, "", ""))[2:]
        added = sum(line.startswith("+") for line in lines)
        removed = sum(line.startswith("-") for line in lines)
    if as_json:
        return row | {"added": added, "removed": removed}
    return row | {"lines": f"+{added} −{removed}" if added is not None else None}


def _difference(old: str, new: str, old_name: str, new_name: str) -> Iterator[str]:
    return difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")


def diff(
    recipe: Name,
    versions: Annotated[list[str] | None, typer.Argument(metavar="[VERSION [VERSION]]", help="Which.")] = None,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """What differs between two versions of a recipe. One alone is compared with the file as it is.

    Without any: the version in force with the file; where they are the same, the last two that were in force.

    [bold]relay recipes diff closed-chats[/]
    [bold]relay recipes diff closed-chats 3f2a 91cc[/]
    """
    past = past_of(Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url}), recipe)
    if len(versions or ()) > 2:
        raise ConfigError("two versions are compared, not more")
    old, new = _which(past, [past.one(version) for version in versions or ()])
    old_name, new_name = f"{recipe}@{old}", f"{recipe}@{new}" if new else str(past.file)
    lines = list(_difference(past.texts[old], past.texts[new] if new else past.text or "", old_name, new_name))
    if as_json:
        status = "different" if lines else "same"
        json_line(
            {"name": recipe, "status": status, "from": old, "to": new or str(past.file), "diff": "\n".join(lines)}
        )
    elif lines:
        _print(lines)
    else:
        err.print(f"[dim]{old_name} and {new_name} are the same.[/]")


def _which(past: Past, named: list[str]) -> tuple[str, str]:
    """(the older, the newer), which is empty for the file. Raises ConfigError."""
    match named:
        case [old, new]:
            return old, new
        case [one]:
            if past.text is None:
                raise ConfigError(f"there is no file {past.file} to compare with: name two versions")
            return one, ""
    if past.in_force in past.texts and past.text is not None and past.file_version != past.in_force:
        return past.in_force, ""
    kept = list(dict.fromkeys(entry.version for entry in past.entries if entry.version in past.texts))
    if not kept:
        raise ConfigError(f"{past.recipe} was never in force: there is nothing to compare the file with")
    if len(kept) == 1:
        raise ConfigError(f"there is nothing to compare: {past.recipe} has had one version, and the file holds it")
    return kept[1], kept[0]


def _print(lines: list[str]) -> None:
    for number, line in enumerate(lines):
        style = "bold" if number < 2 else {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        out.print(line, style=style, markup=False)


def restore(
    recipe: Name,
    version: Version,
    yes: Yes = False,
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Even where it has errors by today's relay.yaml.")] = False,
    as_json: AsJson = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Write an earlier version of a recipe back into its file. What the file held is kept, if only beside it.

    [bold]relay recipes restore closed-chats 3f2a --dry-run[/]
    [bold]relay recipes restore closed-chats 3f2a[/]
    """
    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    past = past_of(settings, recipe)
    version = past.one(version)
    text = past.texts[version]
    row = {"name": recipe, "status": "as it was", "version": version, "file": str(past.file), "kept_as": None}
    if text == past.text:
        json_line(row) if as_json else err.print(f"{past.file} holds {version} already.")
        return
    wrong = [] if force else _errors(settings.recipes, recipe, text)
    for problem in wrong:
        err.print(f"{recipe}@{version}:{problem.place.line}:{problem.place.column}: {problem.message}", markup=False)
    if wrong:
        raise RelayError(f"{version} would be refused as relay.yaml is today; --force writes it all the same")
    if not as_json:
        _print(list(_difference(past.text or "", text, str(past.file), f"{recipe}@{version}")))
    if dry_run:
        json_line(row | {"status": "would be restored"}) if as_json else err.print("Nothing was changed.")
        return
    confirm(f"Write version {version} into {past.file}?", yes=yes)
    kept = _keep(past)
    write_whole(past.file, text)
    _note(settings, recipe, version)
    if as_json:
        json_line(row | {"status": "restored", "kept_as": str(kept) if kept else None})
        return
    if kept is not None:
        err.print(f"What the file held is in no history: it is kept as {kept}")
    out.print(f"Wrote {version} into {past.file}. A running relay puts it in force within two seconds.")


def _note(settings: Settings, recipe: str, version: str) -> None:
    from relay.store import History

    with_operators(settings, lambda operators: History(operators.store).restored(recipe, version, who()))


def _keep(past: Past) -> Path | None:
    """Where the file's text was put; None where the history has it."""
    if past.text is None or past.file_version in past.texts:
        return None
    number = 0
    while True:
        path = past.file.with_name(f"{past.file.name}.bak{number or ''}")
        if not path.exists():
            shutil.copy2(past.file, path)
            return path
        number += 1


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it. Raises ConfigError."""
    # Through a link: it stays one.
    path = path.resolve()
    other = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with other.open("w", encoding="utf-8", newline="") as file:
            if path.exists():
                other.chmod(path.stat().st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        other.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            other.unlink()
        raise ConfigError(f"{path} can't be written: {error.strerror}") from None
