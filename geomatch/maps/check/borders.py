"""What the borders of a layer do to each other: slivers, duplicates, overlaps, gaps, and edges that should match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geomatch.aid.jurisdictions import ServiceKind
from geomatch.errors import BadMap
from geomatch.maps.check import shapes as check_shapes
from geomatch.maps.check.faults import ERROR, NOTE, WARNING, Fault, finding_of, name_of, text_of
from geomatch.maps.check.findings import Finding, Severity
from geomatch.maps.check.shapes import Piece, Stretch, Tolerances, joined
from geomatch.maps.layers.field_mapping import FieldMapping
from geomatch.maps.layers.files import LayerTable, layer_names, read_table, to_lonlat, with_short_edges
from geomatch.maps.layers.jurisdictions import CHORD_M, parse_date
from geomatch.maps.layers.nena import LayerSchema
from geomatch.quantities import Floats


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Outlines:
    """The outlines that can be compared, in metres about the layer's middle. V of the F features."""

    rows: np.ndarray
    """(V,) their rows in the table."""
    metres: np.ndarray
    """(V,) mended where they were broken, so that a broken feature leaves no gap of its own."""
    stretch: Stretch
    to_lonlat: Callable[[Floats], Floats]
    """From the layer's own coordinates."""


def border_findings(table: LayerTable, schema: LayerSchema, shapes: Outlines, limits: Tolerances) -> Iterator[Finding]:
    for piece in check_shapes.slivers(shapes.metres, limits.sliver_m):
        said = f"a part of it is only {piece.width_m:.1f} m wide"
        yield _at(table, shapes, "sliver", WARNING, piece, said, "take the part out, or join it to the neighbour")
    twins: set[tuple[int, int]] = set()
    groups: dict[str, list[int]] = {}
    for i, row in enumerate(shapes.rows.tolist()):
        groups.setdefault(text_of(table, "ServiceURN", row), []).append(i)
    strips: list[Piece] = []
    for rows in map(np.array, groups.values()):
        for some in check_shapes.duplicates(shapes.metres[rows]):
            first, *rest = rows[list(some)].tolist()
            for row in rest:
                if _same_time(table, shapes, first, row):
                    twins.add((first, row))
                    twin = Piece(shapes.metres[row], (row, first), 0.0)
                    yield _at(
                        table, shapes, "duplicate", ERROR, twin, "another feature has the same outline", "keep one"
                    )
        flagged = check_shapes.suspects(shapes.metres[rows], limits.gap_m)
        for piece in check_shapes.overlaps(shapes.metres[rows], flagged, limits.noise_m):
            yield from _overlap(table, shapes, replace(piece, rows=tuple(rows[list(piece.rows)].tolist())), twins)
        ground = joined(shapes.metres[rows], flagged)
        narrow = check_shapes.cracks(shapes.metres[rows], flagged, ground, limits)
        strips += [replace(piece, rows=tuple(rows[list(piece.rows)].tolist())) for piece in narrow]
    every = check_shapes.suspects(shapes.metres, limits.gap_m)
    ground = joined(shapes.metres, every)
    hollow = []
    if schema.kind is not ServiceKind.provisioning:
        hollow = list(check_shapes.holes(shapes.metres, ground, limits.noise_m))
    yield from _gaps(table, shapes, ground, [*hollow, *strips], limits)


def _overlap(table: LayerTable, shapes: Outlines, piece: Piece, twins: set[tuple[int, int]]) -> Iterator[Finding]:
    one, two = piece.rows
    a, b = (int(shapes.rows[row]) for row in piece.rows)
    if (one, two) in twins or not _same_time(table, shapes, one, two):
        return
    said = f"it shares {piece.shape.area:,.0f} m2 with {name_of(table, b)}, of the same service"
    if _agency(table, a) != _agency(table, b):
        yield _at(table, shapes, "overlap", ERROR, piece, said, "agree with the other agency whose it is, and cut it")
    elif text_of(table, "DsplayName", a) == text_of(table, "DsplayName", b):
        yield _at(table, shapes, "overlap", ERROR, piece, said, "join the two features, or cut one")
    else:
        yield _at(table, shapes, "overlapping_beats", NOTE, piece, said, "cut one, if the beats are meant to be apart")


def _gaps(
    table: LayerTable, shapes: Outlines, ground: BaseGeometry, pieces: list[Piece], limits: Tolerances
) -> Iterator[Finding]:
    """Each place once: a hole may be a strip too, of one service and of the layer. Dates do not count."""
    pieces = sorted(pieces, key=lambda piece: (-piece.shape.area, piece.shape.bounds))
    tree = shapely.STRtree([piece.shape for piece in pieces])
    told: set[int] = set()
    for i, piece in enumerate(pieces):
        if not told.isdisjoint(tree.query(piece.shape, predicate="intersects").tolist()):
            continue
        told.add(i)
        first, *others = (name_of(table, int(shapes.rows[row])) for row in piece.rows)
        between = f"{piece.shape.area:,.0f} m2 between it and {' and '.join(others[:2])}, {piece.width_m:.1f} m wide,"
        repair = f"give the ground to {first}, whose border with it is the longest"
        if shapely.difference(piece.shape, ground).area < 0.5 * piece.shape.area:
            yield _at(table, shapes, "strip", WARNING, piece, f"{between} are held by another service alone", repair)
            continue
        severity = ERROR if piece.width_m <= limits.gap_m else WARNING
        yield _at(table, shapes, "gap", severity, piece, f"{between} belong to nobody", repair)


