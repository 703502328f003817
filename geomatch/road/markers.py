"""Places said by mile marker, as "northbound 95, mile 42.6": along the carriageway of that direction, between markers.

The answer is a position and a course, which is what a stop needs to be on exactly that directed edge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from geomatch.errors import BadInput, BadRegion
from geomatch.quantities import Bools, Degrees, Floats, Ints, LonLat, Metres

METRES_OF_UNIT: Mapping[str, Metres] = MappingProxyType(
    {"mile": 1609.344, "km": 1000.0, "yard": 0.9144, "foot": 0.3048, "metre": 1.0}
)
ONE_CARRIAGEWAY_M: Metres = 5.0
"""Without a direction the place counts as one if both directions are this close."""
_UNCLEAR = 0.34
"""A route that runs within 20 degrees of across the direction said does not tell which way is meant."""
_TEXT, _ARRAYS = "markers.json", ("run_first", "value", "line_first", "on_road", "lon", "lat")

_DIRECTIONS: Mapping[str, str] = MappingProxyType({
    **{word: name for name in ("north", "south", "east", "west")
       for word in (name, f"{name}bound", name[0], f"{name[0]}b")},
    "increasing": "increasing", "decreasing": "decreasing",
})  # fmt: skip
_EAST_NORTH: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"north": (0.0, 1.0), "south": (0.0, -1.0), "east": (1.0, 0.0), "west": (-1.0, 0.0)}
)
_MILE = r"(?:mile\s*(?:marker|post)|mileposts?|miles?|mm|mp|mi)"
_KM = r"(?:kilomet(?:er|re)\s*(?:marker|post)|kilomet(?:er|re)s?|km|pk)"
_VALUE = r"\d+(?:[.,]\d+)?"
# "95 mile 42" is mile 42 of 95: the figure after the unit counts, one before it only where there is none.
_UNIT_FIRST = re.compile(rf"\b(?P<unit>{_MILE}|{_KM})\s*\#?\s*(?P<value>{_VALUE})\b", re.IGNORECASE)
_VALUE_FIRST = re.compile(rf"\b(?P<value>{_VALUE})\s*(?P<unit>{_MILE}|{_KM})\b", re.IGNORECASE)
_FILLERS = frozenset({"on", "at", "the", "near"})
_SAME: tuple[tuple[str, str], ...] = (
    (r"\bINTERSTATE\b", "I"), (r"\b(US|U S) (HIGHWAY|HWY|ROUTE|RTE)\b", "US"),
    (r"\bSTATE (HIGHWAY|HWY|ROUTE|RTE|ROAD)\b", "SR"), (r"\b(HIGHWAY|HWY|ROUTE|RTE)\b", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerQuery:
    route: str
    value: float
    unit: str = "mile"
    """A key of METRES_OF_UNIT."""
    direction: str | None = None
    """north, south, east, west; or increasing, decreasing: which way the figures go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerPlace:
    at: LonLat
    course_deg: Degrees | None
    """Of the traffic; None where no direction was said and one road carries both."""
    route: str
    between: tuple[float, float]
    """The markers on either side."""
    on_road: bool
    """False: no road leads from the one to the other, so the place is on a straight line between them."""


def read_marker(text: str) -> MarkerQuery:
    """ "northbound 95, mile 42.6", "NB I-95 MM 42.6", "A 5 km 553.2 southbound": a direction, a route, a figure.

    One unit word beside one number, at most one direction word; what is left is the route. Raises BadInput.
    """
    marks = list(_UNIT_FIRST.finditer(text)) or list(_VALUE_FIRST.finditer(text))
    if len(marks) != 1:
        raise BadInput('a place by marker names one mile or km, as "northbound 95, mile 42.6"')
    mark = marks[0]
    rest = text[: mark.start()] + " , " + text[mark.end() :]
    directions, route = [], []
    for word in re.findall(r"[^\s,;]+", rest):
        if word.lower() in _DIRECTIONS:
            directions.append(_DIRECTIONS[word.lower()])
        elif word.lower() not in _FILLERS:
            route.append(word)
    if len(set(directions)) > 1 or not route:
        raise BadInput('a place by marker names one route and at most one direction, as "northbound 95, mile 42.6"')
    in_miles = re.fullmatch(_MILE, mark["unit"], re.IGNORECASE)
    return MarkerQuery(
        route=" ".join(route),
        value=float(mark["value"].replace(",", ".")),
        unit="mile" if in_miles else "km",
        direction=directions[0] if directions else None,
    )


