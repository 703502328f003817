"""`geomatch check LAYER`: what is wrong with a service boundary layer, feature by feature. Nothing is ever changed.

Legal, and never found: several polygons of one agency with other display names (beats), a sheriff over a city (another
service), holes, parts, a corner that only one of two neighbours has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import shapely

from geomatch.aid.jurisdictions import ServiceKind, kind_of_urn
from geomatch.maps.check.borders import Outlines, border_findings, mended, neighbour_findings, outer_findings
from geomatch.maps.check.faults import ERROR, Fault, finding_of, place_of, text_of
from geomatch.maps.check.fields import field_faults
from geomatch.maps.check.findings import CheckResult, Finding
from geomatch.maps.check.shapes import Stretch, Tolerances
from geomatch.maps.layers.field_mapping import FieldMapping, read_mapping
from geomatch.maps.layers.files import LayerTable, layer_names, read_table, to_lonlat, way_to_lonlat
from geomatch.maps.layers.nena import LAYERS, Edition, LayerSchema
from geomatch.maps.layers.usable import on_globe
from geomatch.quantities import UnixTime

ANTARCTIC_DEG = -60.0
"""No agency serves south of here: degrees there are a longitude of the Americas in latitude's place."""


def check_layer(
    path: Path | str,
    *,
    layer: str | None = None,
    mapping: Path | None = None,
    crs: str | None = None,
    edition: Edition = Edition.sta_006_3,
    at: UnixTime | None = None,
    neighbour: Path | str | None = None,
    provisioning: Path | str | None = None,
    agencies: Collection[str] | None = None,
    tolerances: Tolerances | None = None,
) -> CheckResult:
    """All findings of a file's NENA layers, or of the one named. Raises BadMap where it cannot be read at all.

    `at`: also what is expired then. `neighbour`: a layer of next door, whose edges should match. `provisioning`: the
    outer boundary, to be covered. `agencies`: those that should have a polygon, and no others.
    """
    path = Path(path)
    names = read_mapping(mapping) if mapping else FieldMapping()
    limits = tolerances or Tolerances()
    findings: list[Finding] = []
    warnings: list[str] = []
    features = 0
    for name in layer_names(path, layer):
        table = _in_order(read_table(path, name, names, crs))
        lonlat, said = to_lonlat(table)
        schema = _schema(table)
        if not table.features:
            empty = Fault("empty_layer", ERROR, None, "the layer has no feature", "export it again, or take it out")
            findings.append(finding_of(table, empty, None))
        faults = list(field_faults(table, schema, edition, at=at, agencies=agencies if _has_agencies(schema) else None))
        findings += [finding_of(table, fault, place_of(lonlat, fault.row)) for fault in faults]
        findings += _shape_findings(table, lonlat, schema)
        shapes = _comparable(table, lonlat)
        if shapes is not None:
            findings += border_findings(table, schema, shapes, limits)
            if provisioning is not None and schema.kind is not ServiceKind.provisioning:
                findings += outer_findings(table, shapes, Path(provisioning), limits)
            if neighbour is not None:
                findings += neighbour_findings(table, shapes, Path(neighbour), limits)
        features += table.features
        warnings += said
    findings.sort(key=lambda finding: finding.order)
    return CheckResult(file=path.name, features=features, findings=tuple(findings), warnings=tuple(warnings))


def _in_order(table: LayerTable) -> LayerTable:
    """The same order in every format: FlatGeobuf keeps features in an order of its own."""

    def key(row: int) -> tuple[str, str, str, bytes]:
        shape = table.geometry[row]
        outline = b"" if shape is None else shapely.to_wkb(shapely.normalize(shape), byte_order=1)
        return (
            text_of(table, "NGUID", row),
            text_of(table, "Agency_ID", row),
            text_of(table, "DsplayName", row),
            outline,
        )

    return table.rows(np.array(sorted(range(table.features), key=key), np.intp))


def _schema(table: LayerTable) -> LayerSchema:
    """By name, by the mapping file, or by what most of its features serve."""
    if table.schema is not None:
        return table.schema
    kinds = {kind_of_urn(text_of(table, "ServiceURN", row)) for row in range(table.features)} - {None}
    if len(kinds) == 1:
        return next(schema for schema in LAYERS.values() if schema.kind in kinds)
    if not kinds and "NGUID" in table.columns and "Agency_ID" not in table.columns:
        return LAYERS["ProvisioningPolygon"]
    return LAYERS["ServiceBoundaryPolygon"]


def _has_agencies(schema: LayerSchema) -> bool:
    return schema.kind in (None, ServiceKind.police)


def _shape_findings(table: LayerTable, lonlat: np.ndarray, schema: LayerSchema) -> Iterator[Finding]:
    """One finding at most for what is wrong with a feature's geometry by itself."""
    southern, placed = 0, on_globe(lonlat)
    for row in range(table.features):
        shape = lonlat[row]
        place = place_of(lonlat, row)
        if table.unreadable[row]:
            yield finding_of(
                table, Fault("bad_geometry", ERROR, row, "no program can read its outline", "draw it again"), None
            )
        elif shape is None or shape.is_empty:
            yield finding_of(
                table, Fault("no_geometry", ERROR, row, "it has no outline", "draw it, or take it out"), None
            )
        elif table.curved[row]:
            repair = "store it as straight edges"
            yield finding_of(table, Fault("curved_geometry", ERROR, row, "its outline has arcs", repair), place)
        elif shape.geom_type not in ("Polygon", "MultiPolygon"):
            said = f"it is a {shape.geom_type}, no polygon"
            yield finding_of(table, Fault("not_a_polygon", ERROR, row, said, f"draw it as a {schema.name}"), place)
        elif not placed[row]:
            said = "it lies nowhere on the globe"
            yield finding_of(table, Fault("off_globe", ERROR, row, said, "correct its coordinates"), None)
        elif not shape.is_valid:
            why = shapely.is_valid_reason(shape).partition("[")[0].lower()
            whole = mended(shape)
            said = f"its outline is broken ({why})"
            repair = "the proposal mends it" if whole is not None else "draw it again"
            yield finding_of(table, Fault("broken_geometry", ERROR, row, said, repair), place, whole)
        elif shape.bounds[3] < ANTARCTIC_DEG:
            southern += 1
    if southern:
        said = f"{southern} features lie south of 60 degrees south: latitude stands before longitude"
        yield finding_of(table, Fault("swapped_axes", ERROR, None, said, "write longitude first"), None)


def _comparable(table: LayerTable, lonlat: np.ndarray) -> Outlines | None:
    rows, shapes, placed = [], [], on_globe(lonlat)
    for row, shape in enumerate(table.geometry):
        if shape is None or shape.is_empty or shape.geom_type not in ("Polygon", "MultiPolygon"):
            continue
        if not placed[row]:
            continue
        whole = shape if shape.is_valid else mended(shape)
        if whole is not None:
            rows.append(row)
            shapes.append(whole)
    if not rows:
        return None
    native = np.array(shapes, dtype=object)
    stretch = Stretch.of(native, table.crs)
    metres = stretch.to_metres(native)
    rounded = np.flatnonzero(~shapely.is_valid(metres))
    metres[rounded] = shapely.buffer(metres[rounded], 0.0)
    shapely.prepare(metres)
    return Outlines(rows=np.array(rows, np.intp), metres=metres, stretch=stretch, to_lonlat=way_to_lonlat(table.crs))
