"""geomatch's own JSON, as in `POST /v1/fixes`: one fix, `{"fixes": [...]}`, or one of either a line.

{"unit": "u1", "time": "2026-03-07T22:15:00Z", "at": {"lon": -97.74, "lat": 30.27}, "course_deg": 95}
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds import values
from geomatch.feeds.parsed import Context, Heard, Parsed, Report, collect, malformed
from geomatch.fleet.files import FIX, property_value
from geomatch.model import Fix
from geomatch.quantities import LonLat


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, values.by_document(raw, partial(_fixes, context)))


def _fixes(context: Context, told: Any, prefix: str) -> Iterator[Report]:
    if not isinstance(told, dict) or "fixes" not in told:
        yield f"{prefix}fix", partial(_fix, told, context)
        return
    if not isinstance(told["fixes"], list) or len(told) > 1:
        raise malformed('must be {"fixes": [...]} and nothing beside it')
    for i, fix in enumerate(told["fixes"]):
        yield f"{prefix}fixes[{i}]", partial(_fix, fix, context)


def _fix(told: Any, context: Context) -> Iterator[Heard]:
    if not isinstance(told, dict):
        raise malformed("must be an object")
    at = told.get("at")
    if not isinstance(at, dict) or at.keys() != {"lon", "lat"}:
        raise malformed('at must be {"lon": ..., "lat": ...}')
    if told.get("time") is None:
        raise malformed("has no time, when the position was measured")
    unit = told.get("unit")
    yield Fix(
        unit=context.unit_of(None if unit is None else values.text(unit, "unit")),
        at=LonLat(lon=values.number(at["lon"], "at.lon"), lat=values.number(at["lat"], "at.lat")),
        **({"source": context.source} | _said(told)),
    )


def _said(told: dict[str, Any]) -> dict[str, Any]:
    others = {key: value for key, value in told.items() if value is not None and key not in {"unit", "at"}}
    for key in others:
        if key not in FIX:
            raise malformed(f"has an unknown key {key!r}; known are unit, at, {', '.join(FIX)}")
    try:
        return {key: property_value(key, value) for key, value in others.items()}
    except BadInput as fault:
        raise malformed(str(fault)) from None
