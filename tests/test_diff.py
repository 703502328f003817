"""What a new map would change: known edits are found, each and nothing else, and back again from the new one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import osmium
import pytest
import shapely
from aid_world import EAST, NORTH, WEST, grant
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from shapely import box
from streets import Street, grid, streets
from towns import NOW, fix, unit

from geomatch import Region, UnitState, build
from geomatch.aid.agreements import Agreements
from geomatch.aid.clauses import Drawn, Geography, Limits, Stage
from geomatch.aid.jurisdictions import AreaRule, Jurisdictions, ServiceArea, ServiceKind
from geomatch.cli import main
from geomatch.cli.differences import road_lines
from geomatch.fleet.files import read_fleet
from geomatch.maps.diff import RegionDiff, diff
from geomatch.maps.diff.agreements import AgreementChange
from geomatch.maps.diff.areas import AreaChange
from geomatch.maps.diff.roads import Pieces
from geomatch.maps.diff.streets import Streets
from geomatch.maps.diff.turns import TurnsDiff
from geomatch.maps.diff.units import UnitChange
from geomatch.maps.network.expand import expand
from geomatch.maps.network.modes import DrivingModes, TurnCosts
from geomatch.maps.streets.source import Restriction
from geomatch.region import write_region
from geomatch.road.network import EdgeFlag, RoadClass

NODES = {n: (100.0 * n, 0.0) for n in range(11)} | {100 + n: (100.0 * n, 300.0) for n in range(11)}
WAYS = {
    1: Street(nodes=tuple(range(11)), name="Main Street"),
    2: Street(nodes=tuple(range(110, 99, -1)), name="Back Lane", one_way=True),
    3: Street(nodes=(0, 100), name="West Road"),
    4: Street(nodes=(10, 110), name="East Road"),
    5: Street(nodes=(5, 105), name="Middle Road"),
}


@pytest.fixture
def made(tmp_path):
    """Makes a region of streets, areas in metres about their centre, and agreements."""
    count = iter(range(100))

    def make(at_xy=NODES, ways=WAYS, *, areas=(), authority=None, agreements=None, modes=None, **more) -> Region:
        source = streets(at_xy, ways, **more)
        folder = tmp_path / f"{next(count)}.region"
        write_region(
            folder, expand(source, turns=TurnCosts(), modes=modes), name=folder.stem, attribution="made up", report={},
            jurisdictions=Jurisdictions(areas, authority or {}) if areas else None,
        )  # fmt: skip
        return replace(Region.open(folder), agreements=agreements)

    return make


def told(old: Region, new: Region, *units: UnitState, at: float = NOW) -> RegionDiff:
    return diff(old, new, units=units, at=at)


def said(pieces: Pieces) -> list[tuple]:
    return [(one.name, one.pieces, one.km, one.before, one.after) for one in pieces.examples]


def only(found: RegionDiff, aspect: str) -> list[tuple]:
    """The examples of that aspect, when nothing else of the roads is different but how long turns into them take."""
    turns = found.roads.turns
    assert set(found.roads.changed) == {aspect}
    assert (turns.allowed, turns.forbidden) == (0, 0)
    assert replace(found.roads, changed={}, turns=TurnsDiff()).same
    return said(found.roads.changed[aspect])


def edited(way: int, **changes) -> dict[int, Street]:
    return WAYS | {way: replace(WAYS[way], **changes)}


def police(agency, shape, name="", **more) -> ServiceArea:
    return ServiceArea(agency=agency, kind=ServiceKind.police, geometry=shape, display_name=name, **more)


# The whole


def test_the_same_map_twice_gives_nothing(made):
    areas = [police("a.us", box(-600, -200, 0, 200)), police("b.us", box(0, -200, 600, 200))]
    ban = Restriction(id=1, kind="no_left_turn", from_ways=(3,), via_node=0, to_ways=(1,))
    whole = {"areas": areas, "agreements": Agreements([grant()]), "restrictions": (ban,)}
    found = told(made(**whole), made(**whole), UnitState(unit=unit("u", agency="a.us"), fix=fix("u", 300.0)))
    assert found.same
    assert json.loads(found.to_json())["same"] is True


@pytest.mark.parametrize("name", ["portland", "nyc-nj"])
def test_a_real_map_is_the_same_as_itself(opened, name):
    assert told(opened(name), opened(name)).same


# Roads


def test_a_street_that_comes_or_goes(made):
    old, new = made(), made(ways={way: street for way, street in WAYS.items() if way != 5})
    gone, came = told(old, new).roads, told(new, old).roads
    assert said(gone.removed) == said(came.added) == [("Middle Road", 1, 0.3, "", "")]
    assert gone.added.pieces == came.removed.pieces == 0
    assert gone.changed == {}
    assert gone.turns.allowed == gone.turns.forbidden == 0
    # Where it met Main Street there is no junction any more to turn round in, from either side.
    assert gone.turns.u_turns_forbidden == came.turns.u_turns_allowed == 2


@pytest.mark.parametrize(
    ("aspect", "changes", "before", "after"),
    [
        ("speed", {"kph": 50.0}, "36 km/h", "50 km/h"),
        ("direction", {"one_way": True}, "both ways", "one way east"),
        ("road_class", {"road": RoadClass.tertiary}, "residential", "tertiary"),
        ("name", {"name": "High Street"}, "Main Street", "High Street"),
        ("built_as", {"flags": int(EdgeFlag.bridge)}, "plain road", "bridge"),
    ],
)
def test_one_edit_is_one_difference(made, aspect, changes, before, after):
    old, new = made(), made(ways=edited(1, **changes))
    assert only(told(old, new), aspect) == [(changes.get("name", "Main Street"), 10, 1.0, before, after)]
    assert only(told(new, old), aspect) == [("Main Street", 10, 1.0, after, before)]


def test_a_one_way_street_drawn_and_driven_the_other_way(made):
    turned = made(ways=edited(2, nodes=tuple(range(100, 111))))
    assert only(told(made(), turned), "direction") == [("Back Lane", 10, 1.0, "one way west", "one way east")]


def test_a_street_drawn_the_other_way_is_no_difference(made):
    assert told(made(), made(ways=edited(1, nodes=tuple(range(10, -1, -1))))).same


def test_a_street_for_emergency_vehicles_alone_is_closed_to_others(made):
    found = told(made(), made(ways=edited(5, flags=int(EdgeFlag.emergency_only))))
    assert said(found.roads.changed["access"]) == [("Middle Road", 1, 0.3, "open to all", "emergency only")]
    assert said(found.roads.changed["direction"]) == [("Middle Road", 1, 0.3, "both ways", "closed to traffic")]


def test_a_junction_that_moved_bends_its_streets(made):
    found = told(made(), made(NODES | {105: (500.0, 330.0)}))
    assert {one[0]: one[1:] for one in only(found, "moved")} == {
        "Back Lane": (2, 0.2, "", "by up to 100 m"),
        "Middle Road": (1, 0.3, "", "by up to 100 m"),
    }


def test_other_settings_of_the_build_change_driving_times_alone(made):
    modes = DrivingModes()
    slower = replace(modes, routine=replace(modes.routine, local_share=2 * modes.routine.local_share))
    found = only(told(made(), made(modes=slower)), "driving_time")
    assert {(name, before, after) for name, _, _, before, after in found} == {
        (street.name, "faster", "slower") for street in WAYS.values()
    }


def test_a_new_side_street_divides_a_street_and_changes_nothing_of_it(made):
    nodes = NODES | {200: (250.0, 0.0), 201: (250.0, 100.0)}
    ways = edited(1, nodes=(0, 1, 2, 200, *range(3, 11))) | {6: Street(nodes=(200, 201), name="New Close")}
    old, new = made(), made(nodes, ways)
    there, back = told(old, new).roads, told(new, old).roads
    assert said(there.added) == said(back.removed) == [("New Close", 1, 0.1, "", "")]
    assert (there.divided, there.joined) == (back.joined, back.divided) == (1, 0)
    assert (there.removed.pieces, there.changed) == (0, {})
    # Straight on at the ends of the divided piece is the same turn as before.
    assert (there.turns.allowed, there.turns.forbidden) == (0, 0)


def test_ids_that_are_numbered_anew_are_no_difference_of_streets(made):
    nodes = {node + 7: place for node, place in NODES.items()}
    ways = {way + 1: replace(street, nodes=tuple(n + 7 for n in street.nodes)) for way, street in WAYS.items()}
    found = told(made(), made(nodes, ways)).roads
    assert found.renumbered == 23
    assert replace(found, renumbered=0).same


@given(seed=st.integers(0, 10_000), faster=st.sets(st.integers(0, 40)), gone=st.sets(st.integers(0, 40), max_size=5))
@hypothesis_settings(max_examples=15)
def test_random_edits_are_found_and_mirrored(tmp_path_factory, seed, faster, gone):
    at_xy, ways = grid(5, np.random.default_rng(seed))
    numbers = sorted(ways)
    faster, gone = ({numbers[i % len(numbers)] for i in chosen} for chosen in (faster, gone))
    after = {
        way: replace(street, kph=street.kph + 7.0) if way in faster else street
        for way, street in ways.items()
        if way not in gone
    }
    folder = tmp_path_factory.mktemp("random")
    regions = []
    for name, edition in (("old", ways), ("new", after)):
        source = streets(at_xy, edition)
        write_region(folder / name, expand(source), name=name, attribution="made up", report={})
        regions.append(Region.open(folder / name))
    there, back = told(*regions).roads, told(*regions[::-1]).roads
    assert there.removed.pieces == back.added.pieces == len(gone)
    assert there.added.pieces == back.removed.pieces == 0
    metres = {way: np.hypot(*np.subtract(at_xy[s.nodes[0]], at_xy[s.nodes[1]])) for way, s in ways.items()}
    assert there.removed.km == back.added.km == pytest.approx(sum(metres[way] for way in gone) / 1000, abs=1e-3)
    assert there.changed.get("speed", Pieces()).pieces == len(faster - gone)
    assert set(there.changed) == set(back.changed) == ({"speed"} if faster - gone else set())
    assert (there.turns.allowed, there.turns.u_turns_allowed) == (back.turns.forbidden, back.turns.u_turns_forbidden)
    assert (there.turns.forbidden, there.turns.u_turns_forbidden) == (back.turns.allowed, back.turns.u_turns_allowed)


def test_edits_of_a_real_map_are_found_each_and_nothing_else(shared_data, opened, tmp_path):
    """Ways deleted, given a limit nobody else has, or a new number, in the file; the rest is as it was."""
    old = opened("portland")
    ways = np.random.default_rng(3).permutation(np.unique(old.network.edge_way)).tolist()
    gone, fast, renumbered = set(ways[:10]), set(ways[10:40]), set(ways[40:60])
    edited_map = tmp_path / "portland.osm.pbf"
    with osmium.SimpleWriter(str(edited_map)) as writer:
        for thing in osmium.FileProcessor(str(shared_data / "portland" / "portland_small.osm.pbf")):
            if not thing.is_way() or thing.id not in {*gone, *fast, *renumbered}:
                writer.add(thing)
            elif thing.id in fast:
                writer.add(thing.replace(tags=dict(thing.tags) | {"maxspeed": "37 mph"}))
            elif thing.id in renumbered:
                writer.add(thing.replace(id=thing.id + 10**10))
    new = build(edited_map, tmp_path / "new.region")
    pieces = Streets.of(old.network, old.network.projection)

    def of(chosen: set[int]) -> list[int]:
        return [row for row, way in enumerate(pieces.way.tolist()) if way in chosen]

    there, back = told(old, new).roads, told(new, old).roads
    assert there.removed.pieces == back.added.pieces == len(of(gone))
    assert there.removed.km == pytest.approx(pieces.length_m[of(gone)].sum() / 1000, abs=1e-3)
    assert there.added.pieces == back.removed.pieces == 0
    assert there.changed["speed"].pieces == back.changed["speed"].pieces == len(of(fast))
    assert there.changed["speed"].km == pytest.approx(pieces.length_m[of(fast)].sum() / 1000, abs=1e-3)
    assert there.renumbered == back.renumbered == len(of(renumbered))
    # A limit more or less moves the median of its class, and with it what is assumed where none is posted.
    assert set(there.changed) <= {"speed", "assumed_speed"}
    assert (there.divided, there.joined) == (back.joined, back.divided)
    assert there.divided == 0


# Turns


def test_a_turn_restriction_that_comes_or_goes(made):
    ban = Restriction(id=1, kind="no_left_turn", from_ways=(3,), via_node=0, to_ways=(1,))
    old, new = made(), made(restrictions=(ban,))
    there, back = told(old, new).roads.turns, told(new, old).roads.turns
    assert (there.allowed, there.forbidden, there.delayed_otherwise) == (0, 1, 0)
    assert [(one.from_road, one.into_road) for one in there.forbidden_examples] == [("West Road", "Main Street")]
    assert (back.allowed, back.forbidden) == (1, 0)
    assert back.allowed_examples[0].at.lon == pytest.approx(there.forbidden_examples[0].at.lon, abs=1e-6)


def test_a_restriction_over_a_street_in_between_is_found_too(made):
    ban = Restriction(id=1, kind="no_u_turn", from_ways=(1,), via_ways=(4,), to_ways=(2,))
    old, new = made(), made(restrictions=(ban,))
    assert new.network.edges > new.network.originals
    there, back = told(old, new).roads.turns, told(new, old).roads.turns
    assert (there.allowed, there.forbidden, back.allowed, back.forbidden) == (0, 1, 1, 0)
    assert [(one.from_road, one.into_road) for one in there.forbidden_examples] == [("East Road", "Back Lane")]


def test_a_signal_delays_the_turns_at_it(made):
    found = told(made(), made(signals=frozenset({5}))).roads
    assert found.turns.delayed_otherwise > 0
    assert (found.turns.allowed, found.turns.forbidden, found.changed) == (0, 0, {})


# Who is responsible


A, B, C = "a.us", "b.us", "c.us"


def areas_of(*shapes: tuple) -> list[ServiceArea]:
    return [police(agency, box(*corners), name) for agency, corners, name in shapes]


TOWN_B = police(B, box(300, -300, 600, 300), "b")
TWO = areas_of((A, (-600, -300, 0, 300), ""), (B, (0, -300, 600, 300), ""))


def test_a_border_that_moves_takes_ground_from_one_and_gives_it_to_the_other(made):
    moved = areas_of((A, (-600, -300, 100, 300), ""), (B, (100, -300, 600, 300), ""))
    there, back = (told(made(areas=one), made(areas=other)).areas for one, other in ((TWO, moved), (moved, TWO)))
    assert [(a.what, a.agency, a.gained_m2, a.lost_m2) for a in there.areas] == [
        (AreaChange.reshaped, A, 60_000.0, 0.0),
        (AreaChange.reshaped, B, 0.0, 60_000.0),
    ]
    assert [(t.from_agency, t.to_agency, t.m2) for t in there.transfers] == [(B, A, 60_000.0)]
    assert [(t.from_agency, t.to_agency, t.m2) for t in back.transfers] == [(A, B, 60_000.0)]
    assert there.transfers[0].at.lon > 10.0
    assert (there.agencies_added, there.agencies_removed, there.authority) == ((), (), ())


def test_an_agency_that_appears_takes_what_was_anothers_and_what_was_nobodys(made):
    campus = [*TWO, police(C, box(-50, 200, 50, 400), urn="urn:emergency:service:responder.police.campus")]
    there, back = (told(made(areas=one), made(areas=other)).areas for one, other in ((TWO, campus), (campus, TWO)))
    assert [(a.what, a.agency, a.gained_m2) for a in there.areas] == [(AreaChange.added, C, 20_000.0)]
    assert {(t.from_agency, t.to_agency): t.m2 for t in there.transfers} == {
        (None, C): 10_000.0,
        (A, C): 5_000.0,
        (B, C): 5_000.0,
    }
    assert (there.agencies_added, back.agencies_removed) == ((C,), (C,))
    assert {(t.to_agency, t.from_agency): t.m2 for t in back.transfers} == {
        (t.from_agency, t.to_agency): t.m2 for t in there.transfers
    }


def test_a_beat_handed_to_another_agency_keeps_its_outline(made):
    beats = areas_of(
        (A, (-600, -300, 0, 300), "west"), (A, (0, -300, 300, 300), "mid"), (B, (300, -300, 600, 300), "b")
    )
    handed = [beats[0], police(B, beats[1].geometry, "mid"), beats[2]]
    found = told(made(areas=beats), made(areas=handed)).areas
    (changed,) = found.areas
    assert (changed.what, changed.agency, changed.gained_m2, changed.lost_m2) == (AreaChange.relabelled, B, 0.0, 0.0)
    assert [(one.field, one.before, one.after) for one in changed.fields] == [("agency", A, B)]
    assert {(t.from_agency, t.from_beat, t.to_agency, t.to_beat, t.m2) for t in found.transfers} == {
        (A, "mid", B, "mid", 180_000.0),
        (A, "west", A, None, 360_000.0),  # one beat is none: its name is the agency's
        (B, None, B, "b", 180_000.0),
    }


def test_a_date_is_a_difference_and_hands_over_what_is_not_in_force(made):
    ending = [TWO[0], replace(TWO[1], expire=NOW)]
    found = told(made(areas=TWO), made(areas=ending)).areas
    assert [(a.what, a.agency, a.fields[0].field) for a in found.areas] == [(AreaChange.relabelled, B, "expire")]
    assert [(t.from_agency, t.to_agency, t.m2) for t in found.transfers] == [(B, None, 360_000.0)]
    assert told(made(areas=TWO), made(areas=ending), at=NOW - 1).areas.transfers == ()


def test_powers_beyond_the_border_are_compared(made):
    corridor = AreaRule(buffer_m=100.0, corridors=(box(0, 0, 100, 10),))
    found = told(made(areas=TWO), made(areas=TWO, authority={A: corridor})).areas
    assert [(a.agency, a.buffer_m_before, a.buffer_m_after, a.corridors_gained_m2) for a in found.authority] == [
        (A, 0.0, 100.0, 1000.0)
    ]
    assert found.areas == found.transfers == ()


def test_another_centre_of_the_map_moves_no_border_and_no_street(made):
    """A road far out makes a new projection, in which the same ground has other coordinates."""
    far = NODES | {300: (2_000.0, 0.0), 301: (4_000.0, 2_500.0)}
    longer = WAYS | {9: Street(nodes=(10, 300, 301), name="Far Road")}
    old, wider = made(areas=TWO), made(far, longer)
    here, there = old.network.projection, wider.network.projection
    shift = [replace(area, geometry=reframed(area.geometry, here, there)) for area in TWO]
    new = made(far, longer, areas=shift)
    assert here != there
    found = told(old, new)
    assert found.areas.same
    assert said(found.roads.added) == [("Far Road", 2, 4.202, "", "")]
    assert (found.roads.removed.pieces, found.roads.changed) == (0, {})


def reframed(shape, one, other):
    return shapely.transform(shape, lambda points: np.column_stack(other.forward(*one.inverse(*points.T))))


# Agreements


def test_agreements_by_id_and_version(made):
    base = grant()
    more = replace(base, version=2, limits=Limits(max_units_at_once=2))
    old = made(agreements=Agreements([base, grant(id="leaves", provider_agency=NORTH)]))
    new = made(agreements=Agreements([base, more, grant(id="comes", receiver_agency=NORTH)]))
    there, back = told(old, new).agreements, told(new, old).agreements
    assert [(a.key, a.what, a.in_force_before, a.in_force_after) for a in there] == [
        ("comes@1", AgreementChange.added, False, True),
        ("east-to-west@1", AgreementChange.replaced, True, False),
        ("east-to-west@2", AgreementChange.added, False, True),
        ("leaves@1", AgreementChange.removed, True, False),
    ]
    (term,) = there[2].terms
    assert (there[2].compared_with, term.term, term.before, term.after) == (
        "east-to-west@1", "limits.max_units_at_once", None, 2,
    )  # fmt: skip
    opposite = {"added": "removed", "removed": "added", "replaced": "replaced"}
    assert [(a.key, a.in_force_after, a.in_force_before) for a in back] == [
        (a.key, a.in_force_before, a.in_force_after) for a in there
    ]
    assert [opposite[a.what] for a in back] == [a.what for a in there]


def test_terms_that_change_under_one_version_are_told_term_by_term(made):
    ring = (((10.0, 50.0), (10.1, 50.0), (10.1, 50.1), (10.0, 50.0)),)
    here = grant(geography=Geography(incident_in=("area:bridge",)))
    before = Agreements([here], [Drawn(name="bridge", polygon=ring)])
    after = Agreements([replace(here, status=Stage.suspended, tier=3)], [Drawn(name="bridge", line=ring[0][:2])])
    (found,) = told(made(agreements=before), made(agreements=after)).agreements
    assert (found.what, found.in_force_before, found.in_force_after) == (AgreementChange.changed, True, False)
    assert [(one.term, one.before, one.after) for one in found.terms][:2] == [
        ("status", "active", "suspended"),
        ("tier", 2, 3),
    ]
    assert found.terms[2].term == "area:bridge"


def test_an_agreement_whose_agency_leaves_the_map_is_named(made):
    held = Agreements([grant()])
    both = [police(EAST, box(0, 0, 9, 9)), police(WEST, box(9, 0, 18, 9))]
    (found,) = told(made(areas=both, agreements=held), made(areas=both[:1], agreements=held)).agreements
    assert (found.what, found.off_map, found.terms) == (AgreementChange.lost_agency, (WEST,), ())


# Units


def stands(name: str, x: float, y: float = 0.0, *, agency=A, beat=None, course=None) -> UnitState:
    return UnitState(unit=replace(unit(name, agency=agency), home_beat=beat), fix=fix(name, x, y, course=course))


def units_of(found: RegionDiff) -> dict[str, tuple]:
    return {one.unit: one.changes for one in found.units}


def test_a_unit_on_a_road_that_goes_is_put_on_another(made):
    new = made(ways={way: street for way, street in WAYS.items() if way != 5})
    found = told(made(), new, stands("on", 500.0, 100.0), stands("off", 300.0), UnitState(unit=unit("silent")))
    assert units_of(found) == {"on": (UnitChange.road,)}
    assert found.units[0].sentence == "It is 0 m from Middle Road and would be put on Main Street, 100 m away."
    assert found.units_compared == 3


def test_a_unit_on_a_street_that_is_divided_or_renamed_stays_on_it(made):
    nodes = NODES | {200: (250.0, 0.0), 201: (250.0, 100.0)}
    ways = edited(1, nodes=(0, 1, 2, 200, *range(3, 11)), name="High Street") | {6: Street(nodes=(200, 201))}
    assert told(made(), made(nodes, ways), stands("a", 220.0), stands("b", 280.0, course=90.0)).units == ()


def test_a_parked_unit_on_a_street_that_becomes_one_way_stands_on_one_side(made):
    found = told(made(), made(ways=edited(5, one_way=True)), stands("on", 500.0, 100.0))
    assert units_of(found) == {"on": (UnitChange.direction,)}
    assert found.units[0].sentence == "On Middle Road it would be put on one side only."


def test_a_unit_outside_the_new_map_is_told(made):
    far = NODES | {300: (9_000.0, 0.0)}
    wide = made(far, WAYS | {9: Street(nodes=(10, 300), name="Far Road")})
    assert units_of(told(wide, made(), stands("far", 8_000.0))) == {"far": (UnitChange.off_map,)}
    assert units_of(told(made(), wide, stands("far", 8_000.0))) == {"far": (UnitChange.on_map,)}


def test_a_unit_sees_another_agency_another_beat_or_its_own_gone(made):
    old = made(areas=TWO)
    x0, _ = (float(v) for v in old.network.projection.forward(stands("u", 300.0).fix.at.lon, 50.0))
    assert x0 < 0.0  # it stands in the west
    swapped = [replace(TWO[0], agency=B), replace(TWO[1], agency=C)]
    found = told(old, made(areas=swapped), stands("u", 300.0, agency=A), stands("v", 300.0, agency=B))
    assert units_of(found) == {
        "u": (UnitChange.responsible_agency, UnitChange.agency_unknown),
        "v": (UnitChange.responsible_agency,),
    }
    beats = areas_of((A, (-600, -300, 0, 300), "west"), (A, (0, -300, 600, 300), "east"))
    renamed = [replace(beats[0], display_name="sunset"), beats[1]]
    found = told(made(areas=beats), made(areas=renamed), stands("u", 300.0, beat="west"))
    assert units_of(found) == {"u": (UnitChange.beat, UnitChange.home_beat_unknown)}
    assert "beat west" in found.units[0].sentence
    assert "beat sunset" in found.units[0].sentence


# The command


def test_the_command_says_it_in_words_and_in_json_and_by_its_exit_status(made, tmp_path, capsys):
    made(areas=TWO)
    made(ways=edited(1, kph=50.0), areas=[TWO[0], replace(TWO[1], agency=C)])
    old, new = tmp_path / "0.region", tmp_path / "1.region"
    fleet = tmp_path / "fleet.geojson"
    at = fix("u", 700.0).at
    properties = {"id": "u", "agency": B, "time": "2026-02-02T02:40:00Z"}
    point = {"type": "Point", "coordinates": [at.lon, at.lat]}
    feature = {"type": "Feature", "geometry": point, "properties": properties}
    fleet.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    when = ["--at", "2026-02-02T02:40:00Z"]
    assert main(["diff", str(old), str(old), "--fleet", str(fleet), *when]) == 0
    assert "Nothing is different, and none of 1 units stands otherwise." in capsys.readouterr().out
    assert main(["diff", str(old), str(new), "--fleet", str(fleet), "--json", *when]) == 1
    opened = Region.open(old), Region.open(new)
    assert capsys.readouterr().out.strip() == diff(*opened, units=read_fleet(fleet), at=NOW).to_json()
    assert main(["diff", str(old), str(new), "--fleet", str(fleet), *when]) == 1
    told = capsys.readouterr().out
    for line in (
        "Streets with another speed limit: 1.00 km in 10 pieces",
        "Main Street: 36 km/h becomes 50 km/h, 1.00 km",
        "Agencies that are on no layer any more: b.us",
        "0.36 km2 (police) from b.us to c.us",
        "Units (1 of 1)",
        "its agency b.us is on no layer of the new map",
    ):
        assert line in told
    assert main(["diff", str(old), str(tmp_path)]) == 1
    assert "is no region" in capsys.readouterr().err
    assert main(["diff", str(old), str(new), "--at", "noon"]) == 2


def test_examples_are_limited_and_what_is_left_out_is_counted(made):
    found = diff(made(), made(ways={way: replace(s, kph=50.0) for way, s in WAYS.items()}), at=NOW, examples=2)
    speed = found.roads.changed["speed"]
    assert (speed.pieces, len(speed.examples), speed.names) == (23, 2, 5)
    assert [one.name for one in speed.examples] == ["Back Lane", "Main Street"]
    lines = list(road_lines(found.roads))
    assert lines[-1].strip() == "and 3 more"


def test_two_places_have_nothing_in_common(made):
    here = made()
    elsewhere = made({node: (x + 50_000.0, y) for node, (x, y) in NODES.items()})
    found = told(here, elsewhere).roads
    assert (found.added.pieces, found.removed.pieces, found.changed) == (23, 23, {})
