"""Closures on one region's roads: what was told, which edges it means, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np

from geomatch.errors import BadInput, UnknownClosure
from geomatch.model.closures import Closure, ClosureKind, ClosureOutcome, ClosureResult, HeldClosure
from geomatch.quantities import Floats, Ints, LonLat, UnixTime
from geomatch.region import Region
from geomatch.road.find_edges import EdgeFinder
from geomatch.road.live import LiveRoads, Moment, RoadChange

WHOLE = 0.9
"""Of a line on roads, and it counts as matched: ends that stick out are usual."""


class ClosedRoads:
    """Any number of threads may ask for the moment; whoever changes it comes one after the other."""

    def __init__(self, region: Region, closures: Sequence[Closure] = (), *, first_epoch: int = 0) -> None:
        """With some closures from the start, on the roads of this epoch; 0: none, and as the map has them."""
        self._region = region
        self._finder = EdgeFinder(region.network, region.snapper)
        self._held: dict[str, HeldClosure] = {}
        self._telling = Lock()
        # The first telling makes the epoch: the one before it is never seen.
        self._live = LiveRoads(region.times, before_epoch=max(first_epoch - 1, 0))
        if first_epoch:
            self.close(closures)

    @property
    def moment(self) -> Moment:
        return self._live.moment

    @property
    def epoch(self) -> int:
        return self._live.epoch

    def held(self) -> list[HeldClosure]:
        """By id, those included that have not begun, have ended or are on no road."""
        held = self._held
        return [held[id_] for id_ in sorted(held)]

    def close(
        self, closures: Sequence[Closure], *, now: UnixTime | None = None, source: str | None = None
    ) -> list[ClosureResult]:
        """In one step, each in place of an older one with its id; with a `source`, in place of all that came from it.

        One that is on no road is kept and listed. Raises BadInput where two have one id, and then nothing is changed.
        """
        if len({closure.id for closure in closures}) < len(closures):
            raise BadInput("two closures of one message have the same id; give each its own")
        with self._telling:
            gone = [id_ for id_, held in self._held.items() if source is not None and held.closure.source == source]
            closures = [replace(c, region=self._region.hash) if c.edges and c.region is None else c for c in closures]
            results = [self.find(closure) for closure in closures]
            told = {
                closure.id: HeldClosure(closure=closure, result=result)
                for closure, result in zip(closures, results, strict=True)
            }
            self._live.put([_change(one) for one in told.values()], now=now, instead_of=gone)
            self._held = {id_: one for id_, one in self._held.items() if id_ not in gone} | told
        return results

    @property
    def epoch_lag(self) -> int:
        """As LiveRoads.epoch_lag."""
        return self._live.epoch_lag

    def reopen(self, ids: Sequence[str]) -> None:
        """All or none. Raises UnknownClosure."""
        with self._telling:
            for id_ in ids:
                if id_ not in self._held:
                    raise UnknownClosure(f"there is no closure {id_[:80]!r}; it was reopened before, or never told")
            self._live.remove(ids)
            self._held = {id_: one for id_, one in self._held.items() if id_ not in set(ids)}

    def moved_to(self, region: Region) -> tuple[ClosedRoads, list[ClosureResult]]:
        """The same closures on another map's roads: lines and polygons are matched anew. Edges are numbers of this map:
        they are found again by where they lie."""
        last = self.moment
        moved = ClosedRoads(region, first_epoch=last.next_epoch if last.next_epoch > 1 else 0)
        told = [self._on(moved, one.closure) for one in self.held()]
        results = [
            result if not lost else replace(result, outcome=_worse(result.outcome), detail=lost)
            for result, (_, lost) in zip(moved.close([c for c, _ in told]) if told else [], told, strict=True)
        ]
        moved._held = {r.id: replace(moved._held[r.id], result=r) for r in results}
        return moved, results

    def find(self, closure: Closure) -> ClosureResult:
        """Where it would be; nothing is changed."""
        if closure.edges:
            return self._by_edges(closure)
        points = closure.line or closure.polygon
        x, y = self._region.network.projection.forward([at.lon for at in points], [at.lat for at in points])
        if closure.polygon:
            edges = self._finder.inside(x, y)
            return self._result(closure, edges, "no road lies in its polygon", whole=True)
        return self._by_line(closure, x, y)

    def _by_edges(self, closure: Closure) -> ClosureResult:
        network = self._region.network
        if closure.region not in {None, self._region.hash}:
            return self._result(closure, _NONE, "its edges are of another map; tell it as a line, or anew", whole=False)
        if max(closure.edges) >= network.edges:
            raise BadInput(f"closure {closure.id}: an edge is not on this map, which has {network.edges:,} of them")
        told = np.array(closure.edges, np.int32)
        copy_of = np.asarray(network.edge_copy_of)[told]
        edges: Ints = np.where(copy_of >= 0, copy_of, told).astype(np.int32)
        if closure.both_directions:
            edges = np.concatenate([edges, self._finder.opposite(edges)])
        return self._result(closure, edges, "", whole=True)

    def _by_line(self, closure: Closure, x: Floats, y: Floats) -> ClosureResult:
        there = self._finder.along(x, y)
        edges, on_road_m = there.edges, there.on_road_m
        if closure.both_directions:
            back = self._finder.along(x[::-1], y[::-1])
            edges = np.concatenate([edges, self._finder.opposite(edges), back.edges, self._finder.opposite(back.edges)])
            on_road_m = max(on_road_m, back.on_road_m)
        detail = f"{on_road_m:.0f} of its {there.line_m:.0f} m lie on a road in its direction"
        if not len(edges) and self._region.snapper.outside(x, y).all():
            detail = "it is outside the map; are its positions longitude first?"
        return self._result(closure, edges, detail, whole=on_road_m >= WHOLE * there.line_m)

    @staticmethod
    def _result(closure: Closure, edges: Ints, detail: str, *, whole: bool) -> ClosureResult:
        outcome = ClosureOutcome.partly
        if not len(edges):
            outcome = ClosureOutcome.unmatched
        elif whole:
            outcome = ClosureOutcome.matched
        return ClosureResult(
            id=closure.id, outcome=outcome, edges=tuple(dict.fromkeys(edges.tolist())),
            detail="" if outcome is ClosureOutcome.matched else detail,
        )  # fmt: skip

    def _on(self, moved: ClosedRoads, closure: Closure) -> tuple[Closure, str]:
        """A closure as another map would be told it, and what of it was not found there."""
        if not closure.edges or closure.region != self._region.hash:
            return closure, ""
        network, region_hash = self._region.network, moved._region.hash
        others = moved._region.network
        found: list[int] = []
        lost: list[tuple[LonLat, ...]] = []
        for edge in closure.edges:
            lon, lat = network.projection.inverse(*network.points(edge))
            there = moved._finder.along(*others.projection.forward(lon, lat)).edges.tolist()
            found += there
            if not there:
                lost.append(tuple(LonLat(a, b) for a, b in zip(lon.tolist(), lat.tolist(), strict=True)))
        if not found:
            return replace(closure, edges=(), region=None, line=lost[0]), "none of its edges was found on this map"
        note = f"{len(lost)} of its {len(closure.edges)} edges were not found on this map" if lost else ""
        return replace(closure, edges=tuple(dict.fromkeys(found)), region=region_hash), note


_NONE: Ints = np.zeros(0, np.int32)


def _worse(outcome: ClosureOutcome) -> ClosureOutcome:
    return ClosureOutcome.partly if outcome is ClosureOutcome.matched else outcome


def _change(told: HeldClosure) -> RoadChange:
    closure = told.closure
    return RoadChange(
        id=closure.id, edges=np.array(told.result.edges, np.int32), modes=closure.modes,
        closed=closure.kind is ClosureKind.closed, speed_kph=closure.speed_kph, factor=closure.factor,
        starts=-math.inf if closure.starts is None else closure.starts,
        ends=math.inf if closure.ends is None else closure.ends,
    )  # fmt: skip
