"""What a ranking says, on a town whose answers fit in the head."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import (
    BadInput,
    Fix,
    LonLat,
    Matcher,
    Need,
    OutsideMap,
    Reason,
    Status,
    Stop,
    UnitState,
    UnknownUnit,
)
from geomatch.backup import _kernels
from geomatch.model import Phase


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return main_street(tmp_path_factory.mktemp("town") / "main.region")


def stop(x: float = 1000.0, y: float = 0.0, **changes) -> Stop:
    return dataclasses.replace(Stop(id="s1", at=at(x, y), agency="town.example"), **changes)


def state(name: str, x: float, **changes) -> UnitState:
    y = changes.pop("y", 0.0)
    status = changes.pop("status", Status())
    age_s, course = changes.pop("age_s", 0.0), changes.pop("course", None)
    return UnitState(unit=unit(name, **changes), fix=fix(name, x, y, age_s=age_s, course=course), status=status)


def test_seconds_by_road_and_turnout_make_the_eta(region):
    ranking = matcher_with(region, [state("a", 700.0)]).rank(stop(), now=NOW)
    (only,) = ranking.candidates
    assert only.eta.travel_s == 30.0
    assert only.eta.turnout_s == 15.0
    assert only.eta.eta_s == 45.0
    assert only.distance_m == 300.0
    assert only.eta.p90_s > only.eta.p50_s > only.eta.eta_s
    assert not only.eta.calibrated


def test_the_near_unit_that_drives_away_is_not_the_fastest(region):
    """u1 is 150 m away but drives west; u2 is 400 m away and comes towards the stop."""
    ranking = matcher_with(region, [state("u1", 850.0, course=270.0), state("u2", 600.0, course=90.0)]).rank(
        stop(), now=NOW
    )
    first, second = ranking.candidates
    assert (first.unit, first.eta.travel_s) == ("u2", 40.0)
    assert second.unit == "u1"
    assert second.distance_m < first.distance_m


def test_a_unit_without_a_course_may_set_off_either_way_and_it_says_so(region):
    (only,) = matcher_with(region, [state("u1", 850.0)]).rank(stop(), now=NOW).candidates
    assert only.eta.travel_s == 15.0
    assert "sets_off_either_way" in only.notes


def test_a_one_way_street_is_not_driven_backwards(region):
    """On Back Lane traffic runs west: a unit east of the stop is near, one west of it has to go all the way round."""
    ranking = matcher_with(region, [state("east", 1300.0, y=300.0), state("west", 900.0, y=300.0)]).rank(
        stop(1000.0, 300.0), now=NOW
    )
    assert [c.unit for c in ranking.candidates] == ["east", "west"]
    assert ranking.candidates[0].eta.travel_s == 30.0
    assert ranking.candidates[1].eta.travel_s > 300.0


def test_a_stop_with_a_course_is_on_that_side_of_the_street_only(region):
    units = [state("u1", 900.0, course=90.0)]
    ranked = {
        course: matcher_with(region, units).rank(stop(course_deg=course), now=NOW).candidates for course in (None, 90.0)
    }
    assert [c.eta.travel_s for c in ranked[None]] == [c.eta.travel_s for c in ranked[90.0]] == [10.0]
    # To face west it has to turn round in the street, which only an emergency allows.
    west = stop(course_deg=270.0)
    assert [x.reason for x in matcher_with(region, units).rank(west, now=NOW).excluded] == [Reason.no_route]
    hurry = dataclasses.replace(west, urgency="officer_emergency")
    assert matcher_with(region, units).rank(hurry, now=NOW).candidates[0].eta.travel_s > 10.0
    resolved = matcher_with(region, units).rank(stop(course_deg=270.0), now=NOW).resolved
    assert [(p.road, p.towards_deg) for p in resolved.places] == [("Main Street", 270.0)]


def test_two_one_officer_cars_answer_a_need_of_two(region):
    units = [state("a", 900.0), state("b", 800.0), state("c", 100.0, officers=2)]
    ranking = matcher_with(region, units).rank(stop(need=Need(officers=2)), k=1, now=NOW)
    assert [c.unit for c in ranking.candidates] == ["a"]
    assert ranking.need_met_s == 35.0
    assert matcher_with(region, units[:1]).rank(stop(need=Need(officers=2)), now=NOW).need_met_s is None


def test_every_unit_that_is_not_proposed_has_its_reason(region):
    units = [
        state("busy", 900.0, status=Status(availability="not_available", activity="meal", at=NOW)),
        state("divert", 900.0, status=Status(availability="conditionally_available", at=NOW)),
        state("empty", 900.0, officers=0),
        state("here", 1000.0),
        state("no-dog", 900.0),
        state("old", 900.0, age_s=600.0, capabilities=("k9",)),
        state("other", 900.0, capabilities=("k9",)),
        UnitState(unit=unit("silent", capabilities=("k9",))),
        state("with-dog", 500.0, capabilities=("k9", "emt")),
    ]
    ranking = matcher_with(region, units).rank(
        stop(need=Need(capabilities=("k9",), preferred=("emt", "swat")), units_on_scene=("here", "unheard-of")),
        now=NOW,
        exclude_units=["other"],
    )
    assert {x.unit: x.reason for x in ranking.excluded} == {
        "busy": Reason.not_available,
        "divert": Reason.lacks_capability,
        "empty": Reason.unmanned,
        "here": Reason.on_scene,
        "no-dog": Reason.lacks_capability,
        "old": Reason.stale_fix,
        "other": Reason.excluded_by_request,
        "silent": Reason.no_fix,
    }
    assert [(c.unit, c.preferred_met) for c in ranking.candidates] == [("with-dog", ("emt",))]
    assert ranking.counts["units"] == 9
    assert ranking.counts["lacks_capability"] == 2
    assert all(x.detail for x in ranking.excluded)


def test_a_capability_nobody_has_excludes_everybody(region):
    ranking = matcher_with(region, [state("a", 900.0)]).rank(stop(need=Need(capabilities=("eod",))), now=NOW)
    assert [x.detail for x in ranking.excluded] == ["it has no eod"]


def test_a_conditionally_available_unit_is_a_candidate_with_more_turnout(region):
    status = Status(availability="conditionally_available", at=NOW)
    (only,) = matcher_with(region, [state("a", 900.0, status=status)]).rank(stop(), now=NOW).candidates
    assert only.eta.turnout_s == 45.0
    assert only.notes == ("sets_off_either_way", "conditionally_available")


def test_a_stale_unit_is_shown_with_its_best_and_worst_case(region):
    (old,) = matcher_with(region, [state("a", 400.0, age_s=200.0)]).rank(stop(), now=NOW).excluded
    assert old.reason is Reason.stale_fix
    assert old.best_case_s == 15.0  # it drove towards the stop ever since, and is there
    assert old.worst_case_s == 15.0 + 60.0 + 200.0
    assert "last seen 3:20 ago" in old.detail


def test_a_report_from_outside_the_map_does_not_hide_a_unit_whose_last_fix_is_fresh(region):
    matcher = matcher_with(region, [state("a", 700.0, age_s=60.0)])
    matcher.update([Fix(unit="a", time=NOW, at=LonLat(0.0, 0.0))])
    (only,) = matcher.rank(stop(), now=NOW).candidates
    assert "newest_report_off_map" in only.notes
    assert only.fix_age_s == 60.0
    (gone,) = matcher.rank(stop(), now=NOW + 61.0).excluded
    assert gone.reason is Reason.off_map


def test_an_older_fix_widens_p90_and_leaves_the_order_alone(region):
    fresh, older = (
        matcher_with(region, [state("a", 700.0, age_s=age_s)]).rank(stop(), now=NOW).candidates[0].eta
        for age_s in (0.0, 100.0)
    )
    assert fresh.eta_s == older.eta_s
    assert fresh.p50_s == older.p50_s
    assert fresh.p90_s < older.p90_s


def test_a_unit_off_the_road_walks_the_rest(region):
    (only,) = matcher_with(region, [state("a", 700.0, y=125.0)]).rank(stop(), now=NOW).candidates
    assert only.place.snap_m == 125.0
    assert only.eta.access_s == 50.0  # 100 m beyond the 25 m that count as on the road, at 2 m/s
    assert "off_road" in only.notes
    assert only.eta.eta_s == 15.0 + 30.0 + 50.0


def test_ties_go_by_unit_id(region):
    units = [state(name, x) for name, x in (("b", 900.0), ("a", 1100.0), ("c", 900.0))]
    ranking = matcher_with(region, units).rank(stop(), k=2, now=NOW)
    assert [c.unit for c in ranking.candidates] == ["a", "b"]
    assert [b.unit for b in ranking.beyond_k] == ["c"]
    assert ranking.beyond_k[0].at_least_s == 25.0
    assert ranking.complete.kth_eta_s == 25.0


def test_a_cap_on_units_is_kept(region):
    units = [state(name, 900.0) for name in "abcd"]
    ranking = matcher_with(region, units).rank(stop(need=Need(cap=2)), k=4, now=NOW)
    assert len(ranking.candidates) == 2
    assert len(ranking.beyond_k) == 2


@given(
    seed=st.lists(
        st.tuples(st.floats(0, 2000), st.sampled_from([None, 90.0, 270.0]), st.integers(0, 2), st.floats(0, 200)),
        min_size=1, max_size=12,
    ),
    k=st.integers(1, 5),
)  # fmt: skip
@hypothesis_settings(max_examples=40)
def test_a_stateless_request_gets_the_answer_of_a_fleet_that_holds_the_units(region, seed, k):
    states = [
        state(f"u{n}", x, course=course, officers=officers, age_s=age_s)
        for n, (x, course, officers, age_s) in enumerate(seed)
    ]
    held = matcher_with(region, states).rank(stop(), k=k, now=NOW)
    stateless = Matcher(region).rank_units(stop(), states, k=k, now=NOW)
    assert held.candidates == stateless.candidates
    assert list(held.excluded) == list(stateless.excluded)
    assert list(held.beyond_k) == list(stateless.beyond_k)
    assert held.counts == stateless.counts


def test_a_route_adds_up_and_runs_from_the_unit_to_the_stop(region):
    matcher = matcher_with(region, [state("a", 250.0, y=300.0)])
    (only,) = matcher.rank(stop(), now=NOW, with_routes=True).candidates
    route = matcher.route(stop(), "a", now=NOW)
    assert only.route == route
    assert sum(round((leg.turn_s + leg.drive_s) * 1000) for leg in route.legs) == round(route.travel_s * 1000)
    assert route.travel_s == only.eta.travel_s
    # West along Back Lane, down West Road, and east along Main Street.
    assert list(dict.fromkeys(leg.road for leg in route.legs)) == ["Back Lane", "West Road", "Main Street"]
    assert route.road_m == pytest.approx(250 + 300 + 1000, abs=0.01)
    assert route.approach_deg == pytest.approx(90.0, abs=0.1)
    assert route.geometry[0].lon == pytest.approx(at(250.0, 300.0).lon, abs=1e-6)
    assert route.geometry[-1].lon == pytest.approx(at(1000.0).lon, abs=1e-6)


def test_explanations_are_sentences(region):
    matcher = matcher_with(region, [state("a", 700.0, age_s=4.0), state("b", 700.0, age_s=600.0)])
    first = matcher.explain(stop(), "a", now=NOW)
    assert (
        first.sentence == "A is 1st: there in 0:45 (0:15 to get rolling, 0:30 of driving), seen 4 s ago on Main Street."
    )
    second = matcher.explain(stop(), "b", now=NOW)
    assert second.code == "stale_fix"
    assert second.sentence.startswith("b is not proposed: last seen 10:00 ago, and its fixes count for 2:00")
    with pytest.raises(UnknownUnit, match="register it first"):
        matcher.explain(stop(), "nobody", now=NOW)


def test_bad_input_is_one_sentence_and_applies_nothing(region):
    matcher = matcher_with(region, [state("a", 700.0)])
    with pytest.raises(OutsideMap, match="longitude first"):
        matcher.rank(Stop(id="s", at=LonLat(50.0, 10.0)), now=NOW)
    with pytest.raises(BadInput, match="k must be"):
        matcher.rank(stop(), k=0, now=NOW)
    with pytest.raises(BadInput, match="dividing by 1000"):
        matcher.rank(stop(), now=NOW * 1000)
    with pytest.raises(BadInput, match="longitude"):
        LonLat(float("nan"), 50.0)
    with pytest.raises(BadInput, match="latitude"):
        LonLat(50.0, float("inf"))
    with pytest.raises(BadInput, match="urgency must be one of"):
        stop(urgency="backup")
    with pytest.raises(UnknownUnit):
        matcher.set_status("nobody", availability="available", at=NOW)
    assert stop(phase="contact").phase is Phase.contact
    assert len(matcher.rank(stop(), now=NOW).candidates) == 1


def test_no_units_is_an_answer_too(region):
    ranking = Matcher(region).rank(stop(), now=NOW)
    assert (ranking.candidates, len(ranking.excluded), ranking.complete.kth_eta_s) == ((), 0, None)


@pytest.mark.parametrize("name", ["not_available", "unmanned", "lacks_capability", "no_fix", "stale_fix", "off_map"])
def test_the_kernel_and_the_model_mean_the_same_reason_by_a_code(name):
    assert getattr(_kernels, name.upper()) == Reason[name].code
