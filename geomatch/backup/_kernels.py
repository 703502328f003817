"""Compiled pass of the backup room: why each unit cannot go, or where it starts and how long until it rolls."""

from __future__ import annotations

import numpy as np

from geomatch.compiled import kernel

# Reason.code of each, written out: they are compiled in, and numba's cache on disk sees changes of this file alone.
NOT_AVAILABLE = np.uint8(5)
UNMANNED = np.uint8(6)
LACKS_CAPABILITY = np.uint8(7)
NO_FIX = np.uint8(18)
STALE_FIX = np.uint8(19)
OFF_MAP = np.uint8(20)


@kernel
def screen(
    preset, availability, officers, capability_bits, needed_bits, judged_as, aid_code, request_ms,
    fix_time, stale_after_s, outside, snap_m,
    on_foot, to_car_m, edge, fraction, other, other_fraction,
    now, ready_ms, busy_ms, stop_access_ms, on_road_within_m, off_road_mps, walk_mps,
    codes, of_code, turnout_ms, access_ms, slots, place_edge, place_fraction, delay_ms,
):  # fmt: skip
    """Fills codes[n]: the first reason that holds, in the order of model.Reason; 0: may go. of_code counts them.

    `preset` and `aid_code` were decided before (on scene, by request; by agreement); an empty `preset` is none at all.
    aid_code and request_ms are by judgement: unit n has that of judged_as[n].
    For each unit that may go, in slot order, fills a row of slots, place_edge, place_fraction and delay_ms = request +
    turnout + access. Returns how many rows. turnout_ms and access_ms are by slot.
    """
    count = 0
    for n in range(len(codes)):
        code = preset[n] if len(preset) else np.uint8(0)
        if code == 0 and availability[n] == 2:
            code = NOT_AVAILABLE
        if code == 0 and officers[n] == 0:
            code = UNMANNED
        if code == 0:
            for w in range(len(needed_bits)):
                if capability_bits[n, w] & needed_bits[w] != needed_bits[w]:
                    code = LACKS_CAPABILITY
        if code == 0:
            code = aid_code[judged_as[n]]
        if code == 0 and fix_time[n] != fix_time[n]:
            code = OFF_MAP if outside[n] else NO_FIX
        # A report from outside the map is mostly a glitch: while the fix before it is fresh, that one counts.
        if code == 0 and now - fix_time[n] > stale_after_s[n]:
            code = OFF_MAP if outside[n] else STALE_FIX
        if code == 0 and edge[n] < 0:
            code = OFF_MAP
        codes[n] = code
        of_code[code] += 1
        # Kept in registers: read back from the arrays they would take a third longer.
        turnout = np.int32(ready_ms if availability[n] == 0 and not on_foot[n] else busy_ms)
        access = np.int32(stop_access_ms)
        if snap_m[n] > on_road_within_m:
            access += np.int32(1000.0 * (snap_m[n] - on_road_within_m) / off_road_mps + 0.5)
        if to_car_m[n] > 0.0:  # never for NaN
            access += np.int32(1000.0 * to_car_m[n] / walk_mps + 0.5)
        turnout_ms[n] = turnout
        access_ms[n] = access
        if code == 0:
            slots[count] = n
            place_edge[count, 0] = edge[n]
            place_edge[count, 1] = other[n]
            place_fraction[count, 0] = fraction[n]
            place_fraction[count, 1] = other_fraction[n]
            delay_ms[count] = np.int32(request_ms[judged_as[n]] + turnout + access)
            count += 1
    return count
