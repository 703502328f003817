"""Who is responsible where: service areas of police, PSAPs, fire and EMS, indexed, in a region's projected metres.

Three geometries are kept apart. The service area is where an agency is responsible; the authority area is where its
officers hold powers (the service area, so many metres beyond it, and corridors); an aid area is where an agreement
lets it help, drawn by the same kind of rule from anybody's service area.

Where sheriff, state and city overlap, the most specific service wins (see `services.specificity`). Ties go to the
agency with the smaller service area in force, then by agency id; of one agency's polygons the smallest names the beat.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cmp_to_key
from pathlib import Path
from types import MappingProxyType

import numpy as np
import shapely
from shapely import MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from geomatch.aid.area_layer import NOISE_M, AreaLayer, area_layer, before, in_core
from geomatch.aid.service_area import AreaRule, Located, Note, ServiceArea
from geomatch.aid.services import ServiceKind, kind_of_urn
from geomatch.errors import BadMap, BadRegion, UnknownAgency
from geomatch.quantities import Floats, Ints, Metres, UnixTime

__all__ = ["MILE_M", "AreaRule", "Jurisdictions", "Located", "Note", "ServiceArea", "ServiceKind", "kind_of_urn"]

MILE_M: Metres = 1609.344
"""Where a statute gives officers powers "one mile beyond the limits"."""
_VERSION = 1
_TEXT, _WKB, _FIRST = "jurisdictions.json", "jurisdictions.wkb.npy", "jurisdictions.first.npy"
_PLAIN = tuple(f.name for f in fields(ServiceArea) if f.name != "geometry")


@dataclass(frozen=True, eq=False)
class Jurisdictions:
    """Service areas of all kinds, immutable and indexed: build it once per map.

    Raises BadMap where an area is broken. Dates count at query time, so times are always given, never read.
    """

    areas: tuple[ServiceArea, ...]
    authority: Mapping[str, AreaRule] = field(default_factory=dict)
    """Agency -> where its officers hold powers beyond its service area."""
    _layers: dict[ServiceKind, AreaLayer] = field(init=False, repr=False, default_factory=dict)
    _unions: dict[tuple[ServiceKind, str, tuple[int, ...]], Polygon | MultiPolygon] = field(
        init=False, repr=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "areas", tuple(self.areas))
        object.__setattr__(self, "authority", MappingProxyType(dict(self.authority)))
        for kind in ServiceKind:
            if chosen := tuple(area for area in self.areas if area.kind is kind):
                self._layers[kind] = area_layer(chosen)
        known = {area.agency for area in self.areas}
        for agency in self.authority:
            if agency not in known:
                raise BadMap(f"the authority rule of {agency!r} is for no agency of the layer: correct its id")

    def agencies(self, kind: ServiceKind = ServiceKind.police) -> tuple[str, ...]:
        """Ids, sorted; whether in force or not."""
        layer = self._layers.get(kind)
        return tuple(sorted(layer.rows)) if layer else ()

    def knows(self, agency: str, kind: ServiceKind | None = None) -> bool:
        """Has the agency an area, of this kind or of any, in force or not?"""
        layers = self._layers.values() if kind is None else filter(None, [self._layers.get(kind)])
        return any(agency in layer.rows for layer in layers)

    def has(self, kind: ServiceKind) -> bool:
        """Is there a layer of this kind?"""
        return kind in self._layers

    def locate(self, x: Metres, y: Metres, *, at: UnixTime, kind: ServiceKind = ServiceKind.police) -> Located:
        """Who is responsible for a place. Never raises for a place off the map: that is a gap."""
        layer = self._layers.get(kind)
        if layer is None:
            return Located(kind=ServiceKind(kind), agency=None, notes=(Note.no_layer,))
        point = Point(x, y)
        margin_m = max(layer.accuracy_m, NOISE_M)
        rows = layer.boxes.query(point)
        for row in rows.tolist():
            if layer.alone[row] and in_core(layer.core[row], x, y) and layer.areas[row].in_force(at):
                return _plain(layer, row)
        # All that hold the point or nearly do: mostly there is one, and its border is not near.
        rows = rows[shapely.dwithin(layer.geometry[rows], point, margin_m)]
        near = [row for row in rows.tolist() if layer.areas[row].in_force(at)]
        if len(near) == 1:
            row = near[0]
            if in_core(layer.core[row], x, y) or not shapely.dwithin(layer.border[row], point, margin_m):
                return _plain(layer, row)
        held = [row for row in near if shapely.intersects(layer.geometry[row], point)]
        return _weigh(layer, ServiceKind(kind), point, held, at)

    def locate_many(
        self, x: Floats, y: Floats, *, at: UnixTime, kind: ServiceKind = ServiceKind.police
    ) -> tuple[Ints, tuple[ServiceArea, ...]]:
        """Row of the responsible area for each point, -1 in a gap, and the areas the rows are of. No notes."""
        layer = self._layers.get(kind)
        best = np.full(len(x), -1, np.int32)
        if layer is None:
            return best, ()
        points, rows = layer.tree.query(shapely.points(x, y), predicate="intersects")
        for point, row in zip(points.tolist(), rows.tolist(), strict=True):
            if not layer.areas[row].in_force(at):
                continue
            if best[point] < 0 or before(layer, row, int(best[point]), at):
                best[point] = row
        return best, layer.areas

    def to_files(self, folder: Path) -> tuple[str, ...]:
        """Writes three files, the same bytes for the same areas, and returns their names."""
        wkb = [shapely.to_wkb(area.geometry, byte_order=1, output_dimension=2) for area in self.areas]
        corridors = [corridor for rule in self.authority.values() for corridor in rule.corridors]
        wkb += [shapely.to_wkb(corridor, byte_order=1, output_dimension=2) for corridor in corridors]
        first = np.cumsum([0, *map(len, wkb)], dtype=np.int64)
        np.save(folder / _WKB, np.frombuffer(b"".join(wkb), np.uint8))
        np.save(folder / _FIRST, first)
        text = {
            "version": _VERSION,
            "areas": [{name: getattr(area, name) for name in _PLAIN} for area in self.areas],
            "authority": {
                agency: {"buffer_m": rule.buffer_m, "corridors": len(rule.corridors)}
                for agency, rule in self.authority.items()
            },
        }
        (folder / _TEXT).write_text(json.dumps(text, ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")
        return _TEXT, _WKB, _FIRST

    @classmethod
    def from_files(cls, folder: Path) -> Jurisdictions:
        """Reads what `to_files` wrote. Raises BadRegion when a file is missing, cut short or of another version."""
        try:
            text = json.loads((folder / _TEXT).read_text(encoding="utf-8"))
            wkb = np.load(folder / _WKB, mmap_mode="r", allow_pickle=False)
            first = np.load(folder / _FIRST, allow_pickle=False)
            if text["version"] != _VERSION or first[-1] != len(wkb):
                raise ValueError  # noqa: TRY301 - one message for all of them, below
            pieces = [bytes(wkb[low:high]) for low, high in itertools.pairwise(first.tolist())]
            shapes = shapely.from_wkb(np.array(pieces, dtype=object)).tolist()
            areas = tuple(
                ServiceArea(geometry=shape, **{**plain, "kind": ServiceKind(plain["kind"])})
                for plain, shape in zip(text["areas"], shapes, strict=False)
            )
            rest = iter(shapes[len(areas) :])
            authority = {
                agency: AreaRule(buffer_m=rule["buffer_m"], corridors=tuple(itertools.islice(rest, rule["corridors"])))
                for agency, rule in text["authority"].items()
            }
            return cls(areas, authority)
        except (OSError, ValueError, TypeError, KeyError, EOFError, shapely.errors.ShapelyError):
            raise BadRegion("the jurisdiction files are missing or damaged: build the region again") from None

    def service_area(
        self, agency: str, *, at: UnixTime, kind: ServiceKind = ServiceKind.police
    ) -> Polygon | MultiPolygon:
        """All an agency is responsible for at a time, beats joined; empty when none of it is in force.

        The union is made once and kept. Raises UnknownAgency.
        """
        layer = self._layers.get(kind)
        rows = layer.rows.get(agency) if layer else None
        if layer is None or rows is None:
            raise UnknownAgency(f"agency {agency!r} has no {kind} area on the loaded map: add one, or correct the id")
        key = (ServiceKind(kind), agency, tuple(i for i in rows if layer.areas[i].in_force(at)))
        if key not in self._unions:
            union = _polygons(shapely.union_all(layer.geometry[list(key[2])])) if key[2] else Polygon()
            shapely.prepare([union, union.boundary])
            self._unions[key] = union
        return self._unions[key]

    def authority_area(self, agency: str, *, at: UnixTime) -> Polygon | MultiPolygon:
        """Where an agency's officers hold powers: drawn, so the arcs of a buffer are off by up to 0.2 % of its width.

        Ask `has_authority` for an exact answer.
        """
        return self.reach(agency, self.authority.get(agency, AreaRule()), at=at)

    def reach(self, agency: str, rule: AreaRule, *, at: UnixTime) -> Polygon | MultiPolygon:
        """An agency's service area widened by a rule: an aid area, say. Drawn, as `authority_area`."""
        area = shapely.buffer(self.service_area(agency, at=at), rule.buffer_m, quad_segs=16)
        return _polygons(shapely.union_all([area, *rule.corridors]))

    def has_authority(self, agency: str, x: Metres, y: Metres, *, at: UnixTime) -> bool:
        return self.within(agency, x, y, self.authority.get(agency, AreaRule()), at=at)

    def within(self, agency: str, x: Metres, y: Metres, rule: AreaRule, *, at: UnixTime) -> bool:
        """Is the place in the agency's service area as the rule widens it? Exact: by distance, borders included."""
        point = Point(x, y)
        if self.distance_to_area(agency, x, y, at=at) <= rule.buffer_m:
            return True
        return any(corridor.intersects(point) for corridor in rule.corridors)

    def distance_to_area(self, agency: str, x: Metres, y: Metres, *, at: UnixTime) -> Metres:
        """0 inside; inf when the agency has no area in force. Raises UnknownAgency."""
        area = self.service_area(agency, at=at)
        return math.inf if area.is_empty else float(shapely.distance(area, Point(x, y)))

    def distance_to_border(self, agency: str, x: Metres, y: Metres, *, at: UnixTime) -> Metres:
        """To the nearest border of the agency's service area, from inside or outside; inf when none is in force.

        Borders between its own beats are none. Raises UnknownAgency.
        """
        area = self.service_area(agency, at=at)
        return math.inf if area.is_empty else float(shapely.distance(area.boundary, Point(x, y)))


