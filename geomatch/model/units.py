"""Patrol units: who they are, where they were seen, what they say they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.model.checks import check_course, check_id, check_words, member
from geomatch.model.words import STRICT, Availability, FixOutcome, Service
from geomatch.quantities import Degrees, LonLat, Metres, UnixTime, checked_time


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A patrol unit: a car, foot patrol, K-9 team or the like that can be sent."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    agency: str
    """Agency id: a domain name, as NENA's Agency_ID."""
    call_sign: str = ""
    kind: str = "patrol"
    service: Service = Service.police
    officers: int = 1
    """Officers aboard; 0 is an unmanned vehicle, which is never sent."""
    capabilities: tuple[str, ...] = ()
    home_beat: str | None = None
    radio: str | None = None

    def __post_init__(self) -> None:
        check_id(self.id, "unit id")
        check_id(self.agency, "agency id")
        object.__setattr__(self, "service", member(Service, self.service, f"unit {self.id}: service"))
        if not 0 <= self.officers <= 99:
            raise BadInput(f"unit {self.id}: officers must be between 0 and 99")
        check_words(self.capabilities, f"unit {self.id}: capabilities")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One AVL report of where a unit was."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str
    time: UnixTime
    """When the device measured it, not when it came in."""
    at: LonLat
    course_deg: Degrees | None = None
    speed_mps: float | None = None
    accuracy_m: Metres | None = None
    source: str = "avl"
    source_seq: int | None = None

    def __post_init__(self) -> None:
        check_id(self.unit, "unit id")
        checked_time(self.time, f"unit {self.unit}: fix time")
        check_course(self.course_deg, f"unit {self.unit}")
        if self.speed_mps is not None and not 0.0 <= self.speed_mps <= 150.0:
            raise BadInput(f"unit {self.unit}: speed_mps must be between 0 and 150 (is it in mph or km/h?)")
        if self.accuracy_m is not None and not 0.0 <= self.accuracy_m <= 1e6:
            raise BadInput(f"unit {self.unit}: accuracy_m must be between 0 and 1,000,000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a unit says it is doing, since when."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    availability: Availability = Availability.available
    activity: str = "patrol"
    at: UnixTime = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "availability", member(Availability, self.availability, "availability"))
        checked_time(self.at, "status time")
        check_id(self.activity, "activity")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """All that is known of one unit: what a snapshot carries, and what a stateless request sends."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: Unit
    fix: Fix | None = None
    status: Status = field(default_factory=Status)

    def __post_init__(self) -> None:
        if self.fix is not None and self.fix.unit != self.unit.id:
            raise BadInput(f"unit {self.unit.id}: its fix names another unit, {self.fix.unit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixResult:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str
    outcome: FixOutcome
    detail: str = ""
