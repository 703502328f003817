"""Who may go, measured: agreements beside the search in the same run, loading an area layer, locating in 20,000 areas.

    python benchmarks/aid.py [--region REGION] [--units 10000] [--agreements 200] [--stops 400]

Eligibility is decided for all units against grants to the one agency whose stop it is, of every kind (windows, caps,
home cover, geography, approvals), and then the k = 5 soonest of those that may go are searched: both are timed stop by
stop, in turn, each stop at another place, 7 s after the last one and, again, 61 s: then each is in a minute of its own.
The decision is checked against one that keeps nothing. Times are the processor's.
Locating is timed beside one query of a prebuilt shapely STRtree, in turn, and the answers are compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from datetime import time as clock
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from measure import CHECKOUT, SHARED, machine
from rank import fleet, somewhere

import geomatch
from geomatch import Region, Stop
from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.clauses import (
    Approval,
    Authority,
    Capabilities,
    Geography,
    HomeCover,
    LegalBasis,
    LegalKind,
    Limits,
    Mode,
    Spread,
    Stage,
    Times,
)
from geomatch.aid.eligibility import Eligibility
from geomatch.aid.jurisdictions import Jurisdictions, ServiceArea, ServiceKind
from geomatch.aid.places import Places
from geomatch.aid.windows import Window
from geomatch.backup import ranking, resolve
from geomatch.backup.eta import EtaPriors
from geomatch.maps.layers import load_jurisdictions

NOW = 1_770_000_000.0
RECEIVER = "agency-00.example"
PROVIDERS = 40


def agency(number: int) -> str:
    return f"agency-{number:02d}.example"


def papers(count: int) -> list[Agreement]:
    """Grants to the receiver from forty others, of every kind in turn."""
    basis = LegalBasis(kind=LegalKind.mou, citation="MOU")
    terms = [
        {},
        {"limits": Limits(max_units_per_incident=2, max_units_at_once=6)},
        {"time": Times(windows=(Window(zone="America/New_York", opens=clock(20), closes=clock(4)),))},
        {"home_cover": HomeCover(min_units=3), "capabilities": Capabilities(allowed=("DrugK9", "Taser"))},
        {"geography": Geography(incident_in=("receiver",), buffer_m=1609.0)},
        {"geography": Geography(max_from_boundary_m=3000.0), "limits": Limits(max_share_on_duty=0.25)},
        {"mode": Mode.on_request, "approval": Approval(timeout_s=240.0, wait_s=Spread(p50=60.0, p90=120.0))},
        {"mode": Mode.prohibited, "capabilities": Capabilities(allowed=("SWAT",))},
    ]
    plain = {"title": "t", "status": Stage.active, "mode": Mode.automatic, "version": 1, "legal_basis": basis}
    return [
        Agreement(**plain | {
            "id": f"grant-{n}", "provider_agency": agency(1 + n % PROVIDERS), "receiver_agency": RECEIVER,
            "authority": Authority.full,
        } | terms[(n // PROVIDERS + n) % len(terms)])
        for n in range(count)
    ]  # fmt: skip


def strips(region: Region) -> Jurisdictions:
    """An area for each agency: strips from west to east, the receiver's the middle fifth."""
    west, south, east, north = region.snapper.extent_xy
    bounds = np.linspace(west, east, PROVIDERS + 1)
    areas = [shapely.box(a, south, b, north) for a, b in pairwise(bounds)]
    middle = shapely.box(west + 0.4 * (east - west), south, west + 0.6 * (east - west), north)
    return Jurisdictions(tuple(
        ServiceArea(agency=agency(n), kind=ServiceKind.police, geometry=area)
        for n, area in enumerate([middle, *areas])
    ))  # fmt: skip


def eligibility(folder: Path, units: int, agreements: int, stops: int, step_s: float) -> dict[str, object]:
    region = Region.open(folder)
    rng = np.random.default_rng(2)
    matcher = fleet(region, units, rng, eligible=1.0, clustered=False)
    words = [(), ("DrugK9",), ("Taser",), ("SWAT", "Taser")]
    matcher.register([
        dataclasses.replace(state.unit, agency=agency(n % (PROVIDERS + 1)), capabilities=words[n % len(words)])
        for n, state in enumerate(matcher.states())
    ])  # fmt: skip
    view, priors = matcher.fleet.view(), EtaPriors()
    places = Places(
        agreements=Agreements(papers(agreements)), jurisdictions=strips(region), projection=region.network.projection
    )
    decider = Eligibility(places)
    spent: dict[str, list[float]] = {"decide": [], "search": []}
    may_go = []
    for n in range(stops):
        at = somewhere(region, rng.integers(0, region.network.originals), rng)
        stop, now = Stop(id=f"s{n}", at=at, agency=RECEIVER), NOW + step_s * n
        resolved = resolve.resolve(stop, region, priors, now=now)
        request = ranking.aid_request(stop, resolved, now, {})
        start = time.thread_time()
        verdicts = decider.decide(request, view)
        spent["decide"].append(time.thread_time() - start)
        # As old as the first fix at every stop: only places and minutes differ.
        field = ranking.screen(stop, view, region, resolved, verdicts, priors=priors, now=NOW)
        start = time.thread_time()
        region.times.k_soonest(resolved.targets, field.places, field.delay_ms, 5, field.mode, field.most_ms)
        spent["search"].append(time.thread_time() - start)
        may_go.append(int((verdicts.codes == 0).sum()))
        if n % 20 == 0:
            fresh = Eligibility(places).decide(request, view)
            if not (np.array_equal(fresh.codes, verdicts.codes) and np.array_equal(fresh.row, verdicts.row)):
                raise SystemExit(f"stop {n}: what is kept between questions changed the answer")
    figures = {name: percentiles(seconds[10:]) for name, seconds in spent.items()}
    return {"step_s": step_s, "median_units_that_may_go": int(np.median(may_go)), **figures}


