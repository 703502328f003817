"""What the API takes and gives of emergencies, beside the types of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from annotated_types import MaxLen, MinLen

from geomatch.backup.assignments import OpenStop
from geomatch.backup.calls_for_help import OpenEmergency
from geomatch.errors import BadInput
from geomatch.model import STRICT, Need, Ranking
from geomatch.quantities import LonLat, UnixTime

Name = Annotated[str, MinLen(1), MaxLen(254)]


@dataclass(frozen=True, kw_only=True)
class EmergencyCall:
    """An officer calls for help, or whoever raised the alarm takes it back."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: Name | None = None
    """null: nobody knows whose device it was."""
    device: Annotated[str, MaxLen(254)] = ""
    kind: Annotated[str, MaxLen(254)] = ""
    """The alarm's own word, as `OfficerNeedsHelp` of EIDO or an APCO type, as `MAYDAY`."""
    raised_at: UnixTime | None = None
    """By the clock of whoever raised it: the same alarm sent again has the same. null: now."""
    at: LonLat | None = None
    """Where the officer is, if that was said; it counts before any fix. null: where the unit is."""
    cancelled: bool = False
    """It was taken back. Nothing is closed by that: a person has to decide."""
    need: Need | None = None
    """null: as the service is set."""
    position: Name | None = None
    """The dispatch position that has it. null: its agency's."""

    def __post_init__(self) -> None:
        if self.unit is None and not self.device:
            raise BadInput("say which unit calls for help, or at least which device it was")


class EmergencyDecision(StrEnum):
    stands = "stands"
    """It is one, though it was taken back."""
    over = "over"
    """The stop that was opened for it is cleared; one that was open before goes on as it was."""


@dataclass(frozen=True, kw_only=True)
class EmergencyChange:
    """What a person says of an open emergency. All of it is applied, or none."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    at: LonLat | None = None
    """Where it is."""
    decision: EmergencyDecision | None = None
    by: Name | None = None
    """The position that decides; no person's name."""

    def __post_init__(self) -> None:
        if self.at is None and self.decision is None:
            raise BadInput("say where it is, or what was decided")
        if self.at is not None and self.decision is EmergencyDecision.over:
            raise BadInput("what is over needs no place: send one or the other")


@dataclass(frozen=True, kw_only=True)
class EmergencyReport:
    """A call for help, the stop that is open for it, and who can be there first."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    emergency: OpenEmergency
    open_stop: OpenStop | None
    """null: nobody knows where it is yet, or it is over."""
    ranking: Ranking | None = None
    """As it was when it was asked; null without a stop."""


@dataclass(frozen=True, kw_only=True)
class EmergencyList:
    """Every open emergency, oldest first."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    emergencies: list[EmergencyReport]
