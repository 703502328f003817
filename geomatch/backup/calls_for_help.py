"""An officer's call for help: as it came in, and as it is known while it is open. Values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from geomatch.model import STRICT, Need, Urgency
from geomatch.quantities import LonLat, Seconds, UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A button, a word on the radio, an EIDO: that an officer needs help, or that its sender holds it to be over."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    unit: str | None
    """None: nobody knows whose device it was."""
    at: UnixTime
    """When it was raised, by its sender's clock."""
    device: str = ""
    kind: str = ""
    """Its sender's own word for it, as of EIDO's registry of emergency states."""
    source: str = ""
    """The feed it came by, or `api`."""
    stopped_at: UnixTime | None = None
    """Its sender took it back."""
    place: LonLat | None = None
    """Where it is, if it was told with it: that counts before any fix."""
    agency: str | None = None
    """Of the device, where no unit of the fleet tells."""
    position: str | None = None
    """The dispatch position that is to have it. None: its agency's."""
    need: Need = field(default_factory=Need)

    @property
    def key(self) -> str:
        """The same of all messages of one alarm."""
        return self.unit or f"{self.source}:{self.device}"


class PlaceFrom(StrEnum):
    told = "told"
    """Somebody said where it is."""
    stop = "stop"
    """The officer stands at a stop that was open."""
    fix = "fix"
    """The unit's newest fix."""
    stale_fix = "stale_fix"
    """That, and it is old: ask where the officer is."""
    left_map = "left_map"
    """The unit has left the map; this is where it was before."""
    unknown = "unknown"
    """Nobody knows: ask. It gets its place with the unit's first fix, or by whoever is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEmergency:
    """An officer's call for help that nobody has declared over. Its stop has its id."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    unit: str | None
    device: str
    agency: str | None
    kind: str
    source: str
    raised_at: UnixTime
    """By its sender's clock."""
    heard_at: UnixTime
    last_at: UnixTime
    """When it was last heard again."""
    repeats: int = 0
    also: tuple[str, ...] = ()
    """Other units, or devices, that called for help at the same scene."""
    need: Need = field(default_factory=Need)
    position: str | None = None
    place_from: PlaceFrom = PlaceFrom.unknown
    place_age_s: Seconds | None = None
    """Of the fix, when it was placed by one."""
    urgency_before: Urgency | None = None
    """Of the stop, which was open already. None: it was opened for this."""
    cancelled_at: UnixTime | None = None
    """When its sender took it back, as it came in: a person is to say whether it is over."""
    stopped_at: UnixTime | None = None
    """The same by its sender's clock."""
    stands_at: UnixTime | None = None
    """A person said that it stands, though it was taken back."""
    decided_by: str | None = None
    over_at: UnixTime | None = None
    """A person said that it is over."""

    @property
    def key(self) -> str:
        return self.unit or f"{self.source}:{self.device}"

    @property
    def wants_a_decision(self) -> bool:
        return self.cancelled_at is not None and self.stands_at is None

    def is_of(self, key: str) -> bool:
        return key == self.key or key in self.also


@dataclass(frozen=True, kw_only=True)
class EmergencyMemory:
    """What is kept of emergencies over a restart, besides those that are part of an open stop."""

    placeless: tuple[OpenEmergency, ...] = ()
    heard: Mapping[str, UnixTime] = field(default_factory=dict)
    """Key of an alarm -> when its newest was raised."""
    count: int = 0
