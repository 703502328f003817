"""What several commands take in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.errors import BadInput

if TYPE_CHECKING:
    from geomatch.quantities import LonLat

RegionFolder = Annotated[Path, typer.Argument(metavar="REGION", help="A region folder that `geomatch build` made.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for machines.")]


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
