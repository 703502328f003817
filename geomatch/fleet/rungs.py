"""Is the fleet heard of as usual? A feed that is out or stands still, and units where the map has no roads.

Judged from a view alone, by agency: the same view and instant give the same judgement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geomatch.fleet import _rung_kernels as kernels
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.view import FleetView
from geomatch.model import Degraded, Rung
from geomatch.quantities import Floats, Longs, Seconds, UnixTime


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a view says, whenever it is asked."""

    view: FleetView | None
    newest: Floats
    """(A,) of each agency; -inf where it has too few units to tell."""
    silent_s: Floats
    """(A,) so old the newest fix may be."""
    able: Longs
    quiet_from: UnixTime
    """Until then some agency is ahead of the clock."""
    quiet_until: UnixTime
    """From then on some agency is silent."""
    gaps: tuple[Degraded, ...]


class FleetRungs:
    """Remembers what the newest view says: asked again at another instant it costs two comparisons."""

    def __init__(self, limits: FleetLimits) -> None:
        self._limits = limits
        none = np.zeros(0)
        self._seen = _Seen(
            view=None, newest=none, silent_s=none, able=np.zeros(0, np.int64), quiet_from=math.inf,
            quiet_until=-math.inf, gaps=(),
        )  # fmt: skip

    def of(self, view: FleetView, now: UnixTime) -> tuple[Degraded, ...]:
        """By agency: gaps of the map first, then who is not heard. Two threads may both look: they see the same."""
        seen = self._seen
        if seen.view is not view:
            seen = self._seen = self._look(view)
        if seen.quiet_from <= now <= seen.quiet_until:
            return seen.gaps
        return (*seen.gaps, *_silent(view, seen, now, self._limits.future_s))

    def _look(self, view: FleetView) -> _Seen:
        rungs, agencies = self._limits.rungs, len(view.agencies)
        newest, limit_s = np.full(agencies, -np.inf), np.full(agencies, np.inf)
        able, known, off_road = np.zeros((3, agencies), np.int64)
        kernels.count_by_agency(
            view.agency, view.availability, view.fix_time, view.stale_after_s, view.outside, view.snap_m, rungs.far_m,
            newest, limit_s, able, known, off_road,
        )  # fmt: skip
        judged = able >= rungs.silent_units
        newest[~judged] = -np.inf
        silent_s = rungs.silent_share * limit_s
        return _Seen(
            view=view, newest=newest, silent_s=silent_s, able=able,
            quiet_from=float(newest.max(initial=-np.inf)) - self._limits.future_s,
            quiet_until=float((newest[judged] + silent_s[judged]).min(initial=np.inf)),
            gaps=tuple(
                _gap(view.agencies[a], int(off_road[a]), int(known[a]))
                for a in np.flatnonzero((off_road >= rungs.gap_units) & (off_road >= rungs.gap_share * known)).tolist()
            ),
        )  # fmt: skip


def _gap(agency: str, off_road: int, known: int) -> Degraded:
    return Degraded(
        code=Rung.map_gap, agency=agency, units=off_road,
        detail=f"{off_road} of {known} units of {agency} stand where the map has no roads: a district may be missing",
    )  # fmt: skip


def _silent(view: FleetView, seen: _Seen, now: UnixTime, future_s: Seconds) -> list[Degraded]:
    found = []
    for a in np.flatnonzero(seen.newest > -np.inf).tolist():
        age_s, silent_s, units, agency = now - seen.newest[a], seen.silent_s[a], int(seen.able[a]), view.agencies[a]
        if age_s < -future_s:
            detail = f"fixes of {agency} are {-age_s:.0f} s ahead of this clock: correct the one that is wrong"
            found.append(Degraded(code=Rung.clock_ahead, agency=agency, units=units, detail=detail))
        elif age_s > silent_s:
            # Heard after that fix, and not long ago: what comes says nothing new.
            frozen = now - view.last_message.get(agency, -math.inf) <= silent_s
            code = Rung.feed_frozen if frozen else Rung.avl_outage
            says = "messages come, but bring nothing newer: its feed stands still" if frozen else "its AVL may be out"
            detail = f"none of {units} units of {agency} has a fix of the last {int(age_s)} s; {says}"
            found.append(Degraded(code=code, agency=agency, units=units, detail=detail))
    return found