def _plain(layer: AreaLayer, row: int) -> Located:
    """Nothing about it is unsure."""
    area = layer.areas[row]
    beat = area.display_name if area.agency in layer.beats else None
    return Located(kind=area.kind, agency=area.agency, beat=beat, areas=(area,))


def _weigh(layer: AreaLayer, kind: ServiceKind, point: Point, held: list[int], at: UnixTime) -> Located:
    """The full answer, for a place near a border, under several areas, or in none."""
    if not held:
        return _in_gap(layer, kind, point, at)

    def order(one: int, two: int) -> int:
        return -1 if before(layer, one, two, at) else 1

    held = sorted(held, key=cmp_to_key(order))
    first = layer.areas[held[0]]
    border_m = float(shapely.distance(layer.border[held[0]], point))
    doubt, other = _doubt(layer, point, held, border_m, at)
    notes = _overlaps(layer, point, held) if len(held) > 1 and border_m > NOISE_M else []
    if doubt is not None:
        notes.append(doubt)
    return Located(
        kind=kind,
        agency=first.agency,
        beat=first.display_name if first.agency in layer.beats else None,
        areas=tuple(layer.areas[row] for row in held),
        notes=tuple(notes),
        border_m=None if doubt is None else border_m,
        other_agency=other,
    )


