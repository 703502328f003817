"""What a new map changes in who is responsible: outlines, agencies, and the ground that passes from one to another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomatch.aid.jurisdictions import AreaRule, Jurisdictions, ServiceArea, ServiceKind
from geomatch.quantities import LonLat, Metres, Projection, UnixTime

THIN_M: Metres = 0.1
"""A strip thinner than this between two outlines is noise of drawing or of the projection, and no ground."""
GRID_M: Metres = 0.001
_PLAIN = ("agency", "urn", "uri", "display_name", "nguid", "effective", "expire", "accuracy_m")


class AreaChange(StrEnum):
    added = "added"
    removed = "removed"
    reshaped = "reshaped"
    """Another outline; maybe other fields too."""
    relabelled = "relabelled"
    """The same outline with other fields."""


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """One value that is another."""

    field: str
    before: str | float | None
    after: str | float | None


@dataclass(frozen=True, kw_only=True)
class AreaDiff:
    """One polygon of a layer."""

    what: AreaChange
    kind: ServiceKind
    agency: str
    """In the new map, or of a removed one in the old."""
    name: str
    nguid: str
    gained_m2: float
    lost_m2: float
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Ground for which another agency, or another beat of the same one, is responsible. None: nobody."""

    kind: ServiceKind
    from_agency: str | None
    from_beat: str | None
    to_agency: str | None
    to_beat: str | None
    m2: float
    at: LonLat
    """Somewhere in its largest part."""


@dataclass(frozen=True, kw_only=True)
class AuthorityDiff:
    """Where an agency's officers hold powers beyond its service area."""

    agency: str
    buffer_m_before: Metres
    buffer_m_after: Metres
    corridors_gained_m2: float
    corridors_lost_m2: float


@dataclass(frozen=True, kw_only=True)
class AreasDiff:
    areas: tuple[AreaDiff, ...] = ()
    """By kind, agency, name."""
    transfers: tuple[Transfer, ...] = ()
    """By kind, the largest first; at the moment the diff was asked for."""
    agencies_added: tuple[str, ...] = ()
    """Agency ids that are on the new map alone, of any kind of service."""
    agencies_removed: tuple[str, ...] = ()
    authority: tuple[AuthorityDiff, ...] = field(default=())

    @property
    def same(self) -> bool:
        return self == AreasDiff()


@dataclass(frozen=True, kw_only=True)
class _Map:
    """One map's areas, drawn in the common frame."""

    jurisdictions: Jurisdictions
    projection: Projection
    frame: Projection
    shapes: Sequence[BaseGeometry]

    @classmethod
    def of(cls, jurisdictions: Jurisdictions | None, projection: Projection, frame: Projection) -> _Map:
        held = jurisdictions or Jurisdictions(())
        shapes = [_reframed(area.geometry, projection, frame) for area in held.areas]
        return cls(jurisdictions=held, projection=projection, frame=frame, shapes=shapes)

    def corridors(self, agency: str) -> BaseGeometry:
        rule = self.jurisdictions.authority.get(agency, AreaRule())
        return shapely.union_all([_reframed(shape, self.projection, self.frame) for shape in rule.corridors])


def areas_diff(
    old: tuple[Jurisdictions | None, Projection], new: tuple[Jurisdictions | None, Projection], *, at: UnixTime
) -> AreasDiff:
    """Each map is its jurisdictions and their projection; metres are the new one's. Who is responsible: at `at`."""
    frame = new[1]
    before, after = _Map.of(*old, frame), _Map.of(*new, frame)
    was, now = ({area.agency for area in side.jurisdictions.areas} for side in (before, after))
    areas = tuple(sorted(_areas(before, after), key=lambda one: (one.kind, one.agency, one.name, one.nguid, one.what)))
    return AreasDiff(
        areas=areas,
        transfers=tuple(_transfers(before, after, at)) if areas else (),
        agencies_added=tuple(sorted(now - was)),
        agencies_removed=tuple(sorted(was - now)),
        authority=tuple(_authority(before, after)),
    )


