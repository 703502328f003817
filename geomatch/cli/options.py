"""What several commands take in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.errors import BadInput

if TYPE_CHECKING:
    from geomatch.backup.recorded import Recorded
    from geomatch.quantities import LonLat
    from geomatch.region import Region

RegionFolder = Annotated[Path, typer.Argument(metavar="REGION", help="A region folder that `geomatch build` made.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for machines.")]
ShiftFile = Annotated[
    Path, typer.Option("--shift", exists=True, dir_okay=False, help="A recorded shift, .ndjson or .ndjson.gz.")
]
ShiftFleet = Annotated[
    Path | None,
    typer.Option("--fleet", "-f", exists=True, dir_okay=False, help="Its units. Else: fleet.geojson beside the shift."),
]


def recorded_shift(region: Region, shift: Path, fleet: Path | None) -> Recorded:
    """The stops of the shift, each with the fleet as it was. Raises BadInput."""
    from geomatch.backup.recorded import replay
    from geomatch.fleet.files import read_fleet
    from geomatch.fleet.shift import read_shift

    beside = shift.with_name("fleet.geojson")
    if fleet is None and not beside.is_file():
        raise BadInput(f"{shift.name} names units but does not describe them: name the fleet file with --fleet")
    return replay(region, read_fleet(fleet or beside), read_shift(shift))


def read_position(text: str) -> LonLat:
    """`LON,LAT` in degrees. Raises typer.BadParameter, naming no value."""
    from geomatch.quantities import LonLat

    try:
        lon, lat = (float(part) for part in text.split(","))
        return LonLat(lon, lat)
    except BadInput as fault:
        raise typer.BadParameter(str(fault), param_hint="--at") from None
    except ValueError:
        raise typer.BadParameter("a position is LON,LAT in degrees, as -74.02,40.75", param_hint="--at") from None
