"""What stands beside the road: signals, stop signs, gates, and the turn restrictions."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from geomatch.maps.metro.places import DOWNTOWN_Y, LINK_NAME, avenue_x, street_y
from geomatch.maps.metro.roads import HIGHWAY_HALF_M
from geomatch.maps.metro.sketch import OsmMap, Turn, Way

_MAIN = {"trunk", "primary", "secondary"}
_MINOR = {"residential", "unclassified", "service"}
_STOP_BEFORE_M = 9.0

Touching: TypeAlias = dict[int, list[Way]]
"""Ways by the nodes they touch."""


def put_signals(osm: OsmMap) -> None:
    """Where two main streets meet, at the freeway's ramps, and at every second downtown corner."""
    for node, ways in osm.ways_at().items():
        x, y = osm.place[node - 1]
        kinds = [way.tags["highway"] for way in ways]
        names = {way.tags.get("name") for way in ways}
        urban = -6500 < x < 7300 and -5200 < y < 6500
        main = sum(kind in _MAIN for kind in kinds) >= 2 and len(names) > 1 and urban
        corner = 0 < x < 2400 and abs(y) <= DOWNTOWN_Y and "tertiary" in kinds and len(names) > 1
        corner = corner and (round(x / 115.0) + round(y / 95.0)) % 2 == 0
        if (main or corner) and "motorway_link" not in kinds and not any("bridge" in way.tags for way in ways):
            osm.tag(node, {"highway": "traffic_signals"})


def put_stop_signs(osm: OsmMap, rng: np.random.Generator) -> None:
    """A stop sign on most minor streets just before they end at a larger one, for those who drive towards it."""
    touching = osm.ways_at()
    for way in osm.ways:
        if way.tags["highway"] not in _MINOR - {"service"} or way.tags.get("oneway"):
            continue
        for forward in (True, False):
            end, before = (way.nodes[-1], way.nodes[-2]) if forward else (way.nodes[0], way.nodes[1])
            larger = any(other.tags["highway"] not in _MINOR | {"pedestrian"} for other in touching[end])
            (x, y), (x0, y0) = osm.place[end - 1], osm.place[before - 1]
            length = math.hypot(x - x0, y - y0)
            if not larger or end in osm.node_tags or length < 3 * _STOP_BEFORE_M or rng.random() > 0.75:
                continue
            part = _STOP_BEFORE_M / length
            sign = osm.add(x + part * (x0 - x), y + part * (y0 - y))
            osm.tag(sign, {"highway": "stop", "direction": "forward" if forward else "backward"})
            way.nodes.insert(len(way.nodes) - 1 if forward else 1, sign)


def put_gates(osm: OsmMap) -> None:
    """The fire link's two gates, the marina's, and the bollards of the campus mall."""
    gate = {"barrier": "gate", "access": "no", "emergency": "yes"}
    private = {"barrier": "lift_gate", "access": "private"}
    for way in list(osm.ways):
        name = way.tags.get("name")
        if name == LINK_NAME:
            _on_the_way(osm, way, gate, last=False)
            _on_the_way(osm, way, gate, last=True)
        elif name == "Marina Road":
            _on_the_way(osm, way, private, last=True)
        elif name == "The Mall":
            _on_the_way(osm, way, {"barrier": "bollard"}, last=False)
            _on_the_way(osm, way, {"barrier": "bollard"}, last=True)


def _on_the_way(osm: OsmMap, way: Way, tags: dict[str, str], *, last: bool) -> None:
    """A node 6 m inside one end of the way."""
    end, before = (way.nodes[-1], way.nodes[-2]) if last else (way.nodes[0], way.nodes[1])
    (x, y), (x0, y0) = osm.place[end - 1], osm.place[before - 1]
    part = 6.0 / math.hypot(x - x0, y - y0)
    node = osm.add(x + part * (x0 - x), y + part * (y0 - y))
    osm.tag(node, tags)
    way.nodes.insert(len(way.nodes) - 1 if last else 1, node)


