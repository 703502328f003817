"""Is the fleet heard of as usual? A feed that is out or stands still, and units where the map has no roads.

Judged from a view alone, by agency: the same view and instant give the same judgement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geomatch.fleet import _rung_kernels as kernels
from geomatch.fleet._rung_kernels import ABLE, KNOWN, NEWEST, OFF_ROAD, SILENT_S
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.view import FleetView
from geomatch.model import Degraded, Rung
from geomatch.quantities import Floats, Seconds, UnixTime


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a view says, whenever it is asked."""

    view: FleetView | None
    by_agency: Floats
    """As the kernel fills it in."""
    usual_from: UnixTime
    """Until then some agency is ahead of the clock."""
    usual_until: UnixTime
    """From then on some agency is silent."""
    gaps: tuple[Degraded, ...]


class FleetRungs:
    """Remembers what the newest view says: asked again at another instant it costs two comparisons."""

    def __init__(self, limits: FleetLimits) -> None:
        self._limits = limits
        self._seen = _Seen(None, np.zeros((5, 0)), math.inf, -math.inf, ())

    def of(self, view: FleetView, now: UnixTime) -> tuple[Degraded, ...]:
        """By agency: gaps of the map first, then who is not heard. Two threads may both look: they see the same."""
        seen = self._seen
        if seen.view is not view:
            seen = self._seen = self._look(view)
        if seen.usual_from <= now <= seen.usual_until:
            return seen.gaps
        return (*seen.gaps, *_silent(view, seen.by_agency, now, self._limits.future_s))

    def _look(self, view: FleetView) -> _Seen:
        rungs, by_agency = self._limits.rungs, np.empty((5, len(view.agencies)))
        newest, silent, gaps = kernels.by_agency(
            view.agency, view.availability, view.fix_time, view.stale_after_s, view.outside, view.snap_m, rungs.far_m,
            rungs.silent_share, rungs.silent_units, rungs.gap_share, rungs.gap_units, by_agency,
        )  # fmt: skip
        found = _gaps(view, by_agency, rungs.gap_share, rungs.gap_units) if gaps else ()
        return _Seen(view, by_agency, newest - self._limits.future_s, silent, found)


def _gaps(view: FleetView, by_agency: Floats, share: float, least: int) -> tuple[Degraded, ...]:
    found = []
    for agency, off_road, known in zip(view.agencies, by_agency[OFF_ROAD], by_agency[KNOWN], strict=True):
        if off_road >= least and off_road >= share * known:
            says = "stand where the map has no roads: a district may be missing"
            detail = f"{off_road:.0f} of {known:.0f} units of {agency} {says}"
            found.append(Degraded(code=Rung.map_gap, agency=agency, units=int(off_road), detail=detail))
    return tuple(found)


def _silent(view: FleetView, by_agency: Floats, now: UnixTime, future_s: Seconds) -> list[Degraded]:
    found = []
    for a in np.flatnonzero(by_agency[NEWEST] > -np.inf).tolist():
        age_s, silent_s, units = now - by_agency[NEWEST, a], by_agency[SILENT_S, a], int(by_agency[ABLE, a])
        agency = view.agencies[a]
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
