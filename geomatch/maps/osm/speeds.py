"""Posted speeds in every spelling OpenStreetMap uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from geomatch.maps.streets.speeds import KPH_OF_MPH

KPH_OF_KNOT = 1.852
WALK_KPH = 5.0
UNLIMITED_KPH = 130.0
"""maxspeed=none: the advisory speed of the German motorways, where nearly all of these signs stand."""

NO_FIGURE = frozenset({"signals", "signs", "variable", "electronic"})
"""Values that say the limit changes: nothing to read, nothing wrong with them."""

_NUMBER = re.compile(r"(\d{1,3}(?:[.,]\d+)?)\s*(km/h|kmh|kph|kmph|mph|mi/h|knots?|kn)?")
_ZONE_NUMBER = re.compile(r"(?:zone|sign|)[:_ ]?(\d{1,3})(?:\s*(mph))?")
_ZONE_CODE = re.compile(r"([a-z]{2})(-[a-z]{2,4})?[:_](.+)")

# Implicit limits of national road codes, as the OpenStreetMap wiki's "Default speed limits" gives them: urban is 50
# and a living street is 20 unless listed. A country missing here takes the row of "".
_ZONES_KPH: Mapping[str, Mapping[str, float]] = MappingProxyType({
    "": {
        "urban": 50, "rural": 90, "trunk": 100, "motorway": 120, "living_street": 20, "bicycle_road": 30,
        "cyclestreet": 30, "pedestrian_zone": 20, "school": 30,
    },
    "ar": {"rural": 110, "urban": 40, "urban:primary": 60, "urban:secondary": 60, "motorway": 120},
    "at": {"rural": 100, "trunk": 100, "motorway": 130, "living_street": WALK_KPH},
    "au": {"rural": 100, "motorway": 110, "living_street": 10, "school": 40},
    "be": {"rural": 90, "trunk": 120, "be-vlg:rural": 70, "be-bru:rural": 70, "be-bru:urban": 30, "motorway": 120},
    "bg": {"trunk": 120, "motorway": 140},
    "by": {"urban": 60, "motorway": 110},
    "ca": {
        "rural": 80, "motorway": 100, "ca-ab:rural": 90, "ca-ab:urban": 65, "ca-mb:rural": 90, "ca-qc:rural": 75,
        "nsl": 80,
    },
    "ch": {"rural": 80, "motorway": 120},
    "cz": {"trunk": 110, "motorway": 130, "urban_motorway": 80, "urban_trunk": 80},
    "de": {"rural": 100, "motorway": UNLIMITED_KPH, "living_street": WALK_KPH},
    "dk": {"rural": 80, "motorway": 130, "living_street": 15},
    "es": {"trunk": 90, "motorway": 120},
    "fi": {"rural": 80, "motorway": 120},
    "fr": {"rural": 80, "trunk": 110, "motorway": 130},
    "gb": {
        "nsl_single": 60 * KPH_OF_MPH, "nsl_dual": 70 * KPH_OF_MPH, "nsl_restricted": 30 * KPH_OF_MPH,
        "urban": 30 * KPH_OF_MPH, "rural": 60 * KPH_OF_MPH, "motorway": 70 * KPH_OF_MPH,
    },
    "gr": {"trunk": 110, "motorway": 130},
    "hr": {"trunk": 110, "motorway": 130, "living_street": 10},
    "hu": {"trunk": 110, "motorway": 130},
    "ie": {"rural": 80, "motorway": 120},
    "it": {"trunk": 110, "motorway": 130},
    "jp": {"urban": 60, "rural": 60, "nsl": 60, "motorway": 100, "express": 100},
    "mt": {"rural": 80},
    "nl": {"rural": 80, "motorway": 100, "living_street": 15},
    "no": {"rural": 80, "motorway": 110},
    "nz": {"rural": 100, "motorway": 100},
    "ph": {"rural": 80, "urban": 30, "express": 100, "motorway": 100},
    "pl": {"motorway": 140},
    "pt": {"motorway": 120},
    "ro": {"trunk": 100, "motorway": 130},
    "rs": {"rural": 80, "motorway": 130, "living_street": 10},
    "ru": {"urban": 60, "motorway": 110},
    "se": {"rural": 70, "motorway": 110},
    "si": {"trunk": 110, "motorway": 130, "living_street": 10},
    "sk": {"trunk": 90, "motorway": 130, "motorway_urban": 90},
    "tr": {"trunk": 110, "motorway": 130},
    "ua": {"trunk": 110, "motorway": 130},
    "uz": {"rural": 100, "urban": 70, "motorway": 110, "living_street": 30},
    "za": {"urban": 60, "rural": 100, "motorway": 120},
})  # fmt: skip


def speed_kph(text: str) -> float | None:
    """The limit a maxspeed value states, or None where it states none that can be read.

    Of several values ("50;30", "60|80") the lowest holds. Zone codes are read as in the country they name.
    """
    speeds = [_one_speed_kph(part.strip()) for part in re.split(r"[;|]", text.lower()) if part.strip()]
    read = [speed for speed in speeds if speed is not None]
    return min(read) if read and len(read) == len(speeds) else None


def _one_speed_kph(text: str) -> float | None:
    if text in ("none", "unlimited"):
        return UNLIMITED_KPH
    if text in ("walk", "walking", "walking_pace", "schritt"):
        return WALK_KPH
    if number := _NUMBER.fullmatch(text):
        return plausible_kph(float(number[1].replace(",", ".")) * _KPH_OF[number[2] or "km/h"])
    if code := _ZONE_CODE.fullmatch(text):
        return _zone_kph(code[1], code[2] or "", code[3])
    return None


_KPH_OF: Mapping[str, float] = MappingProxyType({
    "km/h": 1.0, "kmh": 1.0, "kph": 1.0, "kmph": 1.0, "mph": KPH_OF_MPH, "mi/h": KPH_OF_MPH,
    "knot": KPH_OF_KNOT, "knots": KPH_OF_KNOT, "kn": KPH_OF_KNOT,
})  # fmt: skip


def _zone_kph(country: str, part: str, zone: str) -> float | None:
    if number := _ZONE_NUMBER.fullmatch(zone):
        in_mph = number[2] or country in ("gb", "uk")
        return plausible_kph(float(number[1]) * (KPH_OF_MPH if in_mph else 1.0))
    if country == "us":
        return None  # each state, often each city, has its own
    rows = _ZONES_KPH.get("gb" if country == "uk" else country, {})
    return rows.get(f"{country}{part}:{zone}", rows.get(zone, _ZONES_KPH[""].get(zone)))


def plausible_kph(speed: float) -> float | None:
    """The speed where a road can have it, as nan, zero and 500 cannot."""
    return speed if 1.0 <= speed <= 200.0 else None
