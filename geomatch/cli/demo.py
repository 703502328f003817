"""`geomatch demo`: the whole product on a made-up town, with nothing to prepare."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import AsJson
from geomatch.cli.progress import bars
from geomatch.cli.ranking import show

if TYPE_CHECKING:
    import socket

    from rich.console import Console

    from geomatch.model import Comparison, Ranking
    from geomatch.service.demo import Demo

EVERY_S = 5.0
"""Between two rankings of the open stop."""
USUAL_PORT = 8000


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print one ranking and end.")] = False,
    as_json: AsJson = False,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Of the API. Else: 8000, or any.")
    ] = None,
) -> None:
    """Show it all on a made-up town, with simulated patrols.

    Builds the region the first time (some seconds), opens a stop, ranks the units for it, and goes on ranking as they
    move, with the API beside it, until Ctrl-C. Nothing in it exists: no town, no agency, no officer.

    \b
      geomatch demo
      geomatch demo --once
      geomatch demo --once --json | jq '.candidates[0]'
    """
    from geomatch.service.demo import prepare

    with bars() as progress:
        made_up = prepare(progress=progress)
    if once:
        _show(made_up, made_up.now, as_json=as_json)
        return
    _go_on(made_up, _listener(port), as_json=as_json)


def _go_on(made_up: Demo, listener: socket.socket, *, as_json: bool) -> None:
    """Simulated patrols, the open stop and the API, until interrupted."""
    import time

    from geomatch.service.app import create_app
    from geomatch.service.demo import NOTES, drive
    from geomatch.service.serve import address_of, run
    from geomatch.service.settings import Settings

    over = threading.Event()
    with listener:
        drive(made_up, clock=time.time, over=over)
        _show(made_up, time.time(), as_json=as_json)
        sys.stderr.write(_invitation(address_of(listener)))
        threading.Thread(target=_watch, args=(made_up, over), kwargs={"as_json": as_json}, daemon=True).start()
        try:
            run(create_app(made_up.matcher, settings=Settings(notes=NOTES)), listener)
        finally:
            over.set()


def _watch(made_up: Demo, over: threading.Event, *, as_json: bool) -> None:
    """A line whenever another unit has become the soonest."""
    import time

    last = made_up.rank(5, now=time.time())
    while not over.wait(EVERY_S):
        ranking = made_up.rank(5, now=time.time())
        if as_json:
            show(ranking, as_json=True)
        elif _soonest(ranking) != _soonest(last):
            _tell_change(ranking)
        last = ranking


def _soonest(ranking: Ranking) -> str | None:
    return ranking.candidates[0].unit if ranking.candidates else None


def _tell_change(ranking: Ranking) -> None:
    from geomatch.cli.text import called, console, minutes
    from geomatch.quantities import format_time

    moment = format_time(ranking.now)[11:19]
    if not ranking.candidates:
        console().print(f"{moment}  nobody may go now")
        return
    first = ranking.candidates[0]
    console().print(f"{moment}  now the soonest: {called(first)} of {first.agency}, {minutes(first.eta.eta_s)}")


def _show(made_up: Demo, now: float, *, as_json: bool) -> None:
    ranking = made_up.rank(5, now=now)
    if as_json:
        show(ranking, as_json=True)
        return
    from geomatch.cli.text import console, print_ranking

    out = console()
    out.print("[bold]A made-up town, and patrols that are simulated: none of it exists.[/bold]\n")
    print_ranking(ranking, out)
    _tell_rules(made_up.matcher.compare(made_up.stop, now=now), out)
    _tell_by_air(made_up.rank(1000, now=now), out)


def _tell_rules(compared: Comparison, out: Console) -> None:
    """What agreements and approvals cost here."""
    from rich.markup import escape

    from geomatch.cli.text import minutes

    best, may_go = compared.fastest_of_all, compared.fastest_that_may_go
    if best is None or may_go is None or best.unit == may_go.unit:
        return
    remedy = best.verdict.what_would_change
    why = f" Would change it: {remedy}." if remedy else ""
    out.print(
        f"\n[bold]By road alone[/bold] {escape(best.call_sign or best.unit)} of {escape(best.agency)} would be first, "
        f"in {minutes(best.eta_s)}.{escape(why)}"
    )


def _tell_by_air(everybody: Ranking, out: Console) -> None:
    """Which unit a map with circles on it would have sent, and what that would have cost."""
    from rich.markup import escape

    from geomatch.cli.text import called, distance, minutes

    if not everybody.candidates:
        return
    soonest = everybody.candidates[0]
    by_air = min(everybody.candidates, key=lambda candidate: (candidate.distance_m or 0.0, candidate.unit))
    if by_air is soonest:
        return
    rank = everybody.candidates.index(by_air) + 1
    cost = by_air.eta.eta_s - soonest.eta.eta_s
    out.print(
        f"\n[bold]By air[/bold] {escape(called(by_air))} of {escape(by_air.agency)} is nearest: "
        f"{distance(by_air.distance_m)}. By road it is number {rank} and needs {minutes(by_air.eta.eta_s)}, "
        f"{minutes(cost)} more than {escape(called(soonest))}."
    )


def _listener(port: int | None) -> socket.socket:
    from geomatch.errors import BadInput
    from geomatch.service.serve import listen

    try:
        return listen("127.0.0.1", USUAL_PORT if port is None else port)
    except BadInput:
        if port is not None:
            raise
        return listen("127.0.0.1", 0)


def _invitation(address: str) -> str:
    return (
        f"\nThe API is at {address} and describes itself at {address}/openapi.json. Try:\n\n"
        f"  curl {address}/readyz\n"
        f"  curl {address}/v1/units\n\n"
        "The patrols drive on, and a line tells when another unit becomes the soonest. Ctrl-C ends it.\n\n"
    )
