"""OSM files of a made-up map: the same map gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import osmium
from osmium.osm.mutable import Node, Relation
from osmium.osm.mutable import Way as OsmWay

from geomatch.maps.metro.ground import PROJECTION, lonlat, river_outline
from geomatch.maps.metro.sketch import OsmMap, Turn, Way, on_the_ground

MADE = "2026-01-01T00:00:00Z"
"""The timestamp of every object, so that it never differs."""
FIRST_WAY, FIRST_RELATION = 1_000_001, 2_000_001


def write_map(osm: OsmMap, path: Path) -> None:
    """Write the map as the suffix says: .osm.pbf or .osm. An older file there is replaced."""
    ground, threads, row = on_the_ground(osm, simplify_m=0.7)
    lon, lat = PROJECTION.inverse(ground[:, 0], ground[:, 1])
    tags = {row[node]: node_tags for node, node_tags in osm.node_tags.items()}
    path.unlink(missing_ok=True)
    header = osmium.io.Header()
    header.set("generator", "geomatch.maps.metro: made up, no such place")
    writer = osmium.SimpleWriter(str(path), header=header)
    try:
        for i, (x, y) in enumerate(zip(lon, lat, strict=True)):
            writer.add_node(_node(i + 1, float(x), float(y), tags.get(i, {})))
        water = lonlat(river_outline(), 7)[:-1]
        first_wet = len(lon) + 1
        for i, (x, y) in enumerate(water):
            writer.add_node(_node(first_wet + i, float(x), float(y), {}))
        for number, (way, thread) in enumerate(zip(osm.ways, threads, strict=True)):
            nodes = [i + 1 for i in thread]
            writer.add_way(OsmWay(id=FIRST_WAY + number, version=1, timestamp=MADE, nodes=nodes, tags=way.tags))
        shore = [*range(first_wet, first_wet + len(water)), first_wet]
        river = {"natural": "water", "water": "river", "name": "Sandhill River"}
        writer.add_way(OsmWay(id=FIRST_WAY + len(osm.ways), version=1, timestamp=MADE, nodes=shore, tags=river))
        for number, turn in enumerate(osm.turns):
            members = _members(osm, turn, row)
            made = Relation(id=FIRST_RELATION + number, version=1, timestamp=MADE, members=members, tags=turn.tags)
            writer.add_relation(made)
    finally:
        writer.close()


def _node(node: int, lon: float, lat: float, tags: dict[str, str]) -> Node:
    return Node(id=node, version=1, timestamp=MADE, location=(round(lon, 7), round(lat, 7)), tags=tags)


def _members(osm: OsmMap, turn: Turn, row: dict[int, int]) -> list[tuple[str, int, str]]:
    start = _way_between(osm, turn.start, turn.via[0])
    end = _way_between(osm, turn.via[-1], turn.end)
    over_a_node = len(turn.via) == 1
    via = ("n", row[turn.via[0]] + 1, "via") if over_a_node else ("w", _way_between(osm, *turn.via), "via")
    return [("w", start, "from"), via, ("w", end, "to")]


def _way_between(osm: OsmMap, one: int, two: int) -> int:
    """Id of the way on which these two nodes are neighbours."""
    for number, way in enumerate(osm.ways):
        if _neighbours(way, one, two):
            return FIRST_WAY + number
    raise LookupError("a restriction names two nodes that no way joins: draw the map again after moving a sign")


def _neighbours(way: Way, one: int, two: int) -> bool:
    pairs = zip(way.nodes[:-1], way.nodes[1:], strict=True)
    return any({a, b} == {one, two} for a, b in pairs)
