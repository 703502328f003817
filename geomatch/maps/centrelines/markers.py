"""A NENA `DistanceMarkerPoint` layer laid along the road network: what `road.markers` looks places up in."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

from geomatch.errors import BadMap
from geomatch.maps.centrelines.fields import cells
from geomatch.maps.layers.field_mapping import FieldMapping, read_mapping
from geomatch.maps.layers.files import LayerTable, layer_names, read_table, to_lonlat
from geomatch.maps.streets.split import part_of_line
from geomatch.quantities import NEVER_MS, DrivingMode, Floats, Metres
from geomatch.road.markers import METRES_OF_UNIT, Markers, route_key, unit_named
from geomatch.road.network import RoadNetwork
from geomatch.road.snap import Snapper

LAYER = "DistanceMarkerPoint"
FIELDS = ("NGUID", "DM_Unit", "DM_Value", "DM_Rte", "DM_Type", "DM_Ind", "DM_Label")
FARTHEST_M: Metres = 60.0
"""A marker stands beside its road, or in its median."""
SAME_PLACE_M: Metres = 200.0
"""Two markers of one figure this close are those of the two carriageways."""


@dataclass(kw_only=True)
class MarkerReport:
    file: str
    counts: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marker:
    route: str
    unit: str
    value: float
    x: Metres
    y: Metres

    def apart_m(self, other: _Marker) -> Metres:
        return float(np.hypot(self.x - other.x, self.y - other.y))


def read_markers(
    path: Path | str, network: RoadNetwork, *, layer: str | None = None, mapping: Path | None = None
) -> tuple[Markers, MarkerReport]:
    """The markers of a file on a network. Raises BadMap where one has no figure, no route or no known unit."""
    path = Path(path)
    report = MarkerReport(file=path.name)
    names = read_mapping(mapping, known=FIELDS) if mapping else FieldMapping()
    (layer_name, *more) = layer_names(path, layer, is_known=lambda name: "marker" in name.lower())
    if more:
        raise BadMap(f"{path.name} has several marker layers: name one, of {', '.join([layer_name, *more])}")
    table = read_table(path, layer_name, names, None, known=FIELDS)
    lonlat, said = to_lonlat(table)
    report.warnings += said
    snapper = Snapper.of(network)
    markers = _markers(table, lonlat, snapper, report)
    runs = _runs(markers, report)
    if not runs:
        raise BadMap(f"layer {layer_name!r} has no two markers of one route on this map: is it of another region?")
    laid = _laid(runs, network, snapper, report)
    report.counts = +report.counts
    return laid, report


def _markers(table: LayerTable, lonlat: np.ndarray, snapper: Snapper, report: MarkerReport) -> list[_Marker]:
    if not {"DM_Value", "DM_Unit", "DM_Rte"} <= set(table.columns):
        raise BadMap(f"layer {table.name!r} is no {LAYER}: it needs DM_Value, DM_Unit and DM_Rte, or a mapping file")
    plain = shapely.is_geometry(lonlat) & (shapely.get_type_id(lonlat) == 0) & ~shapely.is_empty(lonlat)
    if not plain.all():
        raise BadMap(
            f"layer {table.name!r}: {int((~plain).sum())} of {table.features} features are no point: mend them"
        )
    x, y = snapper.projection.forward(shapely.get_x(lonlat), shapely.get_y(lonlat))
    nan = np.full(len(x), np.nan)
    gap_m = snapper.snap(x, y, nan, nan, nan).metres
    columns = [cells(table, name) for name in ("DM_Rte", "DM_Unit", "DM_Value", "NGUID")]
    found = []
    for row, (route, unit_text, value_text, nguid) in enumerate(zip(*columns, strict=True)):
        name = f"marker {nguid or f'in row {row + 1}'}"
        unit, value = unit_named(unit_text), _number(value_text)
        if unit is None or value is None or not route_key(route):
            raise BadMap(f"{name} needs a route, a figure and a unit as miles or kilometers: complete it")
        if not gap_m[row] <= FARTHEST_M:
            report.counts["markers left out: by no road of the map"] += 1
            continue
        found.append(_Marker(route=route, unit=unit, value=value, x=float(x[row]), y=float(y[row])))
    report.counts["markers read"] += table.features
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e6 else None  # written so that NaN fails


def _runs(markers: list[_Marker], report: MarkerReport) -> list[list[_Marker]]:
    """Markers of a route that follow each other: no farther apart than their figures say, and 200 m."""
    runs: dict[tuple[str, str], list[list[_Marker]]] = {}
    for marker in sorted(markers, key=lambda one: (route_key(one.route), one.unit, one.value, one.route, one.x, one.y)):
        own = runs.setdefault((route_key(marker.route), marker.unit), [])
        near = [run for run in own if _follows(run[-1], marker)]
        if not near:
            own.append([marker])
            continue
        run = min(near, key=lambda run: run[-1].apart_m(marker))
        if run[-1].value == marker.value:
            report.counts["markers of both carriageways, the first taken"] += 1
        else:
            run.append(marker)
    every = [run for key in sorted(runs) for run in runs[key]]
    report.counts["markers left out: alone on their route"] += sum(1 for run in every if len(run) == 1)
    return [run for run in every if len(run) > 1]


def _follows(last: _Marker, then: _Marker) -> bool:
    marked_m = (then.value - last.value) * METRES_OF_UNIT[last.unit]
    return last.apart_m(then) <= 1.15 * marked_m + SAME_PLACE_M


def _laid(runs: list[list[_Marker]], network: RoadNetwork, snapper: Snapper, report: MarkerReport) -> Markers:
    lines: tuple[list[Floats], list[Floats]] = ([], [])
    on_road: tuple[list[bool], list[bool]] = ([], [])
    for run in runs:
        for sense in (0, 1):
            places = _places(run, snapper, against=sense == 1)
            for k, marker in enumerate(run):
                line = None
                if k + 1 < len(run):
                    limit_m = 1.5 * marker.apart_m(run[k + 1]) + SAME_PLACE_M
                    start, goal = (places[k + 1], places[k]) if sense else (places[k], places[k + 1])
                    line = _road_between(network, start, goal, limit_m)
                    _compare(marker, run[k + 1], line, network, report)
                on_road[sense].append(line is not None)
                lines[sense].append(_straight(run[k : k + 2], network) if line is None else line[:: -1 if sense else 1])
    counts = np.array([[len(line) for line in lines[sense]] for sense in (0, 1)])
    ends = np.concatenate(([0], np.cumsum(counts.ravel())))
    k = counts.shape[1]
    points = np.concatenate([*lines[0], *lines[1]])
    return Markers(
        routes=tuple(run[0].route for run in runs), units=tuple(run[0].unit for run in runs),
        run_first=np.cumsum([0, *map(len, runs)]).astype(np.int32),
        value=np.array([marker.value for run in runs for marker in run]),
        line_first=np.stack((ends[: k + 1], ends[k:])).astype(np.int32), on_road=np.array(on_road, bool),
        lon=points[:, 0].copy(), lat=points[:, 1].copy(),
    )  # fmt: skip


def _straight(pair: list[_Marker], network: RoadNetwork) -> Floats:
    """Nothing after the last marker of a run."""
    if len(pair) < 2:
        return np.empty((0, 2))
    return np.column_stack(network.projection.inverse([one.x for one in pair], [one.y for one in pair]))


def _compare(a: _Marker, b: _Marker, line: Floats | None, network: RoadNetwork, report: MarkerReport) -> None:
    if line is None:
        report.counts["stretches between markers without a road, taken as straight"] += 1
        return
    length_m = float(np.hypot(*np.diff(np.stack(network.projection.forward(*line.T)), axis=1)).sum())
    marked_m = (b.value - a.value) * METRES_OF_UNIT[a.unit]
    if abs(length_m - marked_m) > 0.2 * marked_m:
        report.counts["stretches that are a fifth longer or shorter than their markers say"] += 1
        said = f"the road is {length_m:,.0f} m long, the markers say {marked_m:,.0f}"
        report.warnings.append(f"{a.route} from {a.value:g} to {b.value:g}: {said}")


_Place = tuple[int, float]
"""Edge, fraction."""


def _places(run: list[_Marker], snapper: Snapper, *, against: bool) -> list[_Place]:
    """The place of each marker on the carriageway of one direction: by the course from its neighbours."""
    x, y = (np.array([getattr(one, axis) for one in run]) for axis in "xy")
    before, after = np.maximum(np.arange(len(run)) - 1, 0), np.minimum(np.arange(len(run)) + 1, len(run) - 1)
    course = np.degrees(np.arctan2(x[after] - x[before], y[after] - y[before]))
    course = (course + 180.0 * against) % 360.0
    nan = np.full(len(run), np.nan)
    on = snapper.snap(x, y, course, nan, nan)
    return [(int(edge), float(at)) for edge, at in zip(on.edge, on.fraction, strict=True)]


def _road_between(network: RoadNetwork, start: _Place, goal: _Place, limit_m: Metres) -> Floats | None:
    """(P, 2) degrees of the shortest way that routine traffic may drive, by metres; None: none within the limit."""
    if start[0] == goal[0] and start[1] < goal[1]:
        return part_of_line(_degrees(network, start[0]), start[1], goal[1])
    routine = DrivingMode.routine.row
    came_from: dict[int, int] = {start[0]: -1}
    queue = [((1.0 - start[1]) * float(network.edge_length_m[start[0]]), start[0], -1)]
    settled: set[int] = set()
    while queue:
        metres, edge, before = heapq.heappop(queue)
        if edge in settled or metres > limit_m + float(network.edge_length_m[goal[0]]):
            continue
        settled.add(edge)
        came_from[edge] = before
        if before >= 0 and goal[0] in (edge, int(network.edge_copy_of[edge])):
            return _line_of(network, came_from, edge, start, goal)
        for arc in range(int(network.arc_first[edge]), int(network.arc_first[edge + 1])):
            head = int(network.arc_head[arc])
            if network.arc_ms[routine, arc] < NEVER_MS and head not in settled:
                heapq.heappush(queue, (metres + float(network.edge_length_m[head]), head, edge))
    return None


def _line_of(network: RoadNetwork, came_from: dict[int, int], last: int, start: _Place, goal: _Place) -> Floats:
    edges = [last]
    while came_from[edges[-1]] >= 0:
        edges.append(came_from[edges[-1]])
    edges.reverse()
    pieces = [part_of_line(_degrees(network, edges[0]), start[1], 1.0)]
    pieces += [_degrees(network, edge) for edge in edges[1:-1]]
    pieces.append(part_of_line(_degrees(network, last), 0.0, goal[1]))
    points = np.concatenate(pieces)
    # Without the points where two pieces meet, counted twice: a step of no length has no course.
    return points[np.concatenate(([True], (np.diff(points, axis=0) != 0.0).any(axis=1)))]


def _degrees(network: RoadNetwork, edge: int) -> Floats:
    return np.column_stack(network.projection.inverse(*network.points(edge)))
