"""Compiled pass of the fleet room: how each agency is heard of."""

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel

NOT_AVAILABLE = np.uint8(2)
"""model.Availability's place: a car that is off duty is silent, and that is no outage."""
NEWEST, SILENT_S, ABLE, KNOWN, OFF_ROAD = range(5)
"""Rows of what is filled in."""


@kernel
def by_agency(
    agency, availability, fix_time, stale_after_s, outside, snap_m,
    far_m, silent_share, silent_units, gap_share, gap_units, out,
):  # fmt: skip
    """Fills a column of out (5, A) for each agency: the newest fix of its units that could go (-inf: they are too few
    to tell), the age at which that is silence, how many they are; how many of its units report at all, and how many of
    these where there is no road. Returns (the newest fix of all, when the first agency falls silent, whether there are
    gaps). O(N): 1 us for 1,000.
    """
    out[:] = 0.0
    out[NEWEST] = -np.inf
    for n in range(len(agency)):
        a = agency[n]
        heard = fix_time[n] == fix_time[n]
        if not (heard or outside[n]):
            continue
        out[KNOWN, a] += 1.0
        if outside[n] or snap_m[n] > far_m:
            out[OFF_ROAD, a] += 1.0
        if heard and availability[n] != NOT_AVAILABLE:
            out[ABLE, a] += 1.0
            out[NEWEST, a] = max(out[NEWEST, a], fix_time[n])
            out[SILENT_S, a] = silent_share * stale_after_s[n]
    newest, silent, gaps = -np.inf, np.inf, False
    for a in range(out.shape[1]):
        if out[ABLE, a] < silent_units:
            out[NEWEST, a] = -np.inf
        else:
            newest = max(newest, out[NEWEST, a])
            silent = min(silent, out[NEWEST, a] + out[SILENT_S, a])
        gaps |= out[OFF_ROAD, a] >= gap_units and out[OFF_ROAD, a] >= gap_share * out[KNOWN, a]
    return newest, silent, gaps