def put_restrictions(osm: OsmMap) -> None:
    """Turn bans, each as a relation; then every way is cut at the nodes that they turn on."""
    east, west, north, south = (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)
    half, touching = HIGHWAY_HALF_M, osm.ways_at()
    for number in (1, 5, 9):  # odd avenues run north, even ones south
        _ban(osm, touching, (avenue_x(number), 0.0), west, north, "no_left_turn")
    for number in (4, 8):
        _ban(osm, touching, (avenue_x(number), 0.0), west, south, "no_right_turn")
    for number in (3, 11):
        _ban(osm, touching, (avenue_x(number), 0.0), south, north, "only_straight_on")
    _ban(osm, touching, (avenue_x(7), 0.0), south, east, "no_right_turn")
    _ban(osm, touching, (avenue_x(6), street_y(3)), west, east, "only_straight_on")
    for y in (-1600.0, 0.0, 1600.0):
        _ban(osm, touching, (half, y), south, west, "no_left_turn", {"except": "emergency"} if y == 0.0 else {})
    _ban(osm, touching, (-half, 0.0), north, east, "no_left_turn")
    _ban(osm, touching, (4000.0, 0.0), west, north, "no_left_turn")
    _ban(
        osm,
        touching,
        (-1600.0, 0.0),
        west,
        north,
        "no_left_turn",
        {"restriction:conditional": "no_left_turn @ (Mo-Fr 07:00-09:00)"},
    )
    _ban(osm, touching, (-3200.0, -1600.0), north, north, "no_u_turn")
    for y in (-2400.0, 1200.0):
        _no_u_turn_through_the_median(osm, touching, y)
    osm.split({node for turn in osm.turns for node in turn.via})


def _ban(
    osm: OsmMap,
    touching: Touching,
    at: tuple[float, float],
    from_arm: tuple[float, float],
    to_arm: tuple[float, float],
    kind: str,
    more: dict[str, str] | None = None,
) -> None:
    """A restriction at the junction nearest to `at`; the arms say in which direction from it the two ways lie."""
    via = _junction(osm, touching, at)
    tags = {"type": "restriction", "restriction": kind, **(more or {})}
    if "restriction:conditional" in tags:
        del tags["restriction"]
    osm.turns.append(Turn(_arm(osm, touching, via, from_arm), [via], _arm(osm, touching, via, to_arm), tags))


def _no_u_turn_through_the_median(osm: OsmMap, touching: Touching, y: float) -> None:
    """From the northbound carriageway over the median crossing into the southbound one: the via is a way."""
    right, left = _junction(osm, touching, (HIGHWAY_HALF_M, y)), _junction(osm, touching, (-HIGHWAY_HALF_M, y))
    tags = {"type": "restriction", "restriction": "no_u_turn"}
    osm.turns.append(
        Turn(_arm(osm, touching, right, (0.0, -1.0)), [right, left], _arm(osm, touching, left, (0.0, -1.0)), tags)
    )


def _junction(osm: OsmMap, touching: Touching, at: tuple[float, float]) -> int:
    """The junction nearest to a point of the plan."""
    touched = [node for node, ways in touching.items() if len(ways) > 1]
    return min(touched, key=lambda n: (math.dist(osm.place[n - 1], at), n))


def _arm(osm: OsmMap, touching: Touching, node: int, towards: tuple[float, float]) -> int:
    """The neighbour of a node that lies most nearly in this direction."""
    x, y = osm.place[node - 1]
    near: set[int] = set()
    for way in touching[node]:
        for i, n in enumerate(way.nodes):
            if n == node:
                near |= set(way.nodes[max(i - 1, 0) : i]) | set(way.nodes[i + 1 : i + 2])

    def agrees(n: int) -> float:
        dx, dy = osm.place[n - 1][0] - x, osm.place[n - 1][1] - y
        return (dx * towards[0] + dy * towards[1]) / math.hypot(dx, dy)

    return max(sorted(near), key=agrees)
