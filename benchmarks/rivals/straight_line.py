"""Nearest by straight line: an R-tree, Redis, PostGIS; and the shortlist that is routed afterwards, as one CAD does.

They name units and no times, so their milliseconds are metres: only the order is judged.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
from case import Answer, Case, Cell

SHORTLIST = 5
LONGEST_SHORTLIST = 25
EARTH_M = 6_371_000.0


def prepare_rtree(case: Case, cell: Cell):
    import rtree

    fleet, stops = case.fleet(cell), case.stops.xy
    entries = ((int(row), (x, y, x, y), None) for row, (x, y) in zip(fleet.rows, fleet.xy.tolist(), strict=True))
    tree = rtree.index.Index(entries)

    def answer(stop: int) -> Answer:
        x, y = stops[stop]
        rows = list(tree.nearest((x, y, x, y), fleet.k))[: fleet.k]
        return np.array(rows), np.arange(len(rows))

    return answer


def prepare_redis(case: Case, cell: Cell):
    client = _redis()
    client.flushall()
    fleet, stops = case.fleet(cell), case.stops.lonlat
    for row, (lon, lat) in zip(fleet.rows, fleet.lonlat, strict=True):
        client.geoadd("units", (float(lon), float(lat), int(row)))

    def answer(stop: int) -> Answer:
        lon, lat = stops[stop].tolist()
        names = client.geosearch(
            "units", longitude=lon, latitude=lat, radius=300, unit="km", sort="ASC", count=fleet.k
        )  # fmt: skip
        return np.array([int(name) for name in names]), np.arange(len(names))

    return answer


@cache
def _redis():
    """A server of our own that keeps nothing, on a socket in a temporary folder."""
    import redis

    program = shutil.which("redis-server")
    if program is None:
        raise ModuleNotFoundError("redis-server is not installed: apt-get install redis-server")
    socket = Path(tempfile.mkdtemp(prefix="rival-")) / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    atexit.register(shutil.rmtree, socket.parent, ignore_errors=True)
    atexit.register(server.terminate)
    while not socket.exists():
        time.sleep(0.02)
    return redis.Redis(unix_socket_path=str(socket))


def prepare_shortlist(case: Case, cell: Cell):
    """Haversine over all, then the best few routed: the router is geomatch's own, so only the shortlist is judged."""
    from geomatch.road.travel_time import Places
    from rivals.ours import MODE, labels_engine, road_targets

    engine, targets = labels_engine(case.folder), road_targets(case)
    fleet, stops = case.fleet(cell), case.stops
    units = case.fleets[cell.layout]
    edge, fraction = np.array(units.edge[fleet.rows], np.int32), np.array(units.fraction[fleet.rows])
    lon, lat = np.radians(fleet.lonlat[:, 0]), np.radians(fleet.lonlat[:, 1])
    size = min(LONGEST_SHORTLIST, max(SHORTLIST, cell.k), len(fleet.rows))

    def answer(stop: int) -> Answer:
        at_lon, at_lat = np.radians(stops.lonlat[stop])
        h = np.sin((lat - at_lat) / 2) ** 2 + np.cos(lat) * np.cos(at_lat) * np.sin((lon - at_lon) / 2) ** 2
        near = np.argpartition(2 * EARTH_M * np.arcsin(np.sqrt(h)), size - 1)[:size]
        near.sort()
        places = Places(edge=edge[near], fraction=fraction[near])
        found = engine.k_soonest(targets[stop], places, np.zeros(size, np.int32), fleet.k, MODE)
        return fleet.rows[near[found.rows]], found.total_ms

    return answer
