"""relay backup | restore"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.common import Data, DryRun, Recipes, RedisUrl, err, many, out, progress, store_url
from relay.errors import ConfigError
from relay.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    to: Annotated[Path, typer.Argument(help="The file to write, or a folder for it.", show_default=False)] = Path(),
    drops: Annotated[bool, typer.Option("--with-drops", help="With the files that recipes wrote.")] = False,
    without_secrets: Annotated[
        bool,
        typer.Option("--without-secrets", help="Without secrets/, and without what relay.yaml names by ${file:…}."),
    ] = False,
    recipes: Recipes = None,
    data: Data = None,
    redis_url: RedisUrl = None,
) -> None:
    """Copy a running relay into one file: all that its store knows as of now, and the workspace.

    Bodies of events are in it, and secrets: it can be read by its owner alone. Variables of the environment are not.

    [bold]relay backup[/]                        relay-backup-20260304T102107Z.tar.zst, here
    [bold]relay backup /var/backups/relay/[/]
    [bold]relay backup before.tar.zst --with-drops[/]
    """
    from relay.backup import make
    from relay.clock import now

    settings = Settings.read({"recipes": recipes, "data": data, "redis_url": redis_url})
    path = to / f"relay-backup-{now():%Y%m%dT%H%M%SZ}.tar.zst" if to.is_dir() else to
    if path.exists():
        raise ConfigError(f"{path} is there already; nothing was overwritten")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}; make it first")
    with progress("packing", 100) as bar:

        def packed(done: int, whole: int) -> None:
            bar.update(bar.task_ids[0], total=whole, completed=done)

        made = make(
            store_url(settings),
            settings.redis_prefix,
            settings.recipes,
            path,
            drops=settings.data if drops else None,
            secrets=not without_secrets,
            progress=packed,
        )
    out.print(f"{made.path}", markup=False)
    err.print(f"{made.bytes:,} bytes, read back and checked: the store as of {made.manifest.made_at}, the workspace")
    if made.manifest.left_out:
        err.print(f"Left out: {', '.join(made.manifest.left_out)}", markup=False)
    err.print(
        "Bodies of events are in it, and secrets. Variables of the environment (${NAME}) are not: keep those too."
    )


def restore(
    file: Annotated[Path, typer.Argument(help="What `relay backup` wrote.")],
    without_recipes: Annotated[
        bool, typer.Option("--without-recipes", help="Only the data: the workspace comes from elsewhere.")
    ] = False,
    rdb: Annotated[
        Path | None, typer.Option("--rdb", help="Write only the store's copy there, for a server of yours to load.")
    ] = None,
    dry_run: DryRun = False,
    recipes: Recipes = None,
    data: Data = None,
) -> None:
    """Unpack a backup into a data folder and a workspace that are not in use. It is checked whole before.

    [bold]relay restore relay-backup-20260304T102107Z.tar.zst[/]
    [bold]relay restore backup.tar.zst --data /srv/relay/data --recipes /srv/relay/recipes[/]
    [bold]relay restore backup.tar.zst --rdb dump.rdb[/]
    """
    from relay import backup as backups
    from relay.backup.restore import ensure_unused

    settings = Settings.read({"recipes": recipes, "data": data})
    workspace = None if without_recipes else settings.recipes
    if rdb is not None:
        if rdb.exists():
            raise ConfigError(f"{rdb} is there already; nothing was overwritten")
        backups.read_manifest(file)
        if not dry_run:
            backups.write_rdb(file, rdb)
        out.print(f"{rdb}", markup=False)
        err.print(
            "Give it to a server that is stopped and has no data, as its dump.rdb, with `appendonly no`; start it,"
        )
        err.print("then `CONFIG SET appendonly yes` and the same in its configuration.")
        return
    ensure_unused(settings.data, workspace)
    if dry_run:
        manifest = backups.read_manifest(file)
        err.print(
            f"Made at {manifest.made_at} by relay {manifest.relay}; {many(len(manifest.files), 'file')}, all whole."
        )
        err.print(f"Would be restored into {settings.data}" + (f" and {workspace}." if workspace else "."))
        return
    with progress("restoring", 100) as bar:
        bar.update(bar.task_ids[0], total=file.stat().st_size)
        manifest = backups.restore(file, settings.data, workspace, lambda more: bar.advance(bar.task_ids[0], more))
    out.print(f"Restored into {settings.data}" + (f" and {workspace}" if workspace else ""), markup=False)
    err.print(f"It is the relay as of {manifest.made_at}. Before you start it:")
    err.print("- end the old one for good: two that go on from the same data deliver twice")
    err.print("- set the variables that relay.yaml names (${NAME}); they are in no backup")
    if manifest.left_out:
        err.print(f"- put back what was left out: {', '.join(manifest.left_out)}", markup=False)
    if manifest.prefix != settings.redis_prefix:
        err.print(f"- set RELAY_REDIS_PREFIX={manifest.prefix}", markup=False)
    err.print(f"Then: relay up --data {settings.data} --recipes {settings.recipes}", markup=False)
    err.print("What was delivered after the backup is delivered again, under the same idempotency key.")
