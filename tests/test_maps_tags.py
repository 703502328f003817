"""What a street's and a point's tags say to a driver."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomatch.maps.osm.node_tags import LET_IN_S, read_spot
from geomatch.maps.osm.speeds import UNLIMITED_KPH, WALK_KPH, speed_kph
from geomatch.maps.osm.tags import duration_s, read_street
from geomatch.maps.osm.turn_relations import read_restriction
from geomatch.maps.streets.drawn import Street
from geomatch.maps.streets.source import ReadReport, Restriction
from geomatch.maps.streets.speeds import KPH_OF_MPH
from geomatch.road.network import EdgeFlag, RoadClass


def street(**tags: str) -> Street | None:
    """Keys with a colon are written with a double underscore."""
    named = {key.replace("__", ":"): value for key, value in tags.items()}
    return read_street({"highway": "residential"} | named, ReadReport())


def flags(**tags: str) -> EdgeFlag:
    found = street(**tags)
    assert found is not None
    return EdgeFlag(found.flags)


@pytest.mark.parametrize(
    ("text", "kph"),
    [
        ("50", 50.0),
        ("50 km/h", 50.0),
        ("50kmh", 50.0),
        ("27,5", 27.5),
        ("35 mph", 35 * KPH_OF_MPH),
        ("35MPH", 35 * KPH_OF_MPH),
        ("10 knots", 18.52),
        ("walk", WALK_KPH),
        ("none", UNLIMITED_KPH),
        ("DE:urban", 50.0),
        ("de:rural", 100.0),
        ("FR:rural", 80.0),
        ("BE-VLG:rural", 70.0),
        ("GB:nsl_dual", 70 * KPH_OF_MPH),
        ("UK:nsl_single", 60 * KPH_OF_MPH),
        ("GB:zone:20", 20 * KPH_OF_MPH),
        ("DE:zone:30", 30.0),
        ("DE:zone30", 30.0),
        ("FR:30", 30.0),
        ("LT:living_street", 20.0),
        ("50;30", 30.0),
        ("60 mph|40 mph", 40 * KPH_OF_MPH),
    ],
)
def test_a_posted_speed_is_read_in_every_spelling(text, kph):
    assert speed_kph(text) == pytest.approx(kph)


@pytest.mark.parametrize(
    "text", ["", "fast", "0", "5000", "-30", "50 furlongs", "US:urban", "national", "50;fast", "30 @ (wet)"]
)
def test_what_is_no_speed_is_never_taken_for_one(text):
    assert speed_kph(text) is None


@given(st.integers(1, 100), st.sampled_from(["", " km/h", "km/h", " mph", "mph", " knots"]))
def test_a_number_with_its_unit_agrees_with_osmnx(number, unit):
    from osmnx.routing import _clean_maxspeed

    # OSMnx takes knots for km/h.
    expected = number * 1.852 if "knots" in unit else _clean_maxspeed(f"{number}{unit}")
    assert speed_kph(f"{number}{unit}") == pytest.approx(expected, rel=1e-5)


def test_zone_codes_agree_with_osmnx_but_for_three_countries():
    from osmnx.routing import _IMPLICIT_MAXSPEEDS

    # Walking pace and no limit are read alike in every spelling; France and rural Germany are as their road codes say.
    ours = {"DE:living_street": 5.0, "DE:motorway": 130.0, "DE:rural": 100.0, "FR:motorway": 130.0}
    assert {
        code: speed_kph(code)
        for code, kph in _IMPLICIT_MAXSPEEDS.items()
        if speed_kph(code) != pytest.approx(kph, abs=0.01)
    } == ours


def test_a_speed_may_differ_by_direction():
    found = street(maxspeed="50", maxspeed__backward="30")
    assert found is not None
    assert (found.forward_kph, found.backward_kph) == (50.0, 30.0)


def test_the_zone_holds_only_where_no_sign_stands():
    signed, unsigned = street(maxspeed="70", source__maxspeed="DE:urban"), street(source__maxspeed="DE:urban")
    assert signed is not None
    assert unsigned is not None
    assert (signed.forward_kph, unsigned.forward_kph) == (70.0, 50.0)


@pytest.mark.parametrize("text", ["signals", "variable"])
def test_a_changing_speed_is_assumed_and_counted(text):
    report = ReadReport()
    found = read_street({"highway": "motorway", "maxspeed": text}, report)
    assert found is not None
    assert math.isnan(found.forward_kph)
    assert report.counts[f"ways with maxspeed={text}, speed assumed"] == 1
    assert not report.unread_values


def test_an_unread_speed_is_counted_by_its_value():
    report = ReadReport()
    read_street({"highway": "residential", "maxspeed": "fast"}, report)
    assert report.unread_values == {"maxspeed=fast": 1}


@pytest.mark.parametrize(
    ("tags", "forward", "backward"),
    [
        ({}, True, True),
        ({"oneway": "yes"}, True, False),
        ({"oneway": "1"}, True, False),
        ({"oneway": "-1"}, False, True),
        ({"oneway": "reverse"}, False, True),
        ({"oneway": "no"}, True, True),
        ({"oneway": "alternating"}, True, True),
        ({"junction": "roundabout"}, True, False),
        ({"junction": "circular"}, True, False),
        ({"junction": "roundabout", "oneway": "-1"}, False, True),
        ({"highway": "motorway"}, True, False),
        ({"highway": "motorway", "oneway": "no"}, True, True),
        ({"highway": "motorway_link"}, True, True),
        ({"oneway": "yes", "oneway:motor_vehicle": "no"}, True, True),
        ({"oneway": "yes", "oneway:bicycle": "no"}, True, False),
        ({"motor_vehicle:backward": "no"}, True, False),
        ({"vehicle:forward": "no"}, False, True),
        ({"oneway:conditional": "yes @ (Mo-Fr 07:00-09:00)"}, True, False),
        ({"oneway": "yes", "oneway:conditional": "no @ (Su)"}, True, False),
    ],
)
def test_open_directions(tags, forward, backward):
    found = read_street({"highway": "residential"} | tags, ReadReport())
    assert found is not None
    assert (found.open_forward, found.open_backward) == (forward, backward)
    assert not found.flags & EdgeFlag.reversible


@pytest.mark.parametrize(
    "tags",
    [
        {"oneway": "reversible"},
        {"oneway": "yes", "oneway:conditional": "-1 @ (Mo-Fr 15:00-19:00)"},
        {"oneway": "reversible", "oneway:conditional": "yes @ (06:00-12:00); -1 @ (12:00-20:00)"},
    ],
)
def test_a_reversible_street_is_closed_both_ways_and_reported(tags):
    report = ReadReport()
    found = read_street({"highway": "primary"} | tags, report)
    assert found is not None
    assert (found.open_forward, found.open_backward) == (False, False)
    assert found.flags & EdgeFlag.reversible
    assert report.counts["ways closed as reversible, since their hours are not known"] == 1


@pytest.mark.parametrize(
    ("tags", "flag"),
    [
        ({"access": "private"}, EdgeFlag.private),
        ({"access": "private", "motor_vehicle": "yes"}, EdgeFlag(0)),
        ({"access": "yes", "motor_vehicle": "private"}, EdgeFlag.private),
        ({"access": "no", "motorcar": "destination"}, EdgeFlag.destination),
        ({"access": "customers"}, EdgeFlag.destination),
        ({"access": "private; yes"}, EdgeFlag(0)),
        ({"motor_vehicle": "agricultural;destination"}, EdgeFlag.destination),
        ({"access": "no", "emergency": "yes"}, EdgeFlag.emergency_only),
        ({"access": "private", "emergency": "designated"}, EdgeFlag.emergency_only),
        ({"access": "no", "bus": "yes"}, EdgeFlag.emergency_only),
        ({"highway": "busway"}, EdgeFlag.emergency_only),
        ({"highway": "service", "service": "emergency_access"}, EdgeFlag.emergency_only),
        ({"highway": "pedestrian", "emergency": "yes"}, EdgeFlag.emergency_only),
        ({"highway": "service", "service": "alley"}, EdgeFlag(0)),
    ],
)
def test_who_may_drive_there(tags, flag):
    found = read_street({"highway": "residential"} | tags, ReadReport())
    assert found is not None
    who = EdgeFlag.private | EdgeFlag.destination | EdgeFlag.emergency_only
    assert EdgeFlag(found.flags) & who == flag


TRACK = "track, neither grade1 nor open to motor vehicles"


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"highway": "footway"}, "highway=footway"),
        ({"highway": "construction"}, "highway=construction"),
        ({"highway": "residential", "area": "yes"}, "area"),
        ({"highway": "residential", "motor_vehicle": "no"}, "closed to motor vehicles"),
        ({"highway": "residential", "access": "no"}, "closed to motor vehicles"),
        ({"highway": "service", "service": "driveway"}, "service=driveway"),
        ({"highway": "service", "service": "parking_aisle"}, "service=parking_aisle"),
        ({"highway": "track"}, TRACK),
        ({"highway": "track", "tracktype": "grade1", "vehicle": "agricultural"}, TRACK),
        ({"route": "ferry", "foot": "yes"}, "ferry that names no motor vehicles"),
        ({"highway": "residential", "vehicle:forward": "no", "vehicle:backward": "no"}, "closed in both directions"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted_with_its_reason(tags, reason):
    report = ReadReport()
    assert read_street(tags, report) is None
    assert report.counts[f"ways left out: {reason}"] == 1


def test_links_are_ramps_of_their_parents_class():
    found = street(highway="trunk_link")
    assert found is not None
    assert found.road_class == RoadClass.trunk
    assert found.flags & EdgeFlag.ramp
    assert not flags(highway="trunk") & EdgeFlag.ramp


def test_bridges_tunnels_and_roundabouts_are_marked():
    assert flags(bridge="viaduct") == EdgeFlag.bridge
    assert flags(tunnel="yes", bridge="no") == EdgeFlag.tunnel
    assert flags(junction="roundabout") == EdgeFlag.roundabout


def test_a_street_without_a_name_goes_by_its_number():
    named, numbered = street(name="Ocean Ave", ref="A1"), street(ref="A1")
    assert named is not None
    assert numbered is not None
    assert (named.name, numbered.name) == ("Ocean Ave", "A1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("01:30", 5400), ("00:25", 1500), ("20", 1200), ("1:00:30", 3630), ("PT1H30M", 5400), ("PT45M", 2700)],
)
def test_a_ferrys_duration_is_read(text, seconds):
    assert duration_s(text) == seconds
    found = read_street({"route": "ferry", "motor_vehicle": "yes", "duration": text}, ReadReport())
    assert found is not None
    assert (found.road_class, found.fixed_s) == (RoadClass.ferry, seconds)


@pytest.mark.parametrize("text", ["", "0", "soon", "PT", "99:00"])
def test_what_is_no_duration_is_counted_as_unread(text):
    report = ReadReport()
    found = read_street({"route": "ferry", "motor_vehicle": "yes", "duration": text}, report)
    assert found is not None
    assert found.fixed_s == 0.0
    assert report.unread_values == {f"duration={text}": 1}


@pytest.mark.parametrize(
    ("tags", "bars"),
    [
        ({"barrier": "bollard"}, True),
        ({"barrier": "bollard", "motor_vehicle": "yes"}, False),
        ({"barrier": "bollard", "emergency": "yes"}, False),
        ({"barrier": "bollard", "bollard": "rising"}, False),
        ({"barrier": "jersey_barrier"}, True),
        ({"barrier": "gate"}, False),
        ({"barrier": "gate", "access": "no"}, True),
        ({"barrier": "gate", "access": "no", "emergency": "yes"}, False),
        ({"barrier": "gate", "access": "private"}, False),
        ({"barrier": "gate", "locked": "yes"}, True),
        ({"barrier": "lift_gate", "vehicle": "forestry"}, True),
        ({"barrier": "toll_booth"}, False),
    ],
)
def test_which_barriers_bar_a_car(tags, bars):
    spot = read_spot(tags)
    assert spot is not None
    assert spot.bars == bars
    assert (spot.barrier_s == 0.0) == bars


def test_a_private_gate_takes_longer_than_an_open_one():
    private, public = read_spot({"barrier": "gate", "access": "private"}), read_spot({"barrier": "gate"})
    assert private is not None
    assert public is not None
    assert private.barrier_s == public.barrier_s + LET_IN_S


def test_a_barrier_nobody_knows_is_reported():
    spot = read_spot({"barrier": "portcullis"})
    assert spot is not None
    assert spot.unread == "barrier=portcullis"
    assert not spot.bars


@pytest.mark.parametrize(
    ("tags", "forward", "backward"),
    [
        ({"highway": "traffic_signals"}, True, True),
        ({"highway": "traffic_signals", "traffic_signals:direction": "forward"}, True, False),
        ({"highway": "traffic_signals", "direction": "backward"}, False, True),
        ({"highway": "crossing", "crossing": "traffic_signals"}, True, True),
        ({"highway": "traffic_signals;crossing"}, True, True),
    ],
)
def test_whom_a_signal_faces(tags, forward, backward):
    spot = read_spot(tags)
    assert spot is not None
    assert (spot.signal_forward, spot.signal_backward) == (forward, backward)


@pytest.mark.parametrize(
    "tags", [{"highway": "bus_stop"}, {"highway": "crossing"}, {"barrier": "entrance"}, {"barrier": "kerb"}]
)
def test_points_that_delay_no_car_are_no_spots(tags):
    assert read_spot(tags) is None


TURN = [("w", 1, "from"), ("n", 5, "via"), ("w", 2, "to")]


def restriction(tags: dict[str, str], members=TURN) -> Restriction | str:
    report = ReadReport()
    found = read_restriction(9, {"type": "restriction"} | tags, members, report)
    assert (found is None) == (9 in report.restrictions_left_out)
    return found if found is not None else report.restrictions_left_out[9]


def test_a_restriction_is_read_with_its_exceptions():
    found = restriction({"restriction": "no_left_turn", "except": "bus; emergency"})
    assert found == Restriction(
        id=9, kind="no_left_turn", from_ways=(1,), to_ways=(2,), via_node=5, excepted=("bus", "emergency")
    )


def test_an_only_restriction_via_ways():
    members = [("w", 1, "from"), ("w", 7, "via"), ("w", 8, "via"), ("w", 2, "to"), ("n", 3, "location_hint")]
    found = restriction({"restriction": "only_straight_on"}, members)
    assert isinstance(found, Restriction)
    assert (found.only, found.via_node, found.via_ways) == (True, None, (7, 8))


def test_a_restriction_by_the_clock_keeps_its_condition():
    found = restriction({"restriction:conditional": "no_u_turn @ (Mo-Fr 07:00-09:00)"})
    assert isinstance(found, Restriction)
    assert (found.kind, found.condition) == ("no_u_turn", "(Mo-Fr 07:00-09:00)")


@pytest.mark.parametrize(
    ("tags", "members", "reason"),
    [
        ({"restriction:hgv": "no_left_turn"}, TURN, "holds for hgv only"),
        ({"type": "restriction:bus", "restriction": "no_left_turn"}, TURN, "holds for bus only"),
        ({"restriction:conditional": "no_left_turn @ (weight>3.5)"}, TURN, "holds only where (weight>3.5)"),
        ({"restriction": "no_parking"}, TURN, "unknown kind 'no_parking'"),
        ({}, TURN, "names no kind of restriction"),
        ({"restriction": "no_left_turn"}, TURN[1:], "no from way"),
        ({"restriction": "no_left_turn"}, TURN[:2], "no to way"),
        ({"restriction": "no_left_turn"}, [TURN[0], TURN[2]], "no via"),
        ({"restriction": "no_left_turn"}, [*TURN, ("w", 7, "via")], "via both a node and a way"),
        ({"restriction": "no_left_turn"}, [*TURN, ("n", 7, "via")], "2 via nodes, where one is the rule"),
        ({"restriction": "no_left_turn"}, [*TURN, ("w", 3, "to")], "2 to ways, where no_left_turn has one"),
        ({"restriction": "no_left_turn"}, [("n", 1, "from"), *TURN[1:]], "no from way"),
    ],
)
def test_a_restriction_that_cannot_hold_is_left_out_with_the_reason(tags, members, reason):
    assert restriction(tags, members) == reason


def test_no_entry_may_come_from_several_ways():
    found = restriction({"restriction": "no_entry"}, [*TURN, ("w", 3, "from")])
    assert isinstance(found, Restriction)
    assert found.from_ways == (1, 3)
