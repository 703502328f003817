"""All that a matcher knew after one event, noted now and then, so that a start need not go through years."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from geomatch.backup.snapshot import Memory
from geomatch.fleet.memory import FleetMemory
from geomatch.fleet.track import Track
from geomatch.journal.records import Record, decoded, encoded
from geomatch.journal.store import Store
from geomatch.model import UnitState
from geomatch.quantities import UnixTime

KIND = "state"
UNITS_A_PART = 500
"""Encoding a part takes some milliseconds, and no ranking is made meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A line can be short, however many units there are: the state after one event is in as many as it takes."""

    part: int
    parts: int
    states: tuple[UnitState, ...]
    left_map: dict[str, UnixTime]
    owner: dict[str, str]
    rest: Memory | None = None
    """In part 0: all but that, whatever a matcher comes to hold."""
    tracks: dict[str, Track] = field(default_factory=dict)
    """An older journal has none."""


def parts_of(memory: Memory) -> Iterator[Callable[[], bytes]]:
    """What makes the payload of each part, when it is time."""
    fleet = memory.fleet
    parts = max(1, math.ceil(len(fleet.states) / UNITS_A_PART))
    for number in range(parts):
        states = fleet.states[number * UNITS_A_PART : (number + 1) * UNITS_A_PART]
        yield _Encoding(memory, number, parts, states)


@dataclass(frozen=True)
class _Encoding:
    memory: Memory
    number: int
    parts: int
    states: tuple[UnitState, ...]

    def __call__(self) -> bytes:
        memory, fleet = self.memory, self.memory.fleet
        ids = [state.unit.id for state in self.states]
        part = Part(
            part=self.number, parts=self.parts, states=self.states,
            left_map={unit: fleet.left_map[unit] for unit in ids if unit in fleet.left_map},
            owner={unit: fleet.owner[unit] for unit in ids if unit in fleet.owner},
            tracks={unit: fleet.tracks[unit] for unit in ids if unit in fleet.tracks},
            rest=None if self.number else replace(
                memory, fleet=FleetMemory(last_seq=fleet.last_seq, last_message=fleet.last_message)
            ),
        )  # fmt: skip
        return encoded(Part, part)


def newest_state(store: Store, *, at_most_event: float = math.inf) -> tuple[int, Memory] | None:
    """The event, and all that was known after it; None: there is none that is whole."""
    found: dict[int, dict[int, Part]] = {}
    for record in store.newest(KIND):
        if record.payload is None or record.event > at_most_event:
            continue
        part = decoded(Part, record.payload)
        held = found.setdefault(record.event, {})
        held[part.part] = part
        if len(held) == part.parts:
            return record.event, joined([held[number] for number in range(part.parts)])
    return None


def joined(parts: Sequence[Part]) -> Memory:
    rest = parts[0].rest or Memory()
    fleet = FleetMemory(
        states=tuple(state for part in parts for state in part.states),
        left_map={unit: time for part in parts for unit, time in part.left_map.items()},
        tracks={unit: track for part in parts for unit, track in part.tracks.items()},
        owner={unit: source for part in parts for unit, source in part.owner.items()},
        last_seq=rest.fleet.last_seq,
        last_message=rest.fleet.last_message,
    )
    return replace(rest, fleet=fleet)


class StateReader:
    """Puts together the parts that stand between the lines of a history."""

    def __init__(self) -> None:
        self._parts: dict[int, Part] = {}
        self._event = -1

    def take(self, record: Record) -> Memory | None:
        """The state, when this was the last of its parts. One that was purged is none."""
        if record.event != self._event:
            self._event, self._parts = record.event, {}
        if record.payload is None:
            return None
        part = decoded(Part, record.payload)
        self._parts[part.part] = part
        if len(self._parts) < part.parts:
            return None
        parts, self._parts = [self._parts[number] for number in range(part.parts)], {}
        return joined(parts)
