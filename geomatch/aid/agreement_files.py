"""Agreements from TOML: what is wrong is told with file, line and field, and nothing is half-loaded.

format = 1

[[area]]                      # optional: areas the agreements draw themselves, in degrees, longitude first
name = "bridge"
line = [[-100.01, 44.5], [-99.99, 44.5]]

[[agreement]]                 # one directed grant; its fields are those of `geomatch.aid.agreements.Agreement`
id = "riverton-campus"
version = 1
...
[agreement.limits]
max_units_at_once = 2
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.clauses import Drawn, Stage
from geomatch.aid.signoff import missing_signoffs
from geomatch.aid.toml_files import Document, FieldPath, files_of, near
from geomatch.errors import BadInput, BadMap


def read_agreements(
    paths: Iterable[Path | str],
    *,
    known_agencies: Collection[str] | None = None,
    keys: Mapping[str, bytes] | None = None,
    beside: Agreements | None = None,
) -> Agreements:
    """All grants of these files; a folder stands for the .toml files in it. Raises BadMap.

    Agencies outside `known_agencies`, areas that are drawn nowhere and reciprocals that are not the way back are
    refused too; and with `keys` (public ones, by agency) every active agreement that both have not signed.
    `beside`: what is loaded already, whose grants and areas these may name; it is not part of what is returned.
    """
    beside = beside or Agreements()
    documents = [Document(path, "agreement", "area") for path in files_of(paths)]
    read = [
        (document, row, grant)
        for document in documents
        for row, grant in enumerate(document.rows("agreement", Agreement))
    ]
    areas = [area for document in documents for area in document.rows("area", Drawn)]
    drawn = {area.name for area in areas} | set(beside.areas)
    by_id = {grant.id: grant for grant in (*beside.all, *(grant for _, _, grant in read))}
    for document, row, grant in read:
        if fault := _fault_of(grant, drawn, by_id, known_agencies):
            raise document.error(("agreement", row, *fault[0]), fault[1])
    try:
        agreements = Agreements((grant for _, _, grant in read), areas)
    except BadInput as fault:
        raise BadMap(f"{', '.join(str(document.path) for document in documents)}: {fault}") from None
    for document, row, grant in read:
        if (
            keys is not None
            and grant.status == Stage.active
            and (missing := missing_signoffs(grant, {**beside.areas, **agreements.areas}, keys))
        ):
            said = f"{' and '.join(missing)} did not sign these terms; it stays a draft until then"
            raise document.error(("agreement", row, "signoffs"), said)
    return agreements


def _fault_of(
    grant: Agreement, drawn: set[str], by_id: dict[str, Agreement], known_agencies: Collection[str] | None
) -> tuple[FieldPath, str] | None:
    for name in ("provider_agency", "receiver_agency"):
        agency = getattr(grant, name)
        if known_agencies is not None and agency not in known_agencies:
            meant = near(agency, known_agencies)
            return (name,), f"{agency!r} is on no loaded map; add it to the jurisdictions, or correct it{meant}"
    for area in grant.areas:
        if area.startswith("area:") and area[5:] not in drawn:
            field = "authority_within" if area == grant.authority_within else "geography"
            return (field,), f"{area!r} is drawn in no file; add an [[area]] of that name{near(area[5:], drawn)}"
    if grant.reciprocal_with is not None:
        other = by_id.get(grant.reciprocal_with)
        if other is None:
            return ("reciprocal_with",), f"no agreement {grant.reciprocal_with!r} is in these files; load its file too"
        if (other.provider_agency, other.receiver_agency) != (grant.receiver_agency, grant.provider_agency):
            return ("reciprocal_with",), f"{other.id!r} is not the way back: its agencies must be these two, swapped"
    return None