def outer_findings(table: LayerTable, shapes: Outlines, path: Path, limits: Tolerances) -> Iterator[Finding]:
    outer = shapely.union_all(_other_layer(table, shapes, path))
    ground = shapely.union_all(shapes.metres)
    for code, piece in check_shapes.outside(shapes.metres, ground, outer, limits.noise_m):
        size = f"{piece.shape.area:,.0f} m2"
        if code == "uncovered":
            said, repair = f"{size} of the provisioning area belong to nobody", "draw whose it is"
        else:
            said, repair = f"{size} lie outside the provisioning area", "cut it, or correct the provisioning area"
        yield _at(table, shapes, code, ERROR, piece, said, repair)


def neighbour_findings(table: LayerTable, shapes: Outlines, path: Path, limits: Tolerances) -> Iterator[Finding]:
    """Edges that should match: what both layers claim, and narrow strips that neither does."""
    theirs = _other_layer(table, shapes, path)
    near = np.flatnonzero(shapely.dwithin(theirs, shapely.union_all(shapes.metres), limits.gap_m))
    if not len(near):
        raise BadMap(f"{path.name} is nowhere near {table.name!r}: is it the neighbour's layer?")
    both = np.concatenate([shapes.metres, theirs[near]])
    mine = len(shapes.metres)
    flagged = check_shapes.suspects(both, limits.gap_m)
    for piece in check_shapes.overlaps(both, flagged, limits.noise_m):
        if piece.rows[0] < mine <= piece.rows[1]:
            said = f"the neighbour's layer also claims {piece.shape.area:,.0f} m2 of it"
            piece = replace(piece, rows=piece.rows[:1])  # noqa: PLW2901 - the other row is not of this layer
            yield _at(table, shapes, "edge_overlap", ERROR, piece, said, "agree on the line with the neighbour")
    for piece in check_shapes.cracks(both, flagged, shapely.union_all(both), limits):
        own = tuple(row for row in piece.rows if row < mine)
        if own and len(own) < len(piece.rows):
            said = f"{piece.shape.area:,.0f} m2 between it and the neighbour's layer belong to nobody"
            piece = replace(piece, rows=own)  # noqa: PLW2901 - as above
            yield _at(table, shapes, "edge_gap", ERROR, piece, said, "agree on the line with the neighbour")


def _other_layer(table: LayerTable, shapes: Outlines, path: Path) -> np.ndarray:
    """The polygons of another file in this layer's metres."""
    from pyproj import Transformer

    found = []
    for name in layer_names(path, None):
        other = read_table(path, name, FieldMapping(), None)
        to_lonlat(other)
        flat = np.isin(shapely.get_type_id(other.geometry), (3, 6)) & ~shapely.is_empty(other.geometry)
        other = replace(other, geometry=other.geometry[flat])
        if not other.crs.equals(table.crs, ignore_axis_order=True):
            way = Transformer.from_crs(other.crs, table.crs, always_xy=True)
            short = with_short_edges(other, CHORD_M).geometry

            def turn(points: Floats, way: Transformer = way) -> Floats:
                return np.column_stack(way.transform(points[:, 0], points[:, 1]))

            other = replace(other, geometry=shapely.transform(short, turn))
        broken = ~shapely.is_valid(other.geometry)
        geometry = other.geometry.copy()
        geometry[broken] = [mended(shape) for shape in geometry[broken]]
        found.append(shapes.stretch.to_metres(geometry[shapely.is_geometry(geometry)]))
    together = np.concatenate(found) if found else np.array([], dtype=object)
    if not len(together):
        raise BadMap(f"{path.name} holds no polygon to compare with")
    return together


def _at(
    table: LayerTable, shapes: Outlines, code: str, severity: Severity, piece: Piece, sentence: str, repair: str
) -> Finding:
    rows = [int(shapes.rows[row]) for row in piece.rows]
    native = shapes.stretch.back(piece.shape)
    lonlat = shapely.transform(native, shapes.to_lonlat)
    place = lonlat if lonlat.is_valid else mended(lonlat)  # a thread may cross itself once it is rounded
    fault = Fault(code, severity, rows[0] if rows else None, sentence, repair, tuple(rows[1:]))
    return finding_of(table, fault, place)


def _agency(table: LayerTable, row: int) -> str:
    return text_of(table, "Agency_ID", row) or text_of(table, "ServiceURI", row)


def _same_time(table: LayerTable, shapes: Outlines, one: int, two: int) -> bool:
    """Are both ever in force together?"""
    begins, ends = [], []
    for row in (int(shapes.rows[one]), int(shapes.rows[two])):
        begin, _ = parse_date(text_of(table, "Effective", row))
        end, _ = parse_date(text_of(table, "Expire", row))
        begins.append(-np.inf if begin is None else begin)
        ends.append(np.inf if end is None else end)
    return bool(max(begins) < min(ends))


def mended(shape: BaseGeometry) -> BaseGeometry | None:
    flat = [
        part for part in shapely.get_parts(shapely.make_valid(shape)) if part.geom_type in ("Polygon", "MultiPolygon")
    ]
    return shapely.union_all(flat) if flat else None
