"""Compiled pass of the backup room: why each unit cannot go, or how long until it rolls."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def screen(
    preset, availability, officers, capability_bits, needed_bits, agency, aid_code, request_ms,
    fix_time, stale_after_s, edge, snap_m, on_foot, now, ready_ms, busy_ms, within_m, off_road_mps, stop_access_ms, codes,
    not_available, unmanned, lacks_capability, no_fix, stale_fix, off_map,
    delay_ms, slots,
):  # fmt: skip
    """Fills codes[n] (the first reason that holds, 0: may go) and delay_ms[n]; slots with code 0, rising.

    `preset` and `aid_code` hold what was decided before (on scene, by request; per agency). Returns how many may go.
    """
    count = 0
    for n in range(len(preset)):
        code = preset[n]
        if code == 0 and availability[n] == 2:
            code = not_available
        if code == 0 and officers[n] == 0:
            code = unmanned
        if code == 0:
            for w in range(len(needed_bits)):
                if capability_bits[n, w] & needed_bits[w] != needed_bits[w]:
                    code = lacks_capability
        if code == 0:
            code = aid_code[n]
        if code == 0 and fix_time[n] != fix_time[n]:
            code = no_fix
        if code == 0 and now - fix_time[n] > stale_after_s[n]:
            code = stale_fix
        if code == 0 and edge[n] < 0:
            code = off_map
        codes[n] = code
        off_road_m = max(0.0, snap_m[n] - within_m) if snap_m[n] == snap_m[n] else 0.0
        turnout_ms = ready_ms if availability[n] == 0 and not on_foot[n] else busy_ms
        access_ms = stop_access_ms + int(1000.0 * off_road_m / off_road_mps + 0.5)
        delay_ms[n] = np.int32(request_ms[agency[n]] + turnout_ms + access_ms)
        if code == 0:
            slots[count] = n
            count += 1
    return count
