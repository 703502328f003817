"""What a build or a check found, in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from geomatch.cli.text import console, tell

if TYPE_CHECKING:
    from geomatch.region import Region

SHOWN_KINDS = 8
"""Kinds named of each thing that was left out; --json has all."""


def print_build(region: Region, out: Path) -> None:
    """The whole report: what there is, what was guessed, what was left out, what to look at."""
    screen = console()
    for line in build_lines(region, out):
        tell(screen, line)


def build_lines(region: Region, out: Path) -> Iterator[str]:
    report = region.report
    side = "left" if report.get("drives_on_left") else "right"
    yield f"[bold]{escape(region.name)}[/bold] is in {escape(str(out))} (hash {region.hash[:12]})"
    yield (
        f"  {report.get('junctions', 0):,} junctions, {report.get('directed_edges', 0):,} directed edges, "
        f"{report.get('turns', 0):,} turns, {report.get('road_km', 0):,.0f} km of driving directions, "
        f"on the {side}-hand side"
    )
    for layer in _layers(report):
        yield f"  {escape(layer['file'])}: {sum(layer['kinds'].values()):,} service areas: {_most(layer['kinds'])}"
    yield from _part("Guessed", _guessed(report))
    yield from _part("Left out", _left_out(report))
    yield from _part("Look at", _to_look_at(report))
    yield f"[dim]{escape(region.attribution)}[/dim]"


def _part(title: str, lines: Iterator[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"[bold]{title}[/bold]"
        yield from (f"  {escape(line)}" for line in found)


def _guessed(report: Mapping[str, Any]) -> Iterator[str]:
    speeds: Mapping[str, int] = report.get("assumed_speed", {})
    if speeds:
        streets = report.get("counts", {}).get("segments", 0)
        share = f" of {streets:,}" if streets else ""
        yield f"The speed on {sum(speeds.values()):,}{share} pieces of street, for which the map posts none:"
        yield f"  {_most({kind.replace(':', ''): count for kind, count in speeds.items()}, shown=len(speeds))}"
    unread: Mapping[str, int] = report.get("unread_values", {})
    if unread:
        yield f"Tags that could not be read, taken as absent: {_most(unread)}"
    for layer in _layers(report):
        if layer["assumed"]:
            yield f"{layer['file']}: {_most(layer['assumed'])}"


def _left_out(report: Mapping[str, Any]) -> Iterator[str]:
    ways = _named(report.get("counts", {}), "ways left out: ")
    if ways:
        yield f"{sum(ways.values()):,} ways: {_most(ways)}"
    restrictions: Mapping[str, str] = report.get("restrictions_left_out", {})
    joined = report.get("restrictions_joined", 0)
    if restrictions:
        why = Counter(re.sub(r"\b\d+ ", "", reason) for reason in restrictions.values())
        yield f"{len(restrictions):,} of {len(restrictions) + joined:,} turn restrictions: {_most(why)}"
    for layer in _layers(report):
        if layer["left_out"]:
            yield f"{layer['file']}: {_most(layer['left_out'])}"


def _to_look_at(report: Mapping[str, Any]) -> Iterator[str]:
    counts, edges = report.get("counts", {}), report.get("directed_edges", 0)
    islands = counts.get("edges_on_islands", 0)
    warnings = report.get("warnings", ())
    if islands and edges and not any(f"{islands} of {edges} directed edges" in warning for warning in warnings):
        yield f"{islands:,} directed edges ({islands / edges:.1%}) are cut off: from them, or to them, there is no way"
    if broken := counts.get("streets broken at barriers", 0):
        yield f"{broken:,} streets end at a barrier: {_most(_named(counts, 'barriers that bar: '))}"
    yield from warnings
    yield from report.get("jurisdictions", {}).get("warnings", ())
    yield from report.get("markers", {}).get("warnings", ())


def _layers(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(report.get("jurisdictions", {}).get("layers", ()))


def _named(counts: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}


def _most(counts: Mapping[str, int], shown: int = SHOWN_KINDS) -> str:
    """`footway (3,138); driveway (1,118) and 5 kinds more`, the most first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = "; ".join(f"{name} ({count:,})" for name, count in ordered[:shown])
    rest = len(ordered) - shown
    return f"{named} and {rest} {'kind' if rest == 1 else 'kinds'} more" if rest > 0 else named
