"""`python -m geomatch.maps.metro FOLDER`: make the built-in data again."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from geomatch.maps.metro import agencies, toy
from geomatch.maps.metro.draw import SEED, metro_map
from geomatch.maps.metro.osm_file import write_map
from geomatch.maps.metro.posts import posts
from geomatch.maps.metro.shift import START, record_shift
from geomatch.maps.network.expand import expand
from geomatch.maps.osm import read_osm
from geomatch.quantities import format_time


def make(folder: Path) -> list[Path]:
    """Write the metro and the toy below `folder`; the files made, in order. Takes less than a minute."""
    metro, small = folder / "metro", folder / "toy"
    for each in (metro, small):
        each.mkdir(parents=True, exist_ok=True)
    roads = metro / "metro.osm.pbf"
    write_map(metro_map(), roads)
    rng = np.random.default_rng(SEED)
    network = expand(read_osm(roads))
    records, features = record_shift(network, posts(rng), rng)
    fleet = {"type": "FeatureCollection", "name": "fleet", "features": features}
    made = [roads]
    for name, layer in (
        ("jurisdictions", agencies.jurisdictions()),
        ("provisioning", agencies.provisioning()),
        ("stations", agencies.stations()),
        ("fleet", fleet),
    ):
        made.append(_write_layer(metro / f"{name}.geojson", layer))
    about = {"type": "shift", "time": format_time(START), "simulated": True, "region": "metro"}
    made.append(_write_lines(metro / "shift.ndjson.gz", [about, *records]))
    (small / "toy.osm").write_text(toy.toy_osm(), encoding="utf-8", newline="\n")
    return [*made, small / "toy.osm", _write_layer(small / "fleet.geojson", toy.toy_fleet())]


def _write_layer(path: Path, layer: dict[str, Any]) -> Path:
    """One feature a line, so that a change shows where it is."""
    features = ",\n".join(json.dumps(feature, separators=(",", ":")) for feature in layer["features"])
    head = json.dumps({key: value for key, value in layer.items() if key != "features"})[:-1]
    path.write_text(f'{head}, "features": [\n{features}\n]}}\n', encoding="utf-8", newline="\n")
    return path


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    # No name and no time of writing in the header, so that the same records give the same bytes.
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return path


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m geomatch.maps.metro FOLDER   (data/ in a checkout)\n")
        return 2
    for path in make(Path(arguments[0])):
        sys.stdout.write(f"{path.stat().st_size:>9,} bytes  {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
