"""From a map, jurisdictions and agreements to a region folder: once, so that a service never parses a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geomatch.aid.agreement_files import read_agreements
from geomatch.aid.jurisdictions import Jurisdictions
from geomatch.aid.places import Places
from geomatch.aid.signoff import read_keys
from geomatch.aid.toml_files import files_of
from geomatch.aid.vocabulary import read_vocabularies
from geomatch.errors import BadMap
from geomatch.maps.network.expand import expand
from geomatch.maps.network.modes import DrivingModes, TurnCosts
from geomatch.maps.read import read_source
from geomatch.maps.streets.source import ReadReport, RoadSource
from geomatch.quantities import UnixTime
from geomatch.region import MANIFEST, Region, write_region
from geomatch.road.markers import Markers
from geomatch.road.network import RoadNetwork

if TYPE_CHECKING:
    import networkx as nx

    Graph = nx.MultiDiGraph[int]

Progress = Callable[[str, float], None]


def build(
    source: str | Path | Graph,
    out: str | Path,
    *,
    jurisdictions: str | Path | Sequence[str | Path] | None = None,
    mapping: str | Path | None = None,
    crs: str | None = None,
    admin_level: int | None = None,
    agreements: str | Path | Sequence[str | Path] = (),
    drive_on: str | None = None,
    layer: str | None = None,
    speed_unit: str | None = None,
    road_mapping: str | Path | None = None,
    at: UnixTime | None = None,
    overrides: str | Path | None = None,
    markers: str | Path | None = None,
    marker_mapping: str | Path | None = None,
    vocabulary: str | Path | Sequence[str | Path] = (),
    agency_keys: str | Path | None = None,
    name: str | None = None,
    modes: DrivingModes | None = None,
    turns: TurnCosts | None = None,
    progress: Progress | None = None,
) -> Region:
    """Reads `source` and writes the region folder `out`, whole or not at all; returns it, opened.

    source: .osm.pbf, .osm, .osm.bz2, OSMnx .graphml, an OSMnx MultiDiGraph, the name of a place, or a file with a
    RoadCenterLine layer. For those: layer; speed_unit, "mph" or "kph"; road_mapping, where its field names differ; at,
    the time its Effective and Expire are held against. overrides: a layer of corrections, as `overrides.read` has it.
    markers: a DistanceMarkerPoint layer; marker_mapping: where its field names differ. vocabulary: what the agencies'
    own words mean, TOML.
    agency_keys: public keys, TOML; with them every active agreement must be signed by both its agencies.
    jurisdictions: GIS layers; mapping: where their field names differ, and authority rules; crs: where one does not
    say its own.
    admin_level: where there is no such layer, the administrative boundaries of this level in an OpenStreetMap file,
    each standing in for an agency of its own.
    drive_on: "left" or "right"; None: found out from the map. progress: called with a stage and 0..1 of it.
    Raises BadMap or BadRegion; an older region in `out` then stays as it was.
    """
    out = Path(out)
    if out.exists() and not (out / MANIFEST).is_file():
        raise BadMap(f"{out} exists and is no region: name another folder")
    if admin_level is not None and jurisdictions:
        raise BadMap("agencies' own layers and the map's administrative boundaries are not mixed: give one of them")
    if admin_level is not None and not str(source).endswith((".osm.pbf", ".osm", ".osm.bz2")):
        raise BadMap("only an OpenStreetMap file has administrative boundaries: give the agencies' own layers")
    said = progress or _nothing
    named = None if road_mapping is None else Path(road_mapping)
    roads = read_source(
        source, progress=progress, drive_on=drive_on, layer=layer, speed_unit=speed_unit, mapping=named, at=at
    )
    roads, override_report = _overridden(roads, overrides)
    said("turns", 0.0)
    network = expand(roads, modes=modes, turns=turns)
    said("turns", 1.0)
    if admin_level is None:
        areas, layer_report = _layers(jurisdictions, network, mapping, crs)
    else:
        areas, layer_report = _boundaries(str(source), admin_level, network)
    papers = _papers(agreements, areas, network, agency_keys)
    words = _words(vocabulary)
    marks, marker_report = _markers(markers, network, marker_mapping)
    said("writing", 0.0)
    write_region(
        out,
        network,
        name=name or _name(source, out),
        attribution=roads.attribution,
        report=_report(roads, network) | layer_report | override_report | marker_report,
        jurisdictions=areas,
        agreements=papers,
        markers=marks,
        vocabulary=words,
    )
    said("writing", 1.0)
    return Region.open(out)


def _overridden(roads: RoadSource, overrides: str | Path | None) -> tuple[RoadSource, dict[str, Any]]:
    if overrides is None:
        return roads, {}
    from geomatch.maps.overrides.apply import apply_overrides
    from geomatch.maps.overrides.read import read_overrides

    edited, results = apply_overrides(roads, read_overrides(overrides))
    return edited, {"overrides": [asdict(result) for result in results]}


def _markers(
    markers: str | Path | None, network: RoadNetwork, mapping: str | Path | None
) -> tuple[Markers | None, dict[str, Any]]:
    if markers is None:
        return None, {}
    from geomatch.maps.centrelines.markers import read_markers

    marks, report = read_markers(markers, network, mapping=None if mapping is None else Path(mapping))
    # Not asdict: it turns a Counter into a count of its items.
    return marks, {"markers": {"file": report.file, "counts": dict(report.counts), "warnings": report.warnings}}


def _layers(
    jurisdictions: str | Path | Sequence[str | Path] | None,
    network: RoadNetwork,
    mapping: str | Path | None,
    crs: str | None,
) -> tuple[Jurisdictions | None, dict[str, Any]]:
    layers = _paths(jurisdictions or ())
    if not layers:
        return None, {}
    # Imported here: it takes pandas and GDAL, which a region without layers does not need.
    from geomatch.maps.layers import load_jurisdictions

    named = None if mapping is None else Path(mapping)
    areas, reports = load_jurisdictions(layers, projection=network.projection, mapping=named, crs=crs)
    warnings = [warning for report in reports for warning in report.warnings]
    return areas, {"jurisdictions": {"warnings": warnings, "layers": [asdict(report) for report in reports]}}


def _boundaries(source: str | Path, admin_level: int, network: RoadNetwork) -> tuple[Jurisdictions, dict[str, Any]]:
    from geomatch.maps.osm.boundaries import boundaries_from_osm

    areas = boundaries_from_osm(source, admin_level, projection=network.projection)
    said = f"{len(areas)} boundaries of admin_level {admin_level} stand in for agencies: who polices is not in the map"
    return Jurisdictions(tuple(areas)), {"jurisdictions": {"warnings": [said], "layers": []}}


def _papers(
    agreements: str | Path | Sequence[str | Path],
    areas: Jurisdictions | None,
    network: RoadNetwork,
    agency_keys: str | Path | None,
) -> tuple[Path, ...]:
    """The agreement files, those of a folder in order of name; read here, so that a bad one leaves no region behind."""
    papers: list[Path] = []
    for path in _paths(agreements):
        if not path.exists():
            raise BadMap(f"{path}: no such agreement file or folder")
        papers += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if papers:
        known = None if areas is None else {area.agency for area in areas.areas}
        keys = None if agency_keys is None else read_keys(agency_keys)
        read = read_agreements(papers, known_agencies=known, keys=keys)
        Places(agreements=read, jurisdictions=areas, projection=network.projection)
    return tuple(papers)


def _words(vocabulary: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """As the agreement files: read here, so that a bad one leaves no region behind."""
    papers = files_of(_paths(vocabulary))
    if papers:
        read_vocabularies(papers)
    return tuple(papers)


def _paths(named: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(path) for path in ([named] if isinstance(named, str | Path) else named)]


def _report(roads: RoadSource, network: RoadNetwork) -> dict[str, Any]:
    """What the map held, and every guess that was made; plain JSON."""
    read: ReadReport = roads.report
    return {
        "junctions": network.nodes,
        "directed_edges": network.originals,
        "edges_with_memory": network.edges - network.originals,
        "turns": network.arcs,
        "road_km": round(float(network.edge_length_m[: network.originals].sum()) / 1000, 3),
        "drives_on_left": roads.drives_on_left,
        "counts": dict(sorted(read.counts.items())),
        "assumed_speed": dict(sorted(read.assumed_speed.items())),
        "unread_values": dict(read.unread_values.most_common(50)),
        "restrictions_joined": len(read.restrictions_joined),
        "restrictions_left_out": {str(i): why for i, why in sorted(read.restrictions_left_out.items())},
        "warnings": list(read.warnings),
    }


def _name(source: object, out: Path) -> str:
    if isinstance(source, str | Path):
        return Path(source).name.split(".")[0] or out.stem
    return out.stem


def _nothing(stage: str, share: float) -> None:
    """Progress that nobody looks at."""
    del stage, share
