"""What is wrong with a layer, one finding each: for the terminal, as JSON, and as features for whoever mends them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry


class Severity(StrEnum):
    error = "error"
    """The layer breaks the standard, or a place has no clear answer."""
    warning = "warning"
    """Probably a mistake."""
    note = "note"
    """Worth knowing; never fails a check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    code: str
    severity: Severity
    layer: str
    sentence: str
    """The fault, for a GIS analyst to read."""
    repair: str
    """What is proposed; nothing is ever changed by a check."""
    nguid: str = ""
    """The feature at fault; empty where it is the whole layer."""
    others: tuple[str, ...] = ()
    """NGUIDs of the other features that take part, as both sides of an overlap."""
    agency: str = ""
    discrepancy_agency: str = ""
    """DiscrpAgID: who the report goes to."""
    geometry: BaseGeometry | None = None
    """Where, in WGS 84 degrees: the gap, the overlap, or the feature; None: the whole layer, or no place."""
    proposal: BaseGeometry | None = None
    """The feature's outline as proposed, in WGS 84 degrees."""

    @property
    def order(self) -> tuple[str, ...]:
        return (self.layer, self.code, self.nguid, *self.others, self.sentence)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Findings in a fixed order, whatever order the file keeps its features in."""

    file: str
    features: int
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()
    """Of reading, as a missing datum grid."""

    @property
    def ok(self) -> bool:
        """No finding but notes: a check in CI passes."""
        return all(finding.severity is Severity.note for finding in self.findings)

    @property
    def exit_code(self) -> int:
        return 0 if self.ok else 1

    def counts(self) -> Counter[str]:
        return Counter(finding.code for finding in self.findings)

    def to_json(self) -> str:
        """One object; geometry as GeoJSON, 7 decimals."""
        return json.dumps(
            {
                "file": self.file,
                "features": self.features,
                "ok": self.ok,
                "warnings": list(self.warnings),
                "counts": dict(sorted(self.counts().items())),
                "findings": [_plain(finding) for finding in self.findings],
            },
            ensure_ascii=False,
            indent=1,
        )

    def write_geopackage(self, path: Path) -> None:
        """Layer `findings`, a feature each (without geometry where it has no place), and `proposals` where there are.

        Replaces the file. Opens in any GIS, beside the layer itself.
        """
        path.unlink(missing_ok=True)
        _write(path, "findings", self.findings, [finding.geometry for finding in self.findings])
        if proposed := [finding for finding in self.findings if finding.proposal is not None]:
            _write(path, "proposals", proposed, [finding.proposal for finding in proposed])


_COLUMNS = ("code", "severity", "layer", "nguid", "agency", "sentence", "repair")


def _plain(finding: Finding) -> dict[str, object]:
    where = None
    if finding.geometry is not None:
        rounded = shapely.transform(finding.geometry, lambda points: np.round(points, 7))
        where = json.loads(shapely.to_geojson(rounded))
    return {
        **{name: str(getattr(finding, name)) for name in _COLUMNS},
        "others": list(finding.others),
        "DiscrpAgID": finding.discrepancy_agency,
        "geometry": where,
    }


def _write(path: Path, layer: str, findings: Iterable[Finding], shapes: Iterable[BaseGeometry | None]) -> None:
    import pyogrio

    chosen = list(findings)
    columns = {name: [str(getattr(finding, name)) for finding in chosen] for name in _COLUMNS}
    columns["others"] = [" ".join(finding.others) for finding in chosen]
    columns["DiscrpAgID"] = [finding.discrepancy_agency for finding in chosen]
    wkb = [None if shape is None else shapely.to_wkb(shape) for shape in shapes]
    pyogrio.raw.write(
        path,
        np.array(wkb, dtype=object),
        [np.array(values, dtype=object) for values in columns.values()],
        list(columns),
        layer=layer,
        driver="GPKG",
        geometry_type="Unknown",
        crs="EPSG:4326",
        append=path.exists(),
    )