def _areas(old: _Map, new: _Map) -> Iterator[AreaDiff]:
    one, other = old.jurisdictions.areas, new.jurisdictions.areas
    pairs = _paired(one, other, old.shapes, new.shapes)
    for o, n in pairs:
        fields = tuple(_field_changes(one[o], other[n]))
        gained, lost = ground(old.shapes[o], new.shapes[n])
        if gained or lost or fields:
            what = AreaChange.reshaped if gained or lost else AreaChange.relabelled
            yield _area_diff(what, other[n], gained, lost, fields)
    for o in sorted(set(range(len(one))).difference(o for o, _ in pairs)):
        yield _area_diff(AreaChange.removed, one[o], 0.0, old.shapes[o].area)
    for n in sorted(set(range(len(other))).difference(n for _, n in pairs)):
        yield _area_diff(AreaChange.added, other[n], new.shapes[n].area, 0.0)


def _area_diff(
    what: AreaChange, area: ServiceArea, gained: float, lost: float, fields: tuple[FieldChange, ...] = ()
) -> AreaDiff:
    return AreaDiff(
        what=what, kind=area.kind, agency=area.agency, name=area.display_name, nguid=area.nguid,
        gained_m2=round(gained, 1), lost_m2=round(lost, 1), fields=fields,
    )  # fmt: skip


def _field_changes(old: ServiceArea, new: ServiceArea) -> Iterator[FieldChange]:
    for name in _PLAIN:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield FieldChange(field=name, before=before, after=after)


def _paired(
    old: Sequence[ServiceArea],
    new: Sequence[ServiceArea],
    old_shapes: Sequence[BaseGeometry],
    new_shapes: Sequence[BaseGeometry],
) -> list[tuple[int, int]]:
    """Rows of the same area: by all its names, by fewer of them, at last by its outline alone."""
    keys: tuple[Callable[[ServiceArea, BaseGeometry], Hashable], ...] = (
        lambda area, shape: (area.kind, area.agency, area.nguid, area.display_name, _about(shape)),
        lambda area, _: (area.kind, area.agency, area.nguid, area.display_name),
        lambda area, _: (area.kind, area.agency, area.display_name),
        lambda area, _: (area.kind, area.nguid) if area.nguid else object(),
        lambda area, shape: (area.kind, _about(shape)),
    )
    pairs: list[tuple[int, int]] = []
    left_old, left_new = list(range(len(old))), list(range(len(new)))
    for key in keys:
        waiting: dict[Hashable, list[int]] = defaultdict(list)
        for n in left_new:
            waiting[key(new[n], new_shapes[n])].append(n)
        named = [(o, waiting[key(old[o], old_shapes[o])]) for o in left_old]
        pairs += [(o, others.pop(0)) for o, others in named if others]
        left_old = sorted(set(left_old).difference(o for o, _ in pairs))
        left_new = sorted(set(left_new).difference(n for _, n in pairs))
    return pairs


def _about(shape: BaseGeometry) -> tuple[float, ...]:
    """The same for the same outline in another projection, nearly always: its box to 10 m."""
    return tuple(np.round(shape.bounds, -1).tolist())


def ground(old: BaseGeometry, new: BaseGeometry) -> tuple[float, float]:
    """Square metres of `new` that are not of `old`, and the other way round, without strips thinner than THIN_M."""
    if shapely.equals_exact(old, new):
        return 0.0, 0.0
    return _thick(shapely.difference(new, old)), _thick(shapely.difference(old, new))


def _thick(shape: BaseGeometry) -> float:
    return float(sum(part.area for part in shapely.get_parts(shape) if is_thick(part)))


def is_thick(part: BaseGeometry) -> bool:
    return not shapely.is_empty(shapely.buffer(part, -THIN_M / 2, quad_segs=1))