def route_key(name: str) -> str:
    """ "I-95", "Interstate 95" and "I 95 NB" are one route."""
    words = re.sub(r"[^A-Z0-9]+", " ", name.upper()).strip()
    while " " in words and words.rsplit(" ", 1)[1].lower() in _DIRECTIONS:
        words = words.rsplit(" ", 1)[0]
    for pattern, short in _SAME:
        words = re.sub(pattern, short, words)
    return words.replace(" ", "")


@dataclass(frozen=True, eq=False, kw_only=True)
class Markers:
    """Runs of consecutive markers, K in all, and the road between each and the next, for either direction of traffic.

    Row 0 of a pair is traffic that meets rising figures, row 1 the other; lines all run with the figures.
    """

    routes: tuple[str, ...]
    """(R,) as the layer has them."""
    units: tuple[str, ...]
    run_first: Ints
    """(R + 1,) markers of a run; at least two."""
    value: Floats
    """(K,) rising within a run."""
    line_first: Ints
    """(2, K + 1) points of the line from marker k to the next; none for the last of a run."""
    on_road: Bools
    """(2, K)"""
    lon: Floats
    lat: Floats

    def resolve(self, query: MarkerQuery, *, near: LonLat | None = None) -> MarkerPlace:
        """Where that is. Raises BadInput: no such route, beyond its markers, or more than one place.

        near: where several places have the same name, the nearest is meant.
        """
        row = self._run(query, near)
        first, last = int(self.run_first[row]), int(self.run_first[row + 1])
        k = int(np.clip(np.searchsorted(self.value[first:last], query.value) + first - 1, first, last - 2))
        low, high = float(self.value[k]), float(self.value[k + 1])
        share = (query.value - low) / (high - low)
        places = [self._at(sense, k, share) for sense in (0, 1)]
        sense = self._sense(query, row)
        if sense is None:
            if _apart_m(places[0][0], places[1][0]) > ONE_CARRIAGEWAY_M:
                raise BadInput(f"{self.routes[row]} has two carriageways there: say which direction")
            course = None
        else:
            course = (places[sense][1] + 180.0 * sense) % 360.0
        return MarkerPlace(
            at=places[sense or 0][0], course_deg=course, route=self.routes[row], between=(low, high),
            on_road=bool(self.on_road[sense or 0, k]),
        )  # fmt: skip

    def said(self, words: str, *, near: LonLat | None = None) -> MarkerPlace:
        """Where an officer says to be. Raises BadInput, also where no road joins the markers on either side: a place on
        a straight line between them may be on another road."""
        place = self.resolve(read_marker(words), near=near)
        if not place.on_road:
            low, high = place.between
            raise BadInput(f"no road of the map joins {place.route} {low:g} and {high:g}: give the position instead")
        return place

    def _run(self, query: MarkerQuery, near: LonLat | None) -> int:
        named = self._named(query.route)
        if not named:
            known = ", ".join(sorted(set(self.routes))[:10])
            raise BadInput(
                f"no route of that name has markers: known are {known}{' ...' * (len(set(self.routes)) > 10)}"
            )
        of_unit = [row for row in named if self.units[row] == query.unit]
        if not of_unit:
            raise BadInput(f"{self.routes[named[0]]} is marked by the {self.units[named[0]]}: say where in that")
        spans = {row: (self.value[self.run_first[row]], self.value[self.run_first[row + 1] - 1]) for row in of_unit}
        there = [row for row, (low, high) in spans.items() if low <= query.value <= high]
        if not there:
            known = ", ".join(f"{self.routes[row]} from {low:g} to {high:g}" for row, (low, high) in spans.items())
            raise BadInput(f"there is no such {query.unit}: markers are known on {known}")
        if len(there) > 1 and near is None:
            known = ", ".join(f"{self.routes[row]} ({spans[row][0]:g} to {spans[row][1]:g})" for row in there)
            raise BadInput(
                f"{len(there)} places have that name: say the whole name of the route, or near where: {known}"
            )
        return there[0] if near is None else min(there, key=lambda row: _apart_m(self._middle(row), near))

    def _named(self, route: str) -> list[int]:
        """Runs of that route; a bare number means any route with that number."""
        key = route_key(route)
        keys = [route_key(name) for name in self.routes]
        exact = [row for row, name in enumerate(keys) if name == key]
        if exact or not key.isdigit():
            return exact
        return [row for row, name in enumerate(keys) if re.sub(r"^[A-Z]+", "", name) == key]

    def _sense(self, query: MarkerQuery, row: int) -> int | None:
        if query.direction in {None, "increasing", "decreasing"}:
            return None if query.direction is None else int(query.direction == "decreasing")
        if query.direction not in _EAST_NORTH:
            raise BadInput(f"direction must be one of {', '.join(_EAST_NORTH)}, increasing, decreasing")
        east, north = self._axis(row)
        said = _EAST_NORTH[query.direction]
        with_figures = (east * said[0] + north * said[1]) / max(float(np.hypot(east, north)), 1e-9)
        if abs(with_figures) < _UNCLEAR:
            raise BadInput(
                f"{self.routes[row]} does not run {query.direction} on this map: say increasing or decreasing, "
                "as its figures do"
            )
        return int(with_figures < 0.0)

    def _axis(self, row: int) -> tuple[float, float]:
        """From the first marker of a run to its last, metres east and north."""
        start = self._at(0, int(self.run_first[row]), 0.0)[0]
        end = self._at(0, int(self.run_first[row + 1]) - 2, 1.0)[0]
        return _metres(start, end)

    def _middle(self, row: int) -> LonLat:
        return self._at(0, (int(self.run_first[row]) + int(self.run_first[row + 1]) - 1) // 2, 0.0)[0]

    def _at(self, sense: int, k: int, share: float) -> tuple[LonLat, Degrees]:
        """The place at a share of the line after marker k, and the course of the line there."""
        piece = slice(int(self.line_first[sense, k]), int(self.line_first[sense, k + 1]))
        lon, lat = self.lon[piece], self.lat[piece]
        step = np.hypot(np.diff(lon) * np.cos(np.radians(lat[0])), np.diff(lat))
        along = np.concatenate(([0.0], np.cumsum(step)))
        goal = share * along[-1]
        # The piece that leads to the place; at a corner, the one before it.
        i = int(np.clip(np.searchsorted(along, goal) - 1, 0, len(step) - 1))
        here, then = LonLat(float(lon[i]), float(lat[i])), LonLat(float(lon[i + 1]), float(lat[i + 1]))
        east, north = _metres(here, then)
        at = LonLat(float(np.interp(goal, along, lon)), float(np.interp(goal, along, lat)))
        return at, float(np.degrees(np.arctan2(east, north)) % 360.0)

    def to_files(self, folder: Path) -> None:
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name), allow_pickle=False)
        text = json.dumps({"routes": self.routes, "units": self.units}, ensure_ascii=False, indent=1)
        (folder / _TEXT).write_text(text, encoding="utf-8")

    @classmethod
    def from_files(cls, folder: Path) -> Markers:
        """Reads what `to_files` wrote. Raises BadRegion when it is damaged."""
        try:
            text = json.loads((folder / _TEXT).read_text(encoding="utf-8"))
            arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
            return cls(routes=tuple(text["routes"]), units=tuple(text["units"]), **arrays)
        except (OSError, ValueError, TypeError, KeyError, EOFError):
            raise BadRegion("the files of the markers are missing or damaged: build the region again") from None


def _metres(a: LonLat, b: LonLat) -> tuple[float, float]:
    degree_m = 111_195.0
    return (b.lon - a.lon) * degree_m * float(np.cos(np.radians((a.lat + b.lat) / 2.0))), (b.lat - a.lat) * degree_m


def _apart_m(a: LonLat, b: LonLat) -> Metres:
    return float(np.hypot(*_metres(a, b)))


def unit_named(text: str) -> str | None:
    """The unit a DM_Unit names: miles, kilometers, feet ...; None: it is none that is known."""
    names: Sequence[tuple[str, str]] = (
        (r"mi(les?)?", "mile"), (r"km|kilomet(er|re)s?", "km"), (r"y(ar)?ds?", "yard"), (r"f(oo|ee)?t", "foot"),
        (r"m|met(er|re)s?", "metre"),
    )  # fmt: skip
    return next((unit for pattern, unit in names if re.fullmatch(pattern, text.strip().lower())), None)
