"""The stop as geomatch understands it: where on which road, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass

from geomatch.aid.services import ServiceKind
from geomatch.backup.eta import EtaPriors
from geomatch.errors import OutsideMap, UnknownAgency
from geomatch.model import Place, ResolvedStop, Stop
from geomatch.quantities import XY, Metres, UnixTime
from geomatch.region import Region
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import Targets

FAR_FROM_ROAD = "far_from_road"
UNCERTAIN_SNAP_M: Metres = 50.0
"""Farther than this from its road, a stop may be on another one, or on none that the map knows."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A stop on the road, ready to search from."""

    stop: ResolvedStop
    xy: XY
    targets: Targets
    access_ms: int
    """From the road to the stop, on foot."""


def resolve(stop: Stop, region: Region, priors: EtaPriors, *, now: UnixTime) -> Resolved:
    """Puts a stop on the road. Raises OutsideMap or, where jurisdictions are loaded, UnknownAgency.

    With a course it is on exactly that directed edge; without one on either side of a two-way street.
    """
    xy = region.network.projection.xy(stop.at)
    if region.snapper.is_outside(xy):
        raise OutsideMap(
            f"stop {stop.id} is outside the map {region.name!r}: load another region, "
            "or check that the position is longitude first, then latitude"
        )
    edge, fraction, other, other_fraction, snap_m = region.snapper.snap_one(xy, stop.course_deg)
    edges, fractions = (edge, other), (fraction, other_fraction)
    places = tuple([
        place_on(region.network, edge, fraction, snap_m)
        for edge, fraction in zip(edges, fractions, strict=True)
        if edge >= 0
    ])  # fmt: skip
    whose = _responsible(stop, region, xy, now)
    notes = (*whose.notes, FAR_FROM_ROAD) if snap_m > UNCERTAIN_SNAP_M else whose.notes
    targets = region.times.targets(edges, fractions)
    if region.times.are_closed(targets, stop.urgency.mode):
        notes = (*notes, "on_closed_road")
    return Resolved(
        stop=ResolvedStop(
            places=places,
            agency=whose.agency,
            beat=whose.beat,
            psap=whose.psap,
            responsibility=whose.responsibility,
            notes=notes,
        ),
        xy=xy,
        targets=targets,
        access_ms=priors.access_ms(snap_m),
    )


def place_on(network: RoadNetwork, edge: int, fraction: float, snap_m: Metres) -> Place:
    """A place as others can check it."""
    return Place(
        edge=edge,
        # Not by round(): five numbers a candidate take it a microsecond.
        offset_m=int(fraction * network.edge_length_m.item(edge) * 1000.0 + 0.5) / 1000.0,
        road=network.name(edge),
        towards_deg=int(network.course_deg(edge, fraction) * 10.0 + 0.5) / 10.0,
        snap_m=int(snap_m * 100.0 + 0.5) / 100.0,
    )


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose stop it is, and what is unsure about that."""

    agency: str | None
    beat: str | None = None
    psap: str | None = None
    responsibility: str | None = None
    notes: tuple[str, ...] = ()


def _responsible(stop: Stop, region: Region, xy: XY, now: UnixTime) -> _Whose:
    """The request's own agency counts, where it names one of the service that is needed: an officer who wants an
    ambulance names the police agency, and the map says whose ambulances those are."""
    areas = region.jurisdictions
    if areas is None:
        return _Whose(stop.agency)
    if stop.agency is not None and not areas.knows(stop.agency):
        raise UnknownAgency(f"stop {stop.id}: agency {stop.agency!r} is on no loaded jurisdiction map")
    kind = ServiceKind(stop.need.service)
    located = areas.locate(xy.x, xy.y, at=now, kind=kind)
    psap = areas.locate(xy.x, xy.y, at=now, kind=ServiceKind.psap).agency if areas.has(ServiceKind.psap) else None
    notes = tuple([note.value for note in located.notes])
    said = located.sentence if notes else None
    own = stop.agency if stop.agency is not None and (areas.knows(stop.agency, kind) or not areas.has(kind)) else None
    if own is None or own == located.agency:
        return _Whose(located.agency, located.beat, psap, said, notes)
    if located.agency is not None:
        notes = (*notes, f"in_service_area_of:{located.agency}")
        said = f"{own} asks for it, but by the map {located.sentence}"
    return _Whose(own, None, psap, said, notes)