def _reframed(shape: Any, projection: Projection, frame: Projection) -> Any:
    if projection == frame:
        return shape
    return shapely.transform(
        shape, lambda points: np.column_stack(frame.forward(*projection.inverse(points[:, 0], points[:, 1])))
    )


def _transfers(old: _Map, new: _Map, at: UnixTime) -> Iterator[Transfer]:
    """All borders of both maps together cut the ground into faces; each map says whose each of them is."""
    for kind in ServiceKind:
        faces = _faces(shape for side in (old, new) for shape in _in_force(side, kind, at))
        if not len(faces):
            continue
        inside = shapely.point_on_surface(faces)
        whose = zip(_responsible(old, inside, kind, at), _responsible(new, inside, kind, at), strict=True)
        parts: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
        for face, (was, now) in enumerate(whose):
            if was != now and is_thick(faces[face]):
                parts[*was, *now].append(face)
        found = [_transfer(kind, key, faces[own], old.frame) for key, own in parts.items()]
        yield from sorted(found, key=lambda one: (-one.m2, [str(name) for name in _ends(one)]))


def _ends(one: Transfer) -> tuple[str | None, ...]:
    return one.from_agency, one.from_beat, one.to_agency, one.to_beat


def _transfer(kind: ServiceKind, key: tuple[str | None, ...], faces: np.ndarray, frame: Projection) -> Transfer:
    m2 = shapely.area(faces)
    inside = shapely.point_on_surface(faces[int(np.argmax(m2))])
    lon, lat = frame.inverse(inside.x, inside.y)
    return Transfer(
        kind=kind, from_agency=key[0], from_beat=key[1], to_agency=key[2], to_beat=key[3],
        m2=round(float(m2.sum()), 1), at=LonLat(round(float(lon), 6), round(float(lat), 6)),
    )  # fmt: skip


def _in_force(side: _Map, kind: ServiceKind, at: UnixTime) -> Iterator[BaseGeometry]:
    for area, shape in zip(side.jurisdictions.areas, side.shapes, strict=True):
        if area.kind is kind and area.in_force(at):
            yield shape


def _faces(shapes: Iterable[BaseGeometry]) -> np.ndarray:
    borders = shapely.boundary(np.array(list(shapes), dtype=object))
    if not len(borders):
        return np.array([], dtype=object)
    return np.asarray(shapely.get_parts(shapely.polygonize([shapely.union_all(borders, grid_size=GRID_M)])))


def _responsible(
    side: _Map, points: np.ndarray, kind: ServiceKind, at: UnixTime
) -> list[tuple[str | None, str | None]]:
    """Agency and beat of each point."""
    x, y = shapely.get_x(points), shapely.get_y(points)
    if side.projection != side.frame:
        x, y = side.projection.forward(*side.frame.inverse(x, y))
    rows, areas = side.jurisdictions.locate_many(x, y, at=at, kind=kind)
    names: dict[str, set[str]] = defaultdict(set)
    for area in areas:
        names[area.agency].add(area.display_name)
    whose = [(area.agency, area.display_name if len(names[area.agency]) > 1 else None) for area in areas]
    return [whose[row] if row >= 0 else (None, None) for row in rows.tolist()]


def _authority(old: _Map, new: _Map) -> Iterator[AuthorityDiff]:
    for agency in sorted({*old.jurisdictions.authority, *new.jurisdictions.authority}):
        before, after = (side.jurisdictions.authority.get(agency, AreaRule()).buffer_m for side in (old, new))
        gained, lost = ground(old.corridors(agency), new.corridors(agency))
        if before != after or gained or lost:
            yield AuthorityDiff(
                agency=agency, buffer_m_before=before, buffer_m_after=after,
                corridors_gained_m2=round(gained, 1), corridors_lost_m2=round(lost, 1),
            )  # fmt: skip
