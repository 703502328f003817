"""The difference between two maps, as a GIS chief wants to read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.markup import escape

from geomatch.cli.text import console, tell
from geomatch.quantities import format_time

if TYPE_CHECKING:
    from geomatch.maps.diff import RegionDiff
    from geomatch.maps.diff.agreements import AgreementDiff
    from geomatch.maps.diff.areas import AreaDiff, AreasDiff, Transfer
    from geomatch.maps.diff.roads import Pieces, RoadExample, RoadsDiff
    from geomatch.maps.diff.turns import TurnExample, TurnsDiff

SHOWN = 20
"""Areas, agreements and units written out of each kind; --json has all."""

_ASPECTS: Mapping[str, str] = MappingProxyType(
    {
        "direction": "driven in other directions",
        "speed": "with another speed limit",
        "assumed_speed": "with no speed limit on either map, whose assumed speed shifts",
        "road_class": "of another class",
        "access": "open to others",
        "built_as": "built otherwise",
        "name": "with another name",
        "moved": "drawn elsewhere",
        "driving_time": "that take another time to drive, by the settings of the build",
    }
)


def print_diff(found: RegionDiff) -> None:
    """Headings for what is different, and one line where nothing is."""
    screen = console()
    names = f"[bold]{escape(found.old)}[/bold] ({found.old_hash[:12]})", f"[bold]{escape(found.new)}[/bold]"
    screen.print(f"{names[0]} to {names[1]} ({found.new_hash[:12]}), at {format_time(found.at).replace('.000Z', 'Z')}")
    parts = {
        "Roads": [*road_lines(found.roads), *turn_lines(found.roads.turns)],
        "Areas": list(area_lines(found.areas)),
        "Agreements": list(_shown(map(agreement_line, found.agreements))),
        f"Units ({len(found.units):,} of {found.units_compared:,})": list(
            _shown(f"{one.unit} ({one.agency}): {one.sentence}" for one in found.units)
        ),
    }
    for title, lines in parts.items():
        if lines:
            screen.print(f"\n[bold]{title}[/bold]")
        for line in lines:
            tell(screen, f"  {escape(line)}")
    if found.same:
        units = f", and none of {found.units_compared:,} units stands otherwise" if found.units_compared else ""
        screen.print(f"Nothing is different{units}.")


def road_lines(roads: RoadsDiff) -> Iterator[str]:
    yield from _pieces("that come", roads.added)
    yield from _pieces("that go", roads.removed)
    for aspect, pieces in roads.changed.items():
        yield from _pieces(_ASPECTS[aspect], pieces)
    if roads.divided:
        yield f"Pieces of street cut up at new junctions: {roads.divided:,}"
    if roads.joined:
        yield f"Pieces of street made of several, as a junction went: {roads.joined:,}"
    if roads.renumbered:
        yield f"Pieces of street under another way id, which by itself changes nothing: {roads.renumbered:,}"


def turn_lines(turns: TurnsDiff) -> Iterator[str]:
    yield from _turns("that become possible", turns.allowed, turns.allowed_examples)
    yield from _turns("that are no longer possible", turns.forbidden, turns.forbidden_examples)
    if turns.u_turns_allowed:
        yield f"Places where one may newly turn round: {turns.u_turns_allowed:,}"
    if turns.u_turns_forbidden:
        yield f"Places where one may no longer turn round: {turns.u_turns_forbidden:,}"
    if turns.delayed_otherwise:
        yield f"Turns with another delay, by signals, stop signs or what meets there: {turns.delayed_otherwise:,}"


def area_lines(areas: AreasDiff) -> Iterator[str]:
    if areas.agencies_added:
        yield f"Agencies that were on no layer: {', '.join(areas.agencies_added)}"
    if areas.agencies_removed:
        yield f"Agencies that are on no layer any more: {', '.join(areas.agencies_removed)}"
    yield from _shown(map(_area, areas.areas))
    if areas.transfers:
        yield "Responsibility that passes on:"
    yield from (f"  {line}" for line in _shown(map(_transfer, areas.transfers)))
    for rule in areas.authority:
        said = []
        if rule.buffer_m_before != rule.buffer_m_after:
            said.append(f"{rule.buffer_m_after:,.0f} m beyond its border, not {rule.buffer_m_before:,.0f} m")
        if rule.corridors_gained_m2 or rule.corridors_lost_m2:
            gained, lost = _ground(rule.corridors_gained_m2), _ground(rule.corridors_lost_m2)
            said.append(f"over {gained} more and {lost} less of corridors")
        yield f"Powers of {rule.agency} reach {' and '.join(said)}"


def agreement_line(one: AgreementDiff) -> str:
    what = {
        "added": "is new",
        "removed": "is gone",
        "changed": "has other terms under the same version",
        "lost_agency": "names an agency that leaves the map",
        "replaced": "counts no longer, as another version does" if one.in_force_before else "counts again",
    }[one.what]
    # That another version counts says it already.
    force = (
        ""
        if one.what == "replaced"
        else {
            (False, True): "; in force from now on",
            (True, False): "; no longer in force",
            (False, False): "; not in force",
        }.get((one.in_force_before, one.in_force_after), "")
    )
    terms = "; ".join(f"{term.term}: {_value(term.before)} becomes {_value(term.after)}" for term in one.terms)
    against = f" (against {one.compared_with})" if one.compared_with not in {None, one.key} else ""
    missing = f"; not on the new map: {', '.join(one.off_map)}" if one.off_map else ""
    said = f"{one.key}, {one.provider_agency} for {one.receiver_agency}, {what}{force}{missing}"
    return f"{said}: {terms}{against}" if terms else said


def _pieces(what: str, pieces: Pieces) -> Iterator[str]:
    if not pieces.pieces:
        return
    yield f"Streets {what}: {pieces.km:,.2f} km in {_many(pieces.pieces, 'piece')}"
    yield from (f"  {_road(one)}" for one in pieces.examples)
    if pieces.names > len(pieces.examples):
        yield f"  and {pieces.names - len(pieces.examples):,} more"


def _road(one: RoadExample) -> str:
    change = f": {one.before} becomes {one.after}" if one.before else f" {one.after}" if one.after else ""
    name = one.name or f"{one.road_class} road with no name"
    return f"{name}{change}, {one.km:,.2f} km, at {one.at.lon:.5f},{one.at.lat:.5f}"


def _turns(what: str, count: int, examples: Iterable[TurnExample]) -> Iterator[str]:
    if not count:
        return
    yield f"Turns {what}: {count:,}"
    shown = list(examples)
    for one in shown:
        roads = f"{one.from_road or 'a road with no name'} into {one.into_road or 'a road with no name'}"
        yield f"  from {roads}, at {one.at.lon:.5f},{one.at.lat:.5f}"
    if count > len(shown):
        yield f"  and {count - len(shown):,} more"


def _area(one: AreaDiff) -> str:
    name = f"{one.agency}{f', {one.name}' if one.name else ''} ({one.kind})"
    fields = "; ".join(f"{f.field}: {_value(f.before)} becomes {_value(f.after)}" for f in one.fields)
    match one.what:
        case "added":
            return f"{name} is new, {_ground(one.gained_m2)}"
        case "removed":
            return f"{name} is gone, {_ground(one.lost_m2)}"
        case "reshaped":
            ground = f"gains {_ground(one.gained_m2)} and loses {_ground(one.lost_m2)}"
            return f"{name} {ground}; {fields}" if fields else f"{name} {ground}"
    return f"{name} keeps its outline; {fields}"


def _transfer(one: Transfer) -> str:
    before, after = _whose(one.from_agency, one.from_beat), _whose(one.to_agency, one.to_beat)
    return f"{_ground(one.m2)} ({one.kind}) from {before} to {after}, at {one.at.lon:.5f},{one.at.lat:.5f}"


def _whose(agency: str | None, beat: str | None) -> str:
    return f"{agency or 'nobody'}{f', {beat}' if beat else ''}"


def _ground(m2: float) -> str:
    return f"{m2 / 1e6:,.2f} km2" if m2 >= 50_000 else f"{m2:,.0f} m2"


def _value(value: object) -> str:
    if value is None or value in ("", []):
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(lines: Iterable[str]) -> Iterator[str]:
    all_lines = list(lines)
    yield from all_lines[:SHOWN]
    if len(all_lines) > SHOWN:
        yield f"and {len(all_lines) - SHOWN:,} more: see --json"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
