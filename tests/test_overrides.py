"""Overrides hold on the map as it is now, whatever it was cut into, and each says what became of it."""

from __future__ import annotations

import heapq
import itertools

import geopandas
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, Point
from streets import PROJECTION, Street, streets

from geomatch.errors import BadMap
from geomatch.maps.network.expand import expand
from geomatch.maps.overrides.apply import apply_overrides
from geomatch.maps.overrides.read import Direction, OpenTo, Override, OverrideKind, read_overrides
from geomatch.maps.streets.split import Cut, split
from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.network import EdgeFlag, RoadClass


def lonlat(*points):
    lon, lat = PROJECTION.inverse(*np.array(points, float).T)
    return np.column_stack([lon, lat])


def line(*points):
    return LineString(lonlat(*points))


def point(x, y):
    return Point(*lonlat((x, y))[0])


def override(kind, shape, **rest):
    given = {"close": OpenTo.nobody, "crossover": OpenTo.emergency}.get(kind, OpenTo.all)
    return Override(**({"id": "o1", "kind": OverrideKind(kind), "shape": shape, "open_to": given} | rest))


def apply(source, *overrides):
    """The map with them, their outcomes, and how the source reported them."""
    edited, results = apply_overrides(source, overrides)
    return edited, [result.outcome.value for result in results]


def ms_between(source, start_way, end_way, mode=DrivingMode.routine):
    """Dijkstra by hand, in milliseconds: from the start of any edge of one way to the end of any of the other."""
    network = expand(source)
    queue = [(int(network.edge_ms[mode.row, e]), e) for e in range(network.edges) if network.edge_way[e] == start_way]
    heapq.heapify(queue)
    done = {}
    while queue:
        ms, edge = heapq.heappop(queue)
        if edge in done or ms >= NEVER_MS:
            continue
        done[edge] = ms
        if network.edge_way[edge] == end_way:
            return ms
        for arc in range(network.arc_first[edge], network.arc_first[edge + 1]):
            head = int(network.arc_head[arc])
            heapq.heappush(
                queue, (ms + int(network.arc_ms[mode.row, arc]) + int(network.edge_ms[mode.row, head]), head)
            )
    return None


def high_street(**street):
    """Three pieces of one street in a row, 100 m each at 10 m/s, between two others; ids 1, 2, 3 west to east."""
    at = {i: (100.0 * i, 0.0) for i in range(4)}
    ways = {
        1: Street(nodes=(0, 1), name="West Street"), 2: Street(nodes=(1, 2), name="High Street", **street),
        3: Street(nodes=(2, 3), name="East Street"),
    }  # fmt: skip
    return streets(at, ways)


def dual_carriageway():
    """2 km of motorway from west to east and back, 20 m apart, joined at its ends by plain roads."""
    at = {0: (0, 0), 1: (1000, 0), 2: (2000, 0), 3: (2000, 20), 4: (1000, 20), 5: (0, 20), 6: (-100, 10), 7: (2100, 10)}
    fast = {"one_way": True, "kph": 108.0, "road": RoadClass.motorway, "name": "A 1"}
    ways = {
        1: Street(nodes=(0, 1), **fast), 2: Street(nodes=(1, 2), **fast), 3: Street(nodes=(3, 4), **fast),
        4: Street(nodes=(4, 5), **fast), 5: Street(nodes=(5, 6), one_way=True), 6: Street(nodes=(2, 7, 3)),
        7: Street(nodes=(6, 0), one_way=True),
    }  # fmt: skip
    return streets(at, ways)


def test_a_gate_costs_its_seconds_either_way_and_nobody_who_does_not_pass_it():
    source = high_street()
    gated, outcome = apply(source, override("gate", point(140, 4), seconds=25.0))
    assert outcome == ["applied"]
    for start, end in ((1, 3), (3, 1)):
        assert ms_between(source, start, end) == 30_000
        assert ms_between(gated, start, end) == 30_000 + 25_000
    assert ms_between(gated, 1, 2) == ms_between(gated, 1, 1) + 3_950  # the piece before the gate
    assert gated.segments == source.segments + 2
    assert gated.total_length_m() == pytest.approx(source.total_length_m())


