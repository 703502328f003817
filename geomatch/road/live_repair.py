"""The thread that brings the hierarchy up to the newest epoch, mode by mode, and then its labels."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from geomatch.quantities import Bools, DrivingMode, Ints
from geomatch.road.labels import Ground, HierarchyEngine
from geomatch.road.live_engine import Changes, LiveMode
from geomatch.road.roads import Roads

RELABELLED_AT_ONCE = 16
"""Labels made again before a question that waits gets its turn: about 0.1 ms."""


class Repair:
    """Runs while there is something to repair. Should it ever fail, answers are searched for: slower, and exact."""

    def __init__(self, usual: Roads, engine: HierarchyEngine, writing: threading.Lock) -> None:
        self.modes: dict[DrivingMode, LiveMode] = {}
        """Those that answer, each at an epoch of its own."""
        self._usual = usual
        self._engine = engine
        self._writing = writing
        """Held by whoever changes the roads; guards all that follows."""
        self._wanted: set[DrivingMode] = set()
        self._behind: dict[DrivingMode, list[Ints]] = {}
        """By mode: edges whose newest times its weights do not have yet."""
        self._unlabelled: dict[DrivingMode, Ints] = {}
        self._drive_ms: Ints = np.zeros((0, 0), np.int32)
        self._closed: Bools = np.zeros((0, 0), np.bool_)
        self._epoch = 0
        self._halted = False
        # An idle thread is told of work in a tenth of the time that a new one takes to start; none until the first.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="road repair")
        self._working = False
        self._done = threading.Event()
        self._done.set()
        self._ground: Ground | None = None
        self._edge_of_rank: Ints | None = None

    @classmethod
    def of(cls, usual: Roads, writing: threading.Lock) -> Repair | None:
        """None where there is no hierarchy."""
        return cls(usual, usual.engine, writing) if isinstance(usual.engine, HierarchyEngine) else None

    def begin(self, edges: Ints, drive_ms: Ints, closed: Bools, epoch: int) -> None:
        """Some edges have new times, of a new epoch; (M, E) arrays of all. Its caller holds the writer's lock."""
        if self._epoch == 0:
            # Modes that were asked for on the map's own times will be asked for again.
            self._wanted.update(mode for mode in DrivingMode if self._engine.weights(mode) is not None)
        self._drive_ms, self._closed, self._epoch = drive_ms, closed, epoch
        self._halted = False
        for behind in self._behind.values():
            behind.append(edges)
        self._start()

    def halt(self) -> None:
        """The arrays that `begin` was given are not what they should be, until it is called again: answers are
        searched for. Its caller holds the writer's lock."""
        self._halted = True
        self.modes.clear()
        self._behind.clear()
        self._unlabelled.clear()

    def want(self, mode: DrivingMode) -> None:
        """A question was asked in a mode that has no weights yet."""
        self._wanted.add(mode)
        if self._writing.acquire(blocking=False):
            try:
                self._start()
            finally:
                self._writing.release()

    @property
    def lag(self) -> int:
        """Epochs that the mode farthest behind has still to follow."""
        return (
            self._epoch
            if self._halted
            else max([self._epoch - one.reached for one in [*self.modes.values()]], default=0)
        )

    def wait(self, timeout_s: float | None) -> bool:
        return self._done.wait(timeout_s)

    def _start(self) -> None:
        self._done.clear()
        if not self._working:
            self._working = True
            self._worker.submit(self._run)

    def _run(self) -> None:
        try:
            while True:
                with self._writing:
                    job = self._job()
                    if job is None:
                        self._working = False
                        return
                job()
        except BaseException:
            with self._writing:
                self.halt()
                self._wanted.clear()
                self._working = False
            logging.getLogger(__name__).exception("the hierarchy could not follow the roads: answers are searched for")
            raise

    def _job(self) -> Callable[[], None] | None:
        """What is most urgent: times first, then modes that are wanted, then labels."""
        if self._halted:
            return None
        for mode, behind in self._behind.items():
            live = self.modes.get(mode)
            if live is not None and live.epoch != self._epoch:
                edges = np.unique(np.concatenate(behind)) if behind else np.zeros(0, np.int32)
                behind.clear()
                drive_ms, closed = self._drive_ms[mode.row, edges], self._closed[mode.row, edges]
                return partial(self._follow, live, Changes(edge=edges, drive_ms=drive_ms, closed=closed), self._epoch)
        for mode in self._wanted - set(self._behind):
            self._behind[mode] = [np.arange(self._usual.network.edges, dtype=np.int32)]
            return partial(self._make, mode)
        self._done.set()
        for mode, ranks in self._unlabelled.items():
            if len(ranks):
                self._unlabelled[mode] = ranks[RELABELLED_AT_ONCE:]
                return partial(self._relabel, mode, ranks[:RELABELLED_AT_ONCE])
        return None

    def _make(self, mode: DrivingMode) -> None:
        network, hierarchy = self._usual.network, self._engine.hierarchy
        if self._ground is None:
            self._ground = Ground(network)
        usual = self._engine.weights(mode)
        self.modes[mode] = LiveMode(network, self._usual.search.arcs, hierarchy, self._ground, mode, usual)

    def _follow(self, live: LiveMode, changes: Changes, epoch: int) -> None:
        self._unlabelled[live.mode] = live.follow(changes, epoch)

    def _relabel(self, mode: DrivingMode, ranks: Ints) -> None:
        if self._edge_of_rank is None:
            self._edge_of_rank = np.argsort(self._engine.hierarchy.rank).astype(np.int32)
        live = self.modes.get(mode)
        if live is not None:
            live.relabel(self._edge_of_rank[ranks])
