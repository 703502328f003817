"""The built-in shift, told to whatever takes it: fixes in batches, statuses, stops that are ranked and assigned to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from geomatch.errors import GeomatchError
from geomatch.fleet.files import read_fleet
from geomatch.fleet.shift import SaidStatus, StopMade, StopOver, read_shift
from geomatch.journal.recorder import Recorder
from geomatch.model import Fix


@dataclass
class Clock:
    """Stands where it is put."""

    time: float = 0.0

    def __call__(self) -> float:
        return self.time


def tell_shift(
    recorder: Recorder,
    clock: Clock,
    data: Path,
    *,
    lines: int,
    restart_at: int = -1,
    restart: Callable[[], Recorder] | None = None,
) -> Recorder:
    """Tells the first lines of the shift; the clock follows the shift's. Gives the recorder that told the last.

    Every ranking is in the journal before the next line is told, so that the lines come in one order.
    """
    recorder.register([state.unit for state in read_fleet(data / "metro" / "fleet.geojson")])
    waiting: list[Fix] = []
    for number, said in enumerate(read_shift(data / "metro" / "shift.ndjson.gz")):
        if number >= lines:
            break
        if number == restart_at and restart is not None:
            recorder.close()
            recorder = restart()
        if isinstance(said, Fix):
            clock.time = max(clock.time, said.time)
            waiting.append(said)
            if len(waiting) < 40:
                continue
        if waiting:
            recorder.update(waiting, now=clock.time)
            waiting = []
        if isinstance(said, SaidStatus):
            clock.time = max(clock.time, said.status.at)
            status = said.status
            recorder.set_status(said.unit, availability=status.availability, activity=status.activity, at=status.at)
        elif isinstance(said, StopMade):
            clock.time = said.time
            _stop(recorder, said)
        elif isinstance(said, StopOver):
            clock.time = said.time
            recorder.stops.clear(said.stop, at=said.time)
        recorder.journal.flush()
    return recorder


def _stop(recorder: Recorder, made: StopMade) -> None:
    stop, now = made.stop, made.time
    recorder.open_stop(stop, at=now)
    ranking = recorder.rank(stop, k=5, now=now, with_routes=len(stop.id) % 2 == 0)
    recorder.rank(stop, k=2, now=now, exclude_units=[c.unit for c in ranking.candidates[:1]])
    recorder.rank_units(stop, recorder.states()[:20], now=now)
    for candidate in ranking.candidates[:2]:
        # The second may be lost to the first: it was decided on the same version.
        with suppress(GeomatchError):
            assignment = recorder.assign(stop.id, candidate.unit, version=ranking.version or 0, at=now)
            recorder.stops.advance(assignment.id, "en_route", at=now)
