"""The live units: one writer at a time, and snapshots that readers keep without a lock."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from geomatch.errors import BadInput
from geomatch.fleet.belief import inside
from geomatch.fleet.delta import FleetDelta, Sources
from geomatch.fleet.judge import judge, moves, off_map
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.memory import FleetMemory
from geomatch.fleet.messages import last_message
from geomatch.fleet.positions import LivePositions
from geomatch.fleet.roster import Roster, slot_of
from geomatch.fleet.rows import Rows
from geomatch.fleet.track import Track, tracked
from geomatch.fleet.view import NO_MESSAGES, FleetView
from geomatch.model import Fix, FixOutcome, FixResult, Status, Unit, UnitState
from geomatch.quantities import XY, Metres, UnixTime, checked_time
from geomatch.road.plausible import Plausible
from geomatch.road.snap import Snapper

if TYPE_CHECKING:
    import shapely


class Fleet:
    """All known units, what was last heard of each, and where on the road that is.

    A call that raises has changed nothing. Writers wait for each other; `view` waits at most for a copy of the arrays.
    """

    def __init__(self, snapper: Snapper, limits: FleetLimits | None = None, plausible: Plausible | None = None) -> None:
        """Without `plausible` a unit is where its newest fix is snapped to, and nowhere else."""
        self._snapper = snapper
        self._plausible = plausible
        self._limits = limits or FleetLimits()
        self._roster = Roster.of((), self._limits)
        self._rows = Rows(0)
        self._sources = Sources()
        self._positions: LivePositions | None = LivePositions()
        self._last_message = NO_MESSAGES
        self._version = 0
        self._view: FleetView | None = None
        self._writing = Lock()
        """Held by a writer from its first look to its last change, so that it may snap without holding up readers."""
        self._showing = Lock()
        """Held while the arrays change or are copied: never for longer."""

    @classmethod
    def of(
        cls,
        snapper: Snapper,
        states: Sequence[UnitState],
        limits: FleetLimits | None = None,
        plausible: Plausible | None = None,
    ) -> Fleet:
        """A fleet for one question, without a tree. Raises BadInput when two states have one id."""
        fleet = cls(snapper, limits, plausible)
        fleet._positions = None
        fleet._take(
            units=[state.unit for state in states],
            statuses={state.unit.id: state.status for state in states},
            fixes=[state.fix for state in states if state.fix is not None],
        )
        return fleet

    @classmethod
    def remembering(
        cls,
        snapper: Snapper,
        memory: FleetMemory,
        limits: FleetLimits | None = None,
        plausible: Plausible | None = None,
    ) -> Fleet:
        """A fleet that knows what another one did: every unit stands where it stood."""
        fleet = cls(snapper, limits, plausible)
        fleet._take(
            units=[state.unit for state in memory.states],
            statuses={state.unit.id: state.status for state in memory.states},
            fixes=_untold(memory.states, memory.tracks),
        )
        fleet._retrace(memory.tracks)
        for unit_id, time in memory.left_map.items():
            fleet._rows.leave_map(fleet._roster.slots[unit_id], time)
        fleet._sources = Sources(memory.last_seq, memory.owner)
        fleet._last_message = memory.last_message
        return fleet

    def register(self, units: Sequence[Unit]) -> None:
        """Adds units or changes what is said of them; known ones keep their fix and status. O(N)."""
        with self._writing:
            self._take(units=units)

    def remove(self, unit_ids: Sequence[str]) -> None:
        """Raises UnknownUnit, and removes none, when one of them is not known."""
        with self._writing:
            self._take(removed=unit_ids)
            self._sources.forget(unit_ids)

    def update(self, fixes: Sequence[Fix], now: UnixTime | None = None) -> list[FixResult]:
        """What became of each fix, in the order given. Late, repeated and disordered fixes are harmless.

        A fix is checked against `now` only if given.
        """
        with self._writing:
            return self._take(fixes=fixes, now=now)

    def set_status(self, unit_id: str, status: Status) -> Status:
        """The status that now holds: the given one, unless a later one is known. Raises UnknownUnit."""
        with self._writing:
            self._take(statuses={unit_id: status})
            return self._rows.statuses[self._roster.slots[unit_id]]

    def replace(
        self, states: Sequence[UnitState], *, source: str, source_seq: int, now: UnixTime | None = None
    ) -> list[FixResult]:
        """A snapshot: all units of this source, and no others. What became of each fix in it, in order.

        Removed are the source's earlier units that are not in it, and units of its agencies that no source brought.
        Of fix and status the later one holds, so a snapshot does not set a unit back. Raises ResyncRequired when the
        source sent something newer before, BadInput when a unit is another source's.
        """
        with self._writing:
            self._sources.check_snapshot(source, source_seq)
            units = [state.unit for state in states]
            sent = {unit.id for unit in units}
            self._sources.check_owned(sent, source)
            agencies = {unit.agency for unit in units}
            gone = [
                unit.id for unit in self._roster.units if unit.id not in sent and self._is_of(unit, source, agencies)
            ]
            results = self._take(
                units=units, removed=gone, now=now,
                statuses={state.unit.id: state.status for state in states},
                fixes=[state.fix for state in states if state.fix is not None],
            )  # fmt: skip
            self._sources.forget(gone)
            self._sources.took(source, source_seq, sent)
            return results

    def apply(self, delta: FleetDelta, *, source: str, source_seq: int, now: UnixTime | None = None) -> list[FixResult]:
        """A delta; `source_seq` follows the last one by 1. One taken before is harmless: its fixes are `repeated`.

        Raises ResyncRequired at a gap, BadInput when a unit it brings or removes is another source's.
        """
        with self._writing:
            if self._sources.is_repeated(source, source_seq):
                return [FixResult(unit=fix.unit, outcome=FixOutcome.repeated) for fix in delta.fixes]
            self._sources.check_owned((*(unit.id for unit in delta.units), *delta.removed), source)
            results = self._take(
                units=delta.units, removed=delta.removed, statuses=delta.statuses, fixes=delta.fixes, now=now
            )
            self._sources.forget(delta.removed)
            self._sources.took(source, source_seq, (unit.id for unit in delta.units))
            return results

    @property
    def version(self) -> int:
        """Of the view that would be given now: rises with every change."""
        return self._version

    def view(self) -> FleetView:
        """The fleet as it is now; the same object until something changes."""
        view = self._view
        if view is None:
            with self._showing:
                view = self._view
                if view is None:
                    view = FleetView.of(
                        self._version, self._roster, self._rows.copies(), self._positions, self._last_message
                    )
                    self._view = view
        return view

    def state(self, unit_id: str) -> UnitState:
        """Raises UnknownUnit."""
        with self._showing:
            slot = slot_of(self._roster.slots, unit_id)
            return UnitState(
                unit=self._roster.units[slot], fix=_newest(self._rows.tracks[slot]), status=self._rows.statuses[slot]
            )

    def agency_of(self, unit_id: str) -> str | None:
        """None: it is not registered. Waits for nobody."""
        roster = self._roster
        slot = roster.slots.get(unit_id)
        return None if slot is None else roster.units[slot].agency

    def states(self) -> list[UnitState]:
        """In the order of unit ids."""
        with self._showing:
            units, tracks, statuses = self._roster.units, tuple(self._rows.tracks), tuple(self._rows.statuses)
        return [
            UnitState(unit=unit, fix=_newest(track), status=status)
            for unit, track, status in zip(units, tracks, statuses, strict=True)
        ]

    def memory(self) -> FleetMemory:
        """Waits for a writer. About 10 ms at 10,000 units."""
        with self._writing:
            left_map = {
                unit.id: time
                for unit, time in zip(self._roster.units, self._rows.outside_time, strict=True)
                if time > -math.inf
            }
            return FleetMemory(
                states=tuple(self.states()), tracks=self._tracks(), left_map=left_map,
                last_seq=self._sources.last_seqs(), owner=self._sources.owners(),
                last_message=dict(self._last_message),
            )  # fmt: skip

    def moved_to(self, snapper: Snapper, plausible: Plausible | None = None) -> Fleet:
        """The same units, tracks, statuses and sources on another map. Nothing may be written to this one meanwhile."""
        states, tracks = self.states(), self._tracks()
        fleet = Fleet(snapper, self._limits, plausible)
        fleet._take(
            units=[state.unit for state in states],
            statuses={state.unit.id: state.status for state in states},
            fixes=_untold(states, tracks),
        )
        fleet._retrace(tracks)
        fleet._sources, fleet._last_message = self._sources, self._last_message
        return fleet

    def within(self, polygon_xy: shapely.Polygon | shapely.MultiPolygon) -> list[str]:
        """Ids of the units in or on the edge of an area in the region's projection, in their order."""
        view = self.view()
        return [view.units[slot].id for slot in view.candidates_inside(polygon_xy)]

    def near(self, at: XY, radius_m: Metres) -> list[str]:
        """Ids of the units at most `radius_m` away by straight line, in their order."""
        view = self.view()
        return [view.units[slot].id for slot in view.candidates_within(at, radius_m)]

    def nearest_by_air(self, at: XY, count: int) -> list[str]:
        """Ids of the `count` units nearest by straight line, nearest first, ties by id. Not who is there first."""
        view = self.view()
        return [view.units[slot].id for slot in view.candidates_nearest(at, count)]

    def _is_of(self, unit: Unit, source: str, agencies: set[str]) -> bool:
        owner = self._sources.owner(unit.id)
        return owner == source or (owner is None and unit.agency in agencies)

    def _tracks(self) -> dict[str, Track]:
        """By unit id, where they are more than what the newest fix alone would tell."""
        return {
            unit.id: track
            for unit, track in zip(self._roster.units, self._rows.tracks, strict=True)
            if track is not None and track != tracked(None, track.newest, self._limits)
        }

    def _retrace(self, tracks: Mapping[str, Track]) -> None:
        """Takes tracks, as far as they are on this map; of those that have left it, that they have."""
        known = [(self._roster.slots[unit_id], track) for unit_id, track in tracks.items()]
        fixes = [fix for _, track in known for fix in track.fixes()]
        on_map = {id(fix) for fix, off in zip(fixes, off_map(fixes, self._snapper), strict=True) if not off}
        kept = {slot: left for slot, track in known if (left := inside(track, on_map)) is not None}
        moved = moves(kept, self._snapper, self._plausible)
        if moved is not None:
            self._rows.move(moved)
        self._take(fixes=[track.newest for slot, track in known if slot not in kept])

    def _take(
        self,
        *,
        units: Sequence[Unit] = (),
        removed: Sequence[str] = (),
        statuses: Mapping[str, Status] | None = None,
        fixes: Sequence[Fix] = (),
        now: UnixTime | None = None,
    ) -> list[FixResult]:
        """The one way in: finds out all that may fail, then changes everything at once. The caller holds `_writing`."""
        if now is not None:
            checked_time(now, "now")
        roster, rows, regrouped = self._regrouped(units, removed)
        restated = {slot_of(roster.slots, unit_id): status for unit_id, status in (statuses or {}).items()}
        judged = judge(fixes, roster.slots, rows.tracks, self._snapper, self._plausible, now=now, limits=self._limits)
        with self._showing:
            changed = roster is not self._roster
            if now is not None:
                before, self._last_message = self._last_message, last_message(self._last_message, judged, roster, now)
                changed |= before is not self._last_message
            self._roster, self._rows = roster, rows
            if judged.moves is not None:
                rows.move(judged.moves)
                regrouped.update(track.newest.unit for track in judged.moves.tracks)
                changed = True
            for slot, time in judged.left_map:
                changed |= rows.leave_map(slot, time)
            for slot, status in restated.items():
                changed |= rows.set_status(slot, status)
            if changed:
                self._version += 1
                self._view = None
                if self._positions is not None and regrouped:
                    self._positions.note(self._version, tuple(regrouped))
        return judged.results

    def _regrouped(self, units: Sequence[Unit], removed: Sequence[str]) -> tuple[Roster, Rows, set[str]]:
        """Roster and rows with these units and without those, and the ids that come or go."""
        old = self._roster
        incoming = {unit.id: unit for unit in units}
        if len(incoming) < len(units):
            raise BadInput(f"unit {_twice(unit.id for unit in units)} is in the list twice; send each unit once")
        gone = set(removed)
        for unit_id in gone:
            slot_of(old.slots, unit_id)
        if both := gone & incoming.keys():
            raise BadInput(f"unit {min(both)} is both sent and removed; do one of the two")
        changed = {unit_id for unit_id, unit in incoming.items() if _known(old, unit_id) != unit}
        if not changed and not gone:
            return old, self._rows, set()
        staying = (unit for unit in old.units if unit.id not in gone and unit.id not in changed)
        roster = Roster.of((*staying, *(incoming[unit_id] for unit_id in changed)), self._limits)
        moved = gone | (changed - old.slots.keys())
        if not moved:
            return roster, self._rows, set()
        return roster, self._rows.regrouped([old.slots.get(unit.id, -1) for unit in roster.units]), moved


def _untold(states: Iterable[UnitState], tracks: Mapping[str, Track]) -> list[Fix]:
    """The newest fixes of those that have no track, by which more is known than by a fix."""
    return [state.fix for state in states if state.fix is not None and state.unit.id not in tracks]


def _newest(track: Track | None) -> Fix | None:
    return None if track is None else track.newest


def _known(roster: Roster, unit_id: str) -> Unit | None:
    slot = roster.slots.get(unit_id)
    return None if slot is None else roster.units[slot]


def _twice(unit_ids: Iterable[str]) -> str:
    return next(unit_id for unit_id, times in Counter(unit_ids).items() if times > 1)
