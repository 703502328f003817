"""Simulated patrols: units that drive the road network at its own speeds and report like AVL devices. Nothing is real.

The clock and the random numbers are arguments: the same seed and the same times give the same fixes.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from geomatch.errors import BadInput, UnknownUnit
from geomatch.model import Fix
from geomatch.quantities import NEVER_MS, DrivingMode, Floats, LonLat, Metres, Seconds, UnixTime
from geomatch.road.network import EdgeFlag, RoadNetwork

GPS_SIGMA_M = 4.0
"""East and north each: about 5 m off on average."""
COURSE_SIGMA_DEG = 3.0
SLOWEST_COURSE_MPS = 1.0
"""A device that moves slower than this reports no course."""
SOURCE = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patrol:
    """What a simulated unit keeps to."""

    unit: str
    home: LonLat
    """It starts on the road nearest to here."""
    roam_m: Metres = 1500.0
    """Farther than this from home it prefers the way back."""
    main_roads: float = 0.5
    """How much it prefers fast roads: 0 not at all, 2 keeps a highway unit on its highway."""
    parks: float = 0.02
    """The chance at each junction that it parks for a while."""


@dataclass(slots=True, kw_only=True)
class _Car:
    edge: int
    along_m: Metres
    busy_until: UnixTime
    """Turning, waiting at a signal, parked or held until then."""
    parked: bool = False
    ahead: list[int] = field(default_factory=list)
    """Edges it was sent along, nearest first; empty: it patrols."""


class Patrols:
    """N units on one network. An `advance` costs some microseconds a unit; memory is a few numbers a unit."""

    def __init__(
        self, network: RoadNetwork, patrols: Sequence[Patrol], *, now: UnixTime, rng: np.random.Generator
    ) -> None:
        """Puts each unit near its home, at `now`. Raises BadInput when a unit is named twice."""
        self._network = network
        self._patrols = list(patrols)
        self._rng = rng
        self._now = now
        self._row = {patrol.unit: row for row, patrol in enumerate(patrols)}
        if len(self._row) < len(patrols):
            raise BadInput("a simulated unit is named twice: give each patrol its own unit id")
        self._ms = network.edge_ms[DrivingMode.routine.row]
        self._turn_ms = network.arc_ms[DrivingMode.routine.row]
        home = np.array([(patrol.home.lon, patrol.home.lat) for patrol in patrols], np.float64).reshape(-1, 2)
        self._home_x, self._home_y = network.projection.forward(home[:, 0], home[:, 1])
        starts = self._starts()
        along = [rng.uniform(0.0, float(network.edge_length_m[edge])) for edge in starts]
        self._lines: dict[int, _Line] = {}
        self._cars = [_Car(edge=edge, along_m=m, busy_until=now) for edge, m in zip(starts, along, strict=True)]

    def advance(self, now: UnixTime) -> list[Fix]:
        """Drives everybody on to `now` and returns one fix a unit, in the order of the patrols, with GPS noise.

        Raises BadInput when `now` is before the last one.
        """
        if now < self._now:
            raise BadInput("simulated time cannot run backwards: advance to a later time")
        for row, car in enumerate(self._cars):
            self._drive(row, car, now)
        self._now = now
        return self._fixes(now)

    def hold(self, unit: str, until: UnixTime) -> None:
        """The unit stands where it is until then: at a stop, say."""
        car = self._car(unit)
        car.busy_until, car.parked, car.ahead = until, True, []

    def send(self, unit: str, edges: Iterable[int]) -> None:
        """The unit sets off along these edges, which begin with the one it is on, and then patrols again."""
        car = self._car(unit)
        route = [int(edge) for edge in edges]
        if route and not self._same_street(route[0], car.edge):
            raise BadInput(f"unit {unit} is not on the first edge of that route: ask for a route from its newest fix")
        if route and route[0] != car.edge:
            car.along_m = float(self._network.edge_length_m[route[0]]) - car.along_m
            car.edge = route[0]
        car.busy_until, car.parked, car.ahead = self._now, False, route[1:]

    def edge(self, unit: str) -> int:
        """The directed edge that the unit truly is on, whatever its fixes say."""
        return self._car(unit).edge

    def fraction(self, unit: str) -> float:
        """How far along that edge, 0 to 1."""
        car = self._car(unit)
        return min(max(car.along_m / float(self._network.edge_length_m[car.edge]), 0.0), 1.0)

    def _car(self, unit: str) -> _Car:
        if unit not in self._row:
            raise UnknownUnit(f"no simulated unit {unit}: name one of its patrols")
        return self._cars[self._row[unit]]

    def _same_street(self, one: int, other: int) -> bool:
        return one == other or int(self._network.edge_twin[one]) == other

    def _starts(self) -> list[int]:
        """For each patrol the open, ordinary edge whose middle is nearest to its home. O(patrols x edges), once."""
        net = self._network
        ordinary = (net.edge_copy_of < 0) & (self._ms < NEVER_MS)
        kept_out = EdgeFlag.private | EdgeFlag.destination | EdgeFlag.emergency_only | EdgeFlag.contraflow
        ordinary &= (net.edge_flags & int(kept_out)) == 0
        edges = np.flatnonzero(ordinary)
        if len(edges) == 0:
            raise BadInput("no edge of this map is open to simulated patrols: build the region again")
        x = (net.node_x[net.edge_from[edges]] + net.node_x[net.edge_to[edges]]) / 2
        y = (net.node_y[net.edge_from[edges]] + net.node_y[net.edge_to[edges]]) / 2
        homes = zip(self._home_x, self._home_y, strict=True)
        return [int(edges[np.argmin((x - hx) ** 2 + (y - hy) ** 2)]) for hx, hy in homes]

    def _drive(self, row: int, car: _Car, now: UnixTime) -> None:
        """Event by event: to the end of the edge, through the turn, on to the next, until the time is used up."""
        clock = self._now
        while clock < now:
            if car.busy_until > clock:
                clock = car.busy_until
                continue
            car.parked = False
            length, seconds = float(self._network.edge_length_m[car.edge]), self._ms[car.edge] / 1000.0
            left_s = seconds * max(1.0 - car.along_m / length, 0.0)
            if clock + left_s > now:
                car.along_m += length * (now - clock) / seconds
                return
            clock += left_s
            waits = self._turn(row, car)
            car.busy_until = clock + waits

    def _turn(self, row: int, car: _Car) -> Seconds:
        """Puts the car at the start of its next edge and returns the seconds that the turn takes."""
        net, patrol = self._network, self._patrols[row]
        car.along_m = 0.0
        first, last = int(net.arc_first[car.edge]), int(net.arc_first[car.edge + 1])
        arcs = [a for a in range(first, last) if self._turn_ms[a] < NEVER_MS and self._ms[net.arc_head[a]] < NEVER_MS]
        if not arcs:
            return self._stuck(car)
        planned = [a for a in arcs if car.ahead and int(net.arc_head[a]) == car.ahead[0]]
        if planned:
            car.ahead.pop(0)
            arc = planned[0]
        else:
            car.ahead = []
            arc = arcs[self._choice(row, car.edge, arcs)] if len(arcs) > 1 else arcs[0]
        car.edge = int(net.arc_head[arc])
        waits = float(self._turn_ms[arc]) / 1000.0
        if not car.ahead and self._rng.random() < patrol.parks:
            car.parked = True
            waits += float(self._rng.uniform(60.0, 600.0))
        return waits

    def _stuck(self, car: _Car) -> Seconds:
        """No way on: it waits at the end of its edge, and looks again later."""
        car.along_m, car.parked = float(self._network.edge_length_m[car.edge]), True
        return 60.0

    def _choice(self, row: int, edge: int, arcs: list[int]) -> int:
        """Position in `arcs` of a random way on: rarely back, rarely into a private road, homewards when far out."""
        net, patrol = self._network, self._patrols[row]
        at = int(net.edge_to[edge])
        home_x, home_y = self._home_x[row] - net.node_x[at], self._home_y[row] - net.node_y[at]
        far = math.hypot(home_x, home_y)
        weights = []
        for arc in arcs:
            head = int(net.arc_head[arc])
            weight = float(net.edge_speed_kph[head]) ** patrol.main_roads
            if self._same_street(head, edge):
                weight *= 1e-3
            if net.edge_flags[head] & int(EdgeFlag.private | EdgeFlag.destination):
                weight *= 1e-3
            if far > patrol.roam_m:
                dx, dy = net.node_x[net.edge_to[head]] - net.node_x[at], net.node_y[net.edge_to[head]] - net.node_y[at]
                agrees = (dx * home_x + dy * home_y) / (far * (math.hypot(dx, dy) + 1e-9))
                weight *= math.exp(2.5 * agrees)
            weights.append(weight)
        mark = self._rng.random() * sum(weights)
        return min(int(np.searchsorted(np.cumsum(weights), mark, side="right")), len(arcs) - 1)

    def _fixes(self, now: UnixTime) -> list[Fix]:
        net, count = self._network, len(self._cars)
        true = np.array([self._position(car) for car in self._cars], np.float64).reshape(-1, 3)
        noise = self._rng.normal(0.0, 1.0, (count, 4))
        lon, lat = net.projection.inverse(
            true[:, 0] + GPS_SIGMA_M * noise[:, 0], true[:, 1] + GPS_SIGMA_M * noise[:, 1]
        )
        fixes = []
        for row, car in enumerate(self._cars):
            moves = not car.parked and car.busy_until <= now
            speed = float(net.edge_length_m[car.edge]) * 1000.0 / float(self._ms[car.edge]) if moves else 0.0
            speed = max(speed + 0.3 * float(noise[row, 3]), 0.0) if moves else 0.0
            course = (float(true[row, 2]) + COURSE_SIGMA_DEG * float(noise[row, 2])) % 360.0
            fixes.append(
                Fix(
                    unit=self._patrols[row].unit, time=now, at=LonLat(float(lon[row]), float(lat[row])),
                    course_deg=course if speed >= SLOWEST_COURSE_MPS else None,
                    speed_mps=speed, accuracy_m=5.0, source=SOURCE,
                )
            )  # fmt: skip
        return fixes

    def _position(self, car: _Car) -> tuple[float, float, float]:
        """x, y and true course of a car. The grid's north is true north within 0.2 degrees a region's width."""
        line = self._lines.get(car.edge)
        if line is None:
            line = self._lines[car.edge] = _Line.of(*self._network.points(car.edge))
        return line.along(car.along_m / float(self._network.edge_length_m[car.edge]))


@dataclass(frozen=True, slots=True)
class _Line:
    """An edge as a car drives along it, as plain numbers: a point of it is asked for every few seconds."""

    x: list[float]
    y: list[float]
    steps: list[float]
    ends: list[float]
    """Metres from the beginning to the end of each step."""

    @classmethod
    def of(cls, x: Floats, y: Floats) -> _Line:
        steps = np.hypot(np.diff(x), np.diff(y))
        return cls(x.tolist(), y.tolist(), steps.tolist(), np.cumsum(steps).tolist())

    def along(self, fraction: float) -> tuple[float, float, float]:
        """The point at a fraction of its length, and the course there in degrees clockwise from north."""
        d = min(max(fraction, 0.0), 1.0) * self.ends[-1]
        i = min(bisect_left(self.ends, d), len(self.steps) - 1)
        part = (d - self.ends[i] + self.steps[i]) / max(self.steps[i], 1e-9)
        dx, dy = self.x[i + 1] - self.x[i], self.y[i + 1] - self.y[i]
        return self.x[i] + part * dx, self.y[i] + part * dy, math.degrees(math.atan2(dx, dy)) % 360.0
