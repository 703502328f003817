"""A stop, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.model.checks import check_course, check_id, check_words, member
from geomatch.model.words import STRICT, Phase, Service, Urgency
from geomatch.quantities import Degrees, LonLat


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the stop needs: enough officers, and every required capability on each unit that counts."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    officers: int = 1
    capabilities: tuple[str, ...] = ()
    """Required of every candidate."""
    preferred: tuple[str, ...] = ()
    """Shown where a candidate has it; never a reason to be excluded or to be ranked higher."""
    cap: int | None = None
    """At most this many units are proposed."""
    service: Service = Service.police
    """Only its units are candidates, and the agency that is responsible for it at the place is whose stop it is."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "service", member(Service, self.service, "need.service"))
        if not 1 <= self.officers <= 999:
            raise BadInput("need.officers must be between 1 and 999")
        if self.cap is not None and self.cap < 1:
            raise BadInput("need.cap must be 1 or more")
        check_words(self.capabilities, "need.capabilities")
        check_words(self.preferred, "need.preferred")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An officer-initiated stop (or any place where cover is wanted)."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    at: LonLat
    agency: str | None = None
    """The agency whose stop it is; None: the one responsible for the place, where jurisdictions are loaded."""
    course_deg: Degrees | None = None
    """Direction of traffic at the stop: exactly that directed edge. None: either side of a two-way street."""
    urgency: Urgency = Urgency.routine_backup
    need: Need = field(default_factory=Need)
    units_on_scene: tuple[str, ...] = ()
    """Never proposed: they are there already."""
    phase: Phase = Phase.initiated
    apco_type: str | None = None
    """APCO common incident type, as TSTOP: agreements may hold for some types only."""
    internal_type: str | None = None
    """The agency's own type."""
    priority: int | None = None
    """EIDO's scale: 0 to 10, 10 is the highest; most CADs count the other way."""

    def __post_init__(self) -> None:
        check_id(self.id, "stop id")
        if self.agency is not None:
            check_id(self.agency, "agency id")
        check_course(self.course_deg, f"stop {self.id}")
        if self.priority is not None and not 0 <= self.priority <= 10:
            raise BadInput(f"stop {self.id}: priority must be between 0 and 10, and 10 is the highest, as in EIDO")
        object.__setattr__(self, "urgency", member(Urgency, self.urgency, "urgency"))
        object.__setattr__(self, "phase", member(Phase, self.phase, "phase"))
