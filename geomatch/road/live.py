"""Live roads: what is closed or slowed now, in force in the very next answer.

A change is in two steps. Times of a new epoch are published at once, as a few changed numbers, and a search answers on
them; then a thread brings the hierarchy up to the same epoch, and it answers again. Whoever asked before keeps the
times it began with. No clock is read here: changes with a start or an end take effect at exactly their instants, by
the `now` that a question brings.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geomatch.quantities import Bools, DrivingMode, Ints, UnixTime
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
class _Known:
    """All changes after one writing, whenever they hold. Never changed itself."""

    changes: Mapping[str, RoadChange]
    states: Mapping[str, Ints]
    """By id: its edges with their copies, rising."""
    instants: Sequence[UnixTime]
    """Rising, one for each beginning and each end."""
    first_epoch: int
    """Before the first instant. Each instant that has passed adds one, so that an epoch says what was known, and which
    of it held: the same number always means the same roads, whoever asked what in between."""

    @property
    def next_epoch(self) -> int:
        return self.first_epoch + len(self.instants) + 1

    def epoch(self, now: UnixTime | None) -> int:
        return self.first_epoch + (0 if now is None else bisect_right(self.instants, now))

    def interval(self, now: UnixTime | None) -> tuple[UnixTime, UnixTime]:
        """From the last instant to the next one. Empty where time matters and nobody has told it yet."""
        if now is None:
            return (math.inf, -math.inf) if self.instants else (-math.inf, math.inf)
        passed = bisect_right(self.instants, now)
        since = self.instants[passed - 1] if passed else -math.inf
        return since, self.instants[passed] if passed < len(self.instants) else math.inf


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Roads as they were known at one moment: what is told later is not in it."""

    since: UnixTime
    until: UnixTime
    roads: Roads
    """From one instant until, but not at, the other."""
    known: _Known
    live: LiveRoads

    @property
    def first_epoch(self) -> int:
        """Of what is known: before the first instant."""
        return self.known.first_epoch

    @property
    def next_epoch(self) -> int:
        """Of what will be known after the next change."""
        return self.known.next_epoch

    def at(self, now: UnixTime) -> Roads:
        """The roads in force at an instant, of what was known. Lock-free, but for the first question after something
        begins or ends."""
        return self.roads if self.since <= now < self.until else self.live.at_other(self.known, now)


class LiveRoads:
    """The roads of one network as they are now. Any number of threads may ask, and change them."""

    def __init__(self, usual: Roads, *, before_epoch: int = 0) -> None:
        """The first change makes the epoch after `before_epoch`."""
        self._usual = usual
        nothing = _Known(changes={}, states={}, instants=(), first_epoch=before_epoch)
        self._moment = Moment(since=-math.inf, until=math.inf, roads=usual, known=nothing, live=self)
        self._writing = threading.Lock()
        self._on_edge: dict[int, set[str]] = {}
        """By edge or copy: the ids of what is on it, now or at another time."""
        self._now: UnixTime | None = None
        self._sound = True
        """False while a change is being made: if it was interrupted, the next one settles every road anew."""
        self._times = _Times.of(usual)
        self._repair = Repair.of(usual, self._writing)

    @property
    def moment(self) -> Moment:
        """All that is known now: one look, and nobody waits."""
        return self._moment

    @property
    def epoch(self) -> int:
        """Rises with every change of the roads, and where one begins or ends; 0: as the map has them."""
        return self._moment.roads.epoch

    @property
    def epoch_lag(self) -> int:
        """So many epochs the hierarchy is behind, in the mode that is farthest; 0: it is not, or there is none."""
        return 0 if self._repair is None else self._repair.lag

    def at(self, now: UnixTime) -> Roads:
        """The roads in force at an instant."""
        return self._moment.at(now)

    def at_other(self, known: _Known, now: UnixTime) -> Roads:
        """The roads at an instant that is not the moment's own. These questions follow the clock as a rule, so the
        roads move to it; but what is no longer all that is known is made for this question alone, without a hierarchy.
        """
        with self._writing:
            if math.isnan(now):
                return self._moment.roads
            if known is self._moment.known:
                self._move(now)
                return self._moment.roads
        times = _Times.of(self._usual)
        times.settle(np.zeros(0, np.int32), [(c, known.states[c.id]) for c in known.changes.values() if c.holds(now)])
        return times.roads(None, known.epoch(now))

    def put(
        self, changes: Sequence[RoadChange], *, now: UnixTime | None = None, instead_of: Iterable[str] = ()
    ) -> None:
        """Adds changes, each in place of an older one with its id, and takes away those named by `instead_of`, in one
        step: all of it holds in the next answer or, where this is interrupted, nothing does."""
        with self._writing:
            if now is not None:
                self._move(now)
            before, gone = self._moment.known, {*instead_of, *(change.id for change in changes)}
            known, states = dict(before.changes), dict(before.states)
            removed = [known.pop(id_) for id_ in gone if id_ in known]
            known.update({change.id: change for change in changes})
            touched = [states.pop(change.id) for change in removed]
            states.update({id_: self._with_copies(known[id_].edges) for id_ in gone if id_ in known})
            touched += [states[id_] for id_ in gone if id_ in known]
            after = _Known(
                changes=known, states=states, instants=_updated(before.instants, removed, changes),
                first_epoch=before.next_epoch,
            )  # fmt: skip
            sound, self._sound = self._sound, False
            for id_ in gone:
                self._reindex(id_, before.states.get(id_), states.get(id_))
            self._settle(after, touched, sound=sound)
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
        moment, before, self._now = self._moment, self._now, now
        if self._sound and moment.since <= now < moment.until:
            return
        sound, self._sound = self._sound, False
        changes = moment.known.changes.values()
        flipped = [moment.known.states[c.id] for c in changes if c.instants and c.holds(now) != c.holds(before)]
        self._settle(moment.known, flipped, sound=sound)

    def _settle(self, known: _Known, touched: list[Ints], *, sound: bool) -> None:
        """Publishes what holds now of all that is known, where only `touched` may differ from before. O(touched)."""
        try:
            self._publish(known, touched, sound=sound)
        except BaseException:
            if self._repair is not None:
                self._repair.halt()
            raise
        self._sound = True

    def _publish(self, known: _Known, touched: list[Ints], *, sound: bool) -> None:
        now, epoch = self._now, known.epoch(self._now)
        if not sound:
            self._on_edge.clear()
            for id_, states in known.states.items():
                self._reindex(id_, None, states)
            touched = [np.arange(self._usual.network.edges, dtype=np.int32)]
        edges = np.unique(np.concatenate(touched)) if touched else np.zeros(0, np.int32)
        on_them = sorted({id_ for edge in edges.tolist() for id_ in self._on_edge.get(edge, ())})
        self._times.settle(edges, [(known.changes[id_], known.states[id_]) for id_ in on_them
                                   if known.changes[id_].holds(now)])  # fmt: skip
        engine = None
        if self._repair is not None:
            engine = EpochEngine(epoch, self._repair.modes, self._repair.want)
            self._repair.begin(edges, self._times.drive_ms, self._times.closed, epoch)
        since, until = known.interval(now)
        self._moment = Moment(
            since=since, until=until, roads=self._times.roads(engine, epoch), known=known, live=self
        )  # fmt: skip

    def _reindex(self, id_: str, before: Ints | None, after: Ints | None) -> None:
        for edge in () if before is None else before.tolist():
            self._on_edge.get(edge, set()).discard(id_)
        for edge in () if after is None else after.tolist():
            self._on_edge.setdefault(edge, set()).add(id_)

    def _with_copies(self, edges: Ints) -> Ints:
        arcs = self._usual.search.arcs
        copies = [arcs.copies[arcs.copies_first[edge] : arcs.copies_first[edge + 1]] for edge in edges.tolist()]
        return np.unique(np.concatenate([edges, *copies])).astype(np.int32)