def _in_gap(layer: AreaLayer, kind: ServiceKind, point: Point, at: UnixTime) -> Located:
    rows = layer.tree.query_nearest(point)
    if not all(layer.areas[row].in_force(at) for row in rows):
        rows = np.array([row for row, area in enumerate(layer.areas) if area.in_force(at)], np.intp)
    if not len(rows):
        return Located(kind=kind, agency=None, notes=(Note.in_gap,))
    metres = shapely.distance(layer.geometry[rows], point)
    nearest = min(range(len(rows)), key=lambda i: (metres[i], layer.areas[rows[i]].agency))
    area = layer.areas[rows[nearest]]
    near = metres[nearest] <= area.accuracy_m
    return Located(
        kind=kind,
        agency=None,
        notes=(Note.in_gap, Note.boundary_uncertain) if near else (Note.in_gap,),
        border_m=float(metres[nearest]),
        other_agency=area.agency,
    )


def _overlaps(layer: AreaLayer, point: Point, held: list[int]) -> list[Note]:
    """A shared border is no overlap: both polygons hold its points, neither inside."""
    first = layer.areas[held[0]]
    inside = [layer.areas[row] for row in held[1:] if shapely.distance(layer.border[row], point) > NOISE_M]
    notes = []
    if any(area.urn == first.urn and area.agency != first.agency for area in inside):
        notes.append(Note.overlapping)
    if any(area.agency == first.agency and area.display_name != first.display_name for area in inside):
        notes.append(Note.overlapping_beats)
    return notes