def test_a_barrier_cuts_the_street_for_all_or_for_routine_traffic_only():
    source = high_street()
    shut, _ = apply(source, override("close", point(150, 0)))
    kept, _ = apply(source, override("close", point(150, 0), open_to=OpenTo.emergency))
    assert ms_between(source, 1, 3) == 30_000
    assert [ms_between(shut, 1, 3, mode) for mode in DrivingMode] == [None] * 3
    assert ms_between(kept, 1, 3) is None
    assert ms_between(kept, 1, 3, DrivingMode.urgent) is not None


def test_a_gate_at_a_corner_or_on_a_street_of_two_metres_is_a_gate_still():
    at = {0: (-100, 0), 1: (0, 0), 2: (100, 0), 3: (102, 0), 4: (200, 0), 5: (300, 0)}
    source = streets(at, {i: Street(nodes=(i, i + 1)) for i in range(5)})
    for x in (100.2, 101.0, 99.9, 0.01, 50.0):
        gated, outcome = apply(source, override("gate", point(x, 1), seconds=25.0))
        assert outcome == ["applied"]
        for start, end in ((0, 4), (4, 0)):
            assert ms_between(gated, start, end) == pytest.approx(40_000 + 25_000, abs=3)


def test_a_closure_holds_in_the_direction_that_is_drawn():
    source = high_street()
    for shape, direction, closed in (
        (line((100, 3), (200, 3)), Direction.along, (1, 3)), (line((200, 3), (100, 3)), Direction.along, (3, 1)),
        (line((100, 3), (200, 3)), Direction.against, (3, 1)),
    ):  # fmt: skip
        shut, outcome = apply(source, override("close", shape, direction=direction))
        assert outcome == ["applied"]
        assert ms_between(shut, *closed) is None
        assert ms_between(shut, *closed[::-1]) == 30_000
    shut, _ = apply(source, override("close", line((100, 3), (200, 3))))
    assert ms_between(shut, 1, 3) is None
    assert ms_between(shut, 3, 1) is None


def test_a_one_way_street_is_opened_and_reports_when_the_map_has_caught_up():
    one_way = high_street(one_way=True)
    wanted = override("open", line((200, 0), (100, 0)), direction=Direction.along)
    opened, outcome = apply(one_way, wanted)
    assert outcome == ["applied"]
    assert ms_between(one_way, 3, 1) is None
    assert ms_between(opened, 3, 1) == 30_000
    _, outcome = apply(high_street(), wanted)
    assert outcome == ["already_so"]


@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.floats(1.0, 299.0), max_size=5), start=st.floats(0.0, 140.0), length=st.floats(40.0, 150.0),
    kph=st.sampled_from([18.0, 72.0]),
)  # fmt: skip
def test_a_speed_holds_for_its_metres_however_the_map_is_cut(cuts, start, length, kph):
    """It survives a rebuild: the same street in other pieces takes the same time, but for the 10 m at a node."""
    places = sorted({0.0, 300.0, *cuts})
    at = {i: (x, 0.0) for i, x in enumerate(places)}
    source = streets(at, {i: Street(nodes=(i, i + 1), name="High Street") for i in range(len(places) - 1)})
    edited, outcome = apply(
        source, override("speed", line((start, 2), (start + length, 2)), speed_kph=kph, road="high street")
    )
    assert outcome == ["applied"]
    seconds = (edited.segment_length_m * 3.6 / edited.segment_speed_kph[0]).sum()
    right = (300.0 - length) / 10.0 + length * 3.6 / kph
    assert seconds == pytest.approx(right, abs=2 * 12.5 * abs(3.6 / kph - 0.1))
    assert edited.segment_length_m.sum() == pytest.approx(300.0)


def test_a_speed_goes_to_the_carriageway_that_drives_as_it_is_drawn():
    """Drawn down the median, nearer to the other side."""
    source = dual_carriageway()
    eastward = override("speed", line((0, 11), (2000, 11)), direction=Direction.along, speed_kph=80.0)
    edited, outcome = apply(source, eastward)
    assert outcome == ["applied"]
    assert set(edited.segment_way[edited.segment_speed_kph[0] == 80.0]) == {1, 2}
    _, outcome = apply(source, override("speed", line((0, 11), (2000, 11)), speed_kph=80.0, road="A 2"))
    assert outcome == ["not_matched"]
    by_way, _ = apply(source, override("speed", line((0, 1), (2000, 1)), speed_kph=80.0, way="2"))
    assert set(by_way.segment_way[by_way.segment_speed_kph[0] == 80.0]) == {2}


