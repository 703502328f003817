"""OGC API - Features, Part 1: Core: what QGIS and ArcGIS open by one address, `/v1`."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode

import numpy as np
import shapely
from fastapi import APIRouter, Query, Request, Response

from geomatch.errors import BadInput
from geomatch.quantities import UnixTime, format_time, parse_time
from geomatch.service.collection_bodies import (
    CONFORMS_TO,
    Collection,
    CollectionList,
    ConformanceClasses,
    Extent,
    Feature,
    FeatureCollection,
    LandingPage,
    Link,
    SpatialExtent,
)
from geomatch.service.features import Item, Source, sources
from geomatch.service.openapi import gives
from geomatch.service.problems import BadQuery, NoSuchFeature
from geomatch.service.wire import JsonAnswer

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

GEOJSON = "application/geo+json"
USUAL_LIMIT, MOST_ITEMS = 100, 10_000
PARAMETERS = frozenset({"bbox", "datetime", "limit", "offset"})

Limit = Annotated[
    str | None, Query(description=f"Features on a page: {USUAL_LIMIT}, and at most {MOST_ITEMS}.", max_length=20)
]
Offset = Annotated[str | None, Query(description="Features to pass over; the link `next` has it.", max_length=20)]
Bbox = Annotated[
    str | None, Query(description="West, south, east, north in degrees; with six numbers, heights too.", max_length=200)
]
Moments = Annotated[
    str | None, Query(description="RFC 3339, or two with a slash between: a period, `..` for an end.", max_length=100)
]


def router(matcher: "Matcher", clock: Callable[[], UnixTime]) -> APIRouter:
    routes = APIRouter(tags=["maps"])
    _about(routes, matcher, clock)
    _items(routes, matcher, clock)
    return routes


def _about(routes: APIRouter, matcher: "Matcher", clock: Callable[[], UnixTime]) -> None:
    landing_answer, conformance_answer = JsonAnswer(LandingPage), JsonAnswer(ConformanceClasses)
    list_answer, collection_answer = JsonAnswer(CollectionList), JsonAnswer(Collection)

    @routes.get("/v1", summary="Where map programs begin", responses=gives(LandingPage))
    def get_landing(request: Request) -> Response:
        """OGC API - Features: give QGIS this address."""
        root = _root(request)
        links = [
            _link(root, "self", "This page"),
            _link(f"{root}/collections", "data", "What there is to see"),
            _link(f"{root}/conformance", "conformance", "Which parts of the standard hold here"),
            Link(
                href=f"{root.removesuffix('/v1')}/openapi.json", rel="service-desc",
                type="application/vnd.oai.openapi+json;version=3.1", title="The whole API",
            ),
        ]  # fmt: skip
        region = matcher.region
        return landing_answer(
            LandingPage(
                title=f"geomatch: {region.name}", description="Who is responsible where, who may go, and who is near.",
                attribution=region.attribution, links=links,
            )
        )  # fmt: skip

    @routes.get(
        "/v1/conformance", summary="Which parts of OGC API - Features hold", responses=gives(ConformanceClasses)
    )
    def get_conformance() -> Response:
        """Core and GeoJSON of Part 1."""
        return conformance_answer(ConformanceClasses(conformsTo=CONFORMS_TO))

    @routes.get("/v1/collections", summary="What there is to see on a map", responses=gives(CollectionList))
    def get_collections(request: Request) -> Response:
        """Service areas of each loaded kind, the reach of agreements, units, open stops."""
        root = _root(request)
        found = [_collection(one, root, matcher) for one in sources(matcher, clock())]
        links = [_link(f"{root}/collections", "self", "This list")]
        return list_answer(CollectionList(collections=found, links=links))

    @routes.get(
        "/v1/collections/{collection_id}", summary="About one collection", responses=gives(Collection, 404, 422)
    )
    def get_collection(collection_id: str, request: Request) -> Response:
        """Its extent is that of the region's roads."""
        return collection_answer(_collection(_source(matcher, clock(), collection_id), _root(request), matcher))


