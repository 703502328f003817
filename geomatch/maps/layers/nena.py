"""The NENA NG9-1-1 GIS layers that geomatch reads, as data: fields, lengths, domains and id patterns.

Re-typed from the schemas of NENA-STA-006.3-2026 and NENA-STA-006.2a as published by the NENA GIS Data Model Template
working group (NENA911/NG911GISDataModel, Apache-2.0). 006.2a has a layer per kind of police where 006.3 has one; the
fields are the same, but for `Country` and `State`, a shorter `ServiceURN`, and its domain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from geomatch.aid.services import ServiceKind


class Edition(StrEnum):
    sta_006_3 = "006.3"
    sta_006_2a = "006.2a"


class FieldType(StrEnum):
    text = "text"
    datetime = "datetime"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: FieldType
    length: int | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class LayerSchema:
    name: str
    kind: ServiceKind | None
    """None: a layer of several services, told apart by ServiceURN."""
    indicators: tuple[str, ...]
    """How the layer indicator in an NGUID begins; empty: any."""

    def fields(self, edition: Edition) -> tuple[Field, ...]:
        if self.kind is ServiceKind.provisioning:
            return _COMMON
        urn = Field("ServiceURN", FieldType.text, 100 if edition is Edition.sta_006_3 else 54, required=True)
        return (*_COMMON, *_SERVICE, urn, *(_IN_2A if edition is Edition.sta_006_2a else ()))


_COMMON = (
    Field("DiscrpAgID", FieldType.text, 100, required=True),
    Field("DateUpdate", FieldType.datetime, required=True),
    Field("Effective", FieldType.datetime),
    Field("Expire", FieldType.datetime),
    Field("NGUID", FieldType.text, 254, required=True),
)
_SERVICE = (
    Field("Agency_ID", FieldType.text, 100, required=True),
    Field("ServiceURI", FieldType.text, 254, required=True),
    Field("ServiceNum", FieldType.text, 15),
    Field("AVcard_URI", FieldType.text, 254, required=True),
    Field("DsplayName", FieldType.text, 60, required=True),
)
_IN_2A = (Field("Country", FieldType.text, 2), Field("State", FieldType.text, 2))

FIELD_NAMES = (*tuple(field.name for field in (*_COMMON, *_SERVICE)), "ServiceURN", "Country", "State")
AGENCY_FIELDS = ("DiscrpAgID", "Agency_ID")
URI_FIELDS = ("ServiceURI", "AVcard_URI")

LAYERS = MappingProxyType(
    {
        "PolicePolygon": LayerSchema("PolicePolygon", ServiceKind.police, ("Pol",)),
        "PsapPolygon": LayerSchema("PsapPolygon", ServiceKind.psap, ("Psap",)),
        "FirePolygon": LayerSchema("FirePolygon", ServiceKind.fire, ("Fire",)),
        "EmsPolygon": LayerSchema("EmsPolygon", ServiceKind.ems, ("Ems",)),
        "ServiceBoundaryPolygon": LayerSchema("ServiceBoundaryPolygon", None, ()),
        "ProvisioningPolygon": LayerSchema("ProvisioningPolygon", ServiceKind.provisioning, ()),
    }
)


def schema_of(layer_name: str) -> LayerSchema | None:
    """By name, as PolicePolygon, PoliceSheriffPolygon of 006.2a or PoliceBoundary of 006.1, in any case."""
    for name, schema in LAYERS.items():
        plain = re.sub(r"[^a-z]", "", layer_name.lower())
        stem = name.removesuffix("Polygon").lower()
        if plain.startswith(stem) and plain.endswith(("polygon", "polygons", "boundary", "boundaries", stem)):
            return schema
    return None


_RESPONDERS_OF_BOTH = frozenset(
    "urn:emergency:service:responder." + word
    for word in (
        "coast_guard",
        "ems",
        "fire",
        "mountain_rescue",
        "poison_control",
        "police",
        "psap",
        "ems.tribal",
        "ems.countyParish",
        "ems.local",
        "ems.private",
        "ems.military",
        "fire.airport",
        "fire.forest",
        "fire.military",
        "fire.private",
        "police.countyParish",
        "police.federal",
        "police.local",
        "police.tribal",
        "police.stateProvincial",
        "police.sheriff",
    )
)
_FEDERAL = ["atf", "cbp", "dss", "dea", "fbi", "fps", "ice", "marshal", "rcmp", "pp", "usss"]
_SOS_OF_BOTH = frozenset(
    "urn:emergency:service:sos." + word for word in ("psap", "level_2_esrp", "level_3_esrp", "call_taker")
)
_RESPONDERS = MappingProxyType(
    {
        Edition.sta_006_3: _RESPONDERS_OF_BOTH
        | {f"urn:emergency:service:responder.police.federal.{word}" for word in _FEDERAL}
        | {
            f"urn:emergency:service:responder.police.{word}"
            for word in ("campus", "private", "airport", "housing", "park", "military")
        }
        | {"urn:emergency:service:responder.ems.air"},
        Edition.sta_006_2a: _RESPONDERS_OF_BOTH
        | {f"urn:emergency:service:responder.federal.{word}" for word in (*_FEDERAL, "military")}
        | {f"urn:service:sos.{word}" for word in ("police", "police.municipal", "police.national", "fire", "ambulance")}
        | {
            f"urn:service:sos.{word}" for word in ("marine", "mountain", "poison", "physician", "animal-control", "gas")
        },
    }
)
_SOS = MappingProxyType(
    {
        Edition.sta_006_3: _SOS_OF_BOTH,
        Edition.sta_006_2a: _SOS_OF_BOTH
        | {"urn:service:sos"}
        | {f"urn:emergency:service:test.{word}" for word in ("psap", "level_2_esrp", "level_3_esrp", "call_taker")},
    }
)


def urn_domain(schema: LayerSchema, edition: Edition) -> frozenset[str]:
    """The ServiceURN values a layer may hold."""
    if schema.kind is ServiceKind.psap:
        return _SOS[edition] | {"urn:emergency:service:responder.psap"}
    return _RESPONDERS[edition] if schema.kind is not None else _RESPONDERS[edition] | _SOS[edition]


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DOMAIN_NAME = re.compile(rf"^(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})+$")
"""An agency id is a fully qualified domain name."""
NGUID = re.compile(
    rf"^urn:emergency:uid:gis:(?P<layer>[A-Za-z0-9]+):(?P<local>[^\s:][^\s]*):(?P<agency>{_LABEL}(?:\.{_LABEL})+)$"
)
URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]+$")
DIALLED = re.compile(r"^[0-9*#+() .-]+$")