def test_a_posted_speed_is_no_guess_any_more():
    source = high_street(flags=int(EdgeFlag.assumed_speed))
    edited, _ = apply(source, override("speed", line((100, 0), (200, 0)), speed_kph=36.0))
    assert source.segment_flags.tolist() == [0, int(EdgeFlag.assumed_speed), 0]
    assert edited.segment_flags.tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [point(700, 10), line((700, 1), (700, 19)), line((701, 18), (699, 2))])
def test_a_crossover_is_a_short_cut_for_those_who_may(shape):
    source = dual_carriageway()
    with_it, outcome = apply(source, override("crossover", shape, seconds=8.0))
    assert outcome == ["applied"]
    for mode in DrivingMode:
        before, after = ms_between(source, 7, 5, mode), ms_between(with_it, 7, 5, mode)
        assert (after < before - 8_000) == (mode is not DrivingMode.routine)
    all_may, _ = apply(source, override("crossover", shape, seconds=8.0, open_to=OpenTo.all))
    assert ms_between(all_may, 7, 5) < ms_between(source, 7, 5) - 8_000


def test_what_holds_at_some_hours_is_read_strictly_and_told():
    source = high_street(one_way=True)
    along = line((100, 0), (200, 0))
    hours = {"hours": "Mo-Fr 07:00-09:00"}
    shut, outcome = apply(source, override("close", along, **hours))
    assert (outcome, ms_between(shut, 1, 3)) == (["applied"], None)
    assert any("Mo-Fr 07:00-09:00" in warning for warning in source.report.warnings)
    opened, outcome = apply(source, override("open", along, **hours))
    assert (outcome, ms_between(opened, 3, 1)) == (["left_to_hours"], None)
    slower, _ = apply(source, override("speed", along, speed_kph=18.0, **hours))
    faster, outcome = apply(source, override("speed", along, speed_kph=72.0, **hours))
    assert ms_between(slower, 1, 3) == 40_000
    assert (outcome, ms_between(faster, 1, 3)) == (["already_so"], 30_000)
    road = dual_carriageway()
    same, outcome = apply(road, override("crossover", point(700, 10), **hours))
    assert (outcome, same.segments) == (["left_to_hours"], road.segments)


def test_an_override_that_meets_no_street_is_told_and_the_others_hold():
    source = high_street()
    edited, outcome = apply(
        source,
        override("close", line((100, 400), (200, 400))),
        override("gate", point(150, 300), id="o2", seconds=5.0),
        override("close", line((150, -60), (150, 60)), id="o3"),
        override("speed", line((100, 0), (400, 0)), id="o4", speed_kph=18.0),
    )
    assert outcome == ["not_matched", "not_matched", "not_matched", "in_part"]
    assert ms_between(edited, 1, 2) == 30_000
    told = " ".join(source.report.warnings)
    assert all(f"override {name}" in told for name in ("o1", "o2", "o3", "o4"))
    assert source.report.counts["overrides not_matched"] == 3


def test_closed_is_closed_whatever_the_order():
    source = high_street(one_way=True)
    along = line((100, 0), (200, 0))
    for first, second in itertools.permutations(["open", "close"]):
        edited, outcome = apply(source, override(first, along), override(second, along, id="o2"))
        assert ms_between(edited, 1, 3) is None
        assert outcome == ["applied", "applied"]


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(1, 4), st.floats(0.0, 1.0)), min_size=1, max_size=8),
)
def test_a_cut_street_is_as_long_and_as_slow_as_before(cuts):
    source = streets(
        {i: (97.0 * i, 31.0 * (i % 3)) for i in range(7)},
        {i: Street(nodes=(i, i + 1), kph=20.0 + i, one_way=i == 2) for i in range(6)},
        signals=frozenset({2, 4}), stops=frozenset({3}), barriers_s={1: 7.0, 5: 9.0},
    )  # fmt: skip
    pieces, nodes = split(source, [Cut(segment, at) for segment, at in cuts])
    for way in range(6):
        was, now = source.segment_way == way, pieces.segment_way == way
        assert pieces.segment_length_m[now].sum() == pytest.approx(source.segment_length_m[was].sum())
        for name in ("segment_signal", "segment_stop", "segment_barrier_s"):
            assert (
                getattr(pieces, name)[:, now].sum(axis=1).tolist() == getattr(source, name)[:, was].sum(axis=1).tolist()
            )
    assert ms_between(pieces, 0, 5) == pytest.approx(ms_between(source, 0, 5), abs=20)
    assert ms_between(pieces, 5, 0) is None
    for (segment, at), node in zip(cuts, nodes, strict=True):
        piece = lonlat(*[(97.0 * i, 31.0 * (i % 3)) for i in (segment, segment + 1)])
        wanted = piece[0] + at * (piece[1] - piece[0])
        found = np.array([pieces.node_lon[node], pieces.node_lat[node]])
        assert np.hypot(*(PROJECTION.forward(*wanted)[i] - PROJECTION.forward(*found)[i] for i in (0, 1))) < 0.6


