"""Places that are unsure in a ranking: the mean of exact times, what is said of them, and the question worth asking."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streets import PROJECTION
from test_belief import motorway

from geomatch import Fix, LonLat, Matcher, Need, Region, Stop, Unit
from geomatch.backup.questions import answers, bound
from geomatch.model import Position
from geomatch.quantities import XY
from geomatch.region import write_region

NOW = 1_770_000_000.0


def at(x: float, y: float = 0.0) -> LonLat:
    return PROJECTION.lonlat(XY(x, y))


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    folder = tmp_path_factory.mktemp("motorway") / "motorway.region"
    write_region(folder, motorway(), name="motorway", attribution="made up", report={})
    return Region.open(folder)


def matcher_with(region: Region, *fixes: Fix) -> Matcher:
    matcher = Matcher(region)
    matcher.register(
        [Unit(id=unit, agency="a", call_sign=unit.upper()) for unit in sorted({one.unit for one in fixes})]
    )
    for one in fixes:
        matcher.update([one])
    return matcher


def fix(unit: str, x: float, y: float, *, age_s: float = 0.0, **more) -> Fix:
    return Fix(unit=unit, time=NOW - age_s, at=at(x, y), **more)


EAST_STOP = Stop(id="s", at=at(3_000.0, -2.0), course_deg=90.0)
BETWEEN = fix("2a14", 1_500.0, 7.0, speed_mps=0.0)
"""Parked, and it came from nowhere: on either carriageway."""


def test_the_time_of_an_unsure_unit_is_the_mean_of_its_exact_times(region):
    one = matcher_with(region, BETWEEN).rank(EAST_STOP, now=NOW).candidates[0]
    assert one.position is Position.ambiguous
    assert [place.place.road for place in one.believed] == ["I-1 East", "I-1 West"]
    assert sum(place.probability for place in one.believed) == 1.0
    assert one.wrong_carriageway == one.believed[1].probability
    mean_ms = sum(round(p.probability * 1000) * round(p.travel_s * 1000) for p in one.believed) / 1000
    assert one.eta.travel_s == int(mean_ms + 0.5) / 1000
    for place, course in zip(one.believed, (90.0, 270.0), strict=True):
        alone = matcher_with(region, fix("u", 1_500.0, 2.0, course_deg=course, speed_mps=20.0))
        sure = alone.rank(EAST_STOP, now=NOW).candidates[0]
        assert sure.position is Position.confirmed
        assert (place.place.edge, place.travel_s) == (sure.place.edge, sure.eta.travel_s)
    assert one.eta.p90_s - one.eta.p50_s > 1.28 * 0.4 * (one.believed[1].travel_s - one.believed[0].travel_s)


def test_the_question_names_the_two_ways_and_what_the_answer_is_worth(region):
    other = fix("other", 500.0, -10.0, course_deg=90.0, speed_mps=30.0)
    ranking = matcher_with(region, BETWEEN, other).rank(EAST_STOP, now=NOW)
    first = ranking.candidates[0]
    question = ranking.questions[0]
    assert question.unit == "2a14"
    assert question.text.startswith("ask 2A14: eastbound or westbound? Worth ")
    assert [option.answer for option in question.options] == ["eastbound", "westbound"]
    others_s = next(c.eta.eta_s for c in ranking.candidates if c.unit == "other")
    known_s = sum(option.probability * min(option.eta_s, others_s) for option in question.options)
    assert question.worth_s == pytest.approx(first.eta.eta_s - known_s, abs=0.002)
    assert matcher_with(region, BETWEEN).rank(EAST_STOP, now=NOW, k=1).questions[:] == []


@given(st.integers(0, 2**32))
def test_its_worth_is_what_asking_gains_on_average(region, seed):
    """Against every answer that all unsure units could give: the first of the ranking made again with that known."""
    rng = np.random.default_rng(seed)
    fixes = [
        fix(f"u{n}", float(rng.uniform(100, 3_900)), float(rng.choice([7.0, 8.5, 22.0, -30.0, 60.0])), speed_mps=0.0)
        for n in range(int(rng.integers(2, 6)))
    ]
    stop = Stop(id="s", at=at(float(rng.uniform(100, 3_900)), float(rng.choice([0.0, 16.0, 28.0]))))
    ranking = matcher_with(region, *fixes).rank(stop, k=int(rng.integers(1, 6)), now=NOW)
    everyone = matcher_with(region, *fixes).rank(stop, k=10, now=NOW).candidates
    times = {one.unit: one for one in everyone}
    expected = []
    for unit, one in times.items():
        others = [c.eta.eta_s for c in everyone if c.unit != unit]
        if not one.believed or not others:
            continue
        rest_s = one.eta.eta_s - one.eta.travel_s
        answered = [
            (place.probability, np.inf if place.travel_s is None else rest_s + place.travel_s) for place in one.believed
        ]
        known_s = sum(share * min(eta_s, *others) for share, eta_s in answered)
        worth_s = min(one.eta.eta_s, *others) - known_s
        if worth_s >= 5.0:
            expected.append((worth_s, unit))
    assert {q.unit: q.worth_s for q in ranking.questions} == pytest.approx({u: w for w, u in expected}, abs=0.002)
    assert [q.worth_s for q in ranking.questions] == sorted((q.worth_s for q in ranking.questions), reverse=True)


def test_a_unit_past_the_exit_cannot_take_it_any_more(region):
    """At 25 m/s it was 100 m before the exit: 10 s later it is 150 m past it, or on the ramp if it took it."""
    ramp = Stop(id="s", at=at(2_500.0, -300.0))
    before = matcher_with(region, fix("u", 1_900.0, 0.0, course_deg=90.0, speed_mps=25.0))
    fresh, later = (before.rank(ramp, now=NOW + age_s).candidates[0] for age_s in (1.0, 10.0))
    assert (fresh.position, fresh.place.offset_m) == (Position.confirmed, pytest.approx(925.0, abs=1.0))
    assert [(p.probability, p.place.road) for p in later.believed] == [(0.9, "I-1 East"), (0.1, "Exit 2")]
    assert later.place.offset_m == pytest.approx(150.0, abs=1.0)
    assert later.believed[0].travel_s > later.believed[1].travel_s + 100.0
    assert later.eta.travel_s > fresh.eta.travel_s + 100.0


def test_a_moving_unit_is_where_it_is_by_now_and_no_farther_than_is_known(region):
    matcher = matcher_with(region, fix("u", 1_500.0, 28.0, course_deg=90.0, speed_mps=10.0))
    stop = Stop(id="s", at=at(3_500.0, 28.0))
    start = matcher.rank(stop, now=NOW).candidates[0]
    for age_s in (3.0, 25.0):
        now = matcher.rank(stop, now=NOW + age_s).candidates[0]
        assert start.eta.travel_s - now.eta.travel_s == pytest.approx(age_s, abs=0.01)  # 36 km/h is 10 m/s
    # Where the motorway ends it may turn back or into the frontage road.
    end = matcher_with(region, fix("u", 100.0, -10.0, course_deg=270.0, speed_mps=20.0)).rank(stop, now=NOW + 20)
    assert end.candidates[0].place.offset_m == pytest.approx(1_000.0, abs=0.01)
    assert matcher.rank(stop, now=NOW - 5.0).candidates[0].place == start.place


def test_old_and_contradicted_places_are_named_and_asked_for(region):
    stop = Stop(id="s", at=at(2_000.0, 28.0))
    near = [fix("near", 1_500.0, 28.0, age_s=50.0, course_deg=90.0, speed_mps=10.0)]
    far = fix("far", 1_200.0, 28.0, speed_mps=0.0)
    old = matcher_with(region, *near, far).rank(stop, now=NOW)
    by_unit = {one.unit: one for one in old.candidates}
    assert (by_unit["near"].position, by_unit["far"].position) == (Position.stale, Position.confirmed)
    frozen = [fix("near", 1_500.0, 28.0, age_s=age_s, course_deg=90.0, speed_mps=10.0) for age_s in (5.0, 0.0)]
    ranking = matcher_with(region, *frozen, far).rank(stop, now=NOW)
    assert ranking.candidates[0].position is Position.lost
    assert [(one.unit, one.options, one.position) for one in ranking.questions] == [("near", (), Position.lost)]
    assert "where are you? Last seen 0:00 ago" in ranking.questions[0].text


def test_a_unit_that_went_silent_is_asked_for_while_it_is_missed(region):
    stop = Stop(id="s", at=at(2_000.0, 28.0))
    silent, far = fix("silent", 1_900.0, 28.0, age_s=200.0, speed_mps=0.0), fix("far", 500.0, 28.0, speed_mps=0.0)
    ranking = matcher_with(region, silent, far).rank(stop, now=NOW)
    assert [one.unit for one in ranking.candidates] == ["far"]
    assert [one.unit for one in ranking.questions] == ["silent"]
    gone = fix("silent", 1_900.0, 28.0, age_s=400.0, speed_mps=0.0)
    assert not matcher_with(region, gone, far).rank(stop, now=NOW).questions


def test_an_officer_away_from_the_car_walks_back_first(region):
    car, stop = fix("u", 1_500.0, 28.0, age_s=2.0, speed_mps=0.0), Stop(id="s", at=at(2_000.0, 28.0))
    beside = fix("u", 1_500.0, 168.0, source="portable:3")
    without, on_foot = matcher_with(region, car), matcher_with(region, car, beside)
    one, other = (m.rank(stop, now=NOW).candidates[0].eta for m in (without, on_foot))
    assert other.access_s - one.access_s == pytest.approx(140.0 / 1.4, abs=0.5)
    assert other.eta_s == other.request_s + other.turnout_s + other.travel_s + other.access_s
    close = fix("u", 1_500.0, 60.0, source="portable:3")
    assert matcher_with(region, car, close).rank(stop, now=NOW).candidates[0].eta == one


def test_the_words_of_a_question_tell_its_places_apart(region):
    named = matcher_with(region, fix("u", 1_500.0, 22.0, speed_mps=15.0, course_deg=270.0)).rank(EAST_STOP, now=NOW)
    assert sorted(answers(named.candidates[0].believed)) == ["on Frontage Road", "on I-1 West"]
    assert [bound(course) for course in (0.0, 44.0, 46.0, 90.0, 190.0, 270.0, 359.0)] == [
        "northbound", "northbound", "eastbound", "eastbound", "southbound", "westbound", "northbound",
    ]  # fmt: skip


def test_matrix_compare_and_order_take_the_same_means(region):
    fixes = [BETWEEN, fix("sure", 500.0, 8.0, course_deg=90.0, speed_mps=20.0), fix("far", 3_500.0, 7.0, speed_mps=0.0)]
    matcher = matcher_with(region, *fixes)
    ranking = matcher.rank(EAST_STOP, now=NOW)
    etas = {one.unit: one.eta.eta_s for one in ranking.candidates}
    table = matcher.matrix([EAST_STOP], now=NOW)
    assert dict(zip(table.units, table.eta_s[0], strict=True)) == etas
    assert list(etas.values()) == sorted(etas.values())
    assert matcher.compare(EAST_STOP, now=NOW).fastest_of_all.eta_s == min(etas.values())
    for k in range(1, 4):
        few = matcher.rank(EAST_STOP, k=k, now=NOW)
        assert few.candidates == ranking.candidates[:k]
    two = Stop(id="s", at=EAST_STOP.at, course_deg=90.0, need=Need(officers=2))
    assert matcher.rank(two, k=1, now=NOW).need_met_s == list(itertools.islice(etas.values(), 2))[-1]
