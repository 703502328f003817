"""A fault of a layer on its way to becoming a finding: the row it is in, and then the name, place and addressee."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from shapely.geometry.base import BaseGeometry

from geomatch.maps.check.findings import Finding, Severity
from geomatch.maps.layers.field_mapping import as_text
from geomatch.maps.layers.files import LayerTable

ERROR, WARNING, NOTE = Severity.error, Severity.warning, Severity.note


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding before it is given its feature's name and place; row None: the whole layer."""

    code: str
    severity: Severity
    row: int | None
    sentence: str
    repair: str
    others: tuple[int, ...] = ()


def text_of(table: LayerTable, name: str, row: int) -> str:
    """Stripped; empty where there is no value, or no such field."""
    return (as_text(table.columns[name][row]) or "").strip() if name in table.columns else ""


def finding_of(
    table: LayerTable,
    fault: Fault,
    place: BaseGeometry | None,
    proposal: BaseGeometry | None = None,
) -> Finding:
    row = fault.row
    nguid = "" if row is None else text_of(table, "NGUID", row)
    # Its id goes before the sentence wherever a finding is shown; one without an id is named in it.
    name = "" if row is None or nguid else name_of(table, row)
    asked = text_of(table, "DiscrpAgID", row) if row is not None else _usual(table, "DiscrpAgID")
    return Finding(
        code=fault.code,
        severity=fault.severity,
        layer=table.name,
        sentence=f"{name}: {fault.sentence}" if name else fault.sentence,
        repair=fault.repair,
        nguid=nguid,
        others=tuple(name_of(table, other) for other in fault.others),
        agency="" if row is None else text_of(table, "Agency_ID", row),
        discrepancy_agency=asked,
        geometry=place,
        proposal=proposal,
    )


def name_of(table: LayerTable, row: int) -> str:
    texts = (text_of(table, name, row) for name in ("NGUID", "DsplayName", "Agency_ID"))
    return next((text for text in texts if text), "a feature without an id")


def _usual(table: LayerTable, name: str) -> str:
    counted = Counter(text_of(table, name, row) for row in range(table.features))
    return max(counted, key=lambda text: (bool(text), counted[text], text), default="")


def place_of(lonlat: np.ndarray, row: int | None) -> BaseGeometry | None:
    if row is None or lonlat[row] is None or lonlat[row].is_empty or not np.isfinite(lonlat[row].bounds).all():
        return None
    return lonlat[row]  # type: ignore[no-any-return]  # an object array of shapely's