def _items(routes: APIRouter, matcher: "Matcher", clock: Callable[[], UnixTime]) -> None:
    page_answer, feature_answer = JsonAnswer(FeatureCollection, GEOJSON), JsonAnswer(Feature, GEOJSON)

    @routes.get(
        "/v1/collections/{collection_id}/items",
        summary="Features of a collection",
        responses=gives(FeatureCollection, 400, 404, 422, media=GEOJSON),
    )
    def get_items(
        collection_id: str,
        request: Request,
        bbox: Bbox = None,
        datetime: Moments = None,
        limit: Limit = None,
        offset: Offset = None,
    ) -> Response:
        """A page of them, in their own order. A parameter that is not known is refused, as the standard has it."""
        if unknown := sorted(set(request.query_params) - PARAMETERS):
            raise BadQuery(
                f"parameter {unknown[0][:50]!r} is not known here; there are {', '.join(sorted(PARAMETERS))}"
            )
        now, root = clock(), _root(request)
        source = _source(matcher, now, collection_id)
        first = _whole(offset, "offset", 0, 0, 2**53)
        most = _whole(limit, "limit", USUAL_LIMIT, 1, 2**53)
        chosen = list(_within(_during(source.items(), datetime), bbox))
        shown = chosen[first : first + min(most, MOST_ITEMS)]
        here = f"{root}/collections/{source.id}"
        query = {key: value for key, value in request.query_params.items() if key != "offset"}
        links = [_link(f"{here}/items{_query(query | _at(first))}", "self", "This page", GEOJSON)]
        if first + len(shown) < len(chosen):
            onward = _query(query | _at(first + len(shown)))
            links.append(_link(f"{here}/items{onward}", "next", "The next page", GEOJSON))
        links.append(_link(here, "collection", source.title))
        return page_answer(
            FeatureCollection(
                features=[_feature(one) for one in shown], links=links, timeStamp=format_time(now),
                numberMatched=len(chosen), numberReturned=len(shown), attribution=matcher.region.attribution,
            )
        )  # fmt: skip

    @routes.get(
        "/v1/collections/{collection_id}/items/{feature_id:path}",
        summary="One feature",
        responses=gives(Feature, 404, 422, media=GEOJSON),
    )
    def get_item(collection_id: str, feature_id: str, request: Request) -> Response:
        """As it is in the collection, with links to it and to that."""
        source = _source(matcher, clock(), collection_id)
        found = next((one for one in source.items() if one.id == feature_id), None)
        if found is None:
            raise NoSuchFeature(f"collection {source.id} has no such feature: see its items")
        here = f"{_root(request)}/collections/{source.id}"
        links = (
            _link(f"{here}/items/{quote(found.id, safe='')}", "self", "This feature", GEOJSON),
            _link(here, "collection", source.title),
        )
        return feature_answer(_feature(found, links))


def _root(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/v1"


def _link(href: str, rel: str, title: str, kind: str = "application/json") -> Link:
    return Link(href=href, rel=rel, type=kind, title=title)


def _at(first: int) -> dict[str, str]:
    return {"offset": str(first)} if first else {}


def _query(parts: dict[str, str]) -> str:
    return f"?{urlencode(parts)}" if parts else ""


def _source(matcher: "Matcher", now: UnixTime, collection_id: str) -> Source:
    found = next((one for one in sources(matcher, now) if one.id == collection_id), None)
    if found is None:
        raise NoSuchFeature("there is no such collection: see /v1/collections")
    return found


def _collection(source: Source, root: str, matcher: "Matcher") -> Collection:
    region = matcher.region
    low, high = region.bounds
    here = f"{root}/collections/{source.id}"
    return Collection(
        id=source.id, title=source.title, description=source.description, attribution=region.attribution,
        extent=Extent(spatial=SpatialExtent(bbox=((low.lon, low.lat, high.lon, high.lat),))),
        links=[
            _link(here, "self", source.title), _link(f"{here}/items", "items", source.title, GEOJSON),
        ],
    )  # fmt: skip


def _feature(item: Item, links: tuple[Link, ...] = ()) -> Feature:
    geometry: Any = None if item.geometry is None else shapely.geometry.mapping(item.geometry)
    return Feature(id=item.id, geometry=geometry, properties=item.properties, links=links)


def _whole(text: str | None, name: str, usual: int, least: int, most: int) -> int:
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise BadQuery(f"{name} must be a whole number, {least} or more")
    return int(text)


def _within(items: Iterable[Item], bbox: str | None) -> list[Item]:
    """Those whose geometry touches the box; what has no place is in none."""
    found = list(items)
    if bbox is None:
        return found
    area = _box(bbox)
    placed = [one for one in found if one.geometry is not None]
    touches = shapely.intersects(np.array([one.geometry for one in placed], dtype=object), area)
    return [one for one, holds in zip(placed, touches, strict=True) if holds]


def _box(text: str) -> Any:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in {4, 6} or not all(map(math.isfinite, numbers)):
        raise BadQuery("bbox must be four numbers, west,south,east,north in degrees, or six with heights")
    half = len(numbers) // 2
    (west, south), (east, north) = numbers[:2], numbers[half : half + 2]
    if south > north or max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 180:
        raise BadQuery("bbox must have south before north, and degrees: west,south,east,north")
    if west > east:  # over the antimeridian, as RFC 7946 has it
        return shapely.union(shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north))
    return shapely.box(west, south, east, north)


def _during(items: Iterable[Item], datetime: str | None) -> Iterable[Item]:
    """Those that hold at some time of the period; what says no time holds always."""
    if datetime is None:
        return items
    since, until = _period(datetime)
    return (
        one for one in items
        if (one.begins is None or one.begins <= until) and (one.ends is None or one.ends >= since)
    )  # fmt: skip


def _period(text: str) -> tuple[UnixTime, UnixTime]:
    begin, slash, end = text.partition("/")
    try:
        # A space is a plus that was not escaped.
        since = -math.inf if slash and begin in {"", ".."} else parse_time(begin.replace(" ", "+"))
        if not slash:
            return since, since
        until = math.inf if end in {"", ".."} else parse_time(end.replace(" ", "+"))
    except (BadInput, OverflowError):
        raise BadQuery("datetime must be RFC 3339, as 2026-03-07T22:15:00Z, or two of them: begin/end") from None
    if since > until:
        raise BadQuery("datetime must be a period that begins before it ends")
    return since, until