def percentiles(seconds: list[float]) -> dict[str, float]:
    microseconds = np.array(seconds) * 1e6
    return {
        "p50_us": round(float(np.median(microseconds)), 1),
        "p99_us": round(float(np.quantile(microseconds, 0.99)), 1),
    }


def loading(runs: int = 5) -> dict[str, object]:
    """New York's precincts and New Jersey's towns, from the file to an index that has answered."""
    from geomatch.quantities import LonLat, Projection

    projection = Projection(LonLat(-74.0, 40.75))
    layer, mapping = SHARED / "nyc-nj/jurisdictions.geojson", CHECKOUT / "tests" / "nyc_jurisdictions.toml"
    seconds, areas = [], None
    for _ in range(runs):
        start = time.perf_counter()
        areas, _ = load_jurisdictions([layer], projection=projection, mapping=mapping)
        answer = areas.locate(*dataclasses.astuple(projection.xy(LonLat(-73.99, 40.75))), at=NOW)
        seconds.append(time.perf_counter() - start)
        if answer.agency != "nypd.example":
            raise SystemExit(f"Herald Square is the New York police's, not {answer.agency}'s")
    return {
        "areas": len(areas.areas), "first_s": round(seconds[0], 3), "median_s": round(float(np.median(seconds)), 3)
    }  # fmt: skip


def locating(count: int = 20_000, points: int = 5_000) -> dict[str, object]:
    """A made-up tessellation: Voronoi cells, each with a border of its own."""
    rng = np.random.default_rng(3)
    side_m = 100_000.0
    seeds = shapely.MultiPoint(rng.uniform(0, side_m, (count, 2)))
    cells = shapely.get_parts(shapely.voronoi_polygons(seeds, extend_to=shapely.box(0, 0, side_m, side_m)))
    start = time.perf_counter()
    areas = Jurisdictions(tuple(
        ServiceArea(agency=f"a{n}", kind=ServiceKind.police, geometry=cell, accuracy_m=10.0)
        for n, cell in enumerate(cells)
    ))  # fmt: skip
    index_s = time.perf_counter() - start
    shapely.prepare(cells)
    tree = shapely.STRtree(cells)
    spent: dict[str, list[float]] = {"locate": [], "strtree": []}
    for x, y in rng.uniform(0, side_m, (points, 2)).tolist():
        start = time.thread_time()
        found = areas.locate(x, y, at=NOW)
        spent["locate"].append(time.thread_time() - start)
        start = time.thread_time()
        rows = tree.query(shapely.Point(x, y), predicate="intersects")
        spent["strtree"].append(time.thread_time() - start)
        if found.agency not in {f"a{row}" for row in rows}:
            raise SystemExit(f"the tree says {rows}, locate {found.agency}")
    figures = {name: percentiles(seconds[100:]) for name, seconds in spent.items()}
    ratio = sum(spent["locate"]) / sum(spent["strtree"])
    return {
        "areas": len(cells), "index_s": round(index_s, 2), **figures, "mean_ratio": round(ratio, 2),
        "median_ratio": round(figures["locate"]["p50_us"] / figures["strtree"]["p50_us"], 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--region", type=Path, help="Built already; else rhine-neckar is built.")
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--agreements", type=int, default=200)
    parser.add_argument("--stops", type=int, default=400)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.region
        if folder is None:
            folder = Path(temporary) / "rhine-neckar.region"
            geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", folder)
        decided = [eligibility(folder, chosen.units, chosen.agreements, chosen.stops, step_s) for step_s in (7.0, 61.0)]
    report = {
        "machine": machine(), "units": chosen.units, "agreements": chosen.agreements, "eligibility": decided,
        "loading": loading(), "locating": locating(),
    }  # fmt: skip
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
