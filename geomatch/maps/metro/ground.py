"""The lie of the land: where the river runs, what cells the arterials cut, and how the plan is laid on the ground.

Everything is drawn on a plan in metres, x east and y north of the foot of Main Street, where most streets are straight.
`lay` then bends the plan gently, so that the town follows its river and the section roads follow the compass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from geomatch.quantities import Floats, LonLat, Metres, Projection

PROJECTION = Projection(LonLat(lon=-101.6, lat=45.3))
"""Open prairie: nobody's town is under the made-up one."""

FREEWAY_Y = 2400.0
WEST_END, EAST_END = -9600.0, 8800.0
"""The outermost section roads."""
BLUFF = 3000.0
"""How far from downtown the grid stops following the river, in metres."""


def lay(plan: Floats) -> Floats:
    """Ground metres of plan metres, (n, 2) to (n, 2); smooth, one to one, and within a tenth of true lengths."""
    x, y = plan[:, 0], plan[:, 1]
    from_downtown = np.exp(-(((x - 1000.0) ** 2 + y**2) / BLUFF**2))
    turn = np.radians(12.0) * from_downtown
    dx, dy = x - 1000.0, y
    east = 1000.0 + dx * np.cos(turn) - dy * np.sin(turn)
    north = dx * np.sin(turn) + dy * np.cos(turn)
    bend = 1.0 - from_downtown
    east = east + bend * (130.0 * np.sin(y / 1900.0 + 0.7) + 70.0 * np.sin(y / 830.0 + x / 2600.0))
    north = north + bend * (120.0 * np.sin(x / 2100.0 + 2.1) + 60.0 * np.sin(x / 910.0 - y / 2300.0))
    return np.column_stack([east, north])


def lonlat(plan: Floats, digits: int) -> Floats:
    """Degrees of plan metres, longitude first, rounded."""
    degrees: Floats = np.column_stack(PROJECTION.inverse(*lay(plan).T))
    return np.round(degrees, digits)


def river_x(y: npt.ArrayLike) -> Floats:
    """The middle of the river, which is the state line."""
    north: Floats = np.asarray(y, np.float64)
    return 2500.0 + 420.0 * np.sin(north / 1500.0 + 0.4) + 160.0 * np.sin(north / 640.0 + 2.0)


def river_half_m(y: npt.ArrayLike) -> Floats:
    north: Floats = np.asarray(y, np.float64)
    return 115.0 + 30.0 * np.sin(north / 900.0)


def west_bank(y: npt.ArrayLike) -> Floats:
    """x of the road along the river's west side."""
    return river_x(y) - river_half_m(y) - 110.0


def east_bank(y: npt.ArrayLike) -> Floats:
    return river_x(y) + river_half_m(y) + 110.0


def river_outline() -> Floats:
    """A ring on the plan."""
    y = np.arange(-9500.0, 9501.0, 50.0)
    west = np.column_stack([river_x(y) - river_half_m(y), y])
    east = np.column_stack([river_x(y) + river_half_m(y), y])
    return np.vstack([west, east[::-1], west[:1]])


def run(x: Callable[[Floats], Floats], low: float, high: float) -> Floats:
    """Points (n, 2) every 50 m along a line that is given as x of y."""
    y = np.unique(np.append(np.arange(low, high, 50.0), high))
    return np.column_stack([x(y), y])


@dataclass(frozen=True)
class Cell:
    """The land between four arterials, to be filled with streets: u runs 0..1 from left to right, v upwards."""

    left: Callable[[Floats], Floats]
    right: Callable[[Floats], Floats]
    low: float
    high: float

    def at(self, u: npt.ArrayLike, v: npt.ArrayLike) -> Floats:
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        y = self.low + v * (self.high - self.low)
        left, right = self.left(y), self.right(y)
        return np.column_stack([(left + u * (right - left)).ravel(), y.ravel()])

    @property
    def width_m(self) -> Metres:
        middle = np.array([(self.low + self.high) / 2])
        return float((self.right(middle) - self.left(middle))[0])

    @property
    def height_m(self) -> Metres:
        return self.high - self.low

    def outline(self) -> Floats:
        v = np.linspace(0.0, 1.0, 33)
        return np.vstack([self.at(0.0, v), self.at(1.0, v)[::-1]])


def straight(x: float) -> Callable[[Floats], Floats]:
    """The line of constant x."""
    return lambda y: np.full_like(np.asarray(y, np.float64), x)


_COLUMNS = (-9600.0, -8000.0, -6400.0, -4800.0, -3200.0, -1600.0)
_ROWS = (
    # low, high, west of the river (one letter a cell), east of it
    (6400.0, 8000.0, "ffffff", ""),
    (4800.0, 6400.0, "ffhhlcc", ""),
    (3200.0, 4800.0, "ffhhcgl", "fcff"),
    (FREEWAY_Y + 60, 3200.0, "ffcccgc", "ccff"),
    (1600.0, FREEWAY_Y - 60, "ffccggg", "gccf"),
    (0.0, 1600.0, "fflcgg.", "ggcf"),
    (-1600.0, 0.0, "ffclug.", "gglf"),
    (-3200.0, -1600.0, "fflccgi", "lccf"),
    (-4800.0, -3200.0, "fffclci", "ffff"),
    (-6400.0, -4800.0, "fffffff", ""),
)
KINDS = {"f": "farms", "c": "crescents", "l": "loop", "g": "grid", "i": "industry", "u": "campus"}
"""h, the hills, and ., downtown, are larger than one cell and drawn by themselves."""


def cells() -> list[tuple[str, Cell]]:
    """Every cell with its kind, row by row from the north."""
    west = [straight(x) for x in _COLUMNS] + [straight(-9.0)]
    found = []
    for low, high, west_kinds, east_kinds in _ROWS:
        edges = [*pairwise(west), (straight(9.0), west_bank)]
        sides = list(zip(west_kinds, edges, strict=False))
        bounds = [straight(4000.0), straight(5600.0), straight(7200.0), straight(EAST_END)]
        lefts = [east_bank, *bounds[:-1]]
        sides += zip(east_kinds, zip(lefts, bounds, strict=True), strict=False)
        found += [(KINDS[kind], Cell(left, right, low, high)) for kind, (left, right) in sides if kind in KINDS]
    return found
