"""A stop said by mile marker at the door, as "northbound 95, mile 42.6": made a place and a course, or refused.

In place of `at` a stop of a request may have `at_marker`; with both, `at` tells which of several places of that name is
meant. A plain stop is read as it always was, and costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from geomatch.errors import BadInput
from geomatch.quantities import Degrees, LonLat
from geomatch.road.markers import Markers

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

KEY = "at_marker"
LONGEST = 200
"""Characters: nobody says more on the radio."""
EXAMPLE = "northbound 95, mile 42.6"


def by_marker(matcher: Matcher) -> Callable[[bytes], bytes | None]:
    """What rewords a body that is not valid as it stands: its stop at the place that the marker is; None: it has none.

    Raises BadInput where the words name no place, more than one, or one that no road leads to.
    """

    def reword(raw: bytes) -> bytes | None:
        if KEY.encode() not in raw:
            return None
        try:
            body = from_json(raw, allow_inf_nan=False)
        except ValueError:
            return None
        stop = body.get("stop") if isinstance(body, dict) else None
        if not isinstance(stop, dict) or KEY not in stop:
            return None
        return to_json(body | {"stop": placed(stop, matcher.region.markers)})

    return reword


def placed(stop: dict[str, Any], markers: Markers | None) -> dict[str, Any]:
    """The same stop with a place and a course. Raises BadInput."""
    words = stop[KEY]
    if not isinstance(words, str) or len(words) > LONGEST:
        raise BadInput(f'stop.{KEY} must be text of at most {LONGEST} characters, as "{EXAMPLE}"')
    if markers is None:
        raise BadInput("this region knows no mile markers: build it with --markers, or send the stop's position in at")
    place = markers.said(words, near=_near(stop.get("at")))
    plain = {name: value for name, value in stop.items() if name != KEY}
    plain["at"] = {"lon": place.at.lon, "lat": place.at.lat}
    if plain.get("course_deg") is None:
        plain["course_deg"] = place.course_deg
    elif place.course_deg is not None:
        _check_same_way(plain["course_deg"], place.course_deg)
    return plain


def _near(at: Any) -> LonLat | None:
    if at is None:
        return None
    try:
        return LonLat(lon=float(at["lon"]), lat=float(at["lat"]))
    except (TypeError, KeyError, ValueError):
        raise BadInput("stop.at must be a position with lon and lat, or be left out") from None


def _check_same_way(said_deg: Any, course_deg: Degrees) -> None:
    if isinstance(said_deg, int | float) and abs((said_deg - course_deg + 180.0) % 360.0 - 180.0) > 90.0:
        raise BadInput(f"stop.{KEY} and stop.course_deg say opposite directions: find out which, and send that one")


class OrByMarker:
    """Annotates a stop of a request, for the document: its place may be said by marker."""

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        plain = handler(core)
        stop = handler.resolve_ref_schema(plain)
        words = {
            "type": "string",
            "maxLength": LONGEST,
            "examples": [EXAMPLE],
            "description": "A route, a mile or kilometre, and the direction of traffic, as an officer says them. `at`"
            " may tell which of several places of that name is meant.",
        }
        said = {
            "type": "object",
            "title": "Stop at a marker",
            "description": "The same, its place said by mile marker, where the region knows the markers.",
            "properties": stop["properties"] | {KEY: words},
            "required": [*(name for name in stop["required"] if name != "at"), KEY],
            "additionalProperties": False,
        }
        return {"anyOf": [plain, said]}
