"""Bodies of requests for leave, and how one stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import MaxLen, MinLen

from geomatch.aid.approvals import Answer
from geomatch.model import STRICT, Decision
from geomatch.quantities import Seconds, UnixTime, checked_time

Name = Annotated[str, MinLen(1), MaxLen(254)]


@dataclass(frozen=True, kw_only=True)
class ApprovalRequest:
    """Leave is asked for: somebody has phoned, or is about to."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Name
    """Stop id; the stop need not be held by the service."""
    agreement: Name
    """id@version, as a verdict names it, or the id alone: the version in force."""
    at: UnixTime | None = None
    """When its timeout began to run. null: now."""

    def __post_init__(self) -> None:
        if self.at is not None:
            checked_time(self.at, "at")


@dataclass(frozen=True, kw_only=True)
class ApprovalAnswer:
    """One agency has answered. Its last answer counts; where nobody had asked here, it was asked and answered now."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: Name
    agreement: Name
    agency: Name
    """Who answers: one of those whose approval the agreement takes."""
    answer: Answer
    at: UnixTime | None = None
    """null: now."""

    def __post_init__(self) -> None:
        if self.at is not None:
            checked_time(self.at, "at")


@dataclass(frozen=True, kw_only=True)
class ApprovalStanding:
    """How one request stands at this moment; a timeout that has passed counts, though nobody told the service."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    stop: str
    agreement: str
    """id@version"""
    asked_at: UnixTime
    granted_by: tuple[str, ...]
    denied_by: tuple[str, ...]
    missing: tuple[str, ...]
    """Whose answer it still needs; after a timeout that escalates, first to whom it went."""
    decision: Decision
    clause: str
    """The field of the agreement that decided."""
    wait_s: Seconds
    """Until a unit is told, the median: what it adds to an ETA now."""


@dataclass(frozen=True, kw_only=True)
class ApprovalList:
    """Requests, by stop and agreement."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    approvals: list[ApprovalStanding]
