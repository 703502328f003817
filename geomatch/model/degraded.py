"""What is not as it should be while an answer is given: said in the answer, since whoever reads it decides on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.model.words import STRICT


class Rung(StrEnum):
    """The defined ways in which geomatch knows less than usual. Each says what still holds."""

    avl_outage = "avl_outage"
    """No unit of an agency has reported for long. Each is ranked from where it was, until its own fix is stale."""
    feed_frozen = "feed_frozen"
    """An agency's messages arrive, but their times stand still. As above: fixes count by their own times."""
    clock_ahead = "clock_ahead"
    """An agency's newest fixes are ahead of this clock: one of the two is wrong, and ages cannot be trusted."""
    map_gap = "map_gap"
    """Many units of an agency stand where the map has no roads: a district may be missing."""
    stop_off_map = "stop_off_map"
    """The stop is far from every road of the map. It is ranked from the nearest one."""
    map_cut = "map_cut"
    """Many units that may go have no way to the stop by road: a bridge or a district may be missing."""
    unrecorded = "unrecorded"
    """The journal takes nothing. Rankings are answered and wait in memory to be written; nothing else is taken."""
    feed_behind = "feed_behind"
    """A feed brings more than is read: positions are older than they could be, and the oldest messages are dropped."""
    overload = "overload"
    """More is asked than is answered. What can wait is refused, never what an officer's emergency needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded:
    """One rung, and whom it is about."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    code: Rung
    detail: str
    """In a sentence: no unit and no position is named."""
    agency: str | None = None
    """None: it is not about one, or it is not for this caller to know which."""
    units: int | None = None
    """How many it is about."""


@dataclass(frozen=True, kw_only=True)
class RungLimits:
    """When less is known than usual. The numbers are chosen, not calibrated."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    silent_share: float = 0.5
    """Of the age at which an agency's fixes are stale: when even the newest fix of all its units is this old, its AVL
    is out. So it is said before its units are stale, at 60 s of the usual 120."""
    silent_units: int = 2
    """Fewer units that could go, and silence says nothing of a feed."""
    far_m: float = 250.0
    """So far from its road, a unit stands where the map has none."""
    gap_share: float = 0.25
    """Of an agency's units that report, so many off the roads are a gap in the map ..."""
    gap_units: int = 3
    """... and at least so many."""
    cut_share: float = 0.5
    """Of the units that may go, so many without a way are a gap in the map, and at least `gap_units`."""

    def __post_init__(self) -> None:
        for name in ("silent_share", "gap_share", "cut_share"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise BadInput(f"{name} must be more than 0 and at most 1")
        if min(self.silent_units, self.gap_units) < 1 or not self.far_m > 0.0:
            raise BadInput("silent_units and gap_units must be 1 or more, and far_m more than 0 metres")
