"""Compiled pass of the fleet room: how each agency is heard of."""

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel

NOT_AVAILABLE = np.uint8(2)
"""model.Availability's place: a car that is off duty is silent, and that is no outage."""


@kernel
def count_by_agency(
    agency, availability, fix_time, stale_after_s, outside, snap_m, far_m, newest, limit_s, able, known, off_road
):
    """By agency: the newest fix of units that could go and the age at which it is stale, how many these are, how many
    units report at all, and how many of them where there is no road. O(N): 2 us for 1,000."""
    for n in range(len(agency)):
        a = agency[n]
        heard = fix_time[n] == fix_time[n]
        if not (heard or outside[n]):
            continue
        known[a] += 1
        if outside[n] or snap_m[n] > far_m:
            off_road[a] += 1
        if heard and availability[n] != NOT_AVAILABLE:
            able[a] += 1
            newest[a] = max(newest[a], fix_time[n])
            limit_s[a] = stale_after_s[n]
