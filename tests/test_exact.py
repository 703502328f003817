"""Every ranking is exact: the same units, in the same order, to the same millisecond, as scipy's dijkstra says.

300 random rankings every day, GEOMATCH_CASES of them where that is set (10,000 in CI), over the toy, the made-up metro
and real cities. The oracle reads nothing but what `geomatch export` writes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import REAL_MAPS
from exported import Export
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from geomatch import Fix, LonLat, Matcher, Need, Reason, Region, Status, Stop, Unit, UnitState
from geomatch.backup.eta import EtaPriors
from geomatch.maps.export import export
from geomatch.quantities import NEVER_MS, XY
from geomatch.road.network import EdgeFlag, RoadClass

MAPS = ["toy", "metro", "helsinki", *REAL_MAPS]
STOPS_A_FLEET = 10
EXAMPLES = max(1, int(os.environ.get("GEOMATCH_CASES", "300")) // STOPS_A_FLEET // len(MAPS))
NOW = 1_770_000_000.0
PRIORS = EtaPriors()
URGENCIES = {"routine_backup": "routine", "urgent_backup": "urgent", "officer_emergency": "emergency"}


@pytest.fixture(scope="session")
def exported(opened: Callable[[str], Region], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Export]:
    @cache
    def read(name: str) -> Export:
        path: Path = tmp_path_factory.mktemp("export") / f"{name}.gpkg"
        export(opened(name).network, path, attribution=opened(name).attribution)
        return Export.read(path)

    return read


def on_road(region: Region, edge: int, fraction: float, noise_m: float, rng: np.random.Generator) -> LonLat:
    x, y = region.network.points(edge)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    at = fraction * along[-1]
    dx, dy = rng.normal(0.0, noise_m, 2) if noise_m else (0.0, 0.0)
    return region.network.projection.lonlat(
        XY(float(np.interp(at, along, x) + dx), float(np.interp(at, along, y) + dy))
    )


def random_fleet(region: Region, rng: np.random.Generator) -> list[UnitState]:
    """1 to 5,000 units, spread or crowded, some on the very same spot, one in a hundred with a dog."""
    count = int(rng.choice([1, 2, 10, 60, 300, 1000, 5000], p=[0.1, 0.1, 0.2, 0.3, 0.2, 0.08, 0.02]))
    network = region.network
    edges = rng.integers(0, network.originals, count)
    if rng.random() < 0.5:  # clustered: edges are stored near each other when they lie near each other
        edges = (rng.integers(0, network.originals) + rng.integers(0, 60, count)) % network.originals
    noise_m = float(rng.choice([0.0, 6.0, 120.0], p=[0.6, 0.3, 0.1]))
    states = []
    for n, edge in enumerate(edges.tolist()):
        fraction = float(rng.choice([0.0, 0.5, 1.0, rng.random()]))
        headed = rng.random() < 0.5
        unit = Unit(
            id=f"u{rng.integers(0, 10**9):09d}-{n}", agency="a.example",
            officers=int(rng.choice([0, 1, 2], p=[0.05, 0.7, 0.25])),
            capabilities=("k9",) if rng.random() < 0.01 else (),
        )  # fmt: skip
        fix = Fix(
            unit=unit.id, time=NOW - float(rng.choice([0, 5, 60, 300], p=[0.3, 0.4, 0.2, 0.1])),
            at=on_road(region, edge, fraction, noise_m, rng),
            course_deg=network.course_deg(edge, fraction) if headed else None, speed_mps=9.0 if headed else None,
        )  # fmt: skip
        availability = rng.choice(["available", "conditionally_available", "not_available"], p=[0.7, 0.2, 0.1])
        status = Status(availability=str(availability), at=NOW - 60)
        states.append(UnitState(unit=unit, fix=None if rng.random() < 0.03 else fix, status=status))
    return states


def random_stop(region: Region, states: list[UnitState], matcher: Matcher, rng: np.random.Generator) -> Stop:
    """Anywhere, or on the very edge a unit stands on; with and without a course."""
    network = region.network
    edge = int(rng.integers(0, network.originals))
    if rng.random() < 0.4:
        edge = max(0, int(rng.choice(matcher.fleet.view().edge)))
    fraction = float(rng.choice([0.0, 0.5, 1.0, rng.random()]))
    return Stop(
        id="s", at=on_road(region, edge, fraction, float(rng.choice([0.0, 5.0, 80.0])), rng),
        course_deg=network.course_deg(edge, fraction) if rng.random() < 0.5 else None,
        urgency=str(rng.choice(list(URGENCIES))),
        need=Need(officers=int(rng.choice([1, 2, 4])), capabilities=("k9",) if rng.random() < 0.2 else ()),
        units_on_scene=(states[0].unit.id,) if rng.random() < 0.2 else (),
    )  # fmt: skip


def plain_reason(state: UnitState, stop: Stop, matcher: Matcher) -> Reason | None:
    if state.unit.id in stop.units_on_scene:
        return Reason.on_scene
    if state.status.availability == "not_available":
        return Reason.not_available
    if state.unit.officers == 0:
        return Reason.unmanned
    if not set(stop.need.capabilities) <= set(state.unit.capabilities):
        return Reason.lacks_capability
    if state.fix is None:
        return Reason.no_fix
    if NOW - state.fix.time > matcher.limits.stale_after_s:
        return Reason.stale_fix
    return None


def off_road_ms(snap_m: float) -> int:
    return int(1000 * max(0.0, snap_m - PRIORS.on_road_within_m) / PRIORS.off_road_mps + 0.5)


@pytest.mark.parametrize("name", MAPS)
def test_every_ranking_is_dijkstras_to_the_millisecond(name: str, opened, exported):
    region, oracle = opened(name), exported(name)

    @given(seed=st.integers(0, 2**48))
    @hypothesis_settings(max_examples=EXAMPLES)
    def check(seed: int) -> None:
        rng = np.random.default_rng(seed)
        matcher = Matcher(region)
        states = random_fleet(region, rng)
        matcher.register([state.unit for state in states])
        for state in states:
            matcher.set_status(
                state.unit.id, availability=state.status.availability, activity="patrol", at=state.status.at
            )
        matcher.update([state.fix for state in states if state.fix is not None], now=NOW)
        for _ in range(STOPS_A_FLEET):
            stop = random_stop(region, states, matcher, rng)
            check_one(matcher, states, stop, int(rng.choice([1, 5, 20, len(states)])), oracle)

    check()


def check_one(matcher: Matcher, states: list[UnitState], stop: Stop, k: int, oracle: Export) -> None:
    ranking = matcher.rank(stop, k=k, now=NOW)
    view, mode = matcher.fleet.view(), URGENCIES[stop.urgency]
    stop_on = [(p.edge, p.offset_m / oracle.length_m[p.edge]) for p in ranking.resolved.places]
    labels = oracle.labels_ms(stop_on, mode)
    totals, reasons = [], {}
    for state in states:
        slot = view.slot_of(state.unit.id)
        reason = plain_reason(state, stop, matcher)
        if reason is not None:
            reasons[state.unit.id] = reason
            continue
        travel = expected_ms(matcher.region.network, view, slot, oracle, labels, stop_on, mode)
        if travel is None:
            reasons[state.unit.id] = Reason.no_route
            continue
        ready = state.status.availability == "available"
        turnout = 1000 * (PRIORS.turnout_ready_s if ready else PRIORS.turnout_busy_s)
        access = off_road_ms(view.snap_m[slot]) + off_road_ms(stop_snap_m(matcher, stop))
        totals.append((turnout + access + travel, state.unit.id, travel))
    totals.sort()
    got = [(round(c.eta.eta_s * 1000), c.unit, round(c.eta.travel_s * 1000)) for c in ranking.candidates]
    assert got == [(int(total), unit, int(travel)) for total, unit, travel in totals[:k]]
    excluded = {x.unit: x.reason for x in ranking.excluded}
    beyond = {b.unit: b.at_least_s for b in ranking.beyond_k}
    true_total = {unit: total for total, unit, _ in totals}
    for unit, reason in excluded.items():
        assert reasons[unit] == reason
    for unit, at_least_s in beyond.items():
        # Not evaluated means: no sooner than the k-th. One without any way may be among them, since nobody asked.
        assert reasons.get(unit) in {None, Reason.no_route}
        assert at_least_s * 1000 <= true_total.get(unit, np.inf) + 0.5
        assert at_least_s >= ranking.complete.kth_eta_s
    assert len(got) + len(excluded) + len(beyond) == len(states) == ranking.counts["units"]
    assert {u for _, u, _ in got} | set(excluded) | set(beyond) == {state.unit.id for state in states}
    # `enough` is when the need is met, by all that may go and not by the shown ones alone.
    officers, enough = 0, None
    for total, unit, _ in totals:
        officers += view.units[view.slot_of(unit)].officers
        if officers >= stop.need.officers:
            enough = total / 1000
            break
    assert ranking.need_met_s == enough


def expected_ms(network, view, slot, oracle: Export, labels, stop_on, mode: str) -> int | None:
    """The mean of dijkstra's times from all the places where the unit may be now, those without a way left out."""
    places = believed_now(network, view, slot)
    times = [(parts, oracle.travel_ms(labels, stop_on, sides, mode)) for parts, sides in places]
    times = [(parts, int(ms)) for parts, ms in times if np.isfinite(ms)]
    if not times:
        return None
    return math.floor(Fraction(sum(p * ms for p, ms in times), sum(p for p, _ in times)) + Fraction(1, 2))


