"""`geomatch build` and `export`: from a map to a region, and out again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from geomatch.cli.options import AsJson, RegionFolder
from geomatch.cli.progress import bars


class Side(StrEnum):
    left = "left"
    right = "right"


class SpeedUnit(StrEnum):
    mph = "mph"
    kph = "kph"


def build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A .osm.pbf, .osm, .osm.bz2 or .graphml file, a RoadCenterLine layer, or a place's name.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="REGION", help="The folder to make or to replace.")],
    jurisdictions: Annotated[
        list[Path] | None,
        typer.Option(
            "--jurisdictions", "-j", help="Service boundaries: .gpkg, .geojson, .shp, .gdb, .fgb; repeatable."
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", help="Where the layer's field names differ from NENA's, .toml.")
    ] = None,
    crs: Annotated[
        str | None, typer.Option("--crs", help="Of a layer that does not say its own, as EPSG:4326.")
    ] = None,
    admin_level: Annotated[
        int | None,
        typer.Option("--admin-level", min=2, max=11, help="No layer: the map's own boundaries of this level instead."),
    ] = None,
    agreements: Annotated[
        list[Path] | None,
        typer.Option("--agreements", "-a", metavar="FILE", help="Mutual aid agreements, .toml; repeatable."),
    ] = None,
    drive_on: Annotated[
        Side | None, typer.Option("--drive-on", help="Side of the road. Else: found from roundabouts and place.")
    ] = None,
    speed_unit: Annotated[
        SpeedUnit | None, typer.Option("--speed-unit", help="Of SpeedLimit. Else: as the country of each road posts.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Of centrelines, where it is not called RoadCenterLine.")
    ] = None,
    road_mapping: Annotated[
        Path | None, typer.Option("--road-mapping", help="Where the centrelines' field names differ, .toml.")
    ] = None,
    overrides: Annotated[
        Path | None, typer.Option("--overrides", help="Your gates, crossovers, closures and speeds: .gpkg, .geojson.")
    ] = None,
    markers: Annotated[
        Path | None, typer.Option("--markers", help="Mile markers, a DistanceMarkerPoint layer: .gpkg, .geojson, .shp.")
    ] = None,
    marker_mapping: Annotated[
        Path | None, typer.Option("--marker-mapping", help="Where the markers' field names differ, .toml.")
    ] = None,
    vocabulary: Annotated[
        list[Path] | None,
        typer.Option("--vocabulary", metavar="FILE", help="What the agencies' own words mean, .toml; repeatable."),
    ] = None,
    agency_keys: Annotated[
        Path | None, typer.Option("--agency-keys", help="Public keys, .toml: agreements in force must be signed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile a road map and jurisdictions into a region.

    Done once, and again when the map changes; ranking then opens the region in milliseconds. The report says what
    the map left open and was guessed, and what was left out.

    \b
      geomatch build hudson.osm.pbf -o hudson.region
      geomatch build hudson.osm.pbf -o hudson.region --jurisdictions police.gpkg --agreements aid.toml
      geomatch build "Hoboken, New Jersey" -o hoboken.region
      geomatch build county.gdb -o county.region --speed-unit mph --overrides gates.gpkg --markers miles.gpkg
    """
    from geomatch.maps.build import build as build_region

    with bars() as progress:
        region = build_region(
            source,
            out,
            jurisdictions=jurisdictions,
            mapping=mapping,
            crs=crs,
            admin_level=admin_level,
            agreements=agreements or (),
            drive_on=drive_on.value if drive_on else None,
            layer=layer,
            speed_unit=speed_unit.value if speed_unit else None,
            road_mapping=road_mapping,
            at=time.time(),  # roads not yet in effect, or expired, are left out
            overrides=overrides,
            markers=markers,
            marker_mapping=marker_mapping,
            vocabulary=vocabulary or (),
            agency_keys=agency_keys,
            progress=progress,
        )
    if as_json:
        _print_json({"region": region.name, "hash": region.hash, "report": dict(region.report)})
        return
    from geomatch.cli.reports import print_build

    print_build(region, out)


class Schema(StrEnum):
    roads = "roads"
    nena = "nena"


def export(
    region: RegionFolder,
    out: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The GeoPackage to write; nena: or .geojson .fgb .shp."),
    ],
    *,
    schema: Annotated[
        Schema, typer.Option("--schema", help="roads: edges and turns with their times. nena: a RoadCenterLine layer.")
    ] = Schema.roads,
    agency: Annotated[
        str | None, typer.Option("--agency", help="nena: the domain name of whose data it is, as gis.county.us.")
    ] = None,
    country: Annotated[str | None, typer.Option("--country", help="nena: of all its roads, as US.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="nena: state or province, as MN.")] = None,
    speed_unit: Annotated[SpeedUnit | None, typer.Option("--speed-unit", help="nena: of SpeedLimit; else kph.")] = None,
) -> None:
    """Write a region's roads for other programs.

    It opens in QGIS, and anyone can verify a ranking with it: layer `edges` has a row per directed edge with its
    travel times, layer `turns` every allowed turn with its cost. With --schema nena it is a RoadCenterLine layer of
    NENA-STA-006.3 instead, and what that has no field for is counted.

    \b
      geomatch export hudson.region -o hudson.gpkg
      geomatch export hudson.region -o lines.gpkg --schema nena --agency gis.county.us --country US --state NJ
    """
    from geomatch.maps.export import export as export_region
    from geomatch.region import Region

    said = {"--agency": agency, "--country": country, "--state": state}
    _check_said(schema, said | {"--speed-unit": speed_unit}, needed=said)
    opened = Region.open(region)
    if schema is Schema.roads:
        export_region(opened.network, out, attribution=opened.attribution)
        sys.stderr.write(f"geomatch: wrote {out} ({opened.network.edges:,} edges). {opened.attribution}\n")
        return
    from geomatch.maps.centrelines.export import export_centrelines

    told = export_centrelines(
        opened.network, out, agency=agency or "", country=country or "", state=state or "", updated=time.time(),
        attribution=opened.attribution, speed_unit=speed_unit.value if speed_unit else "kph",
    )  # fmt: skip
    for what, times in sorted(told.items()):
        sys.stderr.write(f"geomatch: {what}: {times:,}\n")
    sys.stderr.write(f"geomatch: wrote {out} (RoadCenterLine). {opened.attribution}\n")


def _check_said(schema: Schema, said: Mapping[str, str | None], *, needed: Collection[str]) -> None:
    """What the one schema needs, the other has no use for."""
    for option, value in said.items():
        if schema is Schema.nena and value is None and option in needed:
            raise typer.BadParameter("a RoadCenterLine layer says whose it is, and where: name it", param_hint=option)
        if schema is Schema.roads and value is not None:
            raise typer.BadParameter("goes with --schema nena alone", param_hint=option)


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
