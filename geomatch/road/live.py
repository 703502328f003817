"""Live roads: what is closed or slowed now, in force in the very next answer.

A change is in two steps. Times of a new epoch are published at once, as a few changed numbers, and a search answers on
them; then a thread brings the hierarchy up to the same epoch, and it answers again. Whoever asked before keeps the
times it began with. No clock is read here: changes with a start or an end take effect at exactly their instants, by
the `now` that a question brings.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from geomatch.quantities import DrivingMode, Ints, UnixTime
from geomatch.road.live_engine import EpochEngine
from geomatch.road.live_repair import Repair
from geomatch.road.live_times import LiveTimes, slowed_ms
from geomatch.road.roads import Roads

REPAIR_WAIT_S = 0.002
"""So long a writer waits for the hierarchy: most roads are repaired sooner, and then the next answer is as fast as
ever. Answers are searched for until it is done."""


@dataclass(frozen=True, kw_only=True)
class RoadChange:
    """One closed or slowed stretch, on edges of the network."""

    id: str
    edges: Ints
    """Originals; their copies are meant too."""
    modes: tuple[DrivingMode, ...]
    closed: bool
    speed_kph: float | None = None
    factor: float | None = None
    """Of a slowed one, and 1 at least."""
    starts: UnixTime = -math.inf
    ends: UnixTime = math.inf
    """It no longer holds at this instant."""

    @property
    def instants(self) -> tuple[UnixTime, ...]:
        """When it begins and ends, as far as it does."""
        return tuple(at for at in (self.starts, self.ends) if math.isfinite(at))

    def holds(self, now: UnixTime | None) -> bool:
        """None: nobody has told the time yet, so only what always holds does."""
        return not self.instants if now is None else self.starts <= now < self.ends


@dataclass(frozen=True, kw_only=True)
class _InForce:
    """What holds from one instant until, but not at, another."""

    since: UnixTime
    until: UnixTime
    roads: Roads

    def covers(self, now: UnixTime) -> bool:
        return self.since <= now < self.until


class LiveRoads:
    """The roads of one network as they are now. Any number of threads may ask, and change them."""

    def __init__(self, usual: Roads) -> None:
        self._usual = usual
        self._held = _InForce(since=-math.inf, until=math.inf, roads=usual)
        self._writing = threading.Lock()
        self._changes: dict[str, RoadChange] = {}
        self._states: dict[str, Ints] = {}
        """By id: its edges with their copies."""
        self._on_edge: dict[int, set[str]] = {}
        """By edge or copy: the ids of what is on it, now or at another time."""
        self._now: UnixTime | None = None
        self._sound = True
        """False while a change is being made: if it was interrupted, the next one settles every road anew."""
        self._usual_ms: Ints = np.asarray(usual.network.edge_ms)
        self._drive_ms = self._usual_ms
        """(M, E), as of the newest epoch; copied before the first change."""
        self._closed = np.zeros((1, 0), np.bool_)
        self._unusual = np.zeros(0, np.bool_)
        """(E,) not as the map has it, in some mode."""
        self._repair = Repair.of(usual, self._writing)

    @property
    def epoch(self) -> int:
        """Counts the changes of the roads; 0: as the map has them."""
        return self._held.roads.epoch

    def at(self, now: UnixTime) -> Roads:
        """The roads in force at an instant. Lock-free, but for the first question after something begins or ends."""
        held = self._held
        if held.covers(now):
            return held.roads
        with self._writing:
            if not math.isnan(now):
                self._move(now)
            return self._held.roads

    def put(
        self, changes: Sequence[RoadChange], *, now: UnixTime | None = None, instead_of: Iterable[str] = ()
    ) -> None:
        """Adds changes, each in place of an older one with its id, and takes away those named by `instead_of`, in one
        step: all of it holds in the next answer or, where this is interrupted, nothing does."""
        with self._writing:
            if now is not None:
                self._move(now)
            gone = {*instead_of, *(change.id for change in changes)}
            known, states = dict(self._changes), dict(self._states)
            touched = [states.pop(id_) for id_ in gone if known.pop(id_, None) is not None]
            known.update({change.id: change for change in changes})
            states.update({id_: self._with_copies(known[id_].edges) for id_ in gone if id_ in known})
            touched += [states[id_] for id_ in gone if id_ in known]
            before, self._sound = self._sound, False
            old = self._changes, self._states
            try:
                for id_ in gone:
                    self._reindex(id_, states.get(id_))
                self._changes, self._states = known, states
                self._settle(touched, [at for c in changes for at in c.instants], sound=before)
            except BaseException:
                self._changes, self._states = old
                raise
        if self._repair is not None:
            self._repair.wait(REPAIR_WAIT_S)

    def remove(self, ids: Iterable[str]) -> None:
        """Takes changes away; ids that are not known are passed over."""
        self.put((), instead_of=ids)

    def wait_until_repaired(self, timeout_s: float | None = None) -> bool:
        """Until the hierarchy answers at the newest epoch; False: it does not yet, or there is none."""
        return self._repair is not None and self._repair.wait(timeout_s)

    def _move(self, now: UnixTime) -> None:
        """To an instant; what begins or ends on the way is found by going through all that is timed."""
        before, since_when, self._now = self._sound, self._now, now
        if before and self._held.covers(now):
            return
        self._sound = False
        timed = [change for change in self._changes.values() if change.instants]
        flipped = [self._states[c.id] for c in timed if c.holds(now) != c.holds(since_when)]
        self._held = _InForce(since=-math.inf, until=math.inf, roads=self._held.roads)
        self._settle(flipped, [at for change in timed for at in change.instants], sound=before)

    def _settle(self, touched: list[Ints], instants: list[UnixTime], *, sound: bool) -> None:
        """Publishes what holds on these edges now, for as long as none of these instants passes. O(touched)."""
        if not sound:
            self._on_edge.clear()
            for id_, states in self._states.items():
                self._reindex(id_, states)
            touched = [np.arange(self._usual.network.edges, dtype=np.int32)]
            instants = [at for change in self._changes.values() for at in change.instants]
        edges = np.unique(np.concatenate(touched)) if touched else np.zeros(0, np.int32)
        held, now = self._held, self._now
        if now is not None:
            since = max((at for at in instants if at <= now), default=-math.inf)
            until = min((at for at in instants if at > now), default=math.inf)
        else:
            # No instant at all, where time matters: the first question that brings the time settles it.
            since, until = (math.inf, -math.inf) if instants else (-math.inf, math.inf)
        roads = self._published(edges) if len(edges) else held.roads
        self._held = _InForce(since=max(since, held.since), until=min(until, held.until), roads=roads)
        self._sound = True

    def _published(self, edges: Ints) -> Roads:
        """Settles some edges anew, and gives the roads of the next epoch."""
        if self._drive_ms is self._usual_ms:
            self._drive_ms = self._usual_ms.copy()
            self._closed = np.zeros(self._usual_ms.shape, np.bool_)
            self._unusual = np.zeros(self._usual_ms.shape[1], np.bool_)
        self._drive_ms[:, edges] = self._usual_ms[:, edges]
        self._closed[:, edges] = False
        self._unusual[edges] = False
        # Each is imposed on all its edges: on those that are not settled anew it changes nothing.
        for id_ in sorted({id_ for edge in edges.tolist() for id_ in self._on_edge.get(edge, ())}):
            if self._changes[id_].holds(self._now):
                self._impose(self._changes[id_], self._states[id_])
        search, epoch = self._usual.search, self._held.roads.epoch + 1
        unusual = np.flatnonzero(self._unusual).astype(np.int32)
        drive_ms, closed = self._drive_ms[:, unusual], self._closed[:, unusual]
        times = LiveTimes(self._usual.network, search.arcs, unusual, drive_ms, closed)
        engine = None
        if self._repair is not None:
            engine = EpochEngine(epoch, self._repair.modes, self._repair.want)
            self._repair.begin(edges, self._drive_ms, self._closed, epoch)
        return self._usual.after(search.after(times.edge_ms, times.before_ms), engine, times, epoch)

    def _impose(self, change: RoadChange, states: Ints) -> None:
        lengths_m = self._usual.network.edge_length_m[states]
        for mode in change.modes:
            if change.closed:
                self._closed[mode.row, states] = True
                continue
            slower = slowed_ms(self._usual_ms[mode.row, states], lengths_m, change.speed_kph, change.factor)
            self._drive_ms[mode.row, states] = np.maximum(self._drive_ms[mode.row, states], slower)
        self._unusual[states] = True

    def _reindex(self, id_: str, states: Ints | None) -> None:
        for edge in self._states.get(id_, _NOWHERE).tolist():
            self._on_edge.get(edge, set()).discard(id_)
        if states is not None:
            for edge in states.tolist():
                self._on_edge.setdefault(edge, set()).add(id_)

    def _with_copies(self, edges: Ints) -> Ints:
        arcs = self._usual.search.arcs
        copies = [arcs.copies[arcs.copies_first[edge] : arcs.copies_first[edge + 1]] for edge in edges.tolist()]
        return np.unique(np.concatenate([edges, *copies])).astype(np.int32)


_NOWHERE: Ints = np.zeros(0, np.int32)
