"""What a map program may look at: areas, the reach of agreements, units and open stops, as features in degrees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from geomatch.aid.agreements import Agreement, in_force
from geomatch.aid.clauses import Mode
from geomatch.aid.grants import must_be_near
from geomatch.aid.jurisdictions import ServiceKind
from geomatch.aid.places import Around, Places
from geomatch.quantities import LonLat, Projection, UnixTime, format_time
from geomatch.service.callers import caller

if TYPE_CHECKING:
    from geomatch.matcher import Matcher
    from geomatch.region import Region

PLACES = 7
"""Decimals of degrees: a centimetre."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One feature before it is written; `begins` and `ends` say when it holds, None: without limit."""

    id: str
    geometry: BaseGeometry | None
    """In degrees."""
    properties: dict[str, Any]
    begins: UnixTime | None = None
    ends: UnixTime | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A collection: what it is called, and how its items are made for whoever asks."""

    id: str
    title: str
    description: str
    items: Callable[[], Iterable[Item]]


def sources(matcher: Matcher, now: UnixTime) -> list[Source]:
    """The collections there are in the region that is held, for the caller."""
    region = matcher.region
    areas = region.jurisdictions
    found = [
        Source(
            id=f"{kind}_areas", title=f"Service areas: {kind}",
            description=f"Who is responsible where, as the {kind} layer has it.", items=partial(_areas, region, kind),
        )
        for kind in ServiceKind
        if areas is not None and areas.has(kind)
    ]  # fmt: skip
    if region.agreements is not None:
        about = "Where an incident may be for units to come under each agreement that is in force."
        found.append(
            Source(
                id="agreements", title="Reach of agreements", description=about, items=partial(_agreements, region, now)
            )
        )
    about = "Each where its last fix had it, as its agency discloses it."
    found.append(Source(id="units", title="Units", description=about, items=partial(_units, matcher)))
    about = "Stops that are open now, with how many units they have."
    found.append(Source(id="stops", title="Open stops", description=about, items=partial(_stops, matcher)))
    return found


def _areas(region: Region, kind: ServiceKind) -> Iterator[Item]:
    areas = [] if region.jurisdictions is None else [one for one in region.jurisdictions.areas if one.kind is kind]
    shapes = in_degrees([one.geometry for one in areas], region.network.projection)
    used: set[str] = set()
    for row, (one, shape) in enumerate(zip(areas, shapes, strict=True)):
        name = one.nguid if one.nguid and one.nguid not in used else f"{one.agency}-{row + 1}"
        used.add(name)
        properties = {
            "agency": one.agency, "display_name": one.display_name, "service_urn": one.urn, "service_uri": one.uri,
            "effective": _moment(one.effective), "expire": _moment(one.expire), "accuracy_m": one.accuracy_m,
        }  # fmt: skip
        yield Item(id=name, geometry=shape, properties=properties, begins=one.effective, ends=one.expire)


def _agreements(region: Region, now: UnixTime) -> Iterator[Item]:
    """Only those the caller is a party to: what two agencies agreed is theirs to show."""
    asking, places = caller(), region.eligibility.places
    held = in_force(places.agreements.all, now)
    mine = [one for one in held if asking.owns(one.provider_agency) or asking.owns(one.receiver_agency)]
    shapes = [reach(one, places, now) for one in mine]
    known = in_degrees([shape for shape in shapes if shape is not None], region.network.projection)
    drawn = iter(known)
    for one, shape in zip(mine, shapes, strict=True):
        properties = {
            "agreement": one.key, "title": one.title, "provider_agency": one.provider_agency,
            "receiver_agency": one.receiver_agency, "mode": str(one.mode), "authority": str(one.authority),
            "legal_basis": one.legal_basis.citation, "starts": _moment(one.effective.starts),
            "ends": _moment(one.effective.ends),
        }  # fmt: skip
        yield Item(
            id=one.key, geometry=None if shape is None else next(drawn), properties=properties,
            begins=one.effective.starts, ends=one.effective.ends,
        )  # fmt: skip


def reach(one: Agreement, places: Places, now: UnixTime) -> BaseGeometry | None:
    """Where a stop may be for its geography to hold, in metres; None: it names no area, or one that is not known.

    Drawn: the arcs of a buffer are off by up to 0.2 % of its width. `excludes` are cut out; where the unit must be, and
    powers that end earlier, are not in it.
    """
    clauses = must_be_near(one, places, now)
    if not clauses:
        receiver = places.resolve("receiver", one, now)
        clauses = [receiver] if receiver and one.mode is not Mode.prohibited else []
    known = [around for around in clauses if around]
    if not known or len(known) < len(clauses):
        return None
    whole = _drawn(known[0])
    for around in known[1:]:
        whole = shapely.intersection(whole, _drawn(around))
    for name in one.geography.exclude:
        whole = shapely.difference(whole, _drawn(places.resolve(name, one, now) or []))
    return None if whole.is_empty else whole


def _drawn(around: list[Around]) -> BaseGeometry:
    # A line counts within its distance, and one of no width is drawn a metre wide, so that it shows.
    parts = [
        shapely.buffer(geometry, metres or 0.5 * (geometry.geom_type == "LineString"), quad_segs=16)
        for geometry, metres in around
    ]
    return shapely.union_all(parts)


def _units(matcher: Matcher) -> Iterator[Item]:
    for state in matcher.states():
        unit, fix, status = state.unit, state.fix, state.status
        properties = {
            "agency": unit.agency, "call_sign": unit.call_sign, "kind": unit.kind, "service": str(unit.service),
            "officers": unit.officers, "availability": str(status.availability), "activity": status.activity,
            "fix_time": None if fix is None else format_time(fix.time),
            "course_deg": None if fix is None else fix.course_deg,
            "speed_mps": None if fix is None else fix.speed_mps,
        }  # fmt: skip
        time = None if fix is None else fix.time
        yield Item(
            id=unit.id, geometry=None if fix is None else _point(fix.at), properties=properties, begins=time, ends=time
        )


def _stops(matcher: Matcher) -> Iterator[Item]:
    for held in matcher.stops.view().stops.values():
        stop = held.stop
        properties = {
            "agency": stop.agency, "urgency": str(stop.urgency), "phase": str(stop.phase),
            "officers_needed": stop.need.officers, "service": str(stop.need.service),
            "units_assigned": sum(one.live for one in held.assignments), "units_on_scene": len(stop.units_on_scene),
            "opened_at": format_time(held.opened_at),
        }  # fmt: skip
        yield Item(id=stop.id, geometry=_point(stop.at), properties=properties, begins=held.opened_at)


def in_degrees(shapes: Iterable[BaseGeometry], projection: Projection) -> list[BaseGeometry]:
    """From the region's metres, rounded, rings as RFC 7946 has them: the outer one counter-clockwise."""

    def inverse(points: np.ndarray) -> np.ndarray:
        return np.round(np.column_stack(projection.inverse(points[:, 0], points[:, 1])), PLACES)

    kept = list(shapes)
    if not kept:
        return []
    return [_oriented(shape) for shape in shapely.transform(np.array(kept, dtype=object), inverse).tolist()]


def _oriented(shape: BaseGeometry) -> BaseGeometry:
    if isinstance(shape, Polygon):
        return orient(shape, 1.0)
    return MultiPolygon([orient(part, 1.0) for part in shapely.get_parts(shape) if isinstance(part, Polygon)])


def _point(at: LonLat) -> BaseGeometry:
    return shapely.Point(round(at.lon, PLACES), round(at.lat, PLACES))


def _moment(time: UnixTime | None) -> str | None:
    return None if time is None else format_time(time)