class _Times:
    """Driving times and closed edges of every mode as of one epoch, changed in place. For one thread at a time."""

    def __init__(self, usual: Roads, drive_ms: Ints, closed: Bools, unusual: Bools) -> None:
        self._usual = usual
        self.drive_ms = drive_ms
        """(M, E)"""
        self.closed = closed
        """(M, E)"""
        self._unusual = unusual
        """(E,) not as the map has it, in some mode."""

    @classmethod
    def of(cls, usual: Roads) -> _Times:
        edge_ms = usual.network.edge_ms
        return cls(usual, edge_ms.copy(), np.zeros(edge_ms.shape, np.bool_), np.zeros(edge_ms.shape[1], np.bool_))

    def settle(self, edges: Ints, holding: Iterable[tuple[RoadChange, Ints]]) -> None:
        """Makes these edges as usual, and imposes every change that holds on one of them."""
        self.drive_ms[:, edges] = self._usual.network.edge_ms[:, edges]
        self.closed[:, edges] = False
        self._unusual[edges] = False
        # Each on all its edges: on those that are not settled anew it changes nothing.
        for change, states in holding:
            self._impose(change, states)

    def roads(self, engine: EpochEngine | None, epoch: int) -> Roads:
        """With these times, as they are now."""
        unusual, search = np.flatnonzero(self._unusual).astype(np.int32), self._usual.search
        times = LiveTimes(self._usual.network, search.arcs, unusual, self.drive_ms[:, unusual], self.closed[:, unusual])
        return self._usual.after(search.after(times.edge_ms, times.before_ms), engine, times, epoch)

    def _impose(self, change: RoadChange, states: Ints) -> None:
        lengths_m = self._usual.network.edge_length_m[states]
        for mode in change.modes:
            if change.closed:
                self.closed[mode.row, states] = True
                continue
            slower = slowed_ms(
                self._usual.network.edge_ms[mode.row, states], lengths_m, change.speed_kph, change.factor
            )
            self.drive_ms[mode.row, states] = np.maximum(self.drive_ms[mode.row, states], slower)
        self._unusual[states] = True


def _updated(
    instants: Sequence[UnixTime], removed: Iterable[RoadChange], added: Iterable[RoadChange]
) -> Sequence[UnixTime]:
    later = list(instants)
    for change in removed:
        for at in change.instants:
            later.pop(bisect_left(later, at))
    later += [at for change in added for at in change.instants]
    later.sort()
    return later
