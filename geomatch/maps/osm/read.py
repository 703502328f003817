"""Reads OpenStreetMap files with pyosmium: one pass, C++ skips what is no street, NumPy does the rest."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import osmium
from osmium import filter as osm_filter
from osmium import geom

from geomatch.errors import BadMap
from geomatch.maps.osm.node_tags import read_spot
from geomatch.maps.osm.tags import read_street
from geomatch.maps.osm.turn_relations import RELATION_TYPES, read_restriction
from geomatch.maps.streets.drawn import DrawnWays, Street
from geomatch.maps.streets.segments import road_source
from geomatch.maps.streets.source import ReadReport, RoadSource

Progress: TypeAlias = Callable[[str, float], None]
"""Called with a stage and the fraction of it that is done."""

_WKB_HEADER_BYTES = 9
"""Byte order, geometry type, number of points; longitude and latitude pairs follow."""


NOT_LOCATED = "ways left out: no located nodes"
MADE_UP = "geomatch.maps.metro: made up"
"""In the header of the project's own maps, which no contributor of OpenStreetMap has drawn."""


def read_osm(path: Path, *, progress: Progress | None = None, drive_on: str | None = None) -> RoadSource:
    """The streets of a .osm.pbf, .osm, .osm.gz or .osm.bz2 file. Raises BadMap when it cannot be read or has none."""
    tell = progress or (lambda _stage, _fraction: None)
    report = ReadReport()
    tell("reading", 0.0)
    try:
        ways = _collect(path, report)
    except (RuntimeError, OSError, ValueError) as fault:
        reason = str(fault).split("\n")[0].replace(str(path), path.name)
        raise BadMap(
            f"{path.name} is no readable OpenStreetMap file ({reason}): download or export it again"
        ) from fault
    tell("reading", 1.0)
    if not ways.streets and report.counts[NOT_LOCATED]:
        raise BadMap(
            f"{path.name}: no way's nodes come before it in the file; keep the nodes when extracting, sort it "
            "(osmium sort), and renumber negative ids (osmium renumber)"
        )
    if not ways.streets:
        raise BadMap(f"{path.name} has no drivable street: check its extent and its highway tags")
    tell("cutting streets into segments", 0.0)
    source = road_source(ways, report, drive_on=drive_on)
    tell("cutting streets into segments", 1.0)
    if MADE_UP in osmium.FileProcessor(str(path)).header.get("generator"):
        return replace(source, attribution="Made-up map by geomatch: no such place")
    return source


def _collect(path: Path, report: ReadReport) -> DrawnWays:
    points = osm_filter.KeyFilter("highway", "barrier")
    points.enable_for(osmium.osm.NODE)
    lines = osm_filter.KeyFilter("highway", "route")
    lines.enable_for(osmium.osm.WAY)
    turns = osm_filter.TagFilter(*(("type", kind) for kind in RELATION_TYPES))
    turns.enable_for(osmium.osm.RELATION)
    processor = osmium.FileProcessor(str(path)).with_locations()
    ways = DrawnWays()
    wkb = geom.WKBFactory()
    for item in processor.with_filter(points).with_filter(lines).with_filter(turns):
        if isinstance(item, osmium.osm.Way):
            report.counts["ways read"] += 1
            street = read_street(dict(item.tags), report)
            if street is not None:
                _draw(ways, item, street, wkb, report)
        elif isinstance(item, osmium.osm.Node):
            spot = read_spot(dict(item.tags))
            if spot is not None:
                ways.spots[item.id] = spot
        elif isinstance(item, osmium.osm.Relation):
            members = [(member.type, member.ref, member.role) for member in item.members]
            restriction = read_restriction(item.id, dict(item.tags), members, report)
            if restriction is not None:
                ways.restrictions.append(restriction)
    return ways


def _draw(ways: DrawnWays, way: osmium.osm.Way, street: Street, wkb: geom.WKBFactory, report: ReadReport) -> None:
    """Adds the way, in pieces where the file lacks some of its nodes."""
    refs = [node.ref for node in way.nodes]
    try:
        line = bytes.fromhex(wkb.create_linestring(way, geom.ALL))[_WKB_HEADER_BYTES:]
    except (osmium.InvalidLocationError, RuntimeError):
        _draw_pieces(ways, way, street, report)
        return
    if len(refs) >= 2:
        ways.add(way.id, street, refs, line)


def _draw_pieces(ways: DrawnWays, way: osmium.osm.Way, street: Street, report: ReadReport) -> None:
    refs: list[int] = []
    line = bytearray()
    drawn = False
    for node in [*way.nodes, None]:
        if node is not None and node.location.valid():
            refs.append(node.ref)
            line += struct.pack("<2d", node.lon, node.lat)
            continue
        if len(refs) >= 2:
            ways.add(way.id, street, refs, line)
            drawn = True
        refs, line = [], bytearray()
    report.counts["ways cut where the file lacks nodes" if drawn else NOT_LOCATED] += 1
