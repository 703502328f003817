"""Roads as read from any source, before turns: what every reader makes, and `maps.network` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from geomatch.quantities import Bools, Bytes, Floats, Ints, Longs


@dataclass(frozen=True, kw_only=True)
class Restriction:
    """One turn restriction as its source states it, in the source's own ids."""

    id: int
    kind: str
    """The value, as no_left_turn or only_straight_on."""
    from_ways: tuple[int, ...]
    to_ways: tuple[int, ...]
    via_node: int | None = None
    via_ways: tuple[int, ...] = ()
    excepted: tuple[str, ...] = ()
    """Kinds of vehicle it does not hold for, as except= says: emergency, bus ..."""
    condition: str | None = None
    """The times it holds, where it is conditional: reported, and taken to hold always."""

    @property
    def only(self) -> bool:
        return self.kind.startswith("only_")


@dataclass(kw_only=True)
class ReadReport:
    """What the reader met, guessed and left out. Every guess is counted: nothing is filled in silently."""

    counts: Counter[str] = field(default_factory=Counter)
    """Ways read, ways left out by reason, nodes, barriers, signals ..."""
    assumed_speed: Counter[str] = field(default_factory=Counter)
    """Segments with no usable posted speed, by road class, as `residential: 30 km/h`."""
    unread_values: Counter[str] = field(default_factory=Counter)
    """Tag values nobody could read, as `maxspeed=fast`."""
    restrictions_left_out: dict[int, str] = field(default_factory=dict)
    """Restriction id -> why it does not hold in the network."""
    restrictions_joined: dict[int, str] = field(default_factory=dict)
    """Restriction id -> how (via node, via way, only ...)."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RoadSource:
    """Drivable streets between junctions. N nodes, S segments (undirected geometry, each with two directions).

    A node is wherever something can happen: an end of a way, a point two drivable ways share, a via node of a
    restriction, a signal, a stop sign, a barrier. Bridges and tunnels share no node with what they cross.
    Per-direction arrays are (2, S): row 0 along the geometry, row 1 against it.
    """

    node_id: Longs
    node_lon: Floats
    node_lat: Floats
    segment_from: Ints
    """(S,) node row at the geometry's first point."""
    segment_to: Ints
    segment_way: Longs
    segment_length_m: Floats
    """(S,) great-circle or ellipsoidal metres along the geometry."""
    segment_open: Bools
    """(2, S) may traffic drive this direction? False against a one-way street."""
    segment_speed_kph: Floats
    """(2, S) posted or imputed."""
    segment_flags: Ints
    """(S,) EdgeFlag bits: all but contraflow."""
    segment_class: Bytes
    """(S,) RoadClass."""
    segment_name: Ints
    """(S,) row of `names`; 0 is no name."""
    segment_signal: Bools
    """(2, S) is there a traffic signal at the end that this direction drives to?"""
    segment_stop: Bools
    """(2, S) a stop or give-way sign there?"""
    segment_barrier_s: Floats
    """(2, S) seconds lost at a gate, bollard or toll booth at the end that this direction drives to."""
    segment_fixed_s: Floats
    """(S,) a crossing time that overrides length and speed (a ferry's duration); 0: none."""
    geometry_first: Ints
    """(S + 1,)"""
    geometry_lon: Floats
    geometry_lat: Floats
    names: list[str]
    restrictions: list[Restriction]
    drives_on_left: bool
    attribution: str
    report: ReadReport
    way_names: Mapping[int, str] = field(default_factory=dict)
    """A way's number -> its id where the source's ids are no numbers: the NGUID of a centreline."""

    @property
    def segments(self) -> int:
        return len(self.segment_from)

    def total_length_m(self) -> float:
        """Of all open directions."""
        return float(np.sum(self.segment_open * self.segment_length_m))
