"""The whole metro as one OSM map."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from geomatch.maps.metro import places, roads, signs
from geomatch.maps.metro.ground import cells, river_outline
from geomatch.maps.metro.names import street_names
from geomatch.maps.metro.quarters import DRAW, Quarter
from geomatch.maps.metro.sketch import OsmMap, Stroke, weave, with_bridges, with_roundabouts

SEED = 20260307
ROUNDABOUTS = [(-1600.0, 4800.0), (5600.0, 1600.0), (-4800.0, -3200.0)]


def metro_map() -> OsmMap:
    """Streets, signals, signs, gates and restrictions of the metro. Always the same; takes some seconds."""
    rng = np.random.default_rng(SEED)
    strokes = with_roundabouts(_strokes(rng), ROUNDABOUTS, 24.0)
    strokes = with_bridges(strokes, Polygon(river_outline()))
    osm = weave([_bridge_named(stroke) for stroke in strokes])
    osm.keep_mainland()
    signs.put_signals(osm)
    signs.put_stop_signs(osm, rng)
    signs.put_gates(osm)
    signs.put_restrictions(osm)
    return osm


def _strokes(rng: np.random.Generator) -> list[Stroke]:
    names = street_names(rng)
    strokes = [
        *roads.arterials(),
        *roads.median_crossings(),
        *roads.freeway(),
        *places.downtown(),
        *places.river_walk(),
    ]
    for kind, cell in cells():
        quarter = Quarter(cell, names, rng)
        if kind == "campus":
            places.campus(quarter)
        else:
            DRAW[kind](quarter)
        strokes += quarter.strokes
    hills = Quarter(places.HILLS, names, rng)
    places.hills(hills)
    return [*strokes, *hills.strokes, places.fire_link(hills.strokes)]


def _bridge_named(stroke: Stroke) -> Stroke:
    """The three river bridges carry names of their own."""
    names = {
        "Main Street": "Main Street Bridge",
        "Ferry Road": "Ferry Bridge",
        "Prairie Freeway": "Prairie Freeway Bridge",
    }
    x = stroke.line.interpolate(0.5, normalized=True).x
    name = names.get(stroke.tags.get("name", ""))
    if name is None or "bridge" not in stroke.tags or not 1900 < x < 3600:
        return stroke
    return Stroke(stroke.line, {**stroke.tags, "bridge:name": name}, stroke.level)
