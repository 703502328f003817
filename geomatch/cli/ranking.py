"""`geomatch rank`: one stop, one fleet file, one answer."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import AsJson, RegionFolder, read_position
from geomatch.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geomatch.model import Ranking, Stop, UnitState
    from geomatch.quantities import LonLat


def rank(
    region: RegionFolder,
    *,
    fleet: Annotated[
        Path, typer.Option("--fleet", "-f", exists=True, dir_okay=False, help="GeoJSON points with unit properties.")
    ],
    at: Annotated[
        str | None, typer.Option("--at", metavar="LON,LAT", help="Where the stop is: longitude first, in degrees.")
    ] = None,
    at_marker: Annotated[
        str | None, typer.Option("--at-marker", metavar="WORDS", help='Or as said: "northbound 95, mile 42.6".')
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many units to propose.")] = 5,
    course_deg: Annotated[
        float | None, typer.Option("--course", help="Direction of traffic at the stop, degrees from north.")
    ] = None,
    urgency: Annotated[
        str, typer.Option("--urgency", help="routine_backup, urgent_backup or officer_emergency.")
    ] = "routine_backup",
    agency: Annotated[
        str | None, typer.Option("--agency", help="Whose stop it is. Else: by the jurisdictions.")
    ] = None,
    officers: Annotated[int, typer.Option("--officers", help="How many officers the stop needs.")] = 1,
    capabilities: Annotated[
        list[str] | None, typer.Option("--capability", metavar="WORD", help="Required of every unit; repeatable.")
    ] = None,
    service: Annotated[str, typer.Option("--service", help="Whom the stop needs: police, fire or ems.")] = "police",
    now: Annotated[
        str | None, typer.Option("--now", metavar="TIME", help="RFC 3339 with offset. Else: the newest fix's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank the units of a fleet file for one stop.

    FLEET is GeoJSON: a Point per unit, with the properties id, agency, call_sign, officers, capabilities,
    availability, time, course_deg, speed_mps ... Only id, agency and time are needed.

    \b
      geomatch rank hudson.region --fleet units.geojson --at -74.02,40.75
      geomatch rank hudson.region --fleet units.geojson --at -74.02,40.75 -k 3 --course 15 \\
          --urgency officer_emergency --officers 2
      geomatch rank hudson.region --fleet units.geojson --at-marker "northbound 95, mile 42.6"
      geomatch rank hudson.region --fleet units.geojson --at -74.02,40.75 --json | jq .candidates
    """
    from geomatch.model import Need, Stop
    from geomatch.quantities import parse_time

    if (at is None) == (at_marker is None):
        raise typer.BadParameter("say where the stop is: --at LON,LAT, or --at-marker WORDS", param_hint="--at")
    try:
        place, course_deg = _marked(region, at_marker, course_deg) if at is None else (read_position(at), course_deg)
        need = Need(officers=officers, capabilities=tuple(capabilities or ()), service=service)  # type: ignore[arg-type]  # as below
        stop = Stop(
            id="stop-1", at=place, agency=agency, course_deg=course_deg, urgency=urgency,  # type: ignore[arg-type]  # Stop reads the word
            need=need,
        )  # fmt: skip
        moment = None if now is None else parse_time(now)
    except BadInput as fault:
        raise typer.BadParameter(str(fault)) from None
    show(ranked(region, fleet, stop, k, moment), as_json=as_json)


def _marked(region: Path, words: str | None, course_deg: float | None) -> tuple[LonLat, float | None]:
    """The place and the course of the words, unless another course is said. Raises BadInput."""
    from geomatch.region import Region

    markers = Region.open(region).markers
    if markers is None:
        raise BadInput("this region knows no mile markers: build it with --markers, or say --at")
    found = markers.said(words or "")
    return found.at, found.course_deg if course_deg is None else course_deg


def ranked(region: Path, fleet: Path, stop: Stop, k: int, now: float | None) -> Ranking:
    """Everything in the file is ranked at once; nothing is held."""
    from geomatch.fleet.files import read_fleet
    from geomatch.matcher import Matcher
    from geomatch.region import Region

    matcher = Matcher(Region.open(region))
    states = read_fleet(fleet)
    return matcher.rank_units(stop, states, k, now=newest_fix(states) if now is None else now)


def newest_fix(states: Sequence[UnitState]) -> float:
    """The time of the newest fix. Raises BadInput when there is none."""
    times = [state.fix.time for state in states if state.fix is not None]
    if not times:
        raise BadInput("no unit of the fleet has a fix: give some a time and a position, or say --now")
    return max(times)


def show(ranking: Ranking, *, as_json: bool) -> None:
    if as_json:
        from pydantic import TypeAdapter

        from geomatch.model import Ranking

        whole = replace(ranking, excluded=tuple(ranking.excluded), beyond_k=tuple(ranking.beyond_k))
        raw = TypeAdapter(Ranking).dump_json(whole, indent=2)
        sys.stdout.write(raw.decode() + "\n")
        return
    from geomatch.cli.text import console, print_ranking

    print_ranking(ranking, console())