def _doubt(
    layer: AreaLayer, point: Point, held: list[int], border_m: Metres, at: UnixTime
) -> tuple[Note | None, str | None]:
    """Could a border drawn wrong by no more than its accuracy change the answer, and to whom?"""
    mine = layer.areas[held[0]]
    margin_m = max(mine.accuracy_m, NOISE_M)
    rows = layer.tree.query(point, predicate="dwithin", distance=max(layer.accuracy_m, NOISE_M)).tolist()
    near = [row for row in rows if row not in held and layer.areas[row].in_force(at)]
    if not near and border_m > margin_m:
        return None, None
    near = [row for row in near if _metres(layer, row, point) <= max(layer.areas[row].accuracy_m, NOISE_M)]
    near.sort(key=lambda row: (_metres(layer, row, point), layer.areas[row].agency))
    for row in near:
        if layer.areas[row].agency != mine.agency and before(layer, row, held[0], at):
            return Note.boundary_uncertain, layer.areas[row].agency
    if border_m > margin_m:
        return None, None
    if len(layer.rows[mine.agency]) > 1:
        # Is that a border between its beats, with the agency on both sides, or its outer one?
        disc = point.buffer(margin_m)
        own = [layer.geometry[row] for row in (*held, *near) if layer.areas[row].agency == mine.agency]
        if shapely.difference(disc, shapely.union_all(own)).area < 1e-3 * disc.area:
            return Note.beat_uncertain, None
    others = [layer.areas[row].agency for row in (*held[1:], *near) if layer.areas[row].agency != mine.agency]
    return Note.boundary_uncertain, others[0] if others else None


def _metres(layer: AreaLayer, row: int, point: Point) -> float:
    return float(shapely.distance(layer.geometry[row], point))


def _polygons(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """Only what has an area: a union of polygons may hold stray lines where borders are drawn twice."""
    if isinstance(geometry, (Polygon, MultiPolygon)):
        return geometry
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon)]
    return MultiPolygon(parts)
