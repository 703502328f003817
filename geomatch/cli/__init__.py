"""The command line. Text for people on a terminal, --json for machines; 0: well, 1: findings or failed, 2: misuse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from geomatch.cli import (
    agreements,
    checking,
    closures,
    demo,
    keys,
    ledger,
    maps,
    ranking,
    reaching,
    replaying,
    serving,
    swapping,
)
from geomatch.errors import GeomatchError

HELP = """Which backup units can be at a stop first, by road, and may go?

Build a region from a map once, then rank on it as often as you like:

\b
  geomatch demo                                        see it all on a made-up town
  geomatch build hudson.osm.pbf -o hudson.region       compile a map into a region
  geomatch rank hudson.region --fleet units.geojson --at -74.02,40.75
  geomatch serve hudson.region                         the same over HTTP

`geomatch COMMAND --help` tells more about each.
"""

# Every misuse of the command line is one of these; typer has no public name for it, and lately its own copy of click.
Misuse: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; errors are one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return _run(words)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except Misuse as fault:
        told, status = _words_of(fault), 2
    except GeomatchError as fault:
        told, status = str(fault), 1
    except BrokenPipeError:
        sys.stdout = None  # whoever read it is gone: nothing to flush at the end
        return 1
    except OSError as fault:
        told, status = f"{fault.filename}: {fault.strerror}" if fault.filename else str(fault), 1
    sys.stderr.write(f"geomatch: {' '.join(told.split())}\n")
    return status


def _run(words: list[str]) -> int:
    try:
        status = application()(args=words, prog_name="geomatch", standalone_mode=False)
    except typer.Exit as end:
        status = end.exit_code
    return status if isinstance(status, int) else 0


def application() -> typer.Typer:
    """All commands; heavy libraries are imported by the command that needs them, when it runs."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: the same in a pipe, and no rich to import
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    app.callback(help=HELP)(_about)
    app.command("demo")(demo.demo)
    app.command("build")(maps.build)
    app.command("check")(checking.check)
    app.command("export")(maps.export)
    app.command("rank")(ranking.rank)
    app.command("serve")(serving.serve)
    app.command("closures")(closures.closures)
    app.command("reach")(reaching.reach)
    app.command("diff")(swapping.diff)
    app.command("activate")(swapping.activate)
    app.command("rollback")(swapping.rollback)
    app.command("ledger")(ledger.ledger)
    app.add_typer(agreements.application(), name="agreements")
    app.add_typer(keys.application(), name="keys")
    app.command("replay")(replaying.replay)
    app.add_typer(replaying.journal_commands(), name="journal")
    return app


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - typer passes it by place
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"geomatch {version('geomatch-dispatch')}\n")
        raise typer.Exit


def _about(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Tell the version and exit.")
    ] = False,
) -> None:
    """What holds for every command."""


def _words_of(fault: Exception) -> str:
    told = getattr(fault, "format_message", fault.__str__)()
    context = getattr(fault, "ctx", None)
    command = context.command_path if context is not None else "geomatch"
    return f"{' '.join(told.split()).rstrip('.')} (see `{command} --help`)"
