"""What a point on a street does to traffic: signals, stop signs, and barriers that delay or bar it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from geomatch.maps.osm.tags import Tags, access_value
from geomatch.maps.streets.drawn import SIGNAL, SIGNAL_ON_FOOT, UNKNOWN_BARRIER_S, Spot

_BARRIER_S: Mapping[str, float | None] = MappingProxyType({
    "gate": 10.0, "swing_gate": 10.0, "sliding_gate": 15.0, "lift_gate": 8.0, "bump_gate": 5.0, "hampshire_gate": 20.0,
    "sally_port": 20.0, "toll_booth": 8.0, "border_control": 60.0, "checkpoint": 30.0, "checkpoint_post": 30.0,
    "security_control": 30.0, "cattle_grid": 2.0, "coupure": 0.0, "entrance": 0.0, "kerb": 0.0, "no": 0.0,
    "height_restrictor": 0.0, "width_restrictor": 3.0, "rising_bollard": 10.0, "spikes": 10.0,
    **dict.fromkeys((
        "bollard", "block", "jersey_barrier", "log", "debris", "rubble", "rock", "stones", "boulder", "planter",
        "chain", "rope", "fence", "wall", "guard_rail", "hedge", "ditch", "tank_trap", "turnstile",
        "full-height_turnstile", "stile", "kissing_gate", "cycle_barrier", "motorcycle_barrier", "horse_stile",
        "wicket_gate", "bus_trap", "sump_buster", "barrier_board",
    )),
})  # fmt: skip
"""Seconds a police car loses at a barrier, stopping and starting not counted; None: it bars cars unless its tags let
them through. Guesses to start from, as no published table was found; measure and replace."""

LET_IN_S = 30.0
"""More at a private gate, until somebody opens."""

_RISING = frozenset({"rising", "removable", "foldable", "folding", "collapsible"})
_LETS_THROUGH = frozenset({"yes", "designated", "official", "permissive", "public"})
_ASKS = frozenset({"private", "customers", "destination", "delivery", "permit", "residents"})


def read_spot(tags: Tags) -> Spot | None:
    """What this point does; None when it does nothing to a car."""
    highway = tags.get("highway", "")
    kinds = {part.strip() for part in highway.split(";")}
    kind = tags.get("barrier", "")
    barrier_s, bars = _barrier(kind, tags) if kind else (0.0, False)
    by_signals = tags.get("crossing") == "traffic_signals" or tags.get("crossing:signals") == "yes"
    signal = "traffic_signals" in kinds or ("crossing" in kinds and by_signals)
    stop = "stop" in kinds or "give_way" in kinds
    if not (signal or stop or barrier_s or bars):
        return None
    labels = (
        (SIGNAL if "traffic_signals" in kinds else SIGNAL_ON_FOOT) if signal else "",
        ("stop signs" if "stop" in kinds else "give-way signs") if stop else "",
        (f"barriers that bar: {kind}" if bars else f"barriers to pass: {kind}") if kind else "",
    )
    faces = tags.get("traffic_signals:direction", tags.get("direction", "")) if signal else tags.get("direction", "")
    if stop and tags.get("stop") == "all":
        faces = "both"
    return Spot(
        signal_forward=signal and faces != "backward",
        signal_backward=signal and faces != "forward",
        stop_forward=stop and faces in ("forward", "both"),
        stop_backward=stop and faces in ("backward", "both"),
        stop_undirected=stop and faces not in ("forward", "backward", "both"),
        barrier_s=barrier_s,
        bars=bars,
        stated=access_value(tags) is not None,
        labels=tuple(label for label in labels if label),
        unread=f"barrier={kind}" if kind and kind.lower() not in _BARRIER_S else "",
    )


def _barrier(kind: str, tags: Tags) -> tuple[float, bool]:
    """Seconds lost, and whether no motor vehicle gets through."""
    seconds = _BARRIER_S.get(kind.lower(), UNKNOWN_BARRIER_S)
    stated = access_value(tags)
    opens = kind == "bollard" and tags.get("bollard") in _RISING
    if tags.get("emergency") in _LETS_THROUGH or stated in _LETS_THROUGH:
        bars = False
    elif stated in _ASKS:
        bars, seconds = False, (seconds or 0.0) + LET_IN_S
    elif stated is not None:
        bars = stated != "unknown" or seconds is None
    else:
        bars = (seconds is None and not opens) or tags.get("locked") == "yes"
    return (0.0, True) if bars else (UNKNOWN_BARRIER_S if seconds is None else seconds, False)
