"""Building a city's graph: geomatch against OSMnx, each in a process of its own, in turn.

    python benchmarks/build.py [--map nyc-nj] [--runs 3]

OSMnx gets the same file as XML (the conversion is not counted) and does what a newcomer would: graph_from_xml,
simplify, speeds, travel times. geomatch reads the .pbf, joins restrictions, expands turns and writes a region that
opens in milliseconds. Answers that are checked: both have the same kilometres of road, within 2 %.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import osmium
from measure import SHARED, USAGE, child, machine

MAPS = {
    "nyc-nj": "nyc-nj/nyc_nj_2019_drive.osm.pbf",
    "portland": "portland/portland_small.osm.pbf",
    "rhine-neckar": "rhine-neckar/rnv.osm.pbf",
}
OURS = (
    USAGE
    + """
import sys, warnings
import geomatch
region = geomatch.build(sys.argv[1], sys.argv[2])
usage(road_km=region.report["road_km"])
"""
)
OSMNX = (
    USAGE
    + """
import sys, warnings
warnings.simplefilter("ignore")
import osmnx
graph = osmnx.graph_from_xml(sys.argv[1], retain_all=True, simplify=False)
graph = osmnx.simplify_graph(graph)
graph = osmnx.add_edge_travel_times(osmnx.add_edge_speeds(graph))
usage(road_km=sum(length for *_, length in graph.edges(data="length")) / 1000)
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--map", choices=MAPS, default="nyc-nj")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    source = SHARED / MAPS[chosen.map]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "same.osm"
        with osmium.SimpleWriter(str(xml)) as writer:
            for entity in osmium.FileProcessor(str(source)):
                writer.add(entity)
        for _ in range(chosen.runs):
            ours.append(child(OURS, str(source), str(Path(folder) / "ours.region")))
            theirs.append(child(OSMNX, str(xml)))
    ratios = {
        measure: round(statistics.median(b[measure] / a[measure] for a, b in zip(ours, theirs, strict=True)), 2)
        for measure in ("wall_s", "cpu_s", "peak_mib")
    }
    print(json.dumps({"machine": machine(), "map": chosen.map, "geomatch": ours, "osmnx": theirs}, indent=1))
    print(f"OSMnx needs {ratios['wall_s']} times the time and {ratios['peak_mib']} times the peak memory of geomatch.")


if __name__ == "__main__":
    main()
