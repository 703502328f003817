"""`geomatch diff`, `activate` and `rollback`: what a new map would change, taking it into use, and going back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import AsJson, RegionFolder
from geomatch.errors import BadInput

if TYPE_CHECKING:
    from geomatch.region import Region

NewFolder = Annotated[Path, typer.Argument(metavar="NEW", help="The region to take its place.")]


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The region in use.")],
    new: NewFolder,
    *,
    fleet: Annotated[
        Path | None, typer.Option("--fleet", "-f", exists=True, dir_okay=False, help="Units to compare, GeoJSON.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When it would be activated, RFC 3339. Else: now.")
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Roads and turns named of each kind.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Say what a new map would change, before it is activated. Exit status 1 where anything is different.

    Streets that come, go or change; turns; ground that passes from one agency or beat to another; agreements; and,
    of the units of a fleet, those that would stand on another road or in another agency's area.

    \b
      geomatch diff hudson.region hudson-may.region
      geomatch diff hudson.region hudson-may.region --fleet units.geojson --json
    """
    from geomatch.fleet.files import read_fleet
    from geomatch.maps.diff import diff as compared
    from geomatch.quantities import parse_time

    try:
        moment = time.time() if at is None else parse_time(at)
    except BadInput as fault:
        raise typer.BadParameter(str(fault), param_hint="--at") from None
    states = read_fleet(fleet) if fleet is not None else ()
    found = compared(_checked(old), _checked(new), units=states, at=moment, examples=examples)
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
    else:
        from geomatch.cli.differences import print_diff

        print_diff(found)
    if not found.same:
        raise typer.Exit(1)


def activate(new: NewFolder, region: RegionFolder) -> None:
    """Put a copy of NEW in the place of REGION.

    REGION is kept for `geomatch rollback`. Nothing is changed where NEW is damaged. A service over REGION notices
    within seconds and swaps the map without losing a request or a unit.

    \b
      geomatch activate hudson-may.region hudson.region
    """
    from geomatch.region import activate as put

    put(new, region)
    _tell(region, "the one before is kept: `geomatch rollback` puts it back")


def rollback(region: RegionFolder) -> None:
    """Put back the region that `geomatch activate` replaced.

    Said twice, nothing has changed.

    \b
      geomatch rollback hudson.region
    """
    from geomatch.region import rollback as back

    back(region)
    _tell(region, "what was there is kept: `geomatch rollback` again puts that back")


def _checked(folder: Path) -> Region:
    """Opened, every byte of it read: a difference must not come from a damaged file."""
    from geomatch.region import Region, verify

    verify(folder)
    return Region.open(folder)


def _tell(folder: Path, kept: str) -> None:
    from geomatch.region import Region

    region = Region.open(folder)
    sys.stderr.write(f"geomatch: {folder} is {region.name} ({region.hash[:12]}) now; {kept}\n")
