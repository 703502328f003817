"""The live units: what is kept of a disordered feed, and whether a snapshot holds together."""

from __future__ import annotations

import math
import random
import threading

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from networks import random_network

from geomatch.errors import BadInput, ResyncRequired, UnknownUnit
from geomatch.fleet import positions as positions_module
from geomatch.fleet import view as view_module
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.limits import FleetLimits
from geomatch.model import Availability, Fix, FixOutcome, Status, Unit, UnitState
from geomatch.quantities import XY, LonLat, Projection
from geomatch.road.snap import Snapped, Snapper

CENTRE = LonLat(lon=-74.0, lat=40.7)
EXTENT_M = 20_000.0


class MadeUpRoads:
    """One road per 100 m of x, running north: enough to see whose answer landed in which row."""

    projection = Projection(CENTRE)

    def snap(self, x, y, course_deg, speed_mps, accuracy_m):  # noqa: ARG002 - the interface's
        row = np.round(x / 100.0).astype(np.int32)
        return Snapped(
            edge=row,
            fraction=(y + EXTENT_M) / (2 * EXTENT_M),
            other=np.where(np.isnan(course_deg), row + 10_000, -1).astype(np.int32),
            other_fraction=np.where(np.isnan(course_deg), 0.5, 0.0),
            metres=np.abs(x - 100.0 * row),
        )

    def outside(self, x, y):
        return (np.abs(x) > EXTENT_M) | (np.abs(y) > EXTENT_M)


ROADS = MadeUpRoads()
ANYWHERE = FleetLimits(fastest_mps=math.inf)
"""Units may be anywhere at any time: no fix is doubted."""


def at(x: float, y: float) -> LonLat:
    return ROADS.projection.lonlat(XY(x, y))


def units(*ids: str, agency: str = "hoboken.nj") -> list[Unit]:
    return [Unit(id=unit_id, agency=agency) for unit_id in ids]


def fix(unit: str, time: float, x: float = 0.0, y: float = 0.0, **more) -> Fix:
    return Fix(unit=unit, time=time, at=at(x, y), **more)


def fleet_of(*ids: str, limits: FleetLimits | None = None) -> Fleet:
    fleet = Fleet(ROADS, limits)
    fleet.register(units(*ids))
    return fleet


def outcomes(results) -> list[str]:
    return [result.outcome.value for result in results]


