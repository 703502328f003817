"""`geomatch build` and `export`: from a map to a region, and out again."""

from __future__ import annotations

import json
import sys
import time
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
    agreements: Annotated[
        list[Path] | None, typer.Option("--agreements", "-a", help="Mutual aid agreements, .toml; repeatable.")
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
    vocabulary: Annotated[
        list[Path] | None, typer.Option("--vocabulary", help="What the agencies' own words mean, .toml; repeatable.")
    ] = None,
    agency_keys: Annotated[
        Path | None, typer.Option("--agency-keys", help="Public keys, .toml: agreements in force must be signed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile a road map, and who is responsible where, into a region.

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
            agreements=agreements or (),
            drive_on=drive_on.value if drive_on else None,
            layer=layer,
            speed_unit=speed_unit.value if speed_unit else None,
            road_mapping=road_mapping,
            at=time.time(),  # roads not yet in effect, or expired, are left out
            overrides=overrides,
            markers=markers,
            vocabulary=vocabulary or (),
            agency_keys=agency_keys,
            progress=progress,
        )
    if as_json:
        _print_json({"region": region.name, "hash": region.hash, "report": dict(region.report)})
        return
    from geomatch.cli.reports import print_build

    print_build(region, out)


def export(
    region: RegionFolder,
    out: Annotated[Path, typer.Option("--output", "-o", metavar="F.gpkg", help="The GeoPackage to write.")],
) -> None:
    """Write a region's roads and turns as a GeoPackage.

    It opens in QGIS, and anyone can verify a ranking with it: layer `edges` has a row per directed edge with its
    travel times, layer `turns` every allowed turn with its cost.

    \b
      geomatch export hudson.region -o hudson.gpkg
    """
    from geomatch.maps.export import export as export_region
    from geomatch.region import Region

    opened = Region.open(region)
    export_region(opened.network, out, attribution=opened.attribution)
    sys.stderr.write(f"geomatch: wrote {out} ({opened.network.edges:,} edges). {opened.attribution}\n")


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
