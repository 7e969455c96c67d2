"""The command line: one file a command group. What a command needs is imported when it runs, so that help is quick."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

import relay.cli.archive as archive
import relay.cli.backup as backup
import relay.cli.check as check
import relay.cli.connections as connections
import relay.cli.dead as dead
import relay.cli.deliveries as deliveries
import relay.cli.doctor as doctor
import relay.cli.events as events
import relay.cli.lanes as lanes
import relay.cli.lanes_drain as lanes_drain
import relay.cli.new as new
import relay.cli.processes as processes
import relay.cli.recipes as recipes
import relay.cli.schema as schema
import relay.cli.send as send
import relay.cli.senders as senders
import relay.cli.sources as sources
import relay.cli.testing as testing
import relay.cli.trying as trying
import relay.cli.workspace as workspace
from relay.cli.common import NOT_REACHED, WRONG_USAGE
from relay.errors import ConfigError, RelayError, StoreError

app = typer.Typer(
    name="relay",
    help="Catches webhooks and forwards them. Nothing accepted is ever lost.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

processes.add_to(app)
workspace.add_to(app)
check.add_to(app)
schema.add_to(app)
testing.add_to(app)
trying.add_to(app)
send.add_to(app)
new.add_to(app)
doctor.add_to(app)
backup.add_to(app)
app.add_typer(events.app, name="events")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(dead.app, name="dead")
lanes_drain.add_to(lanes.app)
app.add_typer(lanes.app, name="lanes")
app.add_typer(archive.app, name="archive")
app.add_typer(connections.app, name="connections")
app.add_typer(recipes.app, name="recipes")
senders.add_to(sources.app)
app.add_typer(sources.app, name="sources")


def main() -> None:
    """Exit codes: 0 done, 1 the thing asked about is wrong, 2 wrong usage, 3 the relay cannot be reached."""
    try:
        app()
    except StoreError as error:
        sys.exit(_say(error, NOT_REACHED))
    except ConfigError as error:
        sys.exit(_say(error, WRONG_USAGE if error.place is None else 1))
    except RelayError as error:
        sys.exit(_say(error, 1))
    except BrokenPipeError:
        # `relay events list | head`: whoever read has read enough.
        sys.stderr.close()


def _say(error: RelayError, code: int) -> int:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"[bold red]error:[/] {_plain(str(error))}")
    return code


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
