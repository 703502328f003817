"""`geomatch serve`: the HTTP API over one region."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import RegionFolder
from geomatch.service.logs import LogFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geomatch.feeds.plan import FeedPlan
    from geomatch.matcher import Matcher
    from geomatch.model import UnitState
    from geomatch.service.feeds import Feeds
    from geomatch.service.security import Ring
    from geomatch.service.serve import Tls
    from geomatch.service.settings_file import ServiceFile


def _explain(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        from geomatch.service.settings_file import explained

        sys.stdout.write(explained())
        raise typer.Exit


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
    keys: Annotated[
        Path | None, typer.Option("--keys", exists=True, dir_okay=False, help="Who may ask: see `geomatch keys`.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Speak TLS, with this certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="The private key of the certificate.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option("--client-ca", help="Take only clients with a certificate of this authority.")
    ] = None,
    log: Annotated[LogFormat, typer.Option("--log", help="How the log is written, on stderr.")] = LogFormat.text,
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal", metavar="FILE|URL", help="Keep all that is told and answered: see `geomatch replay`."
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", exists=True, dir_okay=False, help="Policies and webhooks, TOML.")
    ] = None,
    explain_settings: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option("--explain-settings", is_eager=True, callback=_explain, help="Write a settings file, explained."),
    ] = False,
    check_config: Annotated[
        bool, typer.Option("--check-config", help="Read and check everything, say what it is, and do not serve.")
    ] = False,
) -> None:
    """Answer rankings over HTTP until interrupted.

    The API describes itself at /openapi.json; /readyz tells which region is loaded. A region that `geomatch activate`
    or `geomatch rollback` puts in the folder takes over within seconds, without a request or a unit lost.

    Without --keys it checks nobody and listens on this machine alone. With them every request says who asks, each
    agency changes its own units and stops, and sees its partners' as their agreements disclose.

    With --journal whatever is acknowledged is in that file (or PostgreSQL) before, and the next start knows it again;
    --fleet then counts on the first start alone.

    With --settings a centre has its own timers, thresholds, webhooks and tie-break; --explain-settings writes such a
    file, with every key explained. --check-config reads all of it, and names every fault with its file, line and key.

    With OTEL_EXPORTER_OTLP_ENDPOINT in the environment a span of each request goes to that OpenTelemetry collector.

    Positions come over HTTP, and with --feeds by UDP and MQTT as well; `GET /v1/feeds` tells what became of them.

    \b
      geomatch serve hudson.region --fleet units.geojson
      curl -H 'Content-Type: application/json' http://127.0.0.1:8000/v1/rankings \\
          -d '{"stop": {"id": "s1", "at": {"lon": -74.02, "lat": 40.75}}, "k": 5}'
      geomatch serve hudson.region --keys keys.json --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
    """
    from geomatch.service import logs
    from geomatch.service.app import create_app
    from geomatch.service.security import Ring
    from geomatch.service.serve import OPEN_REFUSED, address_of, is_loopback, listen, run
    from geomatch.service.settings_file import ServiceFile, read_settings
    from geomatch.service.tracing import from_environment
    from geomatch.service.watch import RegionWatch

    open_to_all = allow_open or keys is not None
    plan = _read_feeds(feeds, allow_open=allow_open)
    told = ServiceFile() if settings is None else read_settings(settings, os.environ)
    if not (open_to_all or is_loopback(host)):
        raise typer.BadParameter(OPEN_REFUSED, param_hint="--host")
    tls, ring = _read_tls(tls_cert, tls_key, client_ca), None if keys is None else Ring(keys)
    if ring is not None and tls is None and not is_loopback(host):
        sys.stderr.write("geomatch: keys travel in clear text: use --tls-cert, or a proxy that speaks TLS\n")
    traces = from_environment(os.environ)
    if check_config:
        with _opened(region, fleet, None, told) as matcher:
            print(_summary(matcher, ring, plan, tls, told))
        return
    logs.configure(log)
    with (
        listen(host, port, open_to_all=open_to_all) as listener,
        _opened(region, fleet, journal, told) as matcher,
    ):
        held = len(matcher.fleet.view().units)
        sys.stderr.write(f"geomatch: {matcher.region.name} with {held} units on {address_of(listener, tls)}\n")
        watch = RegionWatch(matcher, region, tell=lambda line: print(f"geomatch: {line}", file=sys.stderr, flush=True))
        app = create_app(
            matcher, settings=told.settings, watch=watch, feeds=_feeds(plan, matcher), ring=ring, traces=traces
        )
        run(app, listener, tls)
    if traces is not None:
        traces.shutdown()


@contextmanager
def _opened(folder: Path, fleet: Path | None, journal: str | None, told: ServiceFile) -> Iterator[Matcher]:
    from geomatch.matcher import Matcher
    from geomatch.region import Region
    from geomatch.service.warm import warm

    region, limits = Region.open(folder), told.settings.fleet
    warm(region)
    if journal is None:
        matcher = Matcher(region, ties_by=told.ties_by, limits=limits)
        _begin(matcher, fleet)
        yield matcher
        return
    from geomatch.service.journaling import recorded

    with recorded(journal, region, ties_by=told.ties_by, limits=limits) as (matcher, found):
        if found.event >= 0:
            sys.stderr.write(f"geomatch: the journal told of {found.event + 1:,} events; {found.again:,} told again\n")
        for fault in found.faults:
            sys.stderr.write(f"geomatch: left out of the journal: {fault}\n")
        _begin(matcher, None if found.event >= 0 else fleet)
        yield matcher


def _begin(matcher: Matcher, fleet: Path | None) -> None:
    if fleet is not None:
        from geomatch.fleet.files import read_fleet

        _hold(matcher, read_fleet(fleet))


def _read_tls(cert: Path | None, key: Path | None, client_ca: Path | None) -> Tls | None:
    from geomatch.service.serve import Tls

    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        raise typer.BadParameter("TLS needs both --tls-cert and --tls-key", param_hint="--tls-cert")
    return Tls(cert=cert, key=key, client_ca=client_ca)


def _summary(matcher: Matcher, ring: Ring | None, plan: FeedPlan, tls: Tls | None, told: ServiceFile) -> str:
    """What was read, and is sound."""
    region = matcher.region
    doors = "no keys are checked" if ring is None else f"{ring.size} keys and issuers"
    wire = "no TLS" if tls is None else "TLS" if tls.client_ca is None else "TLS with client certificates"
    return (
        f"{region.name} ({region.hash[:12]}), {len(matcher.fleet.view().units)} units, "
        f"{len(plan.udp) + len(plan.mqtt)} feeds, {len(told.settings.webhooks)} webhooks, {doors}, {wire}: "
        "nothing is wrong"
    )


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
