"""Which side of the road a map drives on: its roundabouts tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geomatch.errors import BadInput
from geomatch.maps.streets.drawn import Street
from geomatch.maps.streets.source import ReadReport
from geomatch.quantities import Floats
from geomatch.road.network import EdgeFlag

ENOUGH_ROUNDABOUTS = 3
"""Fewer may be one mapper's mistake."""

_LEFT_BOXES = (
    (-11.0, 49.8, 1.8, 61.0),  # Great Britain, Ireland
    (14.1, 35.7, 14.7, 36.2),  # Malta
    (32.2, 34.5, 34.7, 35.8),  # Cyprus
    (16.0, -35.0, 33.0, -22.0),  # southern Africa
    (29.0, -12.0, 42.0, 4.5),  # Kenya, Tanzania, Uganda, Zambia, Malawi
    (68.0, 6.0, 88.5, 30.0),  # India, Sri Lanka, most of Pakistan
    (97.5, 5.7, 105.6, 20.4),  # Thailand
    (99.6, 0.8, 119.3, 7.3),  # Malaysia, Singapore, Brunei
    (105.0, -11.0, 141.0, -5.8),  # Java and the islands east of it
    (113.8, 22.1, 114.5, 22.6),  # Hong Kong
    (122.9, 24.0, 146.0, 45.6),  # Japan
    (112.0, -44.0, 154.0, -10.0),  # Australia
    (166.0, -47.5, 179.0, -34.0),  # New Zealand
    (-78.5, 17.6, -76.1, 18.6),  # Jamaica
    (-59.7, 13.0, -59.4, 13.4),  # Barbados
)
"""West, south, east, north of some countries that drive on the left, where a map has too few roundabouts to tell."""


def drives_on_left(
    lon: Floats,
    lat: Floats,
    first_point: npt.NDArray[np.intp],
    streets: list[Street],
    report: ReadReport,
    *,
    drive_on: str | None = None,
) -> bool:
    """`drive_on` "left" or "right" decides; else most one-way roundabouts; else where the map lies, with a warning."""
    if drive_on not in (None, "left", "right"):
        raise BadInput(f'drive_on must be "left" or "right", not {drive_on!r}')
    if drive_on is not None:
        report.counts[f"drives on the {drive_on}, as told"] = 1
        return drive_on == "left"
    clockwise = counter = 0
    for row, street in enumerate(streets):
        if not street.flags & EdgeFlag.roundabout or street.open_forward == street.open_backward:
            continue
        piece = slice(int(first_point[row]), int(first_point[row + 1]))
        turn = _turning(lon[piece], lat[piece]) * (1.0 if street.open_forward else -1.0)
        clockwise += turn < 0
        counter += turn > 0
    report.counts["roundabouts driven clockwise"] += clockwise
    report.counts["roundabouts driven counter-clockwise"] += counter
    if clockwise + counter >= ENOUGH_ROUNDABOUTS and clockwise != counter:
        return clockwise > counter
    west, south, east, north = lon.min(), lat.min(), lon.max(), lat.max()
    left = any(b[0] <= west and b[1] <= south and east <= b[2] and north <= b[3] for b in _LEFT_BOXES)
    side = "left" if left else "right"
    report.warnings.append(
        f"too few roundabouts to tell the driving side: {side} is assumed from where the map lies;"
        " say which with --drive-on (drive_on)"
    )
    return left


def _turning(lon: Floats, lat: Floats) -> float:
    """Positive when the line bends to the left in all."""
    x, y = np.diff(lon) * np.cos(np.radians(lat[0])), np.diff(lat)
    if len(x) < 2:
        return 0.0
    # The last step of a closed ring meets the first: without that corner a triangle's sum keeps its sign anyway.
    turns = np.arctan2(x[:-1] * y[1:] - y[:-1] * x[1:], x[:-1] * x[1:] + y[:-1] * y[1:])
    return float(turns.sum())
