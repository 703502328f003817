"""What the feed routes answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from geomatch.feeds.parsed import Fault
from geomatch.feeds.tally import Counts
from geomatch.model import STRICT, FixResult

SHOWN_FAULTS = 100


@dataclass(frozen=True, kw_only=True)
class FeedFault:
    """One report that was left out, or not wholly understood."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    location: str
    """In the message, as `line 3` or `features[2]`."""
    kind: str
    message: str
    """What is wrong and what to do about it; never a position."""
    sender: str = ""
    """The device's address or topic, where the feed knows it."""

    @classmethod
    def of(cls, fault: Fault) -> FeedFault:
        return cls(location=fault.where, kind=fault.kind, message=fault.message, sender=fault.sender)


@dataclass(frozen=True, kw_only=True)
class FeedResults:
    """What became of a message."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    applied: int
    """How many fixes moved their unit."""
    results: list[FixResult]
    """One for each fix, in the message's order."""
    statuses: int
    emergencies: int
    ignored: int
    """Reports that say nothing of a unit."""
    fault_count: int
    faults: list[FeedFault]
    """The first hundred. The others of the message hold."""


@dataclass(frozen=True, kw_only=True)
class StreamSummary:
    """What became of a stream's lines."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    lines: int
    applied: int
    outcomes: Mapping[str, int]
    """How many fixes were applied, late, repeated, of unknown units and so on."""
    statuses: int
    emergencies: int
    ignored: int
    fault_count: int
    faults: list[FeedFault]
    """The first hundred, by line."""


@dataclass(frozen=True, kw_only=True)
class FeedState:
    """One feed since the service started."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    name: str
    counts: Counts
    faults: list[FeedFault]
    """The newest hundred."""


@dataclass(frozen=True, kw_only=True)
class FeedList:
    """Every feed: HTTP as one, and each that is received by UDP or MQTT."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    feeds: list[FeedState]
