"""Closures as an agency tells them: which roads they mean, when and for whom, and what a ranking makes of them."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import slow_travel_ms
from test_live import changed
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import BadInput, Matcher, Region, Stop, UnitState
from geomatch.errors import UnknownClosure
from geomatch.model.closures import Closure
from geomatch.quantities import NEVER_MS, DrivingMode, LonLat
from geomatch.road.live import RoadChange
from geomatch.road.travel_time import Places


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    return main_street(tmp_path_factory.mktemp("closed") / "main.region")


STOP = Stop(id="s1", at=at(1050.0), agency="town.example")
EASTBOUND = Closure(id="c1", line=(at(800.0), at(900.0)))


def west_and_east(region: Region) -> Matcher:
    """One unit west of the stop, driving east; one east of it, driving west. Neither can turn on the way."""
    states = [
        UnitState(unit=unit("west"), fix=fix("west", 750.0, course=90.0)),
        UnitState(unit=unit("east"), fix=fix("east", 1250.0, course=270.0)),
    ]
    return matcher_with(region, states)


def who(matcher: Matcher, stop: Stop = STOP, now: float = NOW) -> dict[str, float]:
    return {c.unit: c.eta.travel_s for c in matcher.rank(stop, now=now).candidates}


def test_a_closed_road_is_not_driven_and_reopened_it_is(region):
    matcher = west_and_east(region)
    before = matcher.rank(STOP, now=NOW)
    assert who(matcher)["west"] == 30.0
    assert before.epoch == 0
    assert matcher.close_roads([EASTBOUND])[0].outcome == "matched"
    closed = matcher.rank(STOP, now=NOW)
    assert [c.unit for c in closed.candidates] == ["east"]
    assert [(x.unit, x.reason) for x in closed.excluded] == [("west", "no_route")]
    assert closed.epoch == matcher.epoch == 1
    matcher.reopen_roads(["c1"])
    after = matcher.rank(STOP, now=NOW)
    assert after.candidates == before.candidates
    assert after.epoch == 2


def test_a_closure_holds_in_its_own_direction_unless_it_says_both(region):
    matcher = west_and_east(region)
    westbound = Stop(id="s2", at=at(550.0), agency="town.example", course_deg=270.0)
    before = who(matcher, westbound)["east"]
    matcher.close_roads([EASTBOUND])
    assert who(matcher, westbound)["east"] == before
    result = matcher.close_roads([Closure(id="c1", line=EASTBOUND.line, both_directions=True)])[0]
    assert len(result.edges) == 2
    assert "east" not in who(matcher, westbound)


def test_it_begins_and_ends_at_its_instants_by_itself(region):
    matcher = west_and_east(region)
    matcher.close_roads([Closure(id="c1", line=EASTBOUND.line, starts=NOW + 10, ends=NOW + 20)], now=NOW)
    seen = {s: "west" in who(matcher, now=NOW + s) for s in (0.0, 9.999, 10.0, 19.999, 20.0, 5.0, 15.0)}
    assert seen == {0.0: True, 9.999: True, 10.0: False, 19.999: False, 20.0: True, 5.0: True, 15.0: False}
    # The same roads have the same epoch, whoever asked what in between.
    epochs = [matcher.rank(STOP, now=NOW + s).epoch for s in (0, 10, 20, 5, 15)]
    assert epochs == [1, 2, 3, 1, 2]


def test_closed_to_the_public_and_open_to_police(region):
    matcher = west_and_east(region)
    matcher.close_roads([Closure(id="c1", line=EASTBOUND.line, modes=(DrivingMode.routine,))])
    emergency = Stop(id="s3", at=STOP.at, agency="town.example", urgency="officer_emergency")
    assert "west" not in who(matcher)
    assert "west" in who(matcher, emergency)


def test_a_slowed_road_takes_longer_and_never_less(region):
    matcher = west_and_east(region)
    matcher.close_roads([Closure(id="c1", kind="slowed", line=EASTBOUND.line, speed_kph=18.0)])
    assert who(matcher)["west"] == 40.0
    matcher.close_roads([Closure(id="c1", kind="slowed", line=EASTBOUND.line, speed_kph=90.0)])
    assert who(matcher)["west"] == 30.0
    matcher.close_roads([Closure(id="c1", kind="slowed", line=EASTBOUND.line, factor=3.0)])
    assert who(matcher)["west"] == 50.0


def test_whoever_stands_on_a_closed_road_drives_off_it(region):
    matcher = west_and_east(region)
    matcher.close_roads([Closure(id="c1", line=(at(700.0), at(800.0)))])
    assert who(matcher)["west"] == 30.0


def test_a_stop_on_a_closed_road_says_so_and_is_reached_from_behind_on_it_alone(region):
    matcher = west_and_east(region)
    matcher.register([unit("near")])
    matcher.update([fix("near", 1020.0, course=90.0)])
    matcher.close_roads([Closure(id="c1", line=(at(1000.0), at(1100.0)), both_directions=True)])
    ranking = matcher.rank(STOP, now=NOW)
    assert "on_closed_road" in ranking.resolved.notes
    assert [(c.unit, c.eta.travel_s) for c in ranking.candidates] == [("near", 3.0)]


def test_routes_and_explanations_and_comparisons_keep_off_closed_roads(region):
    matcher = west_and_east(region)
    edge = matcher.close_roads([Closure(id="c1", kind="slowed", line=EASTBOUND.line, factor=4.0)])[0].edges[0]
    route = matcher.route(STOP, "west", now=NOW)
    assert {leg.edge: leg.drive_s for leg in route.legs}[edge] == 40.0
    assert route.travel_s == who(matcher)["west"] == 60.0
    matcher.close_roads([EASTBOUND])
    with pytest.raises(BadInput, match="no way by road"):
        matcher.route(STOP, "west", now=NOW)
    assert matcher.explain(STOP, "west", now=NOW).code == "no_route"
    assert matcher.compare(STOP, now=NOW).fastest_of_all.unit == "east"
    states = matcher.states()
    assert [c.unit for c in matcher.rank_units(STOP, states, now=NOW).candidates] == ["east"]


def test_a_polygon_closes_every_street_in_it_both_ways(region):
    matcher = west_and_east(region)
    box = tuple(at(x, y) for x, y in ((830.0, -50.0), (870.0, -50.0), (870.0, 50.0), (830.0, 50.0)))
    result = matcher.close_roads([Closure(id="c1", polygon=box)])[0]
    assert (result.outcome, len(result.edges)) == ("matched", 2)
    touching = tuple(at(x, y) for x, y in ((800.0, 0.0), (810.0, 40.0), (790.0, 40.0)))
    assert matcher.close_roads([Closure(id="c2", polygon=touching)])[0].outcome == "unmatched"


def test_what_lies_on_no_road_is_listed_and_changes_nothing(region):
    matcher = west_and_east(region)
    before = who(matcher)
    field, far, half = (
        Closure(id="field", line=(at(500.0, 150.0), at(600.0, 150.0))),
        Closure(id="far", line=(LonLat(50.0, 10.0), LonLat(50.0, 10.01))),
        Closure(id="half", line=(at(1900.0), at(2200.0))),
    )
    results = {result.id: result for result in matcher.close_roads([field, far, half])}
    assert {id_: r.outcome for id_, r in results.items()} == {
        "field": "unmatched",
        "far": "unmatched",
        "half": "partly",
    }
    assert "longitude first" in results["far"].detail
    assert "of its 300 m" in results["half"].detail
    assert [held.closure.id for held in matcher.closures()] == ["far", "field", "half"]
    assert who(matcher) == before


def test_a_line_against_a_one_way_street_is_unmatched(region):
    matcher = Matcher(region)
    east, west = (at(500.0, 300.0), at(700.0, 300.0)), (at(700.0, 300.0), at(500.0, 300.0))
    assert matcher.close_roads([Closure(id="c1", line=east)])[0].outcome == "unmatched"
    assert len(matcher.close_roads([Closure(id="c1", line=west)])[0].edges) == 2


@given(
    start=st.integers(0, 19), blocks=st.integers(1, 8), east=st.booleans(), off_m=st.floats(-12, 12),
    over_m=st.floats(-15, 15),
)  # fmt: skip
@hypothesis_settings(max_examples=60)
def test_a_line_drawn_by_hand_means_the_blocks_it_runs_along(region, start, blocks, east, off_m, over_m):
    end = min(start + blocks, 20)
    points = [at(100.0 * start - over_m, off_m), at(100.0 * end + over_m, off_m / 2)]
    line = tuple(points if east else points[::-1])
    network, origin = region.network, region.network.projection.xy(at(0.0))
    node_x, node_y = network.node_x - origin.x, network.node_y - origin.y
    expected = set()
    for edge in range(network.originals):
        (x0, x1), (y0, y1) = ((v[network.edge_from[edge]], v[network.edge_to[edge]]) for v in (node_x, node_y))
        on_main = abs(y0) < 1 and abs(y1) < 1 and 100 * start - 1 <= min(x0, x1) and max(x0, x1) <= 100 * end + 1
        if on_main and (x1 > x0) == east:
            expected.add(edge)
    assert set(Matcher(region).close_roads([Closure(id="c", line=line)])[0].edges) == expected


def test_what_cannot_be_a_closure_is_refused_and_nothing_of_its_message_holds(region):
    matcher = west_and_east(region)
    for wrong in (
        {"edges": ()}, {"edges": (1,), "line": EASTBOUND.line}, {"line": (at(0), at(0))}, {"edges": (-1,)},
        {"edges": (1,), "modes": ()}, {"edges": (1,), "modes": ("quick",)}, {"edges": (1,), "kind": "slowed"},
        {"edges": (1,), "factor": 2.0}, {"edges": (1,), "kind": "slowed", "factor": 0.5},
        {"edges": (1,), "kind": "slowed", "speed_kph": float("nan")}, {"edges": (1,), "starts": 5.0, "ends": 5.0},
        {"edges": (1,), "starts": 1e12},
    ):  # fmt: skip
        with pytest.raises(BadInput):
            Closure(id="c", **wrong)
    with pytest.raises(BadInput, match="not on this map"):
        matcher.close_roads([EASTBOUND, Closure(id="c2", edges=(10**6,))])
    with pytest.raises(BadInput, match="same id"):
        matcher.close_roads([EASTBOUND, EASTBOUND])
    with pytest.raises(UnknownClosure):
        matcher.reopen_roads(["c1"])
    assert matcher.closures() == []
    assert matcher.epoch == 0


def test_a_feeds_next_message_replaces_what_it_said_before(region):
    matcher = west_and_east(region)
    manual = Closure(id="m", kind="slowed", line=EASTBOUND.line, factor=2.0)
    first, second = (
        Closure(id=id_, line=(at(x), at(x + 100.0)), source="dot") for id_, x in (("a", 800.0), ("b", 0.0))
    )
    matcher.close_roads([manual])
    matcher.close_roads([first], source="dot")
    assert "west" not in who(matcher)
    matcher.close_roads([second], source="dot")
    assert who(matcher)["west"] == 40.0
    assert [held.closure.id for held in matcher.closures()] == ["b", "m"]
    matcher.close_roads([], source="dot")
    assert [held.closure.id for held in matcher.closures()] == ["m"]


def test_closures_move_to_a_new_map_and_say_what_became_of_them(region, tmp_path):
    slower = main_street(tmp_path / "slower.region", kph=18.0)
    matcher = west_and_east(region)
    edge = matcher.close_roads([EASTBOUND])[0].edges[0]
    matcher.close_roads([Closure(id="c2", edges=(edge,)), Closure(id="c3", line=(at(0.0, 150.0), at(99.0, 150.0)))])
    last = matcher.epoch
    results = {result.id: result.outcome for result in matcher.activate(slower)}
    assert results == {"c1": "matched", "c2": "matched", "c3": "unmatched"}
    assert matcher.epoch > last
    assert list(who(matcher)) == ["east"]
    matcher.reopen_roads(["c1", "c2"])
    assert who(matcher)["west"] == 60.0


def test_a_matcher_that_remembers_has_the_same_roads_and_the_same_epoch(region, tmp_path):
    matcher = west_and_east(region)
    edge = matcher.close_roads([EASTBOUND])[0].edges[0]
    matcher.close_roads([Closure(id="c2", edges=(edge,), starts=NOW, ends=NOW + 60)])
    again = Matcher(region, memory=matcher.memory())
    assert again.closures() == matcher.closures()
    for now in (NOW - 1, NOW, NOW + 60):
        one, other = again.rank(STOP, now=now), matcher.rank(STOP, now=now)
        assert (one.candidates, one.epoch) == (other.candidates, other.epoch)
    elsewhere = Matcher(main_street(tmp_path / "other.region", kph=18.0), memory=matcher.memory())
    assert {held.closure.id: held.result.outcome for held in elsewhere.closures()} == {
        "c1": "matched",
        "c2": "unmatched",
    }


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "where",
    [
        "geomatch.road.live._Times._impose", "geomatch.road.live._Times.settle", "geomatch.road.live._Times.roads",
        "geomatch.road.live.Moment.__init__", "geomatch.road.live.LiveRoads._reindex",
        "geomatch.road.live_repair.Repair.begin", "geomatch.road.live.LiveTimes.__init__",
        "geomatch.backup.closed_roads.EdgeFinder.along",
    ],
)  # fmt: skip
@pytest.mark.parametrize("after", [0, 1])
def test_a_kill_at_any_moment_of_an_import_leaves_the_old_roads_serving(region, monkeypatch, where, after):
    matcher = west_and_east(region)
    matcher.close_roads([Closure(id="m", kind="slowed", line=(at(900.0), at(1000.0)), factor=2.0)])
    before, epoch = who(matcher), matcher.epoch
    calls = iter(range(after))

    def killed(*args, **named):
        if next(calls, None) is None:
            raise Killed
        return whole(*args, **named)

    with monkeypatch.context() as patched:
        module, _, name = where.rpartition(".")
        owner = __import__(module.rpartition(".")[0], fromlist=["x"]).__dict__[module.rpartition(".")[2]]
        whole = getattr(owner, name)
        patched.setattr(owner, name, killed)
        try:
            matcher.close_roads([EASTBOUND, Closure(id="c2", line=(at(0.0), at(100.0)))], source="dot")
        except Killed:
            assert who(matcher) == before
            assert matcher.epoch == epoch
    if matcher.epoch == epoch:
        assert [held.closure.id for held in matcher.closures()] == ["m"]
        assert who(matcher) == before
        # And the next change is exactly that.
        matcher.close_roads([Closure(id="n", kind="slowed", line=(at(1000.0), at(1100.0)), factor=2.0)])
        assert who(matcher)["west"] == before["west"] + 5.0
        matcher._held.closed._live.wait_until_repaired(10.0)
        assert who(matcher)["west"] == before["west"] + 5.0


def wait_until_longer(listed, length, seconds=30.0):
    until = time.monotonic() + seconds
    while len(listed) < length and time.monotonic() < until:
        time.sleep(0.0005)


def test_readers_race_a_writer_and_every_answer_is_of_its_own_epoch(opened):
    """A writer closes, slows and reopens on the toy's roads; each answer must be dijkstra's on the roads of the epoch
    that it names."""
    region = opened("toy")
    network, rng = region.network, np.random.default_rng(5)
    matcher = Matcher(region)
    live = matcher._held.closed._live
    edges = rng.integers(0, network.originals, (40, 2)).astype(np.int32)
    places = Places(edge=np.stack([edges[:, 0], np.full(40, -1, np.int32)], axis=1), fraction=rng.random((40, 2)))
    targets = [region.times.targets(edge[1:], np.array([0.4])) for edge in edges[:12]]
    known: dict[int, list[RoadChange]] = {0: []}
    answers: list[tuple[int, int, tuple[int, ...]]] = []
    stopped = threading.Event()

    def ask(seed: int) -> None:
        mine = np.random.default_rng(seed)
        while not stopped.is_set():
            n = int(mine.integers(0, len(targets)))
            roads = live.at(0.0)
            for _ in range(2):
                # The same roads again: the writer may have gone on, and the answer may not.
                row = roads.matrix([targets[n]], places, DrivingMode.routine)[0]
                answers.append((roads.epoch, n, tuple(row.tolist())))

    readers = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for reader in readers:
        reader.start()
    try:
        now_known: dict[str, RoadChange] = {}
        for turn in range(150):
            change = RoadChange(
                id=f"c{turn % 7}", edges=rng.integers(0, network.originals, 3).astype(np.int32),
                modes=(DrivingMode.routine,), closed=bool(turn % 2), factor=None if turn % 2 else 3.0,
            )  # fmt: skip
            if turn % 5 == 4:
                live.remove([change.id])
                now_known.pop(change.id, None)
            else:
                live.put([change])
                now_known[change.id] = change
            known[live.epoch] = list(now_known.values())
            if turn % 10 == 0:
                live.wait_until_repaired(10.0)
            if turn % 3 == 0:
                # However busy the machine is, the readers get to ask at some epochs and not only after the last.
                wait_until_longer(answers, len(answers) + 6)
    finally:
        stopped.set()
        for reader in readers:
            reader.join()
    assert len({epoch for epoch, *_ in answers}) > 20
    truth: dict[tuple[int, int], tuple[int, ...]] = {}
    for epoch, n, row in answers:
        if (epoch, n) not in truth:
            travel = slow_travel_ms(changed(network, known[epoch], 0.0), targets[n], places, 0)
            truth[epoch, n] = tuple(np.where(np.isfinite(travel), travel, NEVER_MS).astype(int).tolist())
        assert row == truth[epoch, n], epoch
