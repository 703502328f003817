"""Live roads: every answer, at any moment, is that of a fresh dijkstra on the roads as they are then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from networks import slow_travel_ms
from test_hierarchy import found_totals, odd_network, random_places, random_targets

from geomatch.quantities import NEVER_MS, DrivingMode
from geomatch.road.hierarchy import Hierarchy
from geomatch.road.live import LiveRoads, RoadChange
from geomatch.road.network import RoadNetwork
from geomatch.road.roads import Roads
from geomatch.road.travel_time import ArcsByHead

MODES = list(DrivingMode)
SEEDS = st.integers(0, 2**32)


def roads_of(network: RoadNetwork) -> Roads:
    return Roads(network, ArcsByHead.of(network), Hierarchy.of(network))


def changed(network: RoadNetwork, changes: list[RoadChange], now: float) -> RoadNetwork:
    """The slow, obvious way: a closed edge loses every turn into it, a slowed one takes longer; copies too."""
    edge_ms, arc_ms = network.edge_ms.copy(), network.arc_ms.copy()
    for change in changes:
        if not change.starts <= now < change.ends:
            continue
        for edge in change.edges:
            for state in (edge, *np.flatnonzero(network.edge_copy_of == edge)):
                for mode in change.modes:
                    usual = int(network.edge_ms[mode.row, state])
                    if change.closed:
                        arc_ms[mode.row, network.arc_head == state] = NEVER_MS
                    elif usual < NEVER_MS and change.factor is not None:
                        edge_ms[mode.row, state] = max(edge_ms[mode.row, state], int(usual * change.factor + 0.5))
                    elif usual < NEVER_MS:
                        ms = int(network.edge_length_m[state] / change.speed_kph * 3600 + 0.5)
                        edge_ms[mode.row, state] = max(edge_ms[mode.row, state], ms)
    return replace(network, edge_ms=edge_ms, arc_ms=arc_ms)


def random_change(network: RoadNetwork, rng, id_: str) -> RoadChange:
    starts, ends = sorted(rng.integers(0, 100, 2)) if rng.random() < 0.4 else (-np.inf, np.inf)
    slow = (
        {"speed_kph": float(rng.integers(5, 60))} if rng.random() < 0.5 else {"factor": float(rng.choice([1, 1.5, 4]))}
    )
    closed = bool(rng.random() < 0.6)
    return RoadChange(
        id=id_, edges=np.unique(rng.integers(0, network.originals, int(rng.integers(1, 5)))).astype(np.int32),
        modes=tuple(m for m in MODES if rng.random() < 0.7) or (MODES[0],), closed=closed,
        starts=float(starts), ends=float(ends + (starts == ends)), **({} if closed else slow),
    )  # fmt: skip


def expected(network: RoadNetwork, targets, places, mode: DrivingMode):
    travel = slow_travel_ms(network, targets, places, mode.row)
    return sorted((int(ms), row) for row, ms in enumerate(travel) if np.isfinite(ms))


def sequence(seed: int, steps: int, *, repaired: bool) -> int:
    """Closures, reopenings, moves of the clock and of units, and rankings. Returns the epoch it ends at."""
    rng = np.random.default_rng(seed)
    network = odd_network(seed)
    live, known, now = LiveRoads(roads_of(network)), {}, 50.0
    open_stops = [random_targets(network, rng) for _ in range(4)]
    for step in range(steps):
        what = rng.random()
        if what < 0.4:
            batch = [random_change(network, rng, f"c{rng.integers(0, 12)}-{n}") for n in range(rng.integers(1, 3))]
            live.put(batch, now=now if rng.random() < 0.5 else None)
            known |= {change.id: change for change in batch}
        elif what < 0.6 and known:
            ids = [str(id_) for id_ in rng.choice(list(known), rng.integers(1, 3))]
            live.remove([*ids, "unknown"])
            known = {id_: change for id_, change in known.items() if id_ not in ids}
        elif what < 0.8:
            now = float(rng.integers(-5, 105))
        mode = MODES[step % 3]
        places = random_places(network, rng, 20)
        # Of an open stop more is remembered than of one that is asked about once.
        targets = open_stops[rng.integers(4)] if rng.random() < 0.6 else random_targets(network, rng)
        if repaired and live.at(now).epoch:
            # Whoever asks first makes the mode be weighed.
            asked = 0
            while live.at(now).engine.matrix([targets], places, mode) is None:
                assert live.wait_until_repaired(10.0)
                assert (asked := asked + 1) < 1000
        truth = expected(changed(network, list(known.values()), now), targets, places, mode)
        k = int(rng.choice([1, 5, 20]))
        found = live.at(now).k_soonest(targets, places, np.zeros(20, np.int32), k, mode)
        assert found_totals(found) == truth[:k]
        matrix = live.at(now).matrix([targets], places, mode)[0]
        assert sorted((int(ms), row) for row, ms in enumerate(matrix) if ms < NEVER_MS) == truth
    return live.epoch


@given(seed=SEEDS, repaired=st.booleans())
@hypothesis_settings(max_examples=25)
def test_every_answer_is_a_fresh_dijkstras_on_the_roads_as_they_are(seed: int, repaired: bool):
    assert sequence(seed, 40, repaired=repaired) > 0


def test_a_thousand_changes_moves_and_rankings():
    assert sequence(7, 1000, repaired=False) > 400
