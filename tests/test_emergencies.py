"""An officer who calls for help is never lost, and opens one stop: a bag of rules, and any history of alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Matcher, Need, Region, Stop, UnitState, Urgency
from geomatch.backup.assignments import AssignmentState
from geomatch.backup.calls_for_help import Alarm, PlaceFrom
from geomatch.errors import OutsideMap, UnknownStop
from geomatch.quantities import LonLat


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    return main_street(tmp_path_factory.mktemp("help") / "main.region")


@pytest.fixture
def matcher(region) -> Matcher:
    cars = {"a": 400.0, "b": 1000.0, "c": 1900.0}
    return matcher_with(
        region, [UnitState(unit=unit(n), fix=fix(n, x)) for n, x in cars.items()] + [UnitState(unit=unit("lost"))]
    )


def alarm(name: str | None = "a", when: float = NOW, **more) -> Alarm:
    return Alarm(unit=name, at=when, **more)


def raised(matcher: Matcher, name: str = "a", when: float = NOW, **more):
    return matcher.emergencies.hear(alarm(name, when, **more), now=when)


def test_an_alarm_opens_a_stop_where_the_unit_is_and_its_officer_is_there(matcher):
    one = raised(matcher, need=Need(officers=2))
    held = matcher.stops.get(one.id)
    assert held.stop.urgency is Urgency.officer_emergency
    assert held.stop.units_on_scene == ("a",)
    assert held.stop.need.officers == 2
    assert (held.stop.at.lon, held.stop.at.lat) == pytest.approx((at(400.0).lon, at(400.0).lat), abs=1e-6)
    assert held.emergency == one
    assert one.place_from is PlaceFrom.fix
    ranking = matcher.rank(held.stop, now=NOW)
    assert [c.unit for c in ranking.candidates] == ["b", "c"]
    assert ranking.counts["on_scene"] == 1


def test_the_same_alarm_again_opens_no_second_stop_and_another_officers_does(matcher):
    one = raised(matcher)
    for seconds in (1.0, 2.0, 60.0):
        again = raised(matcher, when=NOW + seconds)
        assert again.id == one.id
    assert again.repeats == 3
    assert raised(matcher, when=NOW + 60.0) == again, "a message that says the same once more tells nothing"
    assert len(matcher.stops.view().stops) == 1
    assert raised(matcher, "c").id != one.id
    assert len(matcher.stops.view().stops) == 2


def test_an_alarm_taken_back_closes_nothing_and_waits_for_a_person(matcher):
    one = raised(matcher)
    told = raised(matcher, when=NOW + 5, stopped_at=NOW + 5)
    assert told.wants_a_decision
    assert matcher.stops.get(one.id).stop.urgency is Urgency.officer_emergency
    assert raised(matcher, when=NOW + 5, stopped_at=NOW + 5) == told
    stands = matcher.emergencies.decide(one.id, stands=True, at=NOW + 9, by="desk 1")
    assert not stands.wants_a_decision
    assert (stands.stands_at, stands.decided_by) == (NOW + 9, "desk 1")
    assert raised(matcher, when=NOW + 20, stopped_at=NOW + 20).wants_a_decision
    pressed = raised(matcher, when=NOW + 30)
    assert pressed.cancelled_at is None
    over = matcher.emergencies.decide(one.id, stands=False, at=NOW + 40)
    assert over.over_at == NOW + 40
    assert not matcher.stops.view().stops


def test_a_message_that_repeats_a_closed_alarm_opens_nothing_and_a_new_press_does(matcher):
    one = raised(matcher)
    matcher.stops.clear(one.id, at=NOW + 60)
    assert matcher.emergencies.hear(alarm("a", NOW), now=NOW + 61) is None
    assert matcher.emergencies.hear(alarm("a", NOW, stopped_at=NOW + 62), now=NOW + 62) is None
    assert raised(matcher, when=NOW + 70).id != one.id


def test_an_old_position_is_said_and_a_fresh_one_replaces_it_once(matcher):
    one = raised(matcher, when=NOW + 500.0)
    assert one.place_from is PlaceFrom.stale_fix
    assert one.place_age_s == 500.0
    assert matcher.emergencies.placeable(now=NOW + 500.0) == []
    matcher.update([fix("a", 1500.0, age_s=-501.0)])
    assert matcher.emergencies.placeable(now=NOW + 502.0) == [one.id]
    moved = matcher.emergencies.locate(one.id, now=NOW + 502.0)
    assert moved.place_from is PlaceFrom.fix
    assert matcher.stops.get(one.id).stop.at.lon == pytest.approx(at(1500.0).lon, abs=1e-6)
    matcher.update([fix("a", 100.0, age_s=-510.0)])
    assert matcher.emergencies.placeable(now=NOW + 511.0) == []


@pytest.mark.parametrize("name", ["lost", "nobody", None])
def test_an_emergency_nobody_can_place_is_open_all_the_same(matcher, name):
    one = raised(matcher, name, device="radio 7")
    assert one.place_from is PlaceFrom.unknown
    assert list(matcher.emergencies.view()) == [one.id]
    assert raised(matcher, name, NOW + 1, device="radio 7").id == one.id
    with pytest.raises(OutsideMap):
        matcher.emergencies.locate(one.id, now=NOW, at=LonLat(2.35, 48.85))
    told = matcher.emergencies.locate(one.id, now=NOW + 2, at=at(700.0))
    assert told.place_from is PlaceFrom.told
    assert matcher.stops.get(one.id).stop.at == at(700.0)
    assert list(matcher.emergencies.view()) == [one.id]


def test_the_first_fix_of_its_unit_gives_an_emergency_its_place(matcher):
    one = raised(matcher, "lost")
    matcher.update([fix("lost", 800.0)])
    assert matcher.emergencies.placeable(now=NOW) == [one.id]
    matcher.emergencies.locate(one.id, now=NOW)
    assert matcher.stops.get(one.id).stop.units_on_scene == ("lost",)


def test_a_place_told_with_the_alarm_counts_unless_it_is_on_no_map(matcher):
    assert raised(matcher, place=at(1200.0)).place_from is PlaceFrom.told
    assert raised(matcher, "c", place=LonLat(2.35, 48.85)).place_from is PlaceFrom.fix


def test_the_stop_an_officer_stands_at_becomes_the_emergency_and_goes_on_after_it(matcher):
    matcher.open_stop(Stop(id="s1", at=at(420.0), agency="town.example", units_on_scene=("a",)), at=NOW)
    cover = matcher.assign("s1", "b", version=matcher.stops.view().version, at=NOW)
    one = raised(matcher)
    assert (one.id, one.place_from) == ("s1", PlaceFrom.stop)
    held = matcher.stops.get("s1")
    assert held.stop.urgency is Urgency.officer_emergency
    assert [a.unit for a in held.coming] == ["b"]
    matcher.stops.advance(cover.id, AssignmentState.on_scene, at=NOW + 60)
    matcher.update([fix("b", 410.0, age_s=-60.0)])
    second = raised(matcher, "b", NOW + 61)
    assert (second.id, second.also) == ("s1", ("b",))
    matcher.emergencies.decide("s1", stands=False, at=NOW + 90)
    assert matcher.stops.get("s1").stop.urgency is Urgency.routine_backup
    assert matcher.stops.get("s1").emergency is None


def test_an_officer_who_ran_from_the_stop_needs_help_where_he_is(matcher):
    matcher.open_stop(Stop(id="s1", at=at(1900.0), agency="town.example", units_on_scene=("a",)), at=NOW)
    one = raised(matcher)
    assert one.id != "s1"
    assert matcher.stops.get("s1").stop.urgency is Urgency.routine_backup
    assert matcher.stops.get(one.id).stop.units_on_scene == ("a",)


def test_who_calls_for_help_is_on_the_way_to_nobody_else(matcher):
    matcher.open_stop(Stop(id="s1", at=at(1900.0), agency="town.example", units_on_scene=("c",)), at=NOW)
    cover = matcher.assign("s1", "a", version=matcher.stops.view().version, at=NOW)
    raised(matcher)
    assert matcher.stops.assignment(cover.id).state is AssignmentState.diverted


def test_a_car_that_drives_is_on_its_own_side_of_the_road(region):
    driving = replace(fix("a", 400.0), course_deg=90.0, speed_mps=9.0)
    held = matcher_with(region, [UnitState(unit=unit("a"), fix=driving), UnitState(unit=unit("b"), fix=fix("b", 90.0))])
    assert held.stops.get(raised(held).id).stop.course_deg == 90.0
    assert held.stops.get(raised(held, "b").id).stop.course_deg is None


def test_nothing_is_decided_of_what_is_not_open(matcher):
    for act in (
        lambda: matcher.emergencies.decide("e", stands=True, at=NOW),
        lambda: matcher.emergencies.locate("e", now=NOW),
    ):
        with pytest.raises(UnknownStop):
            act()


histories = st.lists(
    st.tuples(
        st.sampled_from(["press", "repeat", "stop", "over", "stands", "clear", "fix", "wait"]),
        st.sampled_from(["a", "b", "c", "lost", "nobody"]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(histories)
def test_whatever_happens_a_unit_that_pressed_has_one_open_emergency_until_a_person_says_it_is_over(region, told):
    """The oracle is a set of names: in by pressing, out by a person alone."""
    cars = {"a": 400.0, "b": 1000.0, "c": 1900.0}
    held = matcher_with(
        region, [UnitState(unit=unit(n), fix=fix(n, x)) for n, x in cars.items()] + [UnitState(unit=unit("lost"))]
    )
    now, calling, pressed = NOW, set(), {}
    for what, name in told:
        now += 1.0
        open_ids = {one.unit: one.id for one in held.emergencies.view().values()}
        if what == "press":
            held.emergencies.hear(alarm(name, now), now=now)
            calling, pressed = calling | {name}, pressed | {name: now}
        elif what == "repeat" and name in pressed:
            held.emergencies.hear(alarm(name, pressed[name]), now=now)
        elif what == "stop":
            held.emergencies.hear(alarm(name, now, stopped_at=now), now=now)
        elif what in {"over", "stands"} and name in open_ids:
            held.emergencies.decide(open_ids[name], stands=what == "stands", at=now)
            calling = calling - {name} if what == "over" else calling
        elif what == "clear" and open_ids.get(name) in held.stops.view().stops:
            held.stops.clear(open_ids[name], at=now)
            calling = calling - {name}
        elif what == "fix" and name != "nobody":
            held.update([fix(name, 10.0 * (now - NOW), age_s=NOW - now)])
        elif what == "wait":
            now += 200.0
        for one in held.emergencies.placeable(now=now):
            held.emergencies.locate(one, now=now)
        view = held.emergencies.view()
        assert sorted(one.unit for one in view.values()) == sorted(calling)
        for one in view.values():
            placed = one.place_from is not PlaceFrom.unknown
            assert (one.id in held.stops.view().stops) == placed
            assert not (one.unit == "nobody" and placed)
            if placed:
                assert one.unit in held.stops.get(one.id).stop.units_on_scene
    assert Matcher(region, memory=held.memory()).memory() == held.memory()
