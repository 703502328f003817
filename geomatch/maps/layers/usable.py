"""Which features of a layer can be used at all: one that cannot stops the layer, and is named."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import shapely

from geomatch.errors import BadMap
from geomatch.maps.layers.field_mapping import as_text
from geomatch.maps.layers.files import LayerTable
from geomatch.quantities import Bools

LINES, POLYGONS = (1, 5), (3, 6)
"""Shapely's type ids, of one part and of several."""

_NAMES = ("NGUID", "DsplayName", "Agency_ID")


def check_usable(
    table: LayerTable, lonlat: np.ndarray, *, types: Collection[int], noun: str, also: Mapping[str, Bools], cure: str
) -> None:
    """Raises BadMap with one sentence for all features of the first kind of fault, the first by name.

    `lonlat` is the geometry in degrees. `also`: more faults -> (F,) which have it, of features of the right type.
    """
    there = shapely.is_geometry(lonlat)
    right = there & np.isin(shapely.get_type_id(lonlat), list(types))
    faults = {
        "a curved geometry, which is not read: store it as straight edges": table.curved,
        "a geometry that no program can read": table.unreadable,
        "no geometry": (~there & ~table.unreadable) | (there & shapely.is_empty(lonlat)),
        f"a geometry that is no {noun}": there & ~right,
        "a place that is not on the globe": there & ~on_globe(lonlat),
        **{fault: right & rows for fault, rows in also.items()},
    }
    for fault, rows in faults.items():
        if rows.any():
            row = int(np.flatnonzero(rows)[0])
            ids = (as_text(table.columns[name][row]) for name in _NAMES if name in table.columns)
            name = next((text.strip() for text in ids if text and text.strip()), f"in row {row + 1}")
            raise BadMap(
                f"layer {table.name!r}: {int(rows.sum())} of {table.features} features have {fault}; the first is "
                f"{name}: {cure}"
            )


def on_globe(lonlat: np.ndarray) -> Bools:
    """(F,) Written so that NaN anywhere in a feature fails too, and so does one with no point."""
    points, row = shapely.get_coordinates(lonlat, return_index=True)
    on = (np.abs(points[:, 0]) <= 180.0) & (np.abs(points[:, 1]) <= 90.0)
    there = np.bincount(row, minlength=len(lonlat))
    every: Bools = (there > 0) & (np.bincount(row[on], minlength=len(lonlat)) == there)
    return every
