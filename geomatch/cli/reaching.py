"""`geomatch reach`: how far help is away, or how far it gets."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from geomatch.cli.options import AsJson, RegionFolder, read_position


def reach(
    region: RegionFolder,
    *,
    at: Annotated[str, typer.Option("--at", metavar="LON,LAT", help="The place: longitude first, in degrees.")],
    within_s: Annotated[float, typer.Option("--within", metavar="SECONDS", help="Driving time.")],
    direction: Annotated[
        str,
        typer.Option(
            "--direction", help="to: from where a unit is here in time; from: where one from here is in time."
        ),
    ] = "to",
    mode: Annotated[str, typer.Option("--mode", help="routine, urgent or emergency.")] = "routine",
    course_deg: Annotated[
        float | None, typer.Option("--course", help="Direction of traffic at the place, degrees from north.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="F.geojson", help="Write the roads as GeoJSON lines.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell which roads are within reach of a place, by road.

    The lines are parts of directed edges, cut where the time is up, with the seconds at both ends.

    \b
      geomatch reach hudson.region --at -74.02,40.75 --within 300
      geomatch reach hudson.region --at -74.02,40.75 --within 300 --direction from --mode emergency -o reach.geojson
    """
    from geomatch.backup.reachable import Direction, as_geojson, length_m, reachable
    from geomatch.quantities import DrivingMode
    from geomatch.region import Region

    try:
        how, which = DrivingMode(mode), Direction(direction)
    except ValueError:
        raise typer.BadParameter("--mode is routine, urgent or emergency; --direction is to or from") from None
    opened = Region.open(region)
    place = read_position(at)
    found = reachable(opened, place, within_s, direction=which, mode=how, course_deg=course_deg)
    if out is not None:
        out.write_text(json.dumps(as_geojson(opened, found), ensure_ascii=False) + "\n", encoding="utf-8")
    if as_json:
        sys.stdout.write(json.dumps(as_geojson(opened, found), ensure_ascii=False) + "\n")
        return
    from geomatch.cli.text import console

    screen = console()
    km, parts = length_m(opened, found) / 1000, len(found.edge)
    what = "lead here" if which is Direction.to else "are reached from here"
    screen.print(f"{km:,.1f} km of road {what} within {within_s:g} s of {how} driving, in {parts:,} parts of edges")
    if out is None:
        screen.print("[dim]--output F.geojson writes them as lines[/dim]")
    screen.print(f"[dim]{opened.attribution}[/dim]")
