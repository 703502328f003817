"""Measures that devices speak in, and how a time of day becomes a time."""

from __future__ import annotations

from functools import reduce
from operator import xor

from geomatch.quantities import Seconds, UnixTime

MPS_PER_KNOT = 1852 / 3600
MPS_PER_MPH = 1609.344 / 3600
MPS_PER_KPH = 1 / 3.6
METRES_PER_FOOT = 0.3048
DAY_S = 86_400.0


def xor_of(text: bytes) -> int:
    """The checksum of NMEA and TAIP: all bytes, one by one."""
    return reduce(xor, text, 0)


def on_nearest_day(time_of_day_s: Seconds, received: UnixTime) -> UnixTime:
    """The time nearest to `received` at which a UTC clock shows this: a message just before midnight may come after it.

    Right while a message is under way for less than 12 hours and the clocks differ by less.
    """
    midnight = received - received % DAY_S
    days = (midnight - DAY_S, midnight, midnight + DAY_S)
    return max(0.0, min((day + time_of_day_s for day in days), key=lambda time: abs(time - received)))