def believed_now(network, view, slot) -> list[tuple[int, list[tuple[int, float]]]]:
    """Thousandths, and the edges with fractions: a moving unit has driven on at its speed since its fix."""
    unsure = view.unsure
    held = [(1000, view.edge[slot], view.fraction[slot], view.other[slot], view.other_fraction[slot])]
    if slot in unsure.slot:
        a = list(unsure.slot).index(slot)
        held = [
            (unsure.parts[h], unsure.edge[h, 0], unsure.fraction[h, 0], unsure.edge[h, 1], unsure.fraction[h, 1])
            for h in range(unsure.first[a], unsure.first[a + 1])
        ]
    age_s, speed = NOW - view.fix_time[slot], view.speed_mps[slot]
    moves = view.course_deg[slot] >= 0 and speed >= 1.5 and age_s > 0
    out = []
    for parts, edge, fraction, other, other_fraction in held:
        if not moves or other >= 0:
            out.append(
                (int(parts), [(int(e), float(f)) for e, f in ((edge, fraction), (other, other_fraction)) if e >= 0])
            )
            continue
        along, exits, e = float(fraction) * network.edge_length_m[edge] + speed * age_s, [], int(edge)
        while along > network.edge_length_m[e]:
            ways = ways_on(network, e)
            ramps = [w for w in ways if network.edge_flags[w] & EdgeFlag.ramp]
            off = network.edge_class[e] <= RoadClass.trunk and not network.edge_flags[e] & EdgeFlag.ramp
            on = [w for w in ways if w != ramps[0]] if off and ramps else ways
            if len(on) != 1:
                break
            along -= network.edge_length_m[e]
            if on != ways:
                exits.append(placed(network, ramps[0], along))
            e = on[0]
        here = placed(network, e, along)
        alone = len(held) == 1 and exits
        out += [(900, [here]), (100, [exits[0]])] if alone else [(int(parts), [here])]
    return out


def ways_on(network, edge: int) -> list[int]:
    """Edges that a routine driver may go on to, but not back; each once, in the order of the arcs."""
    arcs = range(network.arc_first[edge], network.arc_first[edge + 1])
    heads = [int(network.arc_head[a]) for a in arcs if network.arc_ms[0, a] < NEVER_MS]
    heads = [int(network.edge_copy_of[h]) if network.edge_copy_of[h] >= 0 else h for h in heads]
    return list(dict.fromkeys(h for h in heads if h != network.edge_twin[edge]))


def placed(network, edge: int, along_m: float) -> tuple[int, float]:
    length_m = float(network.edge_length_m[edge])
    return edge, min(np.round(min(along_m / length_m, 1.0) * length_m * 1000.0) / 1000.0 / length_m, 1.0)


def stop_snap_m(matcher: Matcher, stop: Stop) -> float:
    """Unrounded, as the ranking used it."""
    xy = matcher.region.network.projection.xy(stop.at)
    nan = np.array([np.nan])
    course = nan if stop.course_deg is None else np.array([stop.course_deg])
    return float(matcher.region.snapper.snap(np.array([xy.x]), np.array([xy.y]), course, nan, nan).metres[0])
