"""A new map is activated while the old one answers: no question and no unit is lost."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import BadRegion, Matcher, Region, Stop, UnitState
from geomatch.fleet.delta import FleetDelta
from geomatch.region import activate, rollback


@pytest.fixture(scope="module")
def regions(tmp_path_factory) -> tuple[Region, Region]:
    folder = tmp_path_factory.mktemp("two")
    return main_street(folder / "old.region"), main_street(folder / "new.region", kph=18.0)


STOP = Stop(id="s1", at=at(1000.0), agency="town.example")


def test_after_a_swap_the_same_units_are_ranked_on_the_new_roads(regions):
    old, new = regions
    matcher = matcher_with(old, [UnitState(unit=unit("a"), fix=fix("a", 700.0))])
    before = matcher.rank(STOP, now=NOW)
    matcher.activate(new)
    after = matcher.rank(STOP, now=NOW)
    assert (before.candidates[0].eta.travel_s, after.candidates[0].eta.travel_s) == (30.0, 60.0)
    assert (before.region, after.region) == (old.hash, new.hash)
    matcher.activate(old)
    assert matcher.rank(STOP, now=NOW).candidates == before.candidates


def test_sources_keep_their_count_over_a_swap(regions):
    old, new = regions
    matcher = Matcher(old)
    matcher.replace_fleet([UnitState(unit=unit("a"), fix=fix("a", 100.0))], source="cad", source_seq=7)
    matcher.activate(new)
    matcher.apply_delta(FleetDelta(fixes=(fix("a", 900.0, age_s=-60.0),)), source="cad", source_seq=8)
    assert matcher.rank(STOP, now=NOW + 60).candidates[0].distance_m == 100.0


def test_nothing_told_during_swaps_is_lost_and_every_answer_is_of_one_map(regions):
    old, new = regions
    states = [UnitState(unit=unit(f"u{n:03d}"), fix=fix(f"u{n:03d}", 20.0 * n, age_s=50.0)) for n in range(100)]
    matcher = matcher_with(old, states)
    slower = {old.hash: 1.0, new.hash: 2.0}
    stopped = threading.Event()
    faults: list[str] = []

    def ask() -> None:
        while not stopped.is_set():
            first = matcher.rank(STOP, k=100, now=NOW)
            # At 10 or 5 m/s, the way of a unit on the street is its distance, so the map shows in the answer.
            faults.extend(
                f"{c.unit}: {c.eta.travel_s} s for {c.distance_m} m"
                for c in first.candidates
                if abs(c.eta.travel_s * 10 - c.distance_m * slower[first.region]) > 1.0
            )
            if len(first.candidates) != 100:
                faults.append(f"{len(first.candidates)} units")

    readers = [threading.Thread(target=ask) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(20):
            matcher.activate(new if turn % 2 == 0 else old)
            matcher.update([fix(f"u{n:03d}", 20.0 * n, age_s=49.0 - turn) for n in range(100)])
    finally:
        stopped.set()
        for reader in readers:
            reader.join()
    assert not faults
    assert {state.fix.time for state in matcher.states()} == {NOW - 30.0}


@given(xs=st.lists(st.floats(0, 2000), min_size=1, max_size=20))
@hypothesis_settings(max_examples=20)
def test_a_swapped_fleet_equals_one_that_was_told_everything_on_the_new_map(regions, xs):
    old, new = regions
    states = [UnitState(unit=unit(f"u{n:02d}"), fix=fix(f"u{n:02d}", x)) for n, x in enumerate(xs)]
    swapped, fresh = matcher_with(old, states), matcher_with(new, states)
    swapped.activate(new)
    assert swapped.rank(STOP, now=NOW).candidates == fresh.rank(STOP, now=NOW).candidates


def test_a_new_region_takes_the_place_of_the_old_and_back(tmp_path):
    old, new = main_street(tmp_path / "live.region"), main_street(tmp_path / "next.region", kph=18.0)
    activate(tmp_path / "next.region", tmp_path / "live.region")
    assert Region.open(tmp_path / "live.region").hash == new.hash
    assert Region.open(tmp_path / "next.region").hash == new.hash
    rollback(tmp_path / "live.region")
    assert Region.open(tmp_path / "live.region").hash == old.hash
    rollback(tmp_path / "live.region")
    assert Region.open(tmp_path / "live.region").hash == new.hash


def test_a_damaged_region_is_not_activated_and_without_an_older_one_there_is_no_way_back(tmp_path):
    old = main_street(tmp_path / "live.region")
    main_street(tmp_path / "next.region", kph=18.0)
    with (tmp_path / "next.region" / "roads" / "edge_ms.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\x01")
    with pytest.raises(BadRegion, match="not those it was built with"):
        activate(tmp_path / "next.region", tmp_path / "live.region")
    with pytest.raises(BadRegion, match="no older region"):
        rollback(tmp_path / "live.region")
    assert Region.open(tmp_path / "live.region").hash == old.hash
