"""What the API takes and gives of open stops and assignments, beside the types of the core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MaxLen, MinLen

from geomatch.aid.vocabulary import LocalWords
from geomatch.backup.assignments import AssignmentState, ChoiceReason, OpenStop
from geomatch.backup.timers import StatusCheck
from geomatch.errors import BadInput
from geomatch.model import STRICT, Need, Phase, Ranking, Stop, Urgency
from geomatch.service.marked_stops import OrByMarker

Name = Annotated[str, MinLen(1), MaxLen(254)]
MAX_ON_SCENE = 1_000


@dataclass(frozen=True, kw_only=True)
class StopOpening:
    """A stop to keep open, so that it is ranked again as units move and assigned units are taken from nobody."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Annotated[Stop, OrByMarker()]
    local: LocalWords | None = None
    """What is said of it in its agency's own words."""
    position: Name | None = None
    """The dispatch position that has it: how often it is interrupted is limited. null: one for the whole agency."""


@dataclass(frozen=True, kw_only=True)
class StopChange:
    """What has changed at a stop; null changes nothing. All of it is applied, or none."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    phase: Phase | None = None
    """`cleared` ends the stop and releases its units."""
    urgency: Urgency | None = None
    need: Need | None = None
    local_urgency: Annotated[str, MinLen(1), MaxLen(100)] | None = None
    """In place of `urgency`: a word of the stop's own agency, by its vocabulary."""
    units_on_scene: Annotated[tuple[str, ...], MaxLen(MAX_ON_SCENE)] | None = None
    """All of them. An assigned unit that is among them has arrived."""
    officer_heard: bool = False
    """The officer answered a status check: the next one counts from now."""
    code_4: bool = False
    """No further help is needed: whoever is on the way turns back."""

    def __post_init__(self) -> None:
        if self.urgency is not None and self.local_urgency is not None:
            raise BadInput("say the urgency once: as urgency, or as local_urgency")


@dataclass(frozen=True, kw_only=True)
class StopReport:
    """An open stop, its assignments, and when its officer is to be asked next."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    open_stop: OpenStop
    status_check: StatusCheck | None
    """null: it is cleared."""


@dataclass(frozen=True, kw_only=True)
class StopList:
    """Every open stop, in the order they were opened."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    version: int
    """Of all of them: a decision on what this shows may name it."""
    stops: list[StopReport]


@dataclass(frozen=True, kw_only=True)
class AssignmentRequest:
    """Send this unit to this open stop."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop_id: Name
    unit: Name
    version: Annotated[int, Ge(0), Le(2**53)]
    """Of the ranking, the stop or the assignment that it was decided on."""
    reason: ChoiceReason | None = None
    """Why this one, where it is not the first of the ranking. Nobody is held up for want of it."""
    by: Name | None = None
    """The position that decides; no person's name."""


@dataclass(frozen=True, kw_only=True)
class AssignmentStep:
    """Where an assignment stands now."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    state: AssignmentState


@dataclass(frozen=True, kw_only=True)
class AssignmentRefused:
    """A problem that brings the ranking as it is now, so that the next choice needs no further question."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    type: str
    """urn:geomatch:problem: lost_race, limit_reached, may_not_go or illegal_step."""
    title: str
    status: int
    detail: str
    """The fault and the cure, in a sentence."""
    ranking: Ranking
    """Of the stop, at this moment; its `version` is good for the next try."""
