"""When less is known than usual, every answer says so: drills of each rung, and the judgement against a slow one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from streets import Street, streets
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Matcher, Region, Stop, UnitState
from geomatch.backup.ranking import CUT_AT_DEADLINE
from geomatch.errors import BadInput
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.limits import FleetLimits
from geomatch.fleet.rungs import FleetRungs
from geomatch.maps.network.expand import expand
from geomatch.model import Rung, RungLimits, Status
from geomatch.region import write_region


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> Region:
    return main_street(tmp_path_factory.mktemp("degraded") / "main.region")


def stop(x: float = 500.0, y: float = 0.0) -> Stop:
    return Stop(id="s1", at=at(x, y))


def two_agencies(street: Region, **options) -> Matcher:
    """a1 to a3 and b1 to b3, all heard now."""
    matcher = Matcher(street, **options)
    names = [f"{agency}{n}" for agency in "ab" for n in (1, 2, 3)]
    matcher.register([unit(name, agency=f"{name[0]}.example") for name in names])
    matcher.update([fix(name, 100.0 * n) for n, name in enumerate(names)], now=NOW)
    return matcher


def rungs(matcher: Matcher, now: float, **asked) -> list[tuple[Rung, str | None]]:
    return [(one.code, one.agency) for one in matcher.rank(stop(**asked), now=now).degraded]


def hear(matcher: Matcher, agency: str, *, taken: float, came: float) -> None:
    matcher.update([fix(f"{agency}{n}", 100.0 * n, age_s=NOW - taken) for n in (1, 2, 3)], now=came)


def test_the_avl_of_one_agency_is_out(street):
    matcher = two_agencies(street)
    for later in range(5, 60, 5):
        hear(matcher, "a", taken=NOW + later, came=NOW + later)
    assert rungs(matcher, NOW + 60) == []
    assert rungs(matcher, NOW + 61) == [(Rung.avl_outage, "b.example")]
    (outage,) = matcher.rank(stop(), now=NOW + 61).degraded
    assert outage.units == 3
    assert outage.detail == "none of 3 units of b.example has a fix of the last 61 s; its AVL may be out"
    # Said before its units are stale: they are ranked still, from where they were.
    assert {c.unit for c in matcher.rank(stop(), k=6, now=NOW + 61).candidates} >= {"b1", "b2", "b3"}
    hear(matcher, "b", taken=NOW + 62, came=NOW + 62)
    assert rungs(matcher, NOW + 63) == []


def test_a_feed_is_frozen_at_old_times(street):
    matcher = two_agencies(street)
    hear(matcher, "a", taken=NOW + 100, came=NOW + 100)
    for later in range(10, 101, 10):
        hear(matcher, "b", taken=NOW, came=NOW + later)
    assert rungs(matcher, NOW + 105) == [(Rung.feed_frozen, "b.example")]
    # Then it is silent altogether.
    hear(matcher, "a", taken=NOW + 170, came=NOW + 170)
    assert rungs(matcher, NOW + 170) == [(Rung.avl_outage, "b.example")]


def test_a_feed_that_comes_late_is_frozen_too_though_its_times_advance(street):
    matcher = two_agencies(street)
    for later in range(10, 101, 10):
        hear(matcher, "a", taken=NOW + later, came=NOW + later)
        hear(matcher, "b", taken=NOW - 5 + later / 10, came=NOW + later)
    assert rungs(matcher, NOW + 100) == [(Rung.feed_frozen, "b.example")]


def test_an_agency_reports_at_its_own_pace_and_a_car_off_duty_is_silent(street):
    slow = two_agencies(street, limits=FleetLimits(stale_by_agency={"b.example": 600.0}))
    hear(slow, "a", taken=NOW + 200, came=NOW + 200)
    assert rungs(slow, NOW + 200) == []
    assert rungs(slow, NOW + 301) == [(Rung.avl_outage, "a.example"), (Rung.avl_outage, "b.example")]
    off = two_agencies(street)
    hear(off, "a", taken=NOW + 100, came=NOW + 100)
    for name in ("b1", "b2", "b3"):
        off.set_status(name, availability="not_available", at=NOW)
    assert rungs(off, NOW + 100) == []
    off.set_status("b1", at=NOW + 1)
    assert rungs(off, NOW + 100) == [], "one silent car is a stale fix, no outage"
    off.set_status("b2", at=NOW + 1)
    assert rungs(off, NOW + 100) == [(Rung.avl_outage, "b.example")]


def test_a_clock_that_is_wrong_is_said_in_either_direction(street):
    matcher = two_agencies(street)
    assert rungs(matcher, NOW - 31) == [(Rung.clock_ahead, "a.example"), (Rung.clock_ahead, "b.example")]
    assert rungs(matcher, NOW - 30) == []
    # The service's clock jumps an hour ahead: what comes is old by it, and taken, and no fix is trusted.
    hear(matcher, "a", taken=NOW + 10, came=NOW + 3_610)
    assert rungs(matcher, NOW + 3_611)[0] == (Rung.feed_frozen, "a.example")


def test_a_district_is_missing_under_an_agencys_units(street):
    matcher = two_agencies(street)
    matcher.update([fix(f"b{n}", 500.0 * n, 5_000.0, age_s=-1.0) for n in (1, 2, 3)], now=NOW + 1)
    (gap,) = matcher.rank(stop(), now=NOW + 1).degraded
    assert (gap.code, gap.agency, gap.units) == (Rung.map_gap, "b.example", 3)
    assert "3 of 3 units" in gap.detail
    matcher.update([fix("b1", 320.0, age_s=-2.0)], now=NOW + 2)
    assert rungs(matcher, NOW + 2) == [], "two units off the map may have driven off it"


def test_a_stop_far_from_every_road_is_said(street):
    matcher = two_agencies(street)
    (far,) = matcher.rank(stop(500.0, 130.0), now=NOW).degraded
    assert (far.code, far.detail) == (
        Rung.stop_off_map, "the stop is 130 m from the nearest road of the map and is ranked from there"
    )  # fmt: skip


def test_a_bridge_is_missing(tmp_path):
    """Two streets that nothing joins; most units are on the other one."""
    source = streets(
        {n: (100.0 * n, 0.0 if n < 10 else 900.0) for n in range(20)},
        {1: Street(nodes=tuple(range(10)), name="South"), 2: Street(nodes=tuple(range(10, 20)), name="North")},
    )
    write_region(tmp_path / "r", expand(source), name="two banks", attribution="made up", report={})
    region = Region.open(tmp_path / "r")
    states = [UnitState(unit=unit(f"u{n}"), fix=fix(f"u{n}", 1_000.0 + 100.0 * n, 900.0)) for n in range(3)]
    states.append(UnitState(unit=unit("near"), fix=fix("near", 300.0)))
    (cut,) = matcher_with(region, states).rank(stop(), k=9, now=NOW).degraded
    assert (cut.code, cut.units) == (Rung.map_cut, 3)
    assert "3 of 4 units" in cut.detail


# The judgement


AGES_S = [None, 0.0, 30.0, 59.0, 60.0, 61.0, 119.0, 300.0, -20.0, -40.0]
NORTH_M = [0.0, 400.0, 600.0, 5_000.0]
"""On Main Street; 100 m and 300 m from Back Lane; and outside the map."""
WORDS = ["available", "conditionally_available", "not_available"]
CARS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(AGES_S), st.sampled_from(NORTH_M), st.sampled_from(WORDS)),
    max_size=12,
)


@given(cars=CARS, later=st.sampled_from([0.0, 45.0, 90.0, -60.0]), heard_s=st.sampled_from([None, 0.0, 59.0, 80.0]))
@hypothesis_settings(max_examples=200, deadline=None)
def test_the_compiled_judgement_is_the_obvious_one(street, cars, later, heard_s):
    limits = FleetLimits(stale_by_agency={"b": 240.0}, rungs=RungLimits(gap_units=2, gap_share=0.5))
    states = [
        UnitState(
            unit=unit(f"u{n}", agency=agency), status=Status(availability=availability),
            fix=None if age is None else fix(f"u{n}", 50.0, y, age_s=age),
        )
        for n, (agency, age, y, availability) in enumerate(cars)
    ]  # fmt: skip
    now = NOW + later
    messages = {} if heard_s is None else dict.fromkeys("abc", now - heard_s)
    view = replace(Fleet.of(street.snapper, states, limits).view(), last_message=messages)
    judging = FleetRungs(limits)
    judging.of(view, NOW + 10_000.0)
    found = [(one.code, one.agency, one.units) for one in judging.of(view, now)]
    gaps, silent = [], []
    for agency in sorted({car[0] for car in cars}):
        mine = [car for car in cars if car[0] == agency and car[1] is not None]
        off_road = [car for car in mine if car[2] > 550.0]
        if len(off_road) >= 2 and len(off_road) >= 0.5 * len(mine):
            gaps.append((Rung.map_gap, agency, len(off_road)))
        # A unit whose only report lay outside the map has no fix.
        ages = [age + later for _, age, y, word in mine if word != "not_available" and y < 1_000.0]
        silent_s = 120.0 if agency == "b" else 60.0
        if len(ages) >= 2 and min(ages) < -30.0:
            silent.append((Rung.clock_ahead, agency, len(ages)))
        elif len(ages) >= 2 and min(ages) > silent_s:
            frozen = heard_s is not None and heard_s <= silent_s
            silent.append((Rung.feed_frozen if frozen else Rung.avl_outage, agency, len(ages)))
    assert found == gaps + silent


@pytest.mark.parametrize(
    "wrong", [{"silent_share": 0.0}, {"gap_share": 1.5}, {"cut_share": math.nan}, {"gap_units": 0}, {"far_m": 0.0}]
)
def test_a_threshold_that_cannot_be_is_refused(wrong):
    with pytest.raises(BadInput):
        RungLimits(**wrong)


# A ranking that is not waited for


def test_a_cut_ranking_lists_what_is_proven_and_says_so(street, monkeypatch):
    from geomatch.road import by_deadline

    monkeypatch.setattr(by_deadline, "FIRST_UNITS", 2)
    states = [UnitState(unit=unit(f"u{n:02d}"), fix=fix(f"u{n:02d}", 90.0 * n, course=90.0)) for n in range(20)]
    matcher = matcher_with(street, states)
    whole = matcher.rank(stop(1_950.0), k=10, now=NOW)
    looks = iter(range(100))
    cuts = set()
    for patience in range(8):
        looks = iter(range(100))
        cut = matcher.rank(stop(1_950.0), k=10, now=NOW, late=lambda p=patience, looks=looks: next(looks) >= p)
        count = len(cut.candidates)
        cuts.add(count)
        assert cut.candidates == whole.candidates[:count]
        assert len(cut.candidates) + len(cut.excluded) + len(cut.beyond_k) == 20
        assert cut.complete.cut_at_deadline is (CUT_AT_DEADLINE in cut.notes) is (count < 10)
        if count < 10:
            bound_s = cut.complete.not_evaluated_at_least_s
            assert all(one.eta.eta_s >= bound_s for one in whole.candidates[count:])
            assert all(one.at_least_s <= matcher.explain(stop(1_950.0), one.unit, now=NOW).candidate.eta.eta_s
                       for one in cut.beyond_k)  # fmt: skip
        else:
            assert cut.complete.kth_eta_s == whole.complete.kth_eta_s
    assert len(cuts) >= 3
