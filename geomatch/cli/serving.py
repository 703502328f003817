"""`geomatch serve`: the HTTP API over one region."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import RegionFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geomatch.feeds.plan import FeedPlan
    from geomatch.matcher import Matcher
    from geomatch.model import UnitState
    from geomatch.service.feeds import Feeds


def serve(
    region: RegionFolder,
    *,
    fleet: Annotated[
        Path | None, typer.Option("--fleet", "-f", exists=True, dir_okay=False, help="Units to begin with, GeoJSON.")
    ] = None,
    feeds: Annotated[
        Path | None, typer.Option("--feeds", exists=True, dir_okay=False, help="UDP and MQTT feeds to receive, TOML.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8000,
    allow_open: Annotated[
        bool, typer.Option("--allow-open", help="Listen where other machines can reach it, though no keys are checked.")
    ] = False,
) -> None:
    """Answer rankings over HTTP until interrupted.

    The API describes itself at /openapi.json; /readyz tells which region is loaded. It checks no keys yet, so it
    listens on this machine alone: put a proxy that knows who asks in front of it. A region that `geomatch activate`
    or `geomatch rollback` puts in the folder takes over within seconds, without a request or a unit lost.

    Positions come over HTTP, and with --feeds by UDP and MQTT as well; `GET /v1/feeds` tells what became of them.

    \b
      geomatch serve hudson.region --fleet units.geojson
      curl -H 'Content-Type: application/json' http://127.0.0.1:8000/v1/rankings \\
          -d '{"stop": {"id": "s1", "at": {"lon": -74.02, "lat": 40.75}}, "k": 5}'
    """
    from geomatch.matcher import Matcher
    from geomatch.region import Region
    from geomatch.service.app import create_app
    from geomatch.service.serve import OPEN_REFUSED, address_of, is_loopback, listen, run
    from geomatch.service.warm import warm
    from geomatch.service.watch import RegionWatch

    plan = _read_feeds(feeds, allow_open=allow_open)
    if not (allow_open or is_loopback(host)):
        raise typer.BadParameter(OPEN_REFUSED, param_hint="--host")
    with listen(host, port, open_to_all=allow_open) as listener:
        matcher = Matcher(Region.open(region))
        warm(matcher.region)
        if fleet is not None:
            from geomatch.fleet.files import read_fleet

            _hold(matcher, read_fleet(fleet))
        held = len(matcher.fleet.view().units)
        sys.stderr.write(f"geomatch: {matcher.region.name} with {held} units on {address_of(listener)}\n")
        watch = RegionWatch(matcher, region, tell=lambda line: print(f"geomatch: {line}", file=sys.stderr, flush=True))
        run(create_app(matcher, watch=watch, feeds=_feeds(plan, matcher)), listener)


def _read_feeds(file: Path | None, *, allow_open: bool) -> FeedPlan:
    from geomatch.feeds.plan import FeedPlan, read_plan
    from geomatch.service.serve import is_loopback

    plan = FeedPlan() if file is None else read_plan(file, os.environ)
    for one in plan.udp:
        if not (allow_open or is_loopback(one.host)):
            raise typer.BadParameter(
                f"feed {one.name}: other machines can reach this address and UDP proves no sender: listen on 127.0.0.1,"
                " or say --allow-open where the network itself is closed",
                param_hint="--feeds",
            )
    return plan


def _feeds(plan: FeedPlan, matcher: Matcher) -> Feeds:
    from geomatch.service.feeds import Feeds

    return Feeds(transports=plan.transports(matcher, clock=time.time), mappings=plan.mappings, units=plan.devices)


def _hold(matcher: Matcher, states: Sequence[UnitState]) -> None:
    """Registers them as no source's units, so that a CAD that sends its own snapshot takes them over."""
    matcher.register([state.unit for state in states])
    for state in states:
        status = state.status
        matcher.set_status(state.unit.id, availability=status.availability, activity=status.activity, at=status.at)
    results = matcher.update([state.fix for state in states if state.fix is not None])
    for result in results:
        if result.outcome != "applied":
            sys.stderr.write(f"geomatch: unit {result.unit}: its fix was left out: {result.outcome} {result.detail}\n")
