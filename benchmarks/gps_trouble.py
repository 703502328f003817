"""How often is the first of a ranking wrong and not flagged, when GPS lies? Simulated patrols, whose truth is known.

    python benchmarks/gps_trouble.py [REGION] [--units 120] [--minutes 40] [--stops 12] [--seed 1]

Every 5 s each unit reports, to a fleet with clean feeds and to one with trouble: 5 % of the fixes are lost, 5 % wrong
by 100 m to 5 km (evenly by the logarithm), and for spells of one to three minutes 1 % of the units report the track of
another place (spoofed), 1 % repeat their last fix with new times (frozen) and 1 % are silent. After each report stops
are opened anywhere and ranked by both. The truth is where the units are at that moment: a first is wrong when another
unit truly is more than 5 s nearer (`strictly`: nearer at all). An answer is flagged when its first is not `confirmed`
or it carries a question. `wrong by the trouble` is wrong where clean feeds gave a right first: what clean feeds get
wrong is mostly a car that waits at a junction without a course: the simulation knows into which street it will turn.
Everything here is simulated.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from measure import CHECKOUT, machine

import geomatch
from geomatch import Fix, LonLat, Matcher, Region, Stop, Unit
from geomatch.fleet.simulate import Patrol, Patrols
from geomatch.quantities import XY, DrivingMode
from geomatch.road.network import RoadNetwork
from geomatch.road.travel_time import Places

START = 1_770_000_000.0
EVERY_S = 5.0
LOST, WRONG, SPOOFED, FROZEN = 0.05, 0.05, 0.01, 0.01
TOLERATED_S = 5.0
"""A first that is truly so little behind is no wrong answer: fixes are up to 5 s old."""


@dataclass
class Trouble:
    """What becomes of each fix on its way. A unit's spell of spoofing or freezing lasts one to three minutes."""

    rng: np.random.Generator
    spells: dict[str, tuple[str, float, float, float]] = field(default_factory=dict)
    """Unit -> kind, until when, and metres east and north."""
    last: dict[str, Fix] = field(default_factory=dict)

    def of(self, fix: Fix) -> Fix | None:
        rng, (kind, until, east, north) = self.rng, self.spells.get(fix.unit, ("", 0.0, 0.0, 0.0))
        if fix.time >= until:
            kind = ""
            # Spells of two minutes on average, so often that they make up their share of the time.
            for name, share in (("spoofed", SPOOFED), ("frozen", FROZEN), ("stuck", FROZEN)):
                if rng.random() < share * EVERY_S / 120.0:
                    kind, away, angle = name, rng.uniform(500.0, 5_000.0), rng.uniform(0.0, 2 * math.pi)
                    east, north = away * math.cos(angle), away * math.sin(angle)
                    self.spells[fix.unit] = kind, fix.time + rng.uniform(60.0, 180.0), east, north
        before = self.last.get(fix.unit, fix)
        if kind == "stuck":
            return None
        if kind == "frozen":
            return replace(before, time=fix.time)
        if kind == "spoofed":
            return moved(fix, east, north)
        if rng.random() < LOST:
            return None
        self.last[fix.unit] = fix
        if rng.random() < WRONG:
            away, angle = 100.0 * 50.0 ** rng.random(), rng.uniform(0.0, 2 * math.pi)
            return moved(fix, away * math.cos(angle), away * math.sin(angle))
        return fix


def moved(fix: Fix, east_m: float, north_m: float) -> Fix:
    lat = fix.at.lat + north_m / 111_320.0
    return replace(fix, at=LonLat(fix.at.lon + east_m / (111_320.0 * math.cos(math.radians(lat))), lat))


def drill(region: Region, *, units: int, minutes: float, stops: int, seed: int) -> Counter[str]:
    """Answers by what they were; `stops` rankings after each report, with clean feeds and with trouble."""
    rng = np.random.default_rng(seed)
    network, spots = region.network, Spots(region)
    homes = [Patrol(unit=f"u{n:03d}", home=network.projection.lonlat(spots.anywhere(rng))) for n in range(units)]
    patrols = Patrols(network, homes, now=START, rng=np.random.default_rng(seed + 1))
    clean, troubled = Matcher(region), Matcher(region)
    for matcher in (clean, troubled):
        matcher.register([Unit(id=one.unit, agency="metro.example") for one in homes])
        matcher.update(patrols.advance(START))
    way = Trouble(np.random.default_rng(seed + 2))
    tally: Counter[str] = Counter()
    now = START
    while now < START + 60.0 * minutes:
        now += EVERY_S
        told = patrols.advance(now)
        clean.update(told)
        arriving = [fix for fix in map(way.of, told) if fix is not None]
        tally.update(result.outcome.value for result in troubled.update(arriving))
        if now <= START + 120.0:
            continue
        true = places_of(network, patrols, told)
        for n in range(stops):
            stop = Stop(id=f"s{n}", at=network.projection.lonlat(spots.anywhere(rng)))
            tally.update(compared(judged(clean, stop, true, now), judged(troubled, stop, true, now)))
    return tally


