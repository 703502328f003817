"""Valhalla's matrix from all units to the stop, by both of its algorithms (Python 3.12 or later).

It reads the same file and drives at its own speeds; units and stops with a course carry it as heading. It answers with
every unit's time in whole seconds: the k soonest are picked out here.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache, partial
from pathlib import Path

import numpy as np
import valhalla
from case import Answer, Case, Cell

BUILD = Path(valhalla.__file__).parent / "bin/valhalla_build_tiles"
LIMITS = {"max_distance": 5e6, "max_locations": 20, "max_matrix_distance": 4e6, "max_matrix_location_pairs": 20_000}


def prepare(case: Case, cell: Cell, algorithm: str):
    fleet = case.fleet(cell)
    actor = _actor(case.folder, algorithm)
    units = json.dumps([_location(at, course) for at, course in zip(fleet.lonlat, fleet.course_deg, strict=True)])

    def answer(stop: int) -> Answer:
        target = json.dumps(_location(case.stops.lonlat[stop], case.stops.course_deg[stop]))
        # Not verbose: durations alone, as few bytes as it can say.
        found = actor.matrix(f'{{"sources":{units},"targets":[{target}],"costing":"auto","verbose":false}}')
        s = np.array([row[0] for row in json.loads(found)["sources_to_targets"]["durations"]], float)
        return fleet.least(np.where(np.isnan(s), np.inf, s * 1000.0))

    return answer


prepare_cost = partial(prepare, algorithm="costmatrix")
prepare_time_distance = partial(prepare, algorithm="timedistancematrix")


def _location(lonlat: np.ndarray, course_deg: float) -> dict[str, float]:
    place = {"lon": round(float(lonlat[0]), 6), "lat": round(float(lonlat[1]), 6)}
    return place if np.isnan(course_deg) else place | {"heading": round(float(course_deg)) % 360}


@cache
def _actor(folder: Path, algorithm: str) -> valhalla.Actor:
    out = folder / "valhalla"
    (out / "tiles").mkdir(parents=True, exist_ok=True)
    (out / "none.tar").touch()  # it insists on a file that is there
    config = valhalla.get_config(tile_dir=str(out / "tiles"), tile_extract=str(out / "none.tar"), verbose=False)
    config["mjolnir"].pop("tile_extract", None)
    config["thor"]["source_to_target_algorithm"] = algorithm
    config["service_limits"]["auto"] = LIMITS
    if not (out / "done").is_file():
        (out / "config.json").write_text(json.dumps(config))
        command = [str(BUILD), "-c", str(out / "config.json"), os.path.realpath(folder / "map.osm.pbf")]
        subprocess.run(command, check=True, capture_output=True)
        (out / "done").touch()
    return valhalla.Actor(config)
