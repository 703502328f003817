"""Jurisdiction maps from GIS files: service boundary layers into service areas in a region's projected metres.

Names that differ from NENA's are mapped by a TOML file (see `field_mapping`). A layer is loaded whole or not at all:
a feature that cannot be used stops it, with the feature named, and `geomatch check` tells the rest.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomatch.aid.jurisdictions import AreaRule, Jurisdictions, ServiceArea, ServiceKind, kind_of_urn
from geomatch.errors import BadMap
from geomatch.maps.layers.field_mapping import AuthorityRule, FieldMapping, as_text, read_mapping
from geomatch.maps.layers.files import LayerTable, layer_names, read_table, to_lonlat, with_short_edges
from geomatch.maps.layers.usable import POLYGONS, check_usable, on_globe
from geomatch.quantities import Floats, Metres, Projection, UnixTime

ASSUMED_ACCURACY_M: Metres = 10.0
"""Where neither the call nor the mapping file says how well borders are drawn: told in the report."""
CHORD_M: Metres = 500.0
"""A straight border on a map is a curve in the region's metres: pieces of 500 m keep it within a centimetre."""
FAR_DEG = 5.0
"""A layer whose nearest border is farther than this from the region's centre belongs to another region."""


@dataclass(kw_only=True)
class LayerReport:
    """What was read, guessed and left out. Every guess is counted: nothing is filled in silently."""

    file: str
    layers: tuple[str, ...] = ()
    crs: tuple[str, ...] = ()
    kinds: dict[str, int] = field(default_factory=dict)
    """Areas by kind."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Features by the reason they are no service area: a ServiceURN of a service that is none of ours."""
    assumed: dict[str, int] = field(default_factory=dict)
    """Values filled in, by what they are."""
    warnings: list[str] = field(default_factory=list)


def read_jurisdictions(
    path: Path | str,
    *,
    projection: Projection,
    layer: str | None = None,
    mapping: Path | None = None,
    crs: str | None = None,
    accuracy_m: Metres | None = None,
) -> tuple[list[ServiceArea], LayerReport]:
    """Every service area of a file, in the order of agency, kind and NGUID. Raises BadMap, with nothing half-loaded.

    Without `layer`, a file of several reads all that bear a NENA service layer's name.
    """
    path = Path(path)
    names = read_mapping(mapping) if mapping else FieldMapping()
    report = LayerReport(file=path.name)
    if accuracy_m is None:
        accuracy_m = names.accuracy_m
    if accuracy_m is None:
        accuracy_m = ASSUMED_ACCURACY_M
        _count(report.assumed, "positional accuracy of 10 m for the whole file")
    areas: list[ServiceArea] = []
    for name in layer_names(path, layer):
        table = read_table(path, name, names, crs)
        areas += _areas(table, projection, accuracy_m, report)
        report.layers += (name,)
        report.crs += (table.crs.name,)
    if not areas:
        raise BadMap(f"{path.name} holds no service area: it has {sum(report.left_out.values())} features of no use")
    areas.sort(key=lambda area: (area.agency, area.kind, area.nguid, area.display_name, area.geometry.bounds))
    report.kinds = dict(Counter(str(area.kind) for area in areas))
    return areas, report


def load_jurisdictions(
    paths: Sequence[Path | str], *, projection: Projection, mapping: Path | None = None, crs: str | None = None
) -> tuple[Jurisdictions, list[LayerReport]]:
    """All the files of a region, indexed, with the authority rules of the mapping file."""
    areas: list[ServiceArea] = []
    reports = []
    for path in paths:
        some, report = read_jurisdictions(path, projection=projection, mapping=mapping, crs=crs)
        areas += some
        reports.append(report)
    rules = read_mapping(mapping).authority if mapping else ()
    return Jurisdictions(tuple(areas), authority_rules(rules, areas, projection)), reports


def authority_rules(
    rules: Iterable[AuthorityRule], areas: Iterable[ServiceArea], projection: Projection
) -> dict[str, AreaRule]:
    """Agency -> rule. Rules of one agency add up: the widest buffer, all corridors. Raises BadMap for one of nobody."""
    police = [area for area in areas if area.kind is ServiceKind.police]
    found: dict[str, AreaRule] = {}
    for rule in rules:
        agencies = {area.agency for area in police if rule.agency == area.agency or rule.urn == area.urn}
        if not agencies:
            raise BadMap(f"the authority rule of {rule.agency or rule.urn!r} is for no agency of the layer: correct it")
        corridors = _corridors(rule, projection) if rule.corridors else ()
        for agency in agencies:
            known = found.get(agency, AreaRule())
            found[agency] = AreaRule(
                buffer_m=max(known.buffer_m, rule.buffer_m), corridors=(*known.corridors, *corridors)
            )
    return found


def projected(lonlat: np.ndarray, projection: Projection) -> np.ndarray:
    """WGS 84 degrees into the region's metres."""

    def forward(points: Floats) -> Floats:
        return np.column_stack(projection.forward(points[:, 0], points[:, 1]))

    return shapely.transform(lonlat, forward)


