"""OSRM's table service from all units to the stop, by CH and by MLD, in process and over HTTP (Python 3.12 or later).

It reads the same file and drives at its own car profile's speeds; units and stops with a course carry their bearing. It
answers with every unit's time: the k soonest are picked out here.
"""

from __future__ import annotations

import atexit
import http.client
import json
import socket
import subprocess
import time
from functools import cache, partial
from pathlib import Path

import numpy as np
import osrm
from case import Answer, Case, Cell

BEARING_RANGE_DEG = 30
PACKAGE = Path(osrm.__file__).parent
PROFILE = PACKAGE / "share/profiles/car.lua"
STEPS = {"CH": ("contract",), "MLD": ("partition", "customize")}


def prepare(case: Case, cell: Cell, algorithm: str):
    fleet, count = case.fleet(cell), cell.units // cell.step
    engine = _engine(case.folder, algorithm)
    units = [osrm.Coordinate(tuple(at)) for at in fleet.lonlat.tolist()]
    unit_bearings = [_bearing(course) for course in fleet.course_deg]
    # With hints OSRM does not snap the units again; made once, as if no unit ever moved.
    hints = _hints(engine, units, unit_bearings)

    def answer(stop: int) -> Answer:
        table = osrm.TableParameters(
            coordinates=[*units, osrm.Coordinate(tuple(case.stops.lonlat[stop].tolist()))],
            bearings=[*unit_bearings, _bearing(case.stops.course_deg[stop])],
            sources=list(range(count)), destinations=[count], annotations=["duration"], hints=[*hints, None],
            generate_hints=False,
        )  # fmt: skip
        table.skip_waypoints = True
        return _soonest(fleet, [row[0] for row in engine.Table(table)["durations"]])

    return answer


def prepare_http(case: Case, cell: Cell, algorithm: str):
    fleet, count = case.fleet(cell), cell.units // cell.step
    connection = _server(case.folder, algorithm)
    units = ";".join(f"{lon:.6f},{lat:.6f}" for lon, lat in fleet.lonlat)
    bearings = ";".join(_bearing_text(course) for course in fleet.course_deg)
    sources = ";".join(map(str, range(count)))

    def answer(stop: int) -> Answer:
        lon, lat = case.stops.lonlat[stop]
        connection.request(
            "GET",
            f"/table/v1/driving/{units};{lon:.6f},{lat:.6f}?bearings={bearings};{_bearing_text(case.stops.course_deg[stop])}"
            f"&sources={sources}&destinations={count}&annotations=duration"
            "&generate_hints=false&skip_waypoints=true",
        )
        found = json.loads(connection.getresponse().read())
        if found["code"] != "Ok":
            raise RuntimeError(f"osrm-routed: {found['code']}: {found.get('message')}")
        return _soonest(fleet, [row[0] for row in found["durations"]])

    return answer


prepare_ch, prepare_mld = partial(prepare, algorithm="CH"), partial(prepare, algorithm="MLD")
prepare_ch_http, prepare_mld_http = partial(prepare_http, algorithm="CH"), partial(prepare_http, algorithm="MLD")


def _hints(engine: osrm.OSRM, units: list[osrm.Coordinate], bearings: list[osrm.Bearing | None]) -> list[str]:
    table = osrm.TableParameters(coordinates=units, bearings=bearings, destinations=[0], annotations=["duration"])
    return [place["hint"] for place in engine.Table(table)["sources"]]


def _soonest(fleet, durations_s: list[float | None]) -> Answer:
    s = np.array(durations_s, float)
    return fleet.least(np.where(np.isnan(s), np.inf, s * 1000.0))


def _bearing(course_deg: float) -> osrm.Bearing | None:
    return None if np.isnan(course_deg) else osrm.Bearing((round(course_deg) % 360, BEARING_RANGE_DEG))


def _bearing_text(course_deg: float) -> str:
    return "" if np.isnan(course_deg) else f"{round(course_deg) % 360},{BEARING_RANGE_DEG}"


@cache
def _engine(folder: Path, algorithm: str) -> osrm.OSRM:
    return osrm.OSRM(
        algorithm=algorithm, storage_config=str(_prepared(folder, algorithm)), use_shared_memory=False,
        max_locations_distance_table=20_000,
    )  # fmt: skip


@cache
def _server(folder: Path, algorithm: str) -> http.client.HTTPConnection:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        PACKAGE / "bin/osrm-routed", "--ip", "127.0.0.1", "--port", str(port), "--algorithm", algorithm,
        "--threads", "1", "--max-table-size", "20000", _prepared(folder, algorithm),
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(server.terminate)
    for _ in range(200):
        time.sleep(0.05)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return http.client.HTTPConnection("127.0.0.1", port)
    raise RuntimeError("osrm-routed did not open its port")


def _prepared(folder: Path, algorithm: str) -> Path:
    """The data of one algorithm, made once a workload; a half-made folder has no `done` and is made again."""
    out = folder / f"osrm-{algorithm}"
    if not (out / "done").is_file():
        out.mkdir(exist_ok=True)
        _run(
            str(PACKAGE / "bin/osrm-extract"),
            "-p",
            str(PROFILE),
            str(folder / "map.osm.pbf"),
            "-o",
            str(out / "map.osrm"),
        )
        for step in STEPS[algorithm]:
            _run(str(PACKAGE / f"bin/osrm-{step}"), str(out / "map.osrm"))
        (out / "done").touch()
    return out / "map.osrm"


def _run(*command: str) -> None:
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {(made.stdout + made.stderr)[-400:]}")
