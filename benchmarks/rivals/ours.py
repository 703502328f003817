"""geomatch: the kernel alone, the public call with every field read, and HTTP.

"kernel" is the search that a region ranks with; "ball search" and "hierarchy" are its two engines by name. They get
stops that are on the road already, and units that are screened and labelled already; the call and HTTP do everything.
"""

from __future__ import annotations

import atexit
import http.client
import json
import re
import subprocess
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from case import Answer, Case, Cell
from measure import read_all
from workloads import NOW, asked, fixes, patrol

from geomatch.quantities import DrivingMode, format_time
from geomatch.region import Region
from geomatch.road.labels import HierarchyEngine
from geomatch.road.travel_time import Places, Targets

MODE = DrivingMode.routine


def prepare_kernel(case: Case, cell: Cell):
    times = Region.open(case.folder / "region").times
    times.engine.warm(_places(case, cell).edge, MODE)
    return _kernel(case, cell, times)


def prepare_ball(case: Case, cell: Cell):
    return _kernel(case, cell, Region.open(case.folder / "region").times.search)


def prepare_hierarchy(case: Case, cell: Cell):
    engine = labels_engine(case.folder)
    engine.warm(_places(case, cell).edge, MODE)
    return _kernel(case, cell, engine)


def _kernel(case: Case, cell: Cell, engine):
    rows, places = np.arange(0, cell.units, cell.step), _places(case, cell)
    delay_ms, targets = np.zeros(len(rows), np.int32), road_targets(case)

    def answer(stop: int) -> Answer:
        found = engine.k_soonest(targets[stop], places, delay_ms, cell.k, MODE)
        return rows[found.rows], found.total_ms

    return answer


def road_targets(case: Case) -> list[Targets]:
    stops = case.stops
    return [
        Targets(edge=np.array(stops.target_edge[a:b], np.int32), fraction=np.array(stops.target_fraction[a:b]))
        for a, b in pairwise(stops.target_first)
    ]


def labels_engine(folder: Path) -> HierarchyEngine:
    """Opened anew for each cell, so that no stop's label is left from the last one."""
    return Region.open(folder / "region").times.engine


def _places(case: Case, cell: Cell) -> Places:
    fleet, rows = case.fleets[cell.layout], slice(0, cell.units, cell.step)
    return Places(edge=np.array(fleet.edge[rows], np.int32), fraction=np.array(fleet.fraction[rows]))


def prepare_call(case: Case, cell: Cell):
    from geomatch import Matcher

    fleet = case.fleets[cell.layout]
    matcher = Matcher(Region.open(case.folder / "region"))
    matcher.register(patrol(cell.units))
    matcher.update(fixes(fleet.lonlat[: cell.units], fleet.course_deg[: cell.units]))
    stops = asked(case.stops, cell.eligible_percent)

    def answer(stop: int) -> Answer:
        ranking = matcher.rank(stops[stop], k=cell.k, now=NOW)
        read_all(ranking.candidates)
        return _rows_and_ms((c.unit, c.eta.travel_s) for c in ranking.candidates)

    return answer


def prepare_http(case: Case, cell: Cell):
    """`geomatch serve` in a process of its own, its fleet sent as one snapshot; one connection, kept open."""
    fleet = case.fleets[cell.layout]
    command = [sys.executable, "-m", "geomatch.cli", "serve", str(case.folder / "region"), "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    atexit.register(server.terminate)
    found = None
    while found is None and server.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stderr.readline())
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
    call = partial(_call, connection)
    on_road = fixes(fleet.lonlat[: cell.units], fleet.course_deg[: cell.units])
    units = [_state(unit, fix) for unit, fix in zip(patrol(cell.units), on_road, strict=True)]
    call("PUT", "/v1/fleet", json.dumps({"source": "benchmark", "source_seq": 1, "units": units}))
    bodies = [json.dumps(_request(stop, cell.k)) for stop in asked(case.stops, cell.eligible_percent)]

    def answer(stop: int) -> Answer:
        ranking = call("POST", "/v1/rankings", bodies[stop])
        return _rows_and_ms((c["unit"], c["eta"]["travel_s"]) for c in ranking["candidates"])

    answer.close = server.terminate
    return answer


def _call(connection: http.client.HTTPConnection, method: str, path: str, body: str):
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status >= 400:
        raise RuntimeError(f"{method} {path}: {response.status} {answer}")
    return answer


def _state(unit, fix) -> dict[str, object]:
    report = {"unit": unit.id, "time": format_time(NOW), "at": {"lon": fix.at.lon, "lat": fix.at.lat}}
    if fix.course_deg is not None:
        report["course_deg"] = fix.course_deg
    who = {"id": unit.id, "agency": unit.agency, "capabilities": list(unit.capabilities)}
    return {"unit": who, "fix": report}


def _request(stop, k: int) -> dict[str, object]:
    place = {"id": stop.id, "at": {"lon": stop.at.lon, "lat": stop.at.lat}}
    if stop.course_deg is not None:
        place["course_deg"] = stop.course_deg
    return {"stop": place | {"need": {"capabilities": list(stop.need.capabilities)}}, "k": k, "now": format_time(NOW)}


def _rows_and_ms(pairs) -> Answer:
    found = [(int(unit[1:]), round(travel_s * 1000)) for unit, travel_s in pairs]
    return np.array([row for row, _ in found], int), np.array([ms for _, ms in found], int)
