"""The values of a layer against NENA's schema: fields, types, lengths, domains, ids and dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from geomatch.aid.jurisdictions import ServiceKind, kind_of_urn
from geomatch.maps.check.faults import ERROR, NOTE, WARNING, Fault, text_of
from geomatch.maps.layers.field_mapping import as_text
from geomatch.maps.layers.files import LayerTable
from geomatch.maps.layers.jurisdictions import parse_date
from geomatch.maps.layers.nena import (
    AGENCY_FIELDS,
    DIALLED,
    DOMAIN_NAME,
    NGUID,
    URI,
    URI_FIELDS,
    Edition,
    Field,
    FieldType,
    LayerSchema,
    urn_domain,
)
from geomatch.quantities import UnixTime


def field_faults(
    table: LayerTable,
    schema: LayerSchema,
    edition: Edition,
    *,
    at: UnixTime | None,
    agencies: Collection[str] | None,
) -> Iterator[Fault]:
    """Every fault of the values. Without `at` nothing is expired; without `agencies` none is unknown."""
    for field in schema.fields(edition):
        if field.name not in table.columns:
            if field.required:
                yield Fault(
                    "missing_field", ERROR, None, f"the layer has no field {field.name}, which NENA requires",
                    f"add {field.name}, or map it from another column",
                )  # fmt: skip
            continue
        yield from _type_faults(table, field)
        for row in range(table.features):
            yield from _value_faults(table, field, row)
    for row in range(table.features):
        yield from _id_faults(table, schema, row)
        if schema.kind is not ServiceKind.provisioning:
            yield from _urn_faults(table, schema, edition, row)
        yield from _date_faults(table, row, at)
    yield from _repeated(table)
    yield from _agency_faults(table, agencies)


def _type_faults(table: LayerTable, field: Field) -> Iterator[Fault]:
    stored = table.types[field.name]
    # A Shapefile has no time of day, so dates come as text: each is read, and faulted if it is none.
    fits = stored == field.type or (field.type is FieldType.datetime and stored == "text")
    if not fits:
        yield Fault(
            "wrong_type", ERROR, None, f"{field.name} is stored as {stored}, not as {field.type}",
            f"store {field.name} as {field.type}",
        )  # fmt: skip


def _value_faults(table: LayerTable, field: Field, row: int) -> Iterator[Fault]:
    name, value = field.name, as_text(table.columns[field.name][row])
    if value is None:
        if field.required:
            yield Fault("missing_value", ERROR, row, f"{name} is empty, which NENA requires", f"fill {name}")
        return
    if field.type is FieldType.datetime:
        if parse_date(value)[0] is None:
            yield Fault("bad_date", ERROR, row, f"{name} is {value!r}, no date", "write it as 2026-03-07T22:15:00Z")
        return
    if field.length is not None and len(value) > field.length:
        yield Fault(
            "too_long", ERROR, row, f"{name} has {len(value)} characters, and NENA allows {field.length}",
            f"shorten it, as {value[: field.length].strip()!r}",
        )  # fmt: skip
    if value != value.strip() or not value.isprintable():
        yield Fault(
            "untidy_text", WARNING, row, f"{name} has blanks about it or unprintable characters",
            f"write {' '.join(value.split())!r}",
        )  # fmt: skip


def _id_faults(table: LayerTable, schema: LayerSchema, row: int) -> Iterator[Fault]:
    for name in AGENCY_FIELDS:
        value = text_of(table, name, row)
        if value and not DOMAIN_NAME.match(value):
            yield Fault(
                "bad_agency_id", ERROR, row, f"{name} is {value!r}, no domain name", "write it as police.city.us"
            )
    for name in URI_FIELDS:
        value = text_of(table, name, row)
        if value and not URI.match(value):
            yield Fault("bad_uri", ERROR, row, f"{name} is {value!r}, no URI", "begin it with sip: or https:")
    dialled = text_of(table, "ServiceNum", row)
    if dialled and not DIALLED.match(dialled):
        yield Fault(
            "bad_number", WARNING, row, f"ServiceNum is {dialled!r}, no number to dial", "write digits, * and #"
        )
    nguid = text_of(table, "NGUID", row)
    if not nguid:
        return
    form = NGUID.match(nguid)
    if form is None:
        yield Fault(
            "bad_nguid", ERROR, row, f"NGUID is {nguid!r}", "write urn:emergency:uid:gis:[layer]:[local id]:[agency]"
        )
    elif schema.indicators and not form["layer"].startswith(schema.indicators):
        yield Fault(
            "nguid_of_other_layer", WARNING, row, f"NGUID names layer {form['layer']!r}, and this is {schema.name}",
            f"write {schema.indicators[0]} there, or move the feature",
        )  # fmt: skip


def _urn_faults(table: LayerTable, schema: LayerSchema, edition: Edition, row: int) -> Iterator[Fault]:
    urn = text_of(table, "ServiceURN", row)
    kind = kind_of_urn(urn)
    known = any(urn in urn_domain(schema, one) for one in Edition)
    if not urn:
        return
    if schema.kind is not None and kind is not schema.kind and (known or kind is not None):
        yield Fault(
            "wrong_layer", ERROR, row, f"ServiceURN {urn} is of another service than {schema.name}",
            "move the feature to its layer, or correct its ServiceURN",
        )  # fmt: skip
    elif urn in urn_domain(schema, edition):
        return
    elif known:
        # The standard's own text asks PSAP polygons for urn:service:sos, and its schema for sos.psap: both are fine.
        severity = NOTE if schema.kind is ServiceKind.psap else WARNING
        yield Fault(
            "urn_of_other_edition", severity, row, f"ServiceURN {urn} is not of NENA-STA-{edition}",
            "write it as that edition does, or check against the other",
        )  # fmt: skip
    else:
        yield Fault(
            "bad_urn", ERROR, row, f"ServiceURN {urn!r} is not in the domain of {schema.name}",
            "choose one of NENA's, as urn:emergency:service:responder.police.local",
        )  # fmt: skip


def _date_faults(table: LayerTable, row: int, at: UnixTime | None) -> Iterator[Fault]:
    effective, _ = parse_date(text_of(table, "Effective", row))
    expire, _ = parse_date(text_of(table, "Expire", row))
    updated, _ = parse_date(text_of(table, "DateUpdate", row))
    if effective is not None and expire is not None and effective >= expire:
        yield Fault("dates_reversed", ERROR, row, "it expires before it takes effect", "correct Effective or Expire")
    if at is None:
        return
    if expire is not None and expire <= at:
        yield Fault(
            "expired", WARNING, row, f"it expired on {text_of(table, 'Expire', row)} and is no longer in force",
            "take it out, or correct Expire",
        )  # fmt: skip
    elif effective is not None and effective > at:
        yield Fault(
            "not_yet_effective", NOTE, row, f"it takes effect on {text_of(table, 'Effective', row)}", "nothing to do"
        )
    if updated is not None and updated > at:
        yield Fault("updated_in_future", WARNING, row, "DateUpdate lies in the future", "correct DateUpdate")


def _repeated(table: LayerTable) -> Iterator[Fault]:
    rows_of: dict[str, list[int]] = {}
    for row in range(table.features):
        if nguid := text_of(table, "NGUID", row):
            rows_of.setdefault(nguid, []).append(row)
    for rows in rows_of.values():
        for row in rows[1:]:
            yield Fault(
                "repeated_nguid", ERROR, row, f"{len(rows)} features have this NGUID", "give each an id of its own"
            )


def _agency_faults(table: LayerTable, agencies: Collection[str] | None) -> Iterator[Fault]:
    rows_of: dict[str, list[int]] = {}
    for row in range(table.features):
        if agency := text_of(table, "Agency_ID", row):
            rows_of.setdefault(agency, []).append(row)
    yield from _spellings(rows_of)
    if agencies is None:
        return
    for agency in sorted(rows_of):
        if agency not in agencies:
            row = rows_of[agency][0]
            yield Fault(
                "unknown_agency", WARNING, row, f"no unit and no agreement is of agency {agency!r}",
                "correct Agency_ID, or register the agency",
            )  # fmt: skip
    for agency in sorted(set(agencies) - set(rows_of)):
        yield Fault(
            "agency_without_polygon", ERROR, None, f"agency {agency!r} has no polygon in the layer",
            f"draw the service area of {agency}, or correct its Agency_ID",
        )  # fmt: skip


def _spellings(rows_of: dict[str, list[int]]) -> Iterator[Fault]:
    """One agency written in two ways would be two agencies to every agreement."""
    spellings: dict[str, Counter[str]] = {}
    for agency, rows in rows_of.items():
        spellings.setdefault(agency.casefold(), Counter())[agency] += len(rows)
    for counted in spellings.values():
        usual = max(counted, key=lambda agency: (counted[agency], agency))
        for agency in sorted(counted):
            for row in rows_of[agency] if agency != usual else ():
                yield Fault(
                    "agency_spelling", WARNING, row, f"Agency_ID {agency!r} is elsewhere spelled {usual!r}",
                    f"write {usual!r}",
                )  # fmt: skip
