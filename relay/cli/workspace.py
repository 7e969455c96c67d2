"""relay init | connectors"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from relay.cli.common import AsJson, json_line, out, wide
from relay.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(connectors)


def init(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Where to write it; `recipes`, or `cookbook`.", show_default=False),
    ] = None,
    cookbook: Annotated[
        bool, typer.Option("--cookbook", help="Write the cookbook instead: recipes to copy, with samples and tests.")
    ] = False,
) -> None:
    """Write a starter workspace: an example that works as it is. Or the cookbook.

    [bold]relay init[/]
    [bold]relay init --cookbook[/]
    """
    from relay import starter

    if cookbook:
        folder = folder or Path("cookbook")
        number = starter.write_cookbook(folder)
        out.print(f"Wrote {number} recipes to copy into [bold]{folder}/[/], a workspace of their own.")
        out.print("To take one over, copy its file, its samples, and the entries of relay.yaml that it names.")
        out.print(f"See what they do with: relay test {shlex.quote(str(folder))}")
        return
    folder = folder or Path("recipes")
    starter.write(folder, Settings.read().port)
    starter.ensure_key(folder)
    flag = "" if folder == Path("recipes") else f" --recipes {shlex.quote(str(folder))}"
    out.print(f"Wrote a starter workspace into [bold]{folder}/[/]. Run it with: relay up{flag}")


def connectors(
    name: Annotated[str | None, typer.Argument(help="One connector, whole.")] = None, as_json: AsJson = False
) -> None:
    """The destinations there are, or all that one understands.

    [bold]relay connectors[/]
    [bold]relay connectors http[/]
    """
    from relay.connector import connector_class, connector_names, describe

    if name is not None:
        wide(describe(name))
        return
    for each in connector_names():
        found = connector_class(each)
        actions = [action.name for action in found.actions]
        if as_json:
            json_line({"name": each, "status": "installed", "summary": found.summary, "actions": actions})
        else:
            out.print(f"[bold]{each:<12}[/] {found.summary}  [dim]{', '.join(actions)}[/]")