def parse_date(value: Any) -> tuple[UnixTime | None, bool]:
    """Unix time of a date cell and whether it named its offset; without one it counts as UTC. None: no date at all."""
    text = as_text(value)
    if text is None:
        return None, True
    text = re.sub(
        r"^(\d{4})[/-](\d{1,2})[/-](\d{1,2})", lambda m: f"{m[1]}-{int(m[2]):02}-{int(m[3]):02}", text.strip()
    )
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.timestamp(), True
        return moment.replace(tzinfo=UTC).timestamp(), False
    except (ValueError, OverflowError):
        return None, False


def _areas(table: LayerTable, projection: Projection, accuracy_m: Metres, report: LayerReport) -> list[ServiceArea]:
    lonlat, said = to_lonlat(table)
    report.warnings += said
    check_usable(
        table, lonlat, types=POLYGONS, noun="plain polygon", also={"a broken outline": ~shapely.is_valid(lonlat)},
        cure="run `geomatch check` on it, and mend them at the source",
    )  # fmt: skip
    _check_near(table, lonlat, projection)
    lonlat, _ = to_lonlat(with_short_edges(table, CHORD_M))
    shapes = projected(lonlat, projection)
    rows = []
    for row in range(table.features):
        area = _area(table, row, shapes[row], accuracy_m, report)
        if area is not None:
            rows.append(area)
    return rows


def _area(table: LayerTable, row: int, shape: Any, accuracy_m: Metres, report: LayerReport) -> ServiceArea | None:
    def cell(name: str) -> str:
        return (as_text(table.columns[name][row]) or "").strip() if name in table.columns else ""

    schema = table.schema
    urn = cell("ServiceURN")
    kind = kind_of_urn(urn) if urn else schema.kind if schema else None
    if schema and schema.kind is ServiceKind.provisioning:
        kind = ServiceKind.provisioning
    if kind is None and urn:
        _count(report.left_out, f"ServiceURN {urn}")
        return None
    name = cell("NGUID") or cell("DsplayName") or f"in row {row + 1}"
    if kind is None:
        raise BadMap(
            f"layer {table.name!r}: feature {name} has no ServiceURN: map it, or name the layer in the mapping"
        )
    if not urn and kind is not ServiceKind.provisioning:
        urn = (
            "urn:emergency:service:sos.psap" if kind is ServiceKind.psap else f"urn:emergency:service:responder.{kind}"
        )
        _count(report.assumed, f"ServiceURN {urn}")
    agency = cell("DiscrpAgID") if kind is ServiceKind.provisioning else cell("Agency_ID")
    if not agency:
        raise BadMap(
            f"layer {table.name!r}: feature {name} names no agency: fill Agency_ID, or map it in the mapping file"
        )
    return ServiceArea(
        agency=agency,
        kind=kind,
        geometry=shape,
        urn=urn,
        uri=cell("ServiceURI"),
        display_name=cell("DsplayName"),
        nguid=cell("NGUID"),
        discrepancy_agency=cell("DiscrpAgID"),
        effective=_date(table, "Effective", row, name, report),
        expire=_date(table, "Expire", row, name, report),
        accuracy_m=accuracy_m,
    )


def _date(table: LayerTable, column: str, row: int, name: str, report: LayerReport) -> UnixTime | None:
    if column not in table.columns or as_text(table.columns[column][row]) is None:
        return None
    time, zoned = parse_date(table.columns[column][row])
    if time is None:
        raise BadMap(f"layer {table.name!r}: {column} of feature {name} is no date: write it as 2026-03-07T22:15:00Z")
    if not zoned:
        _count(report.assumed, f"{column} without an offset taken as UTC")
    return time


def _count(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1


def _check_near(table: LayerTable, lonlat: np.ndarray, projection: Projection) -> None:
    """A layer of another region, or one with its axes swapped, which is a valid place elsewhere on the globe."""
    if not len(lonlat):
        return
    west, south, east, north = shapely.total_bounds(lonlat)
    centre = projection.centre
    if _gap(west, east, centre.lon) <= FAR_DEG and _gap(south, north, centre.lat) <= FAR_DEG:
        return
    if _gap(west, east, centre.lat) <= FAR_DEG and _gap(south, north, centre.lon) <= FAR_DEG:
        raise BadMap(f"layer {table.name!r} has latitude before longitude: write longitude first")
    raise BadMap(
        f"layer {table.name!r} lies more than {FAR_DEG:g} degrees from the region: it is of another region, or its "
        f"coordinate system is not {table.crs.name}"
    )


def _gap(low: float, high: float, value: float) -> float:
    return max(low - value, value - high, 0.0)


def _corridors(rule: AuthorityRule, projection: Projection) -> tuple[BaseGeometry, ...]:
    path = rule.corridors
    assert path is not None  # noqa: S101 - asked by the only caller
    shapes: list[BaseGeometry] = []
    for name in layer_names(path, None):
        table = read_table(path, name, FieldMapping(), None)
        lonlat, _ = to_lonlat(table)
        if not on_globe(lonlat).all():
            raise BadMap(f"the corridors of {path.name} hold a feature that is nowhere on the globe: mend the layer")
        flat, _ = to_lonlat(with_short_edges(table, CHORD_M))
        shapes += shapely.buffer(projected(flat, projection), rule.corridor_m, quad_segs=16).tolist()
    if not shapes or any(shape.is_empty for shape in shapes):
        raise BadMap(f"the corridors of {path.name} have no width: give corridor_m, in metres on either side")
    return tuple(shapes)