class Spots:
    def __init__(self, region: Region) -> None:
        self._network = region.network
        self._edges = np.flatnonzero(region.snapper.geometry_edge[:, 0] >= 0)

    def anywhere(self, rng: np.random.Generator) -> XY:
        """On a road that units are put on."""
        row = int(rng.choice(self._edges))
        first, last = int(self._network.geometry_first[row]), int(self._network.geometry_first[row + 1])
        point = int(rng.integers(first, last))
        return XY(float(self._network.geometry_x[point]), float(self._network.geometry_y[point]))


def places_of(network: RoadNetwork, patrols: Patrols, told: list[Fix]) -> Places:
    """Where the units truly are; one that stands may set off either way, as the ranking has it."""
    edge, fraction = np.full((len(told), 2), -1, np.int32), np.zeros((len(told), 2))
    for row, fix in enumerate(told):
        edge[row, 0], fraction[row, 0] = patrols.edge(fix.unit), patrols.fraction(fix.unit)
        if fix.course_deg is None:
            edge[row, 1], fraction[row, 1] = network.edge_twin[edge[row, 0]], 1.0 - fraction[row, 0]
    return Places(edge=edge, fraction=fraction)


@dataclass(frozen=True)
class Judged:
    behind_ms: int
    """Of the first that is named, after the one who truly is."""
    flagged: bool
    position: str

    @property
    def wrong(self) -> bool:
        return self.behind_ms > TOLERATED_S * 1000


def judged(matcher: Matcher, stop: Stop, true: Places, now: float) -> Judged | None:
    ranking = matcher.rank(stop, k=3, now=now)
    region = matcher.region
    edges = [place.edge for place in ranking.resolved.places]
    at = [place.offset_m / float(region.network.edge_length_m[place.edge]) for place in ranking.resolved.places]
    none = np.zeros(len(true.edge), np.int32)
    found = region.times.k_soonest(region.times.targets(edges, at), true, none, len(none), DrivingMode.routine)
    if not ranking.candidates or len(found.rows) == 0:
        return None
    first = ranking.candidates[0]
    behind_ms = int(found.evaluated_ms[matcher.fleet.view().slot_of(first.unit)]) - int(found.total_ms[0])
    flagged = first.position != "confirmed" or len(ranking.questions) > 0
    return Judged(behind_ms, flagged, first.position.value)


def compared(clean: Judged | None, troubled: Judged | None) -> list[str]:
    if clean is None or troubled is None:
        return ["nobody"]
    said = {
        "answers": True, "clean: flagged": clean.flagged,
        "clean: wrong, not flagged": clean.wrong and not clean.flagged,
        "clean: strictly wrong, not flagged": clean.behind_ms > 0 and not clean.flagged,
        "troubled: flagged": troubled.flagged, "troubled: wrong": troubled.wrong,
        "troubled: wrong, not flagged": troubled.wrong and not troubled.flagged,
        "troubled: wrong by the trouble": troubled.wrong and not clean.wrong,
        "troubled: wrong by the trouble, not flagged": troubled.wrong and not clean.wrong and not troubled.flagged,
        f"troubled: first {troubled.position}": True,
    }  # fmt: skip
    return [what for what, holds in said.items() if holds]


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("region", nargs="?", type=Path)
    read.add_argument("--units", type=int, default=120)
    read.add_argument("--minutes", type=float, default=40.0)
    read.add_argument("--stops", type=int, default=12)
    read.add_argument("--seed", type=int, default=1)
    ask = read.parse_args()
    folder = ask.region or CHECKOUT / ".benchmarks" / "metro.region"
    if not folder.exists():
        geomatch.build(CHECKOUT / "data" / "metro" / "metro.osm.pbf", folder)
    region = Region.open(folder)
    print(f"simulated; {region.name}, {ask.units} units, {machine()}")
    tally = drill(region, units=ask.units, minutes=ask.minutes, stops=ask.stops, seed=ask.seed)
    share = {what: f"{100 * tally[what] / tally['answers']:.2f} %" for what in sorted(tally) if ":" in what}
    print(json.dumps({"counts": dict(sorted(tally.items())), "of the answers": share}, indent=1))


if __name__ == "__main__":
    main()
