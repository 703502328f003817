"""What is closed or slowed on the roads right now, as people and feeds say it: part of the wire format.

A closed road cannot be entered, in the driving modes the closure is for. Whoever stands on it may still drive on to its
end, and a stop on it is reached only by those who are on that stretch already, behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.model.words import STRICT
from geomatch.quantities import DrivingMode, LonLat, Seconds, UnixTime, checked_time

MOST_POINTS = 10_000
LONGEST_KM = 1_000.0
"""Of a line: a road across a state. A longer one has a point that is misplaced."""
SLOWEST_KPH = 1.0


class ClosureKind(StrEnum):
    closed = "closed"
    """No entry."""
    slowed = "slowed"
    """Open, at no more than `speed_kph`, or at `factor` times the usual time."""


class ClosureOutcome(StrEnum):
    matched = "matched"
    partly = "partly"
    """Some of its line lies on no road of the map; the rest is in force."""
    unmatched = "unmatched"
    """No road was found for it: it is kept and listed, and changes nothing."""
    faulty = "faulty"
    """It could not be read; it is not kept."""
    left_out = "left_out"
    """It was read, and is nothing that closes or slows a road."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """One closure or slow stretch: on these edges, along this line, or in this polygon; exactly one of the three."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    kind: ClosureKind = ClosureKind.closed
    edges: tuple[int, ...] = ()
    """edge_id of the export."""
    region: str | None = None
    """Of edges: content hash of the region they are numbers of; on any other they mean nothing. None: the loaded."""
    line: tuple[LonLat, ...] = ()
    """In driving direction: the first point is the first that traffic meets."""
    polygon: tuple[LonLat, ...] = ()
    """The outer ring; every road with more than a metre inside it, both ways."""
    both_directions: bool = False
    """The opposite direction of the same road too. Of a polygon both are meant anyway."""
    modes: tuple[DrivingMode, ...] = tuple(DrivingMode)
    """Whom it holds for: ("routine",) is closed to the public and to whoever drives like it, open to urgent units."""
    speed_kph: float | None = None
    """Of a slowed road: at most this fast."""
    factor: float | None = None
    """Of a slowed road: this many times as long, 1 or more."""
    starts: UnixTime | None = None
    """It holds from this instant; None: at once."""
    ends: UnixTime | None = None
    """It no longer holds at this instant; None: until it is reopened."""
    reason: str = ""
    source: str = "manual"
    """The feed or person it comes from: a feed's next import replaces what it said before."""

    def __post_init__(self) -> None:
        _check_text(self.id, "closure id")
        name = f"closure {self.id}"
        try:
            object.__setattr__(self, "kind", ClosureKind(self.kind))
            # Once each and in a fixed order, so that equal closures are equal.
            modes = {DrivingMode(mode) for mode in self.modes}
        except ValueError:
            raise BadInput(
                f"{name}: kind must be closed or slowed, and modes some of {', '.join(DrivingMode)}"
            ) from None
        object.__setattr__(self, "modes", tuple(mode for mode in DrivingMode if mode in modes))
        if not modes:
            raise BadInput(f"{name}: name at least one of its modes, {', '.join(DrivingMode)}")
        if sum(map(bool, (self.edges, self.line, self.polygon))) != 1:
            raise BadInput(f"{name}: say where it is by edges, by a line or by a polygon, and by one of them only")
        _check_where(self, name)
        _check_speed(self, name)
        for at in (self.starts, self.ends):
            if at is not None:
                checked_time(at, f"{name}: starts and ends")
        if self.starts is not None and self.ends is not None and self.ends <= self.starts:
            raise BadInput(f"{name}: it ends before it starts")
        _check_text(self.source, f"{name}: source")
        if len(self.reason) > 1000:
            raise BadInput(f"{name}: reason must be at most 1,000 characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosureResult:
    """What became of one closure."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    outcome: ClosureOutcome
    edges: tuple[int, ...] = ()
    """The directed edges it is on, in the order the line meets them; copies are not listed."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldClosure:
    """A closure the matcher holds, and the roads it was put on."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    closure: Closure
    result: ClosureResult


@dataclass(frozen=True, kw_only=True)
class UnitStopMatrix:
    """Every unit to every stop, by the same rules as a ranking."""

    stops: tuple[str, ...]
    units: tuple[str, ...]
    officers: tuple[int, ...]
    """Aboard each unit."""
    eta_s: tuple[tuple[Seconds | None, ...], ...]
    """By stop, then by unit; None: it may not go, or has no way."""
    epoch: int

    def kth_officer_s(self, k: int) -> tuple[Seconds | None, ...]:
        """By stop, when the k-th officer is there; None: never, with the units that may go."""
        return tuple(self._kth(row, k) for row in self.eta_s)

    def _kth(self, row: tuple[Seconds | None, ...], k: int) -> Seconds | None:
        missing = k
        coming = sorted((eta, count) for eta, count in zip(row, self.officers, strict=True) if eta is not None)
        for eta, count in coming:
            missing -= count
            if missing <= 0:
                return eta
        return None


def _check_where(closure: Closure, name: str) -> None:
    if any(not isinstance(edge, int) or edge < 0 for edge in closure.edges):
        raise BadInput(f"{name}: edges are whole numbers from 0, the edge_id of the export")
    if closure.line and len(set(closure.line)) < 2:
        raise BadInput(f"{name}: a line has two different points at least")
    if closure.polygon and len(set(closure.polygon)) < 3:
        raise BadInput(f"{name}: a polygon has three different points at least")
    if max(len(closure.edges), len(closure.line), len(closure.polygon)) > MOST_POINTS:
        raise BadInput(f"{name}: at most {MOST_POINTS:,} edges or points; split it into several")
    if _length_km(closure.line) > LONGEST_KM:
        raise BadInput(f"{name}: its line is longer than {LONGEST_KM:,.0f} km; is one of its points misplaced?")


def _length_km(line: Sequence[LonLat]) -> float:
    """To one in a hundred."""
    return sum(
        111.2 * math.hypot((b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2.0)), b.lat - a.lat)
        for a, b in pairwise(line)
    )


def _check_speed(closure: Closure, name: str) -> None:
    speed_kph, factor = closure.speed_kph, closure.factor
    if closure.kind is ClosureKind.closed:
        if speed_kph is not None or factor is not None:
            raise BadInput(f"{name}: a closed road has no speed; make its kind slowed, or leave the speed out")
        return
    if (speed_kph is None) == (factor is None):
        raise BadInput(f"{name}: of a slowed road say speed_kph or factor, and one of them only")
    if speed_kph is not None and not SLOWEST_KPH <= speed_kph <= 300.0:
        raise BadInput(f"{name}: speed_kph must be between 1 and 300; a road nobody passes is closed")
    if factor is not None and not (math.isfinite(factor) and 1.0 <= factor <= 100.0):
        raise BadInput(f"{name}: factor must be between 1 and 100, times as long as usual")


def _check_text(text: str, name: str) -> None:
    if not isinstance(text, str) or not 1 <= len(text) <= 254 or not text.isprintable():
        raise BadInput(f"{name} must be 1 to 254 printable characters")
