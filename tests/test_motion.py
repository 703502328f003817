"""A status at odds with positions is said of a candidate, and never changes where it stands in the ranking."""

from __future__ import annotations

import pytest
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Status, Stop, UnitState
from geomatch.aid.clauses import Disclosed, Disclosure
from geomatch.service import disclosure


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return main_street(tmp_path_factory.mktemp("motion") / "main.region")


def stop_at(x, name="s1", **fields):
    return Stop(id=name, at=at(x), agency="town.example", **fields)


def parked(region, x, *, for_s, activity="patrol"):
    """One car that has stood at x for so long."""
    matcher = matcher_with(region, [UnitState(unit=unit("a"), status=Status(activity=activity))])
    matcher.update([fix("a", x, age_s=for_s), fix("a", x, age_s=0.0)])
    return matcher


def notes(matcher, stop):
    (found,) = matcher.rank(stop, now=NOW).candidates
    return [note for note in found.notes if "stop" in note or "_but_" in note]


@pytest.mark.parametrize(
    ("x", "for_s", "expected"),
    [(1000.0, 840.0, ["at_another_stop:far"]), (1000.0, 240.0, []), (800.0, 840.0, []), (1900.0, 840.0, [])],
)
def test_a_unit_that_stands_at_another_stop_is_named(region, x, for_s, expected):
    matcher = parked(region, x, for_s=for_s)
    before = matcher.rank(stop_at(1900.0), now=NOW).candidates[0]
    matcher.open_stop(stop_at(1000.0, "far"), at=NOW)
    after = matcher.rank(stop_at(1900.0), now=NOW).candidates[0]
    assert [note for note in after.notes if note not in before.notes] == expected
    assert (after.eta, after.still_s) == (before.eta, for_s), "said, and nothing else"


def test_where_it_was_sent_it_may_stand(region):
    matcher = parked(region, 1000.0, for_s=840.0)
    matcher.open_stop(stop_at(1000.0, "far"), at=NOW)
    matcher.assign("far", "a", version=matcher.stops.view().version, at=NOW)
    urgent = stop_at(1900.0, urgency="officer_emergency")
    assert "at_another_stop:far" not in matcher.rank(urgent, now=NOW).candidates[0].notes


def test_a_stop_that_is_cleared_is_no_place_to_be(region):
    matcher = parked(region, 1000.0, for_s=840.0)
    matcher.open_stop(stop_at(1000.0, "far"), at=NOW)
    matcher.stops.clear("far", at=NOW)
    assert notes(matcher, stop_at(1900.0)) == []


@pytest.mark.parametrize(("for_s", "expected"), [(180.0, ["en_route_but_stands"]), (60.0, [])])
def test_en_route_and_standing(region, for_s, expected):
    assert notes(parked(region, 500.0, for_s=for_s, activity="en_route"), stop_at(1900.0)) == expected


def test_on_scene_and_driving(region):
    matcher = matcher_with(region, [UnitState(unit=unit("a"), status=Status(activity="on_scene"))])
    matcher.update([fix("a", 500.0, course=90.0)])
    assert notes(matcher, stop_at(1900.0)) == ["on_scene_but_moves"]


def test_where_a_place_is_not_disclosed_the_stop_is_not_either(region):
    matcher = parked(region, 1000.0, for_s=840.0)
    matcher.open_stop(stop_at(1000.0, "far"), at=NOW)
    (found,) = matcher.rank(stop_at(1900.0), now=NOW).candidates
    hidden = disclosure.candidate(found, Disclosure(position=Disclosed.eta_only))
    assert "at_another_stop:far" in found.notes
    assert not any("far" in note for note in hidden.notes)
