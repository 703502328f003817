"""The fields of a NENA `RoadCenterLine` and what each says to a driver: class, direction, speed, name, dates.

The schema (NENA-STA-006.3) has no level, turn table, signal or access field. SpeedLimit is a whole number of "MPH or
km/h", and which of the two is in no field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from geomatch.errors import BadInput, BadMap
from geomatch.maps.layers.field_mapping import as_text
from geomatch.maps.layers.files import LayerTable
from geomatch.maps.layers.jurisdictions import parse_date
from geomatch.maps.streets.source import ReadReport
from geomatch.maps.streets.speeds import KPH_OF_MPH
from geomatch.quantities import Bools, Floats, UnixTime
from geomatch.road.network import EdgeFlag, RoadClass

ROAD_FIELDS = (
    "NGUID", "DiscrpAgID", "Effective", "Expire", "St_PreMod", "St_PreDir", "St_PreTyp", "St_PreSep", "St_Name",
    "St_PosTyp", "St_PosDir", "St_PosMod", "LSt_PreDir", "LSt_Name", "LSt_Typ", "LSt_PosDir", "Country_L",
    "Country_R", "RoadClass", "OneWay", "SpeedLimit",
)  # fmt: skip

_NAME_PARTS = (
    "St_PreMod", "St_PreDir", "St_PreTyp", "St_PreSep", "St_Name", "St_PosTyp", "St_PosDir", "St_PosMod",
)  # fmt: skip
_LEGACY_NAME_PARTS = ("LSt_PreDir", "LSt_Name", "LSt_Typ", "LSt_PosDir")

RoadKind = tuple[RoadClass, int]
"""Class and EdgeFlag bits."""

LOCAL: RoadKind = (RoadClass.residential, 0)
ROAD_KINDS: Mapping[str, RoadKind | None] = MappingProxyType({
    "primary": (RoadClass.motorway, 0),
    "secondary": (RoadClass.secondary, 0),
    "local": LOCAL,
    "ramp": (RoadClass.motorway, int(EdgeFlag.ramp)),
    "service drive": (RoadClass.unclassified, 0),
    "alley": (RoadClass.service, 0),
    "private": (RoadClass.service, int(EdgeFlag.private)),
    "parking lot": (RoadClass.service, int(EdgeFlag.destination)),
    "other": LOCAL,
    **dict.fromkeys((
        "vehicular trail", "walkway/pedestrian trail", "stairway", "bike path or trail", "bridle path",
    )),
})  # fmt: skip
"""RoadClass in lower case -> what it is; None: no patrol car drives there.

