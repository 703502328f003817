"""From nothing to the first answer: a fresh process that opens a region and ranks once.

    python benchmarks/cold_start.py REGION [--runs 5]

With an empty numba cache (the very first time on a machine), with a warm one (every later start), and with none at
all (a read-only installation without a home and without NUMBA_CACHE_DIR). Also how long opening the region takes, and
that no map library was imported for it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile

from measure import USAGE, child, machine

FIRST = (
    USAGE
    + """
import sys, time
start = time.perf_counter()
if sys.argv[2] == "none":
    from numba.core import caching
    caching.CompileResultCacheImpl._locator_classes = []
from geomatch import Fix, LonLat, Matcher, Region, Stop, Unit
imported = time.perf_counter()
region = Region.open(sys.argv[1])
opened = time.perf_counter()
x, y = region.network.points(0)
at = region.network.projection.lonlat(__import__("geomatch.quantities").quantities.XY(float(x[0]), float(y[0])))
matcher = Matcher(region)
matcher.register([Unit(id="u1", agency="a.example")])
matcher.update([Fix(unit="u1", time=1.7e9, at=at)])
answer = matcher.rank(Stop(id="s1", at=at), now=1.7e9)
assert len(answer.candidates) + len(answer.excluded) == 1
first = time.perf_counter()
heavy = [name for name in ("pandas", "geopandas", "osmnx", "networkx", "pyogrio") if name in sys.modules]
seconds = {"import_s": imported - start, "open_s": opened - imported, "first_answer_s": first - start}
usage(**{name: round(s, 4) for name, s in seconds.items()}, map_libraries=heavy)
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        environment = {"NUMBA_CACHE_DIR": cache}
        runs = {"empty cache": [child(FIRST, chosen.region, "", environment=environment)]}
        runs["warm cache"] = [child(FIRST, chosen.region, "", environment=environment) for _ in range(chosen.runs)]
    runs["no cache"] = [child(FIRST, chosen.region, "none")]
    print(machine())
    for name, rows in runs.items():
        if any(row["map_libraries"] for row in rows):
            raise SystemExit(f"map libraries were imported: {rows[0]['map_libraries']}")
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0] if key != "map_libraries"}
        print(f"{name}: {json.dumps(middle)}")


if __name__ == "__main__":
    main()