ROWS = {
    "gate": {"id": "g", "kind": "gate", "seconds": 12, "geometry": point(150, 0)},
    "speed": {"id": "s", "kind": "speed", "speed_mph": 30, "road": "High Street", "geometry": line((100, 0), (200, 0))},
    "close": {"id": "c", "kind": "close", "direction": "Against", "hours": "Su", "geometry": line((100, 0), (200, 0))},
}


@pytest.mark.parametrize("ending", ["gpkg", "geojson"])
def test_overrides_are_read_from_points_and_lines_together(tmp_path, ending):
    path = tmp_path / f"overrides.{ending}"
    rows = [ROWS["gate"], ROWS["speed"], ROWS["close"]]
    groups = [rows] if ending == "geojson" else [rows[:1], rows[1:]]
    for number, group in enumerate(groups):
        frame = geopandas.GeoDataFrame(group, crs="EPSG:4326")
        frame.to_file(
            path, **({"layer": f"part{number}", "driver": "GPKG"} if ending == "gpkg" else {"driver": "GeoJSON"})
        )
    close, gate, speed = read_overrides(path)
    assert (close.id, close.direction, close.hours, close.open_to) == ("c", Direction.against, "Su", OpenTo.nobody)
    assert (gate.id, gate.seconds, gate.is_point, gate.open_to) == ("g", 12.0, True, OpenTo.all)
    assert (speed.id, speed.road) == ("s", "High Street")
    assert speed.speed_kph == pytest.approx(48.28032)


@pytest.mark.parametrize(
    ("row", "pattern"),
    [
        ({"kind": "fence"}, "override x: kind must be one of speed, close, open, gate, crossover"),
        ({"id": None}, "row 1 of layer .* has no id"),
        ({"kind": "gate", "geometry": line((0, 0), (9, 9)), "seconds": 5}, "gate needs a Point"),
        ({"kind": "gate", "geometry": point(0, 0)}, "needs seconds"),
        ({"kind": "gate", "geometry": point(0, 0), "seconds": -5}, "seconds must be a number"),
        ({"kind": "speed"}, "speed_kph or speed_mph"),
        ({"kind": "speed", "speed_kph": 50, "speed_mph": 30}, "one of them"),
        ({"kind": "speed", "speed_kph": "fast"}, "must be a number between 1 and 200"),
        ({"kind": "close", "speed_kph": 50}, "has no speed"),
        ({"kind": "close", "direction": "north"}, "both, along, against"),
        ({"kind": "close", "open_to": "all"}, "cannot be open to all"),
        ({"kind": "close", "open_to": "emergency", "direction": "along"}, "leave direction blank"),
        ({"kind": "open", "geometry": None}, "needs a LineString"),
    ],
)
def test_an_override_that_cannot_be_meant_stops_the_build_by_name(tmp_path, row, pattern):
    blank = dict.fromkeys(("direction", "speed_kph", "speed_mph", "seconds", "open_to"))
    full = blank | {"id": "x", "kind": "close", "geometry": line((0, 0), (9, 9))} | row
    path = tmp_path / "overrides.gpkg"
    geopandas.GeoDataFrame([full], crs="EPSG:4326", geometry="geometry").to_file(path)
    with pytest.raises(BadMap, match=pattern):
        read_overrides(path)


def test_two_overrides_of_one_id_are_refused(tmp_path):
    path = tmp_path / "overrides.gpkg"
    geopandas.GeoDataFrame([ROWS["close"], ROWS["close"]], crs="EPSG:4326").to_file(path)
    with pytest.raises(BadMap, match="two overrides 'c'"):
        read_overrides(path)
    geopandas.GeoDataFrame([{"name": "x", "geometry": point(0, 0)}], crs="EPSG:4326").to_file(tmp_path / "no.gpkg")
    with pytest.raises(BadMap, match="needs the columns id and kind"):
        read_overrides(tmp_path / "no.gpkg")
