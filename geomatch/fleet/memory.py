"""All that a fleet knows, as values: what is kept of it over a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from geomatch.fleet.track import Track
from geomatch.model import UnitState
from geomatch.quantities import UnixTime


@dataclass(frozen=True, kw_only=True)
class FleetMemory:
    states: tuple[UnitState, ...] = ()
    tracks: Mapping[str, Track] = field(default_factory=dict)
    """Unit id -> what was heard of it, where that is more than its newest fix."""
    left_map: Mapping[str, UnixTime] = field(default_factory=dict)
    """Unit id -> its newest fix that lay outside the map."""
    last_seq: Mapping[str, int] = field(default_factory=dict)
    """By source."""
    owner: Mapping[str, str] = field(default_factory=dict)
    """Unit id -> the source that brought it."""
    last_message: Mapping[str, UnixTime] = field(default_factory=dict)
    """Agency -> when a message of one of its units last came in."""
