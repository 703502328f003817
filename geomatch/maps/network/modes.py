"""How fast each driving mode is, what it may do, and what its turns cost: numbers a region may change.

None of these priors was measured on police cars. Lights and siren took 0.70 of the ordinary time on rural trips (Ho and
Lindquist 2001), 0.74 in Louisville, growing with the number of stop lights (O'Brien 1999), and saved 43.5 s a trip in a
small city (Hunt 1995). So a good part of what an emergency run gains is gained at signals, in the turns, and the
shares of the road itself stay mild in town. On real maps of New York, Portland and Mannheim, trips of 2 to 15 minutes
in routine mode come out at 1.16 to 1.40 times the bare posted-speed time, and in emergency mode at 0.71 to 0.77 of
routine (medians). Calibrate both from the agency's own runs.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field

from geomatch.errors import BadInput
from geomatch.quantities import DrivingMode, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSpeeds:
    """Driving times as shares of the time at posted speed, and the waivers of one mode."""

    open_share: float = 1.0
    """On open roads: motorways, trunk roads, and any road posted at 70 km/h or more."""
    main_share: float = 1.0
    """On primary to unclassified roads posted lower."""
    local_share: float = 1.0
    """On residential and living streets, service roads and tracks."""
    top_kph: float = 160.0
    """A share below 1 never makes a car faster than this; a road posted higher is driven as posted."""
    contraflow_kph: float | None = None
    """Speed against a one-way street, where the mode may do that at all; None: it may not."""
    emergency_only: bool = False
    """May it use roads kept for emergency vehicles?"""
    private: bool = True
    """May it use private roads?"""
    obeys_turn_restrictions: bool = True

    def __post_init__(self) -> None:
        for share in (self.open_share, self.main_share, self.local_share):
            if not 0.1 <= share <= 10.0:
                raise BadInput("a share of the posted-speed time must be between 0.1 and 10")
        for kph in (self.top_kph, self.contraflow_kph):
            if kph is not None and not 1.0 <= kph <= 400.0:
                raise BadInput("a speed must be between 1 and 400 km/h")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivingModes:
    """The three modes of a region. All obey turn restrictions and one-way streets unless the region says otherwise."""

    routine: ModeSpeeds = field(default_factory=ModeSpeeds)
    """Posted speed."""
    urgent: ModeSpeeds = field(
        default_factory=lambda: ModeSpeeds(open_share=0.85, main_share=0.95, emergency_only=True)
    )
    """[guess] Half way between the other two."""
    emergency: ModeSpeeds = field(
        default_factory=lambda: ModeSpeeds(open_share=0.70, main_share=0.90, local_share=0.95, emergency_only=True)
    )
    """Open roads as the rural study; streets at the slow end of what was found in towns, for the signals add to it."""

    @property
    def rows(self) -> tuple[ModeSpeeds, ...]:
        """In the row order of DrivingMode."""
        return tuple(getattr(self, mode.value) for mode in DrivingMode)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeTurns:
    """Seconds that one mode loses between two edges. They add up: a signal, then the turn, then a private drive.

    [guess] throughout: mean waits of ordinary signal plans and stop signs, after deciding that a road map without
    signal plans can carry no more than one figure for each.
    """

    slight_s: Seconds = 1.0
    """Bearing off by 30 to 60 degrees at a junction. Going straighter is free, and so is a bend that is no junction."""
    near_s: Seconds = 2.5
    """A turn to the near side, right where traffic drives on the right."""
    across_s: Seconds = 6.0
    """A turn across the oncoming traffic."""
    roundabout_s: Seconds = 2.0
    """Entering one; inside and out of it, turns cost nothing."""
    dead_end_s: Seconds = 10.0
    """Turning round where the road ends."""
    u_turn_s: Seconds = 20.0
    """Turning round at a junction, or by more than 150 degrees into another street, as round the nose of a median."""
    mid_street_u_turn_s: Seconds | None = None
    """Turning round where two pieces of one street meet; None: not in this mode."""
    signal_s: Seconds = 12.0
    stop_s: Seconds = 4.0
    """A stop or give-way sign."""
    no_through_s: Seconds = 30.0
    """Entering a private road or one without through traffic from one that is neither, so that it is no short cut."""

    def __post_init__(self) -> None:
        for seconds in astuple(self):
            if seconds is not None and not 0.0 <= seconds <= 3600.0:
                raise BadInput("a turn cost must be between 0 and 3600 seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCosts:
    """Turn costs of the three modes. No mode may turn round on a motorway, trunk road, ramp or roundabout."""

    routine: ModeTurns = field(default_factory=ModeTurns)
    urgent: ModeTurns = field(
        default_factory=lambda: ModeTurns(
            across_s=5.0, dead_end_s=8.0, u_turn_s=15.0, signal_s=8.0, stop_s=3.0, no_through_s=15.0
        )
    )
    """[guess] No siren: it waits with the others, but it picks its gaps."""
    emergency: ModeTurns = field(
        default_factory=lambda: ModeTurns(
            near_s=2.0, across_s=3.0, roundabout_s=1.0, dead_end_s=6.0, u_turn_s=8.0, mid_street_u_turn_s=10.0,
            signal_s=4.0, stop_s=2.0, no_through_s=5.0,
        )
    )  # fmt: skip
    """[guess] Slows at a red light and is let through."""

    @property
    def rows(self) -> tuple[ModeTurns, ...]:
        """In the row order of DrivingMode."""
        return tuple(getattr(self, mode.value) for mode in DrivingMode)
