"""The services an area can be for, as NENA's ServiceURN spells them, and which of them is the most specific."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class ServiceKind(StrEnum):
    """What a layer is about. Each kind answers on its own: areas of two kinds never overlap."""

    police = "police"
    psap = "psap"
    fire = "fire"
    ems = "ems"
    provisioning = "provisioning"
    """The whole area that a GIS data provider answers for: the outer boundary of its other layers."""


_PREFIXES = (
    "urn:emergency:service:responder.",
    "urn:emergency:service:sos.",
    "urn:service:sos.",
    "urn:nena:service:responder.",  # 006.1
    "urn:nena:service:sos.",
)
_KIND_OF_WORD = MappingProxyType(
    # 006.2a has responder.federal.fbi where 006.3 has responder.police.federal.fbi.
    dict.fromkeys(("police", "federal"), ServiceKind.police)
    | {"fire": ServiceKind.fire, "ems": ServiceKind.ems, "ambulance": ServiceKind.ems}
    | dict.fromkeys(("psap", "level_2_esrp", "level_3_esrp", "call_taker"), ServiceKind.psap)
)
_RANK_OF_WORD = MappingProxyType(
    dict.fromkeys(("campus", "airport", "housing", "park", "military"), 0)
    | dict.fromkeys(("tribal", "local", "municipal"), 1)
    | dict.fromkeys(("countyParish", "sheriff"), 2)
    | {"stateProvincial": 3, "federal": 4, "national": 4, "private": 5}
)


def kind_of_urn(urn: str) -> ServiceKind | None:
    """The kind a ServiceURN belongs to, in the spelling of 006.3, 006.2a, 006.1 or RFC 5031; None: of no kind here."""
    for prefix in _PREFIXES:
        if urn.startswith(prefix):
            return _KIND_OF_WORD.get(urn.removeprefix(prefix).split(".")[0])
    return ServiceKind.psap if urn == "urn:service:sos" else None


def specificity(urn: str) -> int:
    """0 is the most specific service, 5 the least. Who answers for a campus answers before the city around it.

    0 campus, airport, housing, park, military; 1 tribal, local and a bare `responder.police`; 2 county, sheriff;
    3 state or provincial; 4 federal; 5 private.
    """
    words = urn.rpartition(":")[2].split(".")
    return next((_RANK_OF_WORD[word] for word in words if word in _RANK_OF_WORD), 1)
