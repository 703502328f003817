"""Turn restrictions joined to edges: each becomes sequences of edges that may not be driven, or a reason why not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from geomatch.maps.network.edges import DirectedEdges
from geomatch.maps.network.modes import DrivingModes
from geomatch.maps.streets.source import Restriction, RoadSource
from geomatch.quantities import DrivingMode
from geomatch.road.network import EdgeFlag

Path = tuple[int, ...]
"""Edges, each starting where the one before ends."""

_WHOLE_VIA_EDGES = 64
"""A chain of via ways longer than this is a mapping fault, not a junction."""


@dataclass(frozen=True)
class Ban:
    """A sequence of two or more edges that may not be driven in full, one after the other, in some modes."""

    path: Path
    modes: tuple[bool, ...]
    """In the row order of DrivingMode."""


@dataclass(frozen=True)
class _Joined:
    restriction: Restriction
    modes: tuple[bool, ...]
    turns: dict[Path, set[int]]
    """Edges driven so far -> edges the restriction names as next."""


class _NotJoined(Exception):
    """Why a restriction does not hold in the network; never leaves this module."""


def join_restrictions(source: RoadSource, edges: DirectedEdges, modes: DrivingModes) -> list[Ban]:
    """The bans of every restriction, in the order of the source. Each relation's fate is written to its report.

    An only_ restriction bans every other way on, the way back too; two of them for one approach allow either. A
    member way that passes through the via node, instead of ending there, leaves open which half is meant: left out.
    """
    streets, report = _Streets(source, edges), source.report
    joined: list[_Joined] = []
    for restriction in source.restrictions:
        try:
            held = _Joined(restriction, _modes(restriction, modes), _turns(restriction, streets))
        except _NotJoined as reason:
            report.restrictions_joined.pop(restriction.id, None)
            report.restrictions_left_out[restriction.id] = str(reason)
        else:
            joined.append(held)
            report.restrictions_left_out.pop(restriction.id, None)
            report.restrictions_joined[restriction.id] = _how(held)
    return _bans(joined, streets)


def _bans(joined: list[_Joined], streets: _Streets) -> list[Ban]:
    mandatory: dict[Path, set[int]] = defaultdict(set)
    for held in joined:
        if held.restriction.only:
            for path, named in held.turns.items():
                mandatory[path] |= named
    bans: dict[Ban, None] = {}
    for held in joined:
        for path, named in held.turns.items():
            others = set(streets.out_of(path[-1])) - mandatory[path] if held.restriction.only else named
            bans.update((Ban((*path, edge), held.modes), None) for edge in sorted(others))
    return list(bans)


def _modes(restriction: Restriction, modes: DrivingModes) -> tuple[bool, ...]:
    """The modes it holds in."""
    excepted = {kind.strip() for kind in restriction.excepted}
    if excepted & {"motorcar", "motor_vehicle", "vehicle"}:
        raise _NotJoined("cars are excepted")
    holds = [mode.obeys_turn_restrictions for mode in modes.rows]
    if "emergency" in excepted:
        holds = [held and mode is DrivingMode.routine for held, mode in zip(holds, DrivingMode, strict=True)]
    if not any(holds):
        raise _NotJoined("no driving mode has to obey it")
    return tuple(holds)


def _how(held: _Joined) -> str:
    restriction = held.restriction
    how = f"{restriction.kind} over {'a way' if restriction.via_ways else 'a node'}"
    if not all(held.modes):
        how += ", in " + " and ".join(mode for mode, on in zip(DrivingMode, held.modes, strict=True) if on)
    if restriction.condition is not None:
        how += f", taken to hold always (stated: {restriction.condition})"
    return how


def _turns(restriction: Restriction, streets: _Streets) -> dict[Path, set[int]]:
    """What was driven -> what is banned, or required, next. Raises _NotJoined when it names no drivable turn."""
    if not restriction.kind.startswith(("no_", "only_")):
        raise _NotJoined(f"its kind {restriction.kind!r} is not known")
    for way in (*restriction.from_ways, *restriction.to_ways, *restriction.via_ways):
        if way not in streets.of_way:
            raise _NotJoined(f"way {way} is not in the network")
    if not restriction.from_ways or not restriction.to_ways:
        raise _NotJoined("it names no from way, or no to way")
    if restriction.via_ways:
        return _over_ways(restriction, streets)
    if restriction.via_node is None:
        raise _NotJoined("it names no via")
    node = streets.node_row.get(restriction.via_node)
    if node is None:
        raise _NotJoined(f"via node {restriction.via_node} is not in the network")
    return _over_node(restriction, node, streets)


def _over_node(restriction: Restriction, node: int, streets: _Streets) -> dict[Path, set[int]]:
    into = {way: [e for e in streets.of_way[way] if streets.end[e] == node] for way in restriction.from_ways}
    onto = {way: [e for e in streets.of_way[way] if streets.start[e] == node] for way in restriction.to_ways}
    if not any(into.values()):
        raise _NotJoined("no from way leads to the via node in a direction that is open")
    if not any(onto.values()):
        raise _NotJoined("no to way can be entered at the via node in a direction that is open")
    turns: dict[Path, set[int]] = {}
    if restriction.from_ways == restriction.to_ways and restriction.kind == "no_u_turn":
        # A way back to itself: from either half of a way that passes through.
        for edge in into[restriction.from_ways[0]]:
            turns[(edge,)] = {streets.twin[edge]} - {-1}
    else:
        for halves in (*into.values(), *onto.values()):
            if len(halves) > 1:
                raise _NotJoined("a way passes through the via node, so which half is meant is open")
        named = {edge for halves in onto.values() for edge in halves}
        turns = {(edge,): set(named) for halves in into.values() for edge in halves}
    if not any(turns.values()):
        raise _NotJoined("no to way can be entered at the via node in a direction that is open")
    return turns


def _over_ways(restriction: Restriction, streets: _Streets) -> dict[Path, set[int]]:
    turns: dict[Path, set[int]] = defaultdict(set)
    for way in restriction.from_ways:
        starts = [edge for edge in streets.of_way[way] if way not in restriction.via_ways]
        found = [path for edge in starts for path in _chains(edge, restriction, streets)]
        if len({path[0] for path in found}) > 1 or len({path[-1] for path in found}) > len(restriction.to_ways):
            raise _NotJoined("a way passes through the via way, so which half is meant is open")
        for path in found:
            turns[path[:-1]].add(path[-1])
    if not turns:
        raise _NotJoined("its ways do not follow each other in a direction that is open")
    return dict(turns)


def _chains(edge: int, restriction: Restriction, streets: _Streets) -> Iterator[Path]:
    """Ways on from `edge` through all via ways, never turning round, into a to way: the shortest for each such edge."""
    wanted = set(restriction.via_ways)
    onto = set(restriction.to_ways)
    paths: list[Path] = [(edge,)]
    seen: set[int] = {edge}
    for _ in range(_WHOLE_VIA_EDGES):
        longer: list[Path] = []
        for path in paths:
            through_all = wanted <= {streets.way[e] for e in path[1:]}
            for head in streets.out_of(path[-1]):
                if head == streets.twin[path[-1]]:
                    continue
                if streets.way[head] in wanted and head not in path:
                    longer.append((*path, head))
                elif through_all and streets.way[head] in onto and head not in seen and streets.ordinary[head]:
                    seen.add(head)
                    yield (*path, head)
        paths = longer


class _Streets:
    """Edges by way, by node, in plain Python: restrictions are few."""

    def __init__(self, source: RoadSource, edges: DirectedEdges) -> None:
        self.start, self.end = edges.start.tolist(), edges.end.tolist()
        self.twin, self.way = edges.twin.tolist(), edges.way.tolist()
        # A sign speaks to those who come the right way.
        self.ordinary = (~edges.has(EdgeFlag.contraflow)).tolist()
        self.of_way = self._of_ways(source.restrictions, edges)
        self.node_row = {int(node): row for row, node in enumerate(source.node_id.tolist())}
        self._by_start = np.argsort(edges.start, kind="stable")
        self._first = np.searchsorted(edges.start[self._by_start], np.arange(len(source.node_id) + 1))

    def _of_ways(self, restrictions: Iterable[Restriction], edges: DirectedEdges) -> dict[int, list[int]]:
        named = {way for r in restrictions for way in (*r.from_ways, *r.to_ways, *r.via_ways)}
        of_way: dict[int, list[int]] = defaultdict(list)
        for edge in np.flatnonzero(np.isin(edges.way, sorted(named))).tolist():
            if self.ordinary[edge]:
                of_way[self.way[edge]].append(edge)
        return dict(of_way)

    def out_of(self, edge: int) -> list[int]:
        """All edges that start where `edge` ends, contraflow too."""
        node = self.end[edge]
        found: list[int] = self._by_start[self._first[node] : self._first[node + 1]].tolist()
        return found
