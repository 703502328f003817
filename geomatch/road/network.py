"""The immutable road network: directed edges as states, allowed turns as arcs.

One-way streets, headings, carriageways, turn restrictions and turn costs are all plain in this form. Distances are
metres, times whole milliseconds; every per-mode array has one row per DrivingMode, and NEVER_MS where it may not drive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

import numpy as np

from geomatch.errors import BadRegion
from geomatch.quantities import NEVER_MS, Bytes, DrivingMode, Floats, Ints, Longs, Projection
from geomatch.road import _kernels


class RoadClass(IntEnum):
    """What kind of road an edge is, after OSM's highway values; a link has its parent's class and the `ramp` flag."""

    motorway = 0
    trunk = 1
    primary = 2
    secondary = 3
    tertiary = 4
    unclassified = 5
    residential = 6
    living_street = 7
    service = 8
    track = 9
    ferry = 10


class EdgeFlag(IntFlag):
    """What else is known of an edge."""

    assumed_speed = 1
    """No usable posted speed: imputed from its class."""
    ramp = 2
    roundabout = 4
    bridge = 8
    tunnel = 16
    private = 32
    """access=private or no, passable under a mode's waiver."""
    destination = 64
    """No through traffic."""
    emergency_only = 128
    """Only emergency vehicles may use it."""
    reversible = 256
    """A lane whose direction changes with the time of day: closed, since the time table is not known."""
    contraflow = 512
    """Against a one-way street: only in a mode that allows it."""


@dataclass(frozen=True, kw_only=True)
class RoadNetwork:
    """Arrays of a turn-expanded network. E directed edges (states), A arcs, G geometries, M driving modes.

    Copied edges carry the memory of a way-long restriction ("not from a over b into c"): they share road, length and
    geometry with the edge in `edge_copy_of`, which always comes before them. Units are placed on originals only; a
    stop on an edge is on its copies too.
    """

    projection: Projection

    edge_from: Ints
    """(E,) junction number at the start."""
    edge_to: Ints
    edge_length_m: Floats
    edge_ms: Ints
    """(M, E) driving time of the whole edge, linear in metres: no turn or signal in it; NEVER_MS: not in this mode."""
    edge_twin: Ints
    """(E,) the opposite direction of the same street; -1: one-way. A copy's twin is its original's."""
    edge_copy_of: Ints
    """(E,) the original; -1 for originals, which come first."""
    edge_geometry: Ints
    """(E,) row of geometry_first; ~row (negative) when the edge runs against it."""
    edge_name: Ints
    """(E,) row of the names."""
    edge_class: Bytes
    edge_flags: Ints
    edge_speed_kph: Floats
    """(E,) posted or imputed speed, before any driving mode."""
    edge_way: Longs
    """(E,) id of the source's way."""

    arc_first: Ints
    """(E + 1,) arcs out of edge e are arc_first[e]:arc_first[e + 1]."""
    arc_head: Ints
    """(A,) the edge turned into."""
    arc_ms: Ints
    """(M, A) turn and signal cost; NEVER_MS: this turn is not allowed in this mode."""

    node_id: Longs
    """(N,) id of the source's node."""
    node_x: Floats
    node_y: Floats

    geometry_first: Ints
    """(G + 1,) points of geometry g are geometry_first[g]:geometry_first[g + 1]; at least two each."""
    geometry_x: Floats
    geometry_y: Floats

    name_first: Ints
    """(names + 1,) bytes of a name in name_utf8; name 0 is empty."""
    name_utf8: Bytes
    _names: dict[int, str] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Names that were read before."""

    def __post_init__(self) -> None:
        self._check()

    @property
    def edges(self) -> int:
        return len(self.edge_from)

    @property
    def arcs(self) -> int:
        return len(self.arc_head)

    @property
    def nodes(self) -> int:
        return len(self.node_x)

    @property
    def originals(self) -> int:
        """How many edges are no copies; they are the first ones."""
        return int(np.count_nonzero(self.edge_copy_of < 0))

    def name(self, edge: int) -> str:
        row = self.edge_name.item(edge)
        known = self._names.get(row)
        if known is None:
            first, last = int(self.name_first[row]), int(self.name_first[row + 1])
            known = self._names[row] = bytes(self.name_utf8[first:last]).decode()
        return known

    def points(self, edge: int) -> tuple[Floats, Floats]:
        """x and y along the edge, in driving direction."""
        row = int(self.edge_geometry[edge])
        against = row < 0
        row = ~row if against else row
        piece = slice(int(self.geometry_first[row]), int(self.geometry_first[row + 1]))
        x, y = self.geometry_x[piece], self.geometry_y[piece]
        return (x[::-1], y[::-1]) if against else (x, y)

    def course_deg(self, edge: int, fraction: float) -> float:
        """The driving direction at a fraction of an edge: degrees clockwise from north."""
        course: float = _kernels.course_at(
            self.edge_geometry, self.geometry_first, self.geometry_x, self.geometry_y, edge, fraction
        )
        return course

    def _check(self) -> None:
        """The faults that would make a kernel read out of bounds or never end. O(E + A), about a millisecond."""
        e, a, modes = self.edges, self.arcs, len(DrivingMode)
        if e == 0:
            raise BadRegion("the map has no drivable road: check its extent and its highway tags")
        shapes = {
            "edge_ms": (modes, e), "arc_ms": (modes, a), "arc_first": (e + 1,), "edge_to": (e,), "edge_twin": (e,),
            "edge_copy_of": (e,), "edge_geometry": (e,), "edge_length_m": (e,), "node_y": (self.nodes,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise BadRegion(f"{name} has shape {getattr(self, name).shape}, not {shape}: build the region again")
        inside = (
            _within(self.arc_head, 0, e) and _within(self.edge_twin, -1, e) and _within(self.edge_copy_of, -1, e)
            and _within(self.edge_from, 0, self.nodes) and _within(self.edge_to, 0, self.nodes)
            and _within(self.edge_ms, 1, NEVER_MS + 1) and _within(self.arc_ms, 0, NEVER_MS + 1)
        )  # fmt: skip
        rising = self.arc_first[0] == 0 and self.arc_first[-1] == a and bool(np.all(np.diff(self.arc_first) >= 0))
        if not (inside and rising):
            raise BadRegion("the road arrays point outside themselves: the region is damaged, build it again")
        if bool(np.any(self.edge_copy_of[: self.originals] >= 0)):
            raise BadRegion("copied edges must follow all originals: build the region again")


def _within(values: Ints, low: int, end: int) -> bool:
    return values.size == 0 or bool(values.min() >= low and values.max() < end)
