"""The parsers by name, as routes and transports are told which to use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from geomatch.errors import BadInput
from geomatch.feeds import cot, eido, fixes, geojson, mapped, nmea, owntracks, taip
from geomatch.feeds.mapped import JsonMapping
from geomatch.feeds.parsed import Context, Parsed

Parser: TypeAlias = Callable[[bytes, Context], Parsed]
"""Bytes of one message and what is known of it; never raises."""


class Format(StrEnum):
    fixes = "fixes"
    """The API's own."""
    nmea = "nmea"
    taip = "taip"
    owntracks = "owntracks"
    cot = "cot"
    eido = "eido"
    geojson = "geojson"
    mapped = "mapped"
    """Flat JSON, by a mapping file."""


PARSERS: Mapping[Format, Parser] = MappingProxyType(
    {
        Format.fixes: fixes.parse,
        Format.nmea: nmea.parse,
        Format.taip: taip.parse,
        Format.owntracks: owntracks.parse,
        Format.cot: cot.parse,
        Format.eido: eido.parse,
        Format.geojson: geojson.parse,
    }
)


_EMERGENCY = re.compile(rb"b-a-o-|unitEmergencyState")


def may_be_emergency(raw: bytes) -> bool:
    """Worth reading before all else: it has the marks of a TAK alert or an EIDO emergency. O(bytes), nothing parsed."""
    return _EMERGENCY.search(raw) is not None


def parser_of(name: str, mapping: JsonMapping | None = None) -> Parser:
    """Raises BadInput for an unknown format, and for `mapped` without a mapping."""
    if name not in list(Format):
        raise BadInput(f"there is no format {name[:40]!r}; known are {', '.join(Format)}")
    if name == Format.mapped:
        if mapping is None:
            raise BadInput("the format mapped needs a mapping file, which says which key is which field")
        return partial(mapped.parse, mapping=mapping)
    return PARSERS[Format(name)]
