"""The sample that `relay capture` and `relay new` keep: its name, its file, and what is told of it."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.cli.common import confirm, err, out
from relay.errors import BodyError, ConfigError
from relay.recipes import sample_event, view_of
from relay.recipes.drafting.spelling import flow
from relay.recipes.masking.keeping import FOLDER, free_name, kept
from relay.recipes.trying.samples import CONTENT_TYPES
from relay.settings import Settings

if TYPE_CHECKING:
    from relay.model import Event
    from relay.recipes import Workspace
    from relay.recipes.masking.keeping import Kept


def sample_of(
    settings: Settings, workspace: Workspace, event: Event, given: str | None, *, mask: bool
) -> tuple[str, Kept]:
    """(its name in the workspace, what it is); written where it isn't there yet."""
    sample = kept(event, workspace.sources[event.source], mask=mask)
    if sample.raw is not None:
        raise BodyError(sample.raw)
    home = _inside(settings.recipes, given) if not mask else None
    if home is not None:
        return home, replace(sample, found=())
    name = free(workspace, event, sample, given)
    write(settings.recipes / name, sample, yes=False)
    return name, sample


def _inside(folder: Path, given: str | None) -> str | None:
    """A file's name within the workspace, where it is one that a test can take as it is."""
    path = Path(given) if given is not None else None
    if path is None or not path.is_file() or path.suffix not in CONTENT_TYPES:
        return None
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return None


def as_tested(path: Path, event: Event, sample: Kept) -> Event:
    """The event as the recipe's own test will see it."""
    return sample_event(event.source, path, headers=sample.headers, query=sample.query)


def named(name: str, sample: Kept) -> str:
    """`closed`, `closed.json` and `samples/closed.json` are the same. Raises ConfigError."""
    name = name.removeprefix(f"{FOLDER}/")
    stem, suffix = (name, sample.suffix) if not Path(name).suffix else (Path(name).stem, Path(name).suffix)
    if suffix != sample.suffix:
        raise ConfigError(f"--as {name}: this body makes a {sample.suffix} file; leave the ending out")
    if not re.fullmatch(r"\w[\w.-]{0,99}", stem):
        raise ConfigError(f"--as {name}: a sample's name is letters, digits, `-`, `_` and `.`")
    return f"{FOLDER}/{stem}{suffix}"


def free(workspace: Workspace, event: Event, sample: Kept, file: str | None) -> str:
    kind = (
        Path(file).stem.removeprefix(f"{event.source}-")
        if file not in (None, "-") and Path(str(file)).is_file()
        else ""
    )
    if not kind and sample.raw is None:
        kind = view_of(workspace, event).event.type
    return free_name(workspace.folder, event.source, kind, sample)


def write(path: Path, sample: Kept, *, yes: bool) -> None:
    if path.exists() and path.read_bytes() != sample.body:
        confirm(f"{path} is there already, with another content. Overwrite it?", yes=yes)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(sample.body)


# --- words ---


def tell(sample: Kept, *, with_headers: bool = True) -> None:
    if sample.raw is not None:
        err.print(f"It is kept byte for byte, for {sample.raw}.", markup=False)
    if sample.masked:
        out.print("Masked:")
        width = max(len(one.path) for one in sample.masked)
        for one in sample.masked:
            out.print(f"  {one.path:<{width}}  {one.kind}", markup=False)
    if sample.found:
        kinds = ", ".join(sample.found)
        err.print(
            f"It holds what looks like personal data ({kinds}): --mask puts stand-ins in its place.", markup=False
        )
    if with_headers and (sample.headers or sample.query):
        out.print("A test with it says beside `event:`")
        for key, values in (("headers", sample.headers), ("query", sample.query)):
            if values:
                out.print(f"  {key}: {flow(values)}", markup=False)


def row_of(sample: Kept) -> dict[str, Any]:
    masked = [{"path": one.path, "kind": one.kind} for one in sample.masked]
    return {"bytes": len(sample.body), "headers": sample.headers, "query": sample.query, "masked": masked}


def say_next(*lines: str) -> None:
    out.print("Next:")
    for line in lines:
        out.print(f"  {line}", markup=False)


def header_flags(sample: Kept) -> str:
    return "".join(f" -H {shlex.quote(f'{name}: {value}')}" for name, value in sample.headers.items())


def recipes_flag(settings: Settings) -> str:
    """The flag for a workspace that isn't the usual one."""
    return "" if settings.sources_of.get("recipes") != "--recipes" else f" --recipes {quoted(settings.recipes)}"


def quoted(path: Path) -> str:
    return shlex.quote(str(path))