After the Census feature classes that the domain is made of: Primary is S1100, limited access, so a motorway, but one
drawn as a single two-way line is a trunk road; a Service Drive is S1640, the frontage road of a highway; Vehicular
Trail is S1500, for four-wheel drive only; Alley S1730 and Parking Lot S1780 are what OpenStreetMap calls service.
"""

_MPH_COUNTRIES = frozenset({"US", "PR", "VI", "GU", "AS", "MP", "UM", "GB", "IM", "JE", "GG"})
KPH_OF_UNIT: Mapping[str, float] = MappingProxyType({"mph": KPH_OF_MPH, "kph": 1.0})
FASTEST_KPH = 200.0


def cells(table: LayerTable, field: str) -> list[str]:
    """(F,) text of a column, blank where there is none."""
    if field not in table.columns:
        return [""] * table.features
    return [(as_text(value) or "").strip() for value in table.columns[field]]


def drivable(table: LayerTable, report: ReadReport) -> Bools:
    """(F,) False for the classes no patrol car drives on, counted."""
    said = cells(table, "RoadClass")
    shut = [ROAD_KINDS.get(text.lower(), LOCAL) is None for text in said]
    for text, is_shut in zip(said, shut, strict=True):
        if is_shut:
            report.counts[f"ways left out: RoadClass {text}"] += 1
    return ~np.array(shut, bool)


def road_kinds(table: LayerTable, two_way: Bools, report: ReadReport) -> list[RoadKind]:
    """(F,) kinds of drivable features. A class that is blank, Other or unknown counts as Local, and is told."""
    kinds = []
    for row, said in enumerate(cells(table, "RoadClass")):
        kind = ROAD_KINDS.get(said.lower()) or LOCAL
        if said.lower() not in ROAD_KINDS or said.lower() == "other":
            report.counts["ways of RoadClass Other or none that is known, taken as Local"] += 1
        if said and said.lower() not in ROAD_KINDS:
            report.unread_values[f"RoadClass={said}"] += 1
        elif kind == (RoadClass.motorway, 0) and two_way[row]:
            kind = (RoadClass.trunk, 0)
        kinds.append(kind)
    return kinds


_ONE_WAY: Mapping[str, tuple[bool, bool]] = MappingProxyType(
    {"B": (True, True), "FT": (True, False), "TF": (False, True)}
)


def open_directions(table: LayerTable, report: ReadReport) -> Bools:
    """(2, F) open along the line as digitised, and against it. Blank or unread is both ways, and is told."""
    said = [text.upper() for text in cells(table, "OneWay")]
    if blank := said.count(""):
        report.counts["ways without OneWay, taken as two-way"] += blank
    for text in said:
        if text and text not in _ONE_WAY:
            report.unread_values[f"OneWay={text}"] += 1
    unread = sum(1 for text in said if text and text not in _ONE_WAY)
    if unread:
        report.warnings.append(
            f"{unread} features of layer {table.name!r} have a OneWay that is none of B, FT and TF, and were taken "
            "as two-way: correct them, or a car is sent against the traffic"
        )
    return np.array([_ONE_WAY.get(text, (True, True)) for text in said], bool).reshape(-1, 2).T


def speeds_kph(table: LayerTable, unit: str | None, report: ReadReport) -> Floats:
    """(F,) SpeedLimit in km/h, NaN where none is posted. `unit` is "mph" or "kph"; None: by Country_L and Country_R.

    Raises BadMap where neither says.
    """
    if unit not in {None, *KPH_OF_UNIT}:
        raise BadInput(f'speed_unit must be "mph" or "kph", not {unit!r}')
    speeds = np.full(table.features, math.nan)
    figures = [_figure(text, report) for text in cells(table, "SpeedLimit")]
    posted = [row for row, figure in enumerate(figures) if figure is not None]
    if not posted:
        return speeds
    units = _units(table, posted, unit, report)
    for row in posted:
        speed = float(figures[row] or 0.0) * KPH_OF_UNIT[units[row]]
        if 1.0 <= speed <= FASTEST_KPH:
            speeds[row] = speed
        else:
            report.unread_values[f"SpeedLimit={figures[row]:g} {units[row]}"] += 1
    return speeds


def _figure(text: str, report: ReadReport) -> float | None:
    """0 stands for "not posted" in many layers, though the standard begins at 1."""
    if re.fullmatch(r"\d{1,4}(\.\d+)?", text):
        return float(text) or None
    if text:
        report.unread_values[f"SpeedLimit={text}"] += 1
    return None


def _units(table: LayerTable, posted: list[int], given: str | None, report: ReadReport) -> dict[int, str]:
    left, right = cells(table, "Country_L"), cells(table, "Country_R")
    by_country: dict[int, str] = {}
    mixed = 0
    for row in posted:
        countries = [country.upper() for country in (left[row], right[row]) if country]
        found = ["mph" if country in _MPH_COUNTRIES else "kph" for country in countries]
        mixed += len(set(found)) > 1
        if found:
            by_country[row] = found[0]
    if given is not None:
        against = sum(1 for said in by_country.values() if said != given)
        if against:
            report.warnings.append(
                f"speed limits were read in {given}, as told, though {against} of {len(posted)} features lie in a "
                "country that posts the other unit: check the unit"
            )
        return dict.fromkeys(posted, given)
    units = set(by_country.values())
    if not units or (len(units) > 1 and len(by_country) < len(posted)):
        raise BadMap(
            f"layer {table.name!r} does not say whether its SpeedLimit is in miles or kilometres an hour: "
            "give the speed unit, mph or kph"
        )
    if len(units) > 1 or mixed:
        report.warnings.append(
            f"layer {table.name!r} lies in countries that post mph and km/h: each SpeedLimit was read in the unit of "
            f"its Country_L ({sum(1 for said in by_country.values() if said == 'mph')} of {len(posted)} in mph); "
            "give the speed unit if all are in one"
        )
    only = next(iter(units))
    report.counts[f"ways with SpeedLimit in {only}, as their country posts it" if len(units) == 1 else
                  "ways with SpeedLimit in the unit of their country"] += len(posted)  # fmt: skip
    return {row: by_country.get(row, only) for row in posted}


def names(table: LayerTable) -> list[str]:
    """(F,) St_PreMod St_PreDir St_PreTyp St_PreSep St_Name St_PosTyp St_PosDir St_PosMod with single spaces between.

    Where St_Name is blank, the legacy fields in the same way.
    """
    columns = {field: cells(table, field) for field in (*_NAME_PARTS, *_LEGACY_NAME_PARTS)}
    found = []
    for row in range(table.features):
        parts = _NAME_PARTS if columns["St_Name"][row] else _LEGACY_NAME_PARTS
        found.append(" ".join(" ".join(columns[part][row] for part in parts).split()))
    return found


def in_force(table: LayerTable, at: UnixTime | None, report: ReadReport) -> Bools:
    """(F,) not before Effective, and before Expire. Without a time every feature is in force, and that is told."""
    force: Bools = np.ones(table.features, bool)
    dated = 0
    for field in ("Effective", "Expire"):
        for row, text in enumerate(cells(table, field)):
            if not text:
                continue
            time, zoned = parse_date(text)
            if time is None:
                raise BadMap(f"layer {table.name!r}: {field} of a feature is no date: write it as 2026-03-07T22:15:00Z")
            if not zoned:
                report.counts[f"ways with {field} without an offset, taken as UTC"] += 1
            dated += 1
            if at is not None and (time > at if field == "Effective" else time <= at):
                why = "not yet in effect" if field == "Effective" else "expired"
                report.counts[f"ways left out: {why}"] += int(force[row])
                force[row] = False
    if dated and at is None:
        report.warnings.append(
            f"layer {table.name!r} has {dated} dates in Effective and Expire, and none was applied: "
            "give the time of the build"
        )
    return force