def same_arrays(left, right) -> None:
    for name in (
        "fix_time", "x", "y", "course_deg", "speed_mps", "accuracy_m", "edge", "fraction", "other", "other_fraction",
        "snap_m", "outside", "availability", "officers", "stale_after_s", "capability_bits", "agency",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
    assert left.units == right.units
    assert left.activity == right.activity


@given(st.lists(st.text("abcXYZ019-é", min_size=1, max_size=4), unique=True), st.randoms(use_true_random=False))
def test_slots_are_in_the_order_of_unit_ids_however_they_came(ids, rng):
    fleet = Fleet(ROADS)
    for unit_id in ids:
        fleet.register(units(unit_id))
    gone = [unit_id for unit_id in ids if rng.random() < 0.3]
    fleet.remove(gone)
    view = fleet.view()
    assert [unit.id for unit in view.units] == sorted(set(ids) - set(gone))
    assert [view.slot_of(unit.id) for unit in view.units] == list(range(len(view)))


# --- fixes


def test_a_fix_puts_the_unit_on_the_road():
    fleet = fleet_of("u1", "u2")
    results = fleet.update([fix("u2", 10.0, 1_230.0, 50.0, course_deg=15.0, speed_mps=8.0, accuracy_m=4.0)])
    assert outcomes(results) == ["applied"]
    view = fleet.view()
    slot = view.slot_of("u2")
    assert (view.fix_time[slot], view.course_deg[slot], view.speed_mps[slot], view.accuracy_m[slot]) == (10, 15, 8, 4)
    assert (view.x[slot], view.y[slot]) == pytest.approx((1_230.0, 50.0), abs=1e-3)
    assert (view.edge[slot], view.other[slot]) == (12, -1)
    assert view.snap_m[slot] == pytest.approx(30.0, abs=1e-3)
    other = view.slot_of("u1")
    assert np.isnan([view.fix_time[other], view.x[other], view.y[other], view.snap_m[other]]).all()
    assert (view.edge[other], view.other[other]) == (-1, -1)


def test_numbers_a_fix_does_not_bring_are_not_those_of_the_fix_before():
    fleet = fleet_of("u1")
    fleet.update([fix("u1", 10.0, course_deg=15.0, speed_mps=8.0, accuracy_m=4.0)])
    fleet.update([fix("u1", 11.0)])
    view = fleet.view()
    assert np.isnan([view.course_deg[0], view.speed_mps[0], view.accuracy_m[0]]).all()
    assert view.other[0] == 10_000


def test_each_fix_of_a_batch_has_its_own_fate_in_the_order_given():
    fleet = fleet_of("u1", "u2", "u3")
    fleet.update([fix("u1", 100.0), fix("u2", 100.0)])
    results = fleet.update(
        [
            fix("u1", 90.0, 500.0),
            fix("u1", 100.0, 500.0),
            fix("nobody", 101.0),
            fix("u2", 400.0),
            fix("u3", 130.0, 700.0),
            fix("u2", 105.0, 3 * EXTENT_M),
            fix("u3", 131.0, 800.0),
            fix("u3", 131.0, 900.0),
        ],
        now=102.0,
    )
    assert outcomes(results) == [
        "late", "repeated", "unknown_unit", "future", "late", "outside_map", "applied", "repeated",
    ]  # fmt: skip
    assert [result.unit for result in results] == ["u1", "u1", "nobody", "u2", "u3", "u2", "u3", "u3"]
    assert fleet.state("u3").fix.time == 131.0
    assert fleet.view().x[fleet.view().slot_of("u3")] == pytest.approx(800.0, abs=1e-3)


def test_the_clock_counts_only_when_it_is_given():
    far_ahead = fix("u1", 10_000.0)
    assert outcomes(fleet_of("u1").update([far_ahead])) == ["applied"]
    assert outcomes(fleet_of("u1").update([far_ahead], now=9_970.0)) == ["applied"]
    assert outcomes(fleet_of("u1").update([far_ahead], now=9_969.0)) == ["future"]
    with pytest.raises(BadInput, match="now"):
        fleet_of("u1").update([far_ahead], now=float("nan"))


def test_a_unit_whose_fix_is_outside_the_map_keeps_its_older_one_and_shows_it():
    fleet = fleet_of("u1")
    fleet.update([fix("u1", 10.0, 300.0)])
    before = fleet.view()
    assert outcomes(fleet.update([fix("u1", 11.0, 2 * EXTENT_M)])) == ["outside_map"]
    view = fleet.view()
    assert (view.fix_time[0], view.x[0], view.edge[0]) == (10.0, before.x[0], before.edge[0])
    assert (list(before.outside), list(view.outside)) == ([False], [True])
    fleet.register(units("u0"))
    assert list(fleet.view().outside) == [False, True]
    fleet.update([fix("u1", 10.5, 300.0)])
    assert list(fleet.view().outside) == [False, True]
    fleet.update([fix("u1", 12.0, 300.0)])
    assert list(fleet.view().outside) == [False, False]


@pytest.mark.parametrize("far", [(0.0, 90.0), (0.0, -90.0), (106.0, -40.7), (16.0, 0.0), (40.7, -74.0), (180.0, 0.0)])
def test_nowhere_on_earth_does_the_projection_fold_a_far_fix_into_the_map(far):
    fleet = fleet_of("u1")
    assert outcomes(fleet.update([Fix(unit="u1", time=1.0, at=LonLat(*far))])) == ["outside_map"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-300, 300)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_and_the_batches_of_a_feed_do_not_matter(sent, rng):
    # Times are distinct; a fourth of the places is outside the map.
    fixes = [fix(unit, 1.0 + time, 100.0 * x) for time, (unit, x) in enumerate(sent)]
    rng.shuffle(fixes)
    fleet = fleet_of("a", "b", "c", limits=ANYWHERE)
    left = list(fixes)
    while left:
        count = rng.randint(1, 5)
        results = fleet.update(left[:count])
        assert [result.unit for result in results] == [each.unit for each in left[:count]]
        left = left[count:]
    view = fleet.view()
    for unit in "abc":
        ours = [each for each in fixes if each.unit == unit]
        inside = {e.time: e for e in ours if abs(ROADS.projection.xy(e.at).x) <= EXTENT_M}
        newest = inside[max(inside)] if inside else None
        assert fleet.state(unit).fix == newest
        slot = view.slot_of(unit)
        assert view.fix_time[slot] == newest.time if newest else np.isnan(view.fix_time[slot])
        assert view.outside[slot] == (bool(ours) and max(e.time for e in ours) not in inside)
    again = fleet.update(fixes)
    assert FixOutcome.applied not in {result.outcome for result in again}
    assert fleet.view() is view


def test_the_places_are_those_the_snapper_finds_one_by_one():
    roads = Snapper.of(random_network(3))
    rng = np.random.default_rng(3)
    sent = []
    for i in range(40):
        course, speed = float(rng.uniform(0, 360)) if i % 3 else None, float(rng.uniform(0, 5)) if i % 2 else None
        place = roads.projection.lonlat(XY(*rng.uniform(-100.0, 500.0, 2)))
        sent.append(Fix(unit=f"u{i:02d}", time=1.0, at=place, course_deg=course, speed_mps=speed))
    fleet = Fleet(roads)
    fleet.register(units(*(each.unit for each in sent)))
    rng.shuffle(sent)
    assert set(outcomes(fleet.update(sent))) == {"applied"}
    view = fleet.view()
    for each in sent:
        slot, xy = view.slot_of(each.unit), roads.projection.xy(each.at)
        told = (np.array([np.nan if v is None else v]) for v in (each.course_deg, each.speed_mps, each.accuracy_m))
        alone = roads.snap(np.array([xy.x]), np.array([xy.y]), *told)
        assert (view.edge[slot], view.other[slot]) == (alone.edge[0], alone.other[0])
        assert (view.fraction[slot], view.snap_m[slot]) == pytest.approx((alone.fraction[0], alone.metres[0]))
        assert view.other_fraction[slot] == pytest.approx(alone.other_fraction[0])


# --- who is there


def test_registering_again_keeps_what_is_known_of_a_unit():
    fleet = fleet_of("u1", "u2")
    fleet.update([fix("u2", 10.0, 500.0)])
    fleet.set_status("u2", Status(availability="not_available", activity="court", at=5.0))
    fleet.register([Unit(id="u2", agency="weehawken.nj", officers=2), *units("u0")])
    view = fleet.view()
    slot = view.slot_of("u2")
    assert (view.fix_time[slot], view.availability[slot], view.activity[slot]) == (10.0, 2, "court")
    assert (view.agencies[view.agency[slot]], view.officers[slot]) == ("weehawken.nj", 2)
    assert np.isnan(view.fix_time[view.slot_of("u0")])


def test_a_registration_with_a_unit_twice_changes_nothing():
    fleet = fleet_of("u1")
    before = fleet.view()
    with pytest.raises(BadInput, match="u2 is in the list twice"):
        fleet.register(units("u0", "u2", "u2"))
    assert fleet.view() is before


def test_a_removal_with_an_unknown_unit_removes_none():
    fleet = fleet_of("u1", "u2")
    before = fleet.view()
    with pytest.raises(UnknownUnit, match="u9"):
        fleet.remove(["u1", "u9"])
    assert fleet.view() is before
    fleet.remove(["u1"])
    assert [unit.id for unit in fleet.view().units] == ["u2"]


def test_a_unit_that_comes_back_is_a_new_one():
    fleet = fleet_of("u1")
    fleet.update([fix("u1", 10.0)])
    fleet.remove(["u1"])
    fleet.register(units("u1"))
    assert fleet.state("u1") == UnitState(unit=units("u1")[0])
    assert outcomes(fleet.update([fix("u1", 5.0)])) == ["applied"]


def test_an_older_status_is_not_taken():
    fleet = fleet_of("u1")
    busy = Status(availability="not_available", activity="traffic_stop", at=20.0)
    assert fleet.set_status("u1", busy) == busy
    assert fleet.set_status("u1", Status(activity="patrol", at=19.0)) == busy
    assert fleet.view().availability[0] == list(Availability).index(Availability.not_available)
    free = Status(availability="conditionally_available", activity="post", at=21.0)
    assert fleet.set_status("u1", free) == free
    assert (fleet.view().availability[0], fleet.view().activity) == (1, ("post",))


@pytest.mark.parametrize("call", ["state", "set_status", "slot_of", "remove"])
def test_an_unknown_unit_is_named(call):
    fleet = fleet_of("u1")
    ask = {
        "state": lambda: fleet.state("u9"),
        "set_status": lambda: fleet.set_status("u9", Status()),
        "slot_of": lambda: fleet.view().slot_of("u9"),
        "remove": lambda: fleet.remove(["u9"]),
    }
    with pytest.raises(UnknownUnit, match="u9"):
        ask[call]()


def test_each_agency_has_its_own_age_at_which_a_fix_is_stale():
    fleet = Fleet(ROADS, FleetLimits(stale_after_s=60.0, stale_by_agency={"slow.nj": 600.0}))
    fleet.register([*units("u1"), *units("u0", agency="slow.nj")])
    assert list(fleet.view().stale_after_s) == [600.0, 60.0]
    for bad in ({"stale_after_s": 0.0}, {"stale_by_agency": {"a": float("nan")}}, {"future_s": -1.0}):
        with pytest.raises(BadInput):
            FleetLimits(**bad)


@given(st.lists(st.frozensets(st.integers(0, 150), max_size=64), min_size=1, max_size=6), st.data())
@example([frozenset(range(64))], None)
def test_capability_bits_say_the_same_as_sets_of_words(having, data):
    fleet = Fleet(ROADS)
    fleet.register(
        [
            Unit(id=f"u{i}", agency="a", capabilities=tuple(f"skill {word}" for word in words))
            for i, words in enumerate(having)
        ]
    )
    view = fleet.view()
    assert len(view.capabilities) == len(frozenset().union(*having))
    words = sorted(frozenset().union(*having)) or [0]
    wanted = data.draw(st.frozensets(st.sampled_from(words), max_size=3)) if data else frozenset(words)
    bits = view.bits([f"skill {word}" for word in wanted])
    can = [False] * len(having) if bits is None else list(((view.capability_bits & bits) == bits).all(axis=1))
    assert can == [wanted <= words for words in having]
    assert view.bits(["a word nobody has"]) is None
    every = np.iinfo(np.uint64).max
    assert not (view.capability_bits == every).all(axis=1).any()
    assert view.bits([]) is not None


# --- snapshots for readers


def test_a_view_never_changes_and_is_shared_until_something_does():
    fleet = fleet_of("u1", "u2")
    fleet.update([fix("u1", 10.0, 500.0)])
    view = fleet.view()
    assert fleet.view() is view
    fleet.update([fix("u1", 9.0), fix("nobody", 20.0)])
    fleet.register(units("u1"))
    fleet.set_status("u1", fleet.state("u1").status)
    assert fleet.view() is view
    kept = {name: np.array(getattr(view, name)) for name in ("fix_time", "x", "edge", "availability", "outside")}
    fleet.update([fix("u1", 11.0, 900.0), fix("u2", 11.0, 4 * EXTENT_M)])
    fleet.set_status("u2", Status(availability="not_available", at=11.0))
    fleet.remove(["u2"])
    assert fleet.view().version > view.version
    for name, values in kept.items():
        np.testing.assert_array_equal(getattr(view, name), values)
        with pytest.raises(ValueError, match="read-only"):
            getattr(view, name)[0] = 1
    for shared in (view.capability_bits, view.agency, view.officers, view.stale_after_s):
        assert not shared.flags.writeable


def test_a_reader_never_sees_half_of_a_batch():
    ids = [f"u{i:03d}" for i in range(300)]
    fleet = fleet_of(*ids)
    fleet.update([fix(unit, 1.0, speed_mps=1.0) for unit in ids])
    torn, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            view = fleet.view()
            time = view.fix_time[:300]
            same = len(set(time)) == 1 and (time == view.speed_mps[:300]).all()
            whole = len(view) == len(view.units) == len(view.edge) == len(view.agency) == len(view.activity)
            stand = view.candidates_nearest(XY(0.0, 0.0), 7)
            if not (same and whole and list(stand) == list(range(7))):
                torn.append(view)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for time in range(2, 60):
            fleet.update([fix(unit, float(time), x=10.0 * time, speed_mps=float(time)) for unit in ids])
            # One more unit comes and one goes with every snapshot, behind the others in order and in distance.
            extra = Unit(id=f"x{time}", agency="weehawken.nj")
            moment = UnitState(unit=extra, fix=fix(extra.id, float(time), x=5_000.0))
            fleet.replace([moment], source="cad", source_seq=time)
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert fleet.view().fix_time[0] == 59.0
    assert not torn


def test_a_fleet_for_one_question_is_the_fleet_that_was_told_the_same():
    states = [
        UnitState(
            unit=Unit(id=f"u{i}", agency=f"a{i % 3}", capabilities=("k9",) * (i % 2)),
            fix=fix(f"u{i}", 10.0 + i, 100.0 * i) if i % 4 else None,
            status=Status(availability="not_available" if i % 5 == 0 else "available", at=float(i)),
        )
        for i in (5, 3, 8, 1, 2, 4)
    ]
    told = Fleet(ROADS)
    told.register([state.unit for state in states])
    told.update([state.fix for state in states if state.fix])
    for state in states:
        told.set_status(state.unit.id, state.status)
    once = Fleet.of(ROADS, states)
    same_arrays(once.view(), told.view())
    assert once.states() == told.states() == sorted(states, key=lambda state: state.unit.id)
    assert once.nearest_by_air(XY(310.0, 0.0), 2) == ["u3", "u2"]
    with pytest.raises(BadInput, match="twice"):
        Fleet.of(ROADS, [*states, states[0]])


# --- what other systems say


def state(unit: str, time: float, x: float = 0.0, y: float = 0.0, *, agency: str = "hoboken.nj", **status):
    return UnitState(unit=Unit(id=unit, agency=agency), fix=fix(unit, time, x, y), status=Status(**status))


def test_after_a_snapshot_the_units_of_its_source_are_exactly_these():
    fleet = fleet_of("by_hand")
    fleet.register(units("elsewhere", agency="newark.nj"))
    fleet.replace([state("u1", 10.0), state("u2", 10.0)], source="cad", source_seq=1)
    fleet.replace([state("n1", 10.0, agency="newark.nj")], source="newark", source_seq=1)
    assert [s.unit.id for s in fleet.states()] == ["n1", "u1", "u2"]
    results = fleet.replace([state("u3", 12.0), state("u1", 9.0, 500.0)], source="cad", source_seq=2)
    assert outcomes(results) == ["applied", "late"]
    assert [s.unit.id for s in fleet.states()] == ["n1", "u1", "u3"]
    assert fleet.state("u1").fix.time == 10.0
    fleet.replace([], source="cad", source_seq=3)
    assert [s.unit.id for s in fleet.states()] == ["n1"]
    # Given up by one source, a unit may be another's.
    fleet.replace([state("n1", 13.0), state("u1", 13.0)], source="newark", source_seq=2)
    assert [s.unit.id for s in fleet.states()] == ["n1", "u1"]


def test_a_snapshot_does_not_set_a_status_back():
    fleet = Fleet(ROADS)
    fleet.replace([state("u1", 10.0)], source="cad", source_seq=1)
    busy = fleet.set_status("u1", Status(availability="not_available", activity="traffic_stop", at=20.0))
    fleet.replace([state("u1", 11.0, activity="patrol", at=15.0)], source="cad", source_seq=2)
    assert fleet.state("u1").status == busy


@pytest.mark.parametrize(
    ("states", "seq", "error", "says"),
    [
        ([state("u1", 11.0), state("u1", 12.0)], 6, BadInput, "u1 is in the list twice"),
        ([state("u1", 11.0), state("n1", 12.0)], 6, BadInput, "n1 belongs to source newark"),
        ([state("u1", 11.0)], 4, ResyncRequired, "snapshot 4 is older than 5"),
        ([state("u1", 11.0)], -1, BadInput, "source_seq"),
    ],
)
def test_a_refused_snapshot_changes_nothing(states, seq, error, says):
    fleet = Fleet(ROADS)
    fleet.replace([state("u1", 10.0), state("u2", 10.0)], source="cad", source_seq=5)
    fleet.replace([state("n1", 10.0, agency="newark.nj")], source="newark", source_seq=1)
    before = fleet.view()
    with pytest.raises(error, match=says):
        fleet.replace(states, source="cad", source_seq=seq)
    assert fleet.view() is before
    fleet.apply(FleetDelta(removed=("u2",)), source="cad", source_seq=6)


def test_the_same_snapshot_again_is_harmless():
    fleet = Fleet(ROADS)
    sent = [state("u1", 10.0), state("u2", 10.0)]
    fleet.replace(sent, source="cad", source_seq=5)
    before = fleet.view()
    assert outcomes(fleet.replace(sent, source="cad", source_seq=5)) == ["repeated", "repeated"]
    assert fleet.view() is before


def test_deltas_follow_their_snapshot_without_a_gap():
    fleet = Fleet(ROADS)
    delta = FleetDelta(
        units=(Unit(id="u3", agency="hoboken.nj", officers=2),), removed=("u2",),
        statuses={"u1": Status(activity="post", at=12.0)}, fixes=(fix("u3", 12.0), fix("u2", 12.0)),
    )  # fmt: skip
    with pytest.raises(ResyncRequired, match="no snapshot"):
        fleet.apply(delta, source="cad", source_seq=1)
    fleet.replace([state("u1", 10.0), state("u2", 10.0)], source="cad", source_seq=7)
    with pytest.raises(ResyncRequired, match="delta 8 is expected, not 9"):
        fleet.apply(delta, source="cad", source_seq=9)
    assert outcomes(fleet.apply(delta, source="cad", source_seq=8)) == ["applied", "unknown_unit"]
    after = fleet.view()
    assert [unit.id for unit in after.units] == ["u1", "u3"]
    assert after.activity == ("post", "patrol")
    assert outcomes(fleet.apply(delta, source="cad", source_seq=8)) == ["repeated", "repeated"]
    assert fleet.view() is after


@pytest.mark.parametrize(
    ("delta", "error", "says"),
    [
        (FleetDelta(units=tuple(units("u3")), removed=("u9",)), UnknownUnit, "u9"),
        (FleetDelta(units=tuple(units("u3")), statuses={"u9": Status()}), UnknownUnit, "u9"),
        (FleetDelta(units=tuple(units("u3", "u1")), removed=("u1",)), BadInput, "both sent and removed"),
        (FleetDelta(removed=("n1", "u1")), BadInput, "belongs to source newark"),
        (FleetDelta(units=tuple(units("u3", "n1"))), BadInput, "belongs to source newark"),
    ],
)
def test_a_refused_delta_changes_nothing_and_may_be_sent_again_put_right(delta, error, says):
    fleet = Fleet(ROADS)
    fleet.replace([state("u1", 10.0)], source="cad", source_seq=1)
    fleet.replace([state("n1", 10.0, agency="newark.nj")], source="newark", source_seq=1)
    before = fleet.view()
    with pytest.raises(error, match=says):
        fleet.apply(delta, source="cad", source_seq=2)
    assert fleet.view() is before
    fleet.apply(FleetDelta(), source="cad", source_seq=2)


# --- where they are


@pytest.mark.parametrize(
    ("replaced_at_most", "noted_at_most", "seed"),
    [(1.0, 10_000, 1), (1.0, 10_000, 2), (0.005, 10_000, 3), (1.0, 4, 4)],
    ids=["delete and insert", "delete and insert 2", "many moved", "too many notes"],
)
def test_the_tree_agrees_with_a_scan_however_units_come_and_go(monkeypatch, replaced_at_most, noted_at_most, seed):
    monkeypatch.setattr(view_module, "TREE_PAYS_UNITS", 0)
    monkeypatch.setattr(positions_module, "REPLACED_AT_MOST", replaced_at_most)
    monkeypatch.setattr(positions_module, "NOTED_AT_MOST", noted_at_most)
    rng = random.Random(seed)
    fleet, scan_view = Fleet(ROADS), None
    place: dict[str, tuple[float, float] | None] = {}
    for time in range(1, 1_500):
        do = rng.random()
        some = rng.choice(list(place)) if place else "none"
        if do < 0.08 or not place:
            unit = f"u{rng.randrange(400)}"
            fleet.register(units(unit))
            place.setdefault(unit, None)
        elif do < 0.12:
            fleet.remove([some])
            del place[some]
        elif do < 0.14:
            # A snapshot of the next source takes one unit's place and brings another.
            here = place.pop(some)
            new = f"s{time}"
            place[new] = here or (0.0, 0.0)
            fleet.remove([some])
            fleet.replace(
                [state(new, float(time), *place[new], agency="weehawken.nj")], source=f"cad{time % 5}", source_seq=time
            )
            for gone in [unit for unit in place if unit != new and unit not in fleet.view().slots]:
                del place[gone]
        else:
            # Mostly small moves inside a box, some far; in few places, so that many are equally far.
            x, y = place[some] or (0.0, 0.0)
            step = rng.choice((10.0, 10.0, 10.0, 4_000.0))
            x, y = (min(max(v + step * rng.randint(-2, 2), -9_000.0), 9_000.0) for v in (x, y))
            fleet.update([fix(some, float(time), x, y)])
            place[some] = (x, y)
        if time % 7 == 0:
            view = fleet.view()
            check_spatial_answers(view, fleet, rng)
            if scan_view is not None:
                check_spatial_answers(scan_view, None, rng)
            scan_view = view if rng.random() < 0.3 else scan_view


def check_spatial_answers(view, fleet, rng) -> None:
    """Against every unit's own distance. With a fleet, the view is its newest, and the tree must have answered."""
    centre = XY(10.0 * rng.randint(-900, 900), 10.0 * rng.randint(-900, 900))
    radius_m, count = rng.choice((0.0, 500.0, 3_000.0, 1e5)), rng.choice((1, 3, 500))
    known = [slot for slot in range(len(view)) if not np.isnan(view.x[slot])]
    square = {slot: (view.x[slot] - centre.x) ** 2 + (view.y[slot] - centre.y) ** 2 for slot in known}
    near = [slot for slot in known if square[slot] <= radius_m**2]
    assert view.candidates_within(centre, radius_m).tolist() == near
    nearest = sorted(known, key=lambda slot: (square[slot], slot))[:count]
    assert view.candidates_nearest(centre, count).tolist() == nearest
    area = shapely.Polygon([(centre.x, centre.y), (centre.x + 5_000.0, centre.y), (centre.x, centre.y + 4_000.0)])
    inside = [slot for slot in known if area.covers(shapely.Point(view.x[slot], view.y[slot]))]
    assert view.candidates_inside(area).tolist() == inside
    if fleet is not None:
        assert fleet.within(area) == [view.units[slot].id for slot in inside]
        assert fleet.near(centre, radius_m) == [view.units[slot].id for slot in near]
        assert fleet.nearest_by_air(centre, count) == [view.units[slot].id for slot in nearest]
        assert view.positions.slots_in_box(view, (0.0, 0.0, 1.0, 1.0)) is not None


def test_positions_that_cannot_be_asked_about_are_refused():
    view = fleet_of("u1").view()
    for radius_m in (-1.0, float("nan")):
        with pytest.raises(BadInput, match="radius_m"):
            view.candidates_within(XY(0.0, 0.0), radius_m)
    with pytest.raises(BadInput, match="count"):
        view.candidates_nearest(XY(0.0, 0.0), 0)
    assert view.candidates_nearest(XY(0.0, 0.0), 3).tolist() == []
    assert view.candidates_inside(shapely.Polygon()).tolist() == []


def test_an_empty_fleet_has_answers_too():
    view = Fleet(ROADS).view()
    assert len(view) == 0
    assert view.candidates_within(XY(0.0, 0.0), 1e9).tolist() == []
    assert view.candidates_nearest(XY(0.0, 0.0), 3).tolist() == []
    assert Fleet(ROADS).update([fix("u1", 1.0)])[0].outcome is FixOutcome.unknown_unit
