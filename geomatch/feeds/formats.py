"""The parsers by name, as routes and transports are told which to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from geomatch.errors import BadInput
from geomatch.feeds import cot, eido, geojson, mapped, nmea, owntracks, taip
from geomatch.feeds.mapped import JsonMapping
from geomatch.feeds.parsed import Context, Parsed

Parser: TypeAlias = Callable[[bytes, Context], Parsed]
"""Bytes of one message and what is known of it; never raises."""


class Format(StrEnum):
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
        Format.nmea: nmea.parse,
        Format.taip: taip.parse,
        Format.owntracks: owntracks.parse,
        Format.cot: cot.parse,
        Format.eido: eido.parse,
        Format.geojson: geojson.parse,
    }
)


def parser_of(name: str, mapping: JsonMapping | None = None) -> Parser:
    """Raises BadInput for an unknown format, and for `mapped` without a mapping."""
    if name not in list(Format):
        raise BadInput(f"there is no format {name[:40]!r}; known are {', '.join(Format)}")
    if name == Format.mapped:
        if mapping is None:
            raise BadInput("the format mapped needs a mapping file, which says which key is which field")
        return partial(mapped.parse, mapping=mapping)
    return PARSERS[Format(name)]
