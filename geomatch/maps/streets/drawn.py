"""Ways as a reader draws them, whatever its source: the street each is, and what stands on its points."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from geomatch.maps.streets.source import ReadReport, Restriction
from geomatch.road.network import RoadClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """A drivable way. Forward is the way's own direction."""

    road_class: RoadClass
    flags: int
    """EdgeFlag bits."""
    open_forward: bool
    open_backward: bool
    forward_kph: float
    """Posted; nan where nothing is."""
    backward_kph: float
    fixed_s: float
    """A ferry's crossing time over the whole way; 0: none."""
    name: str


SIGNAL = "signals"
SIGNAL_ON_FOOT = "signals at crossings on foot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Forward is the direction of the way the point lies on."""

    signal_forward: bool = False
    signal_backward: bool = False
    stop_forward: bool = False
    stop_backward: bool = False
    stop_undirected: bool = False
    """A stop or give-way sign that does not say whom it faces."""
    barrier_s: float = 0.0
    bars: bool = False
    """No motor vehicle gets through."""
    stated: bool = False
    """A tag says who may pass; otherwise `bars` goes by the kind of barrier."""
    labels: tuple[str, ...] = ()
    """What it is, as the report counts it where it stands on a street."""
    unread: str = ""
    """A tag that could not be read."""


UNKNOWN_BARRIER_S = 10.0
"""Lost at a barrier of a kind nobody has a figure for."""


@dataclass(kw_only=True)
class DrawnWays:
    """Ways as a reader collects them, one after another, in flat buffers."""

    way_id: array[int] = field(default_factory=lambda: array("q"))
    points: array[int] = field(default_factory=lambda: array("q"))
    """How many points each way has; at least two."""
    refs: array[int] = field(default_factory=lambda: array("q"))
    lonlat: bytearray = field(default_factory=bytearray)
    """Longitude, latitude of each point as little-endian doubles."""
    streets: list[Street] = field(default_factory=list)
    spots: dict[int, Spot] = field(default_factory=dict)
    """Node id -> what it does to traffic."""
    restrictions: list[Restriction] = field(default_factory=list)

    def add(self, way: int, street: Street, refs: list[int], lonlat: bytes | bytearray) -> None:
        self.way_id.append(way)
        self.points.append(len(refs))
        self.refs.extend(refs)
        self.lonlat += lonlat
        self.streets.append(street)


def count_spots(spots: Iterable[Spot], report: ReadReport) -> None:
    for spot in spots:
        report.counts.update(spot.labels)
        if spot.unread:
            report.unread_values[spot.unread] += 1
