"""Bodies of OGC API - Features, Part 1: Core (17-069r4), with its own spelling of names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CONFORMS_TO = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
_NO_NULLS: Mapping[str, Any] = {"use_attribute_docstrings": True}


@dataclass(frozen=True, kw_only=True)
class Link:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_NULLS

    href: str
    rel: str
    type: str
    title: str


@dataclass(frozen=True, kw_only=True)
class LandingPage:
    """Where a client like QGIS begins."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_NULLS

    title: str
    description: str
    attribution: str
    links: list[Link]


@dataclass(frozen=True, kw_only=True)
class ConformanceClasses:
    """Which parts of the standard hold here."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_NULLS

    conformsTo: tuple[str, ...]  # noqa: N815 - the standard's name


@dataclass(frozen=True, kw_only=True)
class SpatialExtent:
    bbox: tuple[tuple[float, float, float, float], ...]
    """West, south, east, north in degrees."""
    crs: str = CRS84


@dataclass(frozen=True, kw_only=True)
class Extent:
    spatial: SpatialExtent


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Features of one kind."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_NULLS

    id: str
    title: str
    description: str
    attribution: str
    """Of the map: to be shown wherever the features are."""
    extent: Extent
    itemType: Literal["feature"] = "feature"  # noqa: N815 - the standard's name
    crs: tuple[str, ...] = (CRS84,)
    links: list[Link]


@dataclass(frozen=True, kw_only=True)
class CollectionList:
    """All there is in this region."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_NULLS

    collections: list[Collection]
    links: list[Link]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A GeoJSON feature (RFC 7946)."""

    type: Literal["Feature"] = "Feature"
    id: str
    geometry: Mapping[str, Any] | None
    """null: it has no place, or its place is not known."""
    properties: Mapping[str, Any]
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FeatureCollection:
    """A page of GeoJSON features; the link `next` leads to the next one."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _NO_NULLS

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature]
    links: list[Link]
    timeStamp: str  # noqa: N815 - the standard's name
    """When it was made."""
    numberMatched: int  # noqa: N815 - the standard's name
    """On all pages."""
    numberReturned: int  # noqa: N815 - the standard's name
    attribution: str
