"""Where the data is that geomatch ships with."""

from __future__ import annotations

from pathlib import Path

import geomatch
from geomatch.errors import BadMap


def builtin_data() -> Path:
    """The folder with the made-up metro and the toy: inside an installed package, or beside it in a checkout."""
    package = Path(geomatch.__file__).resolve().parent
    for folder in (package / "_data", package.parent / "data"):
        if (folder / "metro" / "metro.osm.pbf").is_file():
            return folder
    raise BadMap(
        "the built-in data is missing: install geomatch-dispatch again, or run python -m geomatch.maps.metro data/"
    )
