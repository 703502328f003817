"""How time and memory grow with the map: rhine-neckar laid out 1 to 12 times, synthetic beyond once.

    python benchmarks/scale.py [--stops 100]

Each size is a workload of its own with the same numbers of units, so density falls as the map grows; answers are judged
as in table.py. Writes results/scale.json, scale.md and scale-latency.png.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from case import Cell, read
from measure import child, machine
from report import scale_report
from table import KEPT, OPERATIONS, RESULTS, Job, run
from workloads import MAPS, workload

from geomatch.road.hierarchy import Hierarchy

TILES = ((1, 1), (2, 1), (2, 2), (4, 3))
CELLS = [Cell("uniform", 1_000, 100, 5), Cell("uniform", 10_000, 100, 5), Cell("uniform", 10_000, 1, 20)]
LIBRARIES = (
    "geomatch kernel", "geomatch public call", "geomatch ball search", "geomatch hierarchy", "scipy dijkstra",
    "scipy dijkstra, doubling limit", "routingkit-cch, METIS order",
)  # fmt: skip
OPEN = """
import json, resource, sys, time
from pathlib import Path

def now_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

import geomatch
from geomatch import Matcher, Region
from workloads import NOW, asked, fixes, patrol
from case import Case
before_mib = now_mib()
start = time.perf_counter()
region = Region.open(Path(sys.argv[1]) / "region")
open_s = time.perf_counter() - start
opened_mib = now_mib()
case = Case.read(Path(sys.argv[1]))
matcher = Matcher(region)
matcher.register(patrol(1_000))
fleet = case.fleets["uniform"]
matcher.update(fixes(fleet.lonlat[:1_000], fleet.course_deg[:1_000]))
for stop in asked(case.stops, 1)[:50]:
    matcher.rank(stop, now=NOW)
mib = {"open_mib": round(opened_mib - before_mib, 1), "ranking_mib": round(now_mib() - before_mib, 1)}
print(json.dumps({"open_s": round(open_s, 3), **mib}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=100)
    parser.add_argument("--budget", type=float, default=5.0)
    chosen = parser.parse_args()
    sizes, rows = [], []
    for tiles in TILES:
        folder = KEPT / f"tiles-{tiles[0]}x{tiles[1]}-{chosen.stops}"
        workload(MAPS["rhine-neckar"], folder, stops=chosen.stops, tiles=tiles)
        facts = json.loads((folder / "workload.json").read_text())
        disk = sum(path.stat().st_size for path in (folder / "region").rglob("*") if path.is_file())
        opened = child(OPEN, str(folder), environment={"PYTHONPATH": str(Path(__file__).parent)})
        height = read(Hierarchy, folder / "region/hierarchy").height
        sizes.append(facts | {"height": height, "region_mib": round(disk / 2**20, 1), **opened})
        for library in LIBRARIES:
            rival = OPERATIONS["k soonest"][library]
            job = Job(folder, "k soonest", library, rival, CELLS, chosen.budget, 1_200.0, chosen.budget)
            rows += [{"states": facts["states"], **row} for row in job.judged(run(job))]
    text = json.dumps({"machine": machine(), "sizes": sizes, "rows": rows}, separators=(",", ":"))
    (RESULTS / "scale.json").write_text(text.replace('{"states"', '\n{"states"') + "\n")
    print(scale_report(RESULTS))


if __name__ == "__main__":
    main()
