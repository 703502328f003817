"""The middle of a real map: small enough for a slow oracle every day, and still streets as people drew them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import osmium


def write_middle(whole: Path, out: Path, *, share: float) -> None:
    """About this share of the ways, those around the middle one, whole, with all their nodes; no relations."""
    ways = osmium.FileProcessor(str(whole)).with_locations()
    ways = ways.with_filter(osmium.filter.EntityFilter(osmium.osm.WAY))
    ways = ways.with_filter(osmium.filter.KeyFilter("highway", "route"))
    starts = [
        (way.nodes[0].lon, way.nodes[0].lat, way.id) for way in ways if all(node.location.valid() for node in way.nodes)
    ]
    places = np.array(starts)
    half = share**0.5 / 2
    low, high = np.quantile(places[:, :2], (0.5 - half, 0.5 + half), axis=0)
    inside = np.all((low <= places[:, :2]) & (places[:, :2] <= high), axis=1)
    kept = osmium.filter.IdFilter(places[inside, 2].astype(np.int64).tolist())
    with osmium.BackReferenceWriter(str(out), ref_src=str(whole), remove_tags=False) as writer:
        for way in osmium.FileProcessor(str(whole), osmium.osm.WAY).with_filter(kept):
            writer.add(way)
