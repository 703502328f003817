"""`geomatch check`: what is wrong with a region or a layer, feature by feature."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geomatch.cli.options import AsJson

if TYPE_CHECKING:
    from geomatch.maps.check.findings import CheckResult
    from geomatch.region import Region

SHOWN_PER_CODE = 10
"""Findings of one kind written out; -o and --json have all."""


def check(
    subject: Annotated[Path, typer.Argument(metavar="REGION|LAYER", exists=True, help="A region, or a GIS file.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="F.gpkg", help="All findings as features, for QGIS.")
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option("--mapping", exists=True, help="Where the layer's field names differ from NENA's, .toml."),
    ] = None,
    crs: Annotated[str | None, typer.Option("--crs", help="Of a layer that does not say its own.")] = None,
    neighbour: Annotated[
        Path | None, typer.Option("--neighbour", exists=True, help="The layer next door, whose edges should match.")
    ] = None,
    provisioning: Annotated[
        Path | None, typer.Option("--provisioning", exists=True, help="The outer boundary, to be covered.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a map, feature by feature. Exit status 1 where something is.

    A layer of service boundaries is checked against NENA-STA-006.3: fields, ids, geometry, gaps, overlaps, dates. A
    region is checked for damage, and its build's warnings and unused turn restrictions are told. Nothing is changed.

    \b
      geomatch check police.gpkg
      geomatch check police.gpkg --neighbour next_county.gpkg --output findings.gpkg
      geomatch check hudson.region
    """
    if _is_region(subject):
        if out or mapping or crs or neighbour or provisioning:
            raise typer.BadParameter("only --json goes with a region; the others are for layers")
        well = _check_region(subject, as_json=as_json)
    else:
        from geomatch.maps.check import check_layer

        found = check_layer(
            subject, mapping=mapping, crs=crs, at=time.time(), neighbour=neighbour, provisioning=provisioning
        )
        if out is not None:
            found.write_geopackage(out)
        _tell_layer(found, as_json=as_json)
        well = found.ok
    if not well:
        raise typer.Exit(1)


def _is_region(subject: Path) -> bool:
    # A file geodatabase is a folder too.
    return subject.is_dir() and subject.suffix.lower() != ".gdb"


def _check_region(folder: Path, *, as_json: bool) -> bool:
    """Raises BadRegion when the folder is none, or its bytes are not those it was built with."""
    from geomatch.region import Region, verify

    verify(folder)
    region = Region.open(folder)
    warnings = [*region.report.get("warnings", ()), *region.report.get("jurisdictions", {}).get("warnings", ())]
    if as_json:
        _print_json(
            {
                "region": region.name, "hash": region.hash, "ok": not warnings, "warnings": warnings,
                "restrictions_left_out": region.report.get("restrictions_left_out", {}),
            }
        )  # fmt: skip
        return not warnings
    _tell_region(region, warnings)
    return not warnings


def _tell_region(region: Region, warnings: list[str]) -> None:
    from rich.markup import escape

    from geomatch.cli.text import console, tell

    screen = console()
    screen.print(f"[bold]{escape(region.name)}[/bold]: every byte is as it was built (hash {region.hash[:12]})")
    for warning in warnings:
        tell(screen, f"  [bold]warning[/bold] {escape(warning)}")
    left_out = region.report.get("restrictions_left_out", {})
    if left_out:
        screen.print(f"{len(left_out):,} turn restrictions of the map do not hold here (OpenStreetMap relation: why)")
    for relation, why in left_out.items():
        tell(screen, f"  {relation}: {escape(why)}")


def _tell_layer(found: CheckResult, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(found.to_json() + "\n")
        return
    from rich.markup import escape

    from geomatch.cli.text import console, tell

    screen = console()
    many = "feature" if found.features == 1 else "features"
    verdict = "nothing is wrong" if not found.findings else f"{len(found.findings):,} findings"
    screen.print(f"[bold]{escape(found.file)}[/bold]: {found.features:,} {many}, {verdict}")
    for warning in found.warnings:
        tell(screen, f"  [bold]while reading[/bold] {escape(warning)}")
    for code, count in sorted(found.counts().items(), key=lambda item: (-item[1], item[0])):
        screen.print(f"\n[bold]{escape(code.replace('_', ' '))}[/bold] ({count:,})")
        of_code = [finding for finding in found.findings if finding.code == code]
        for finding in of_code[:SHOWN_PER_CODE]:
            who = f" {finding.nguid}" if finding.nguid else ""
            screen.print(
                f"  {finding.severity}{escape(who)}: {escape(finding.sentence)}. {escape(_cure(finding.repair))}"
            )
        if count > SHOWN_PER_CODE:
            screen.print(f"  and {count - SHOWN_PER_CODE:,} more: see --output or --json")


def _cure(repair: str) -> str:
    return f"Cure: {repair}." if repair else ""


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
