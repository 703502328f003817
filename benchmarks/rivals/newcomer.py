"""OSMnx and networkx as a newcomer would write them: nearest nodes, OSMnx's own speeds, networkx's dijkstra."""

from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
import osmnx
from case import Answer, Case, Cell


def prepare(case: Case, cell: Cell):
    """One search backwards from the stop's node; a newcomer who knows that much."""
    roads, fleet = _roads(case.folder), case.fleet(cell)
    backwards = roads.reverse(copy=False)
    unit_nodes = osmnx.distance.nearest_nodes(roads, fleet.lonlat[:, 0], fleet.lonlat[:, 1])

    def answer(stop: int) -> Answer:
        node = osmnx.distance.nearest_nodes(roads, *case.stops.lonlat[stop].tolist())
        far = nx.single_source_dijkstra_path_length(backwards, node, weight="travel_time")
        return fleet.least(np.array([far.get(unit, np.inf) for unit in unit_nodes]) * 1000.0)

    return answer


def prepare_each(case: Case, cell: Cell):
    """The first thing that works: a shortest path for each unit."""
    roads, fleet = _roads(case.folder), case.fleet(cell)
    unit_nodes = osmnx.distance.nearest_nodes(roads, fleet.lonlat[:, 0], fleet.lonlat[:, 1])

    def answer(stop: int) -> Answer:
        node = osmnx.distance.nearest_nodes(roads, *case.stops.lonlat[stop].tolist())
        return fleet.least(np.array([_seconds(roads, unit, node) for unit in unit_nodes]) * 1000.0)

    return answer


def _seconds(roads: nx.MultiDiGraph, unit: int, stop: int) -> float:
    try:
        return nx.shortest_path_length(roads, unit, stop, weight="travel_time")
    except nx.NetworkXNoPath:
        return np.inf


@cache
def _roads(folder: Path) -> nx.MultiDiGraph:
    """Read once a workload: OSMnx takes half a minute."""
    kept = folder / "osmnx.pickle"
    if not kept.is_file():
        import osmium

        xml = folder / "map.osm"
        with osmium.SimpleWriter(str(xml), overwrite=True) as writer:
            for entity in osmium.FileProcessor(str(folder / "map.osm.pbf")):
                writer.add(entity)
        roads = osmnx.graph_from_xml(xml, retain_all=True)
        kept.write_bytes(pickle.dumps(osmnx.add_edge_travel_times(osmnx.add_edge_speeds(roads))))
        xml.unlink()
    return pickle.loads(kept.read_bytes())
