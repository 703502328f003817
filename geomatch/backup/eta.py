"""The parts of an ETA that are not road, and how sure it is: published priors, until a region's history says better."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geomatch.model import Eta
from geomatch.quantities import Metres, Seconds


@dataclass(frozen=True, kw_only=True)
class EtaPriors:
    """Named numbers behind every ETA. None is calibrated; an agency's own history should replace them."""

    turnout_ready_s: Seconds = 15.0
    """From being told to wheels rolling, for an available car. [guess]"""
    turnout_busy_s: Seconds = 45.0
    """The same on foot, or where something has to be finished first (conditionally available). [guess]"""
    on_road_within_m: Metres = 25.0
    """Nearer than this to its road, a position is on it: GPS error and half of a wide street."""
    off_road_mps: float = 2.0
    """Beyond that, over yards and fields, a quick walk. [guess]"""
    walk_mps: float = 1.4
    """From an officer's portable back to the car."""
    urban_factor: float = 1.5
    """Real over posted-speed time in a town: routers on OSM speeds are 1.4 to 2 times too optimistic there."""
    rural_factor: float = 1.1
    urban_below_mps: float = 12.0
    """Slower than this as the crow flies, a trip is urban; faster than rural_above_mps it is rural."""
    rural_above_mps: float = 20.0
    sigma: float = 0.25
    """Log-normal spread of real travel times."""

    def turnout_ms(self, *, ready: bool) -> int:
        return round(1000 * (self.turnout_ready_s if ready else self.turnout_busy_s))

    def access_ms(self, off_road_m: Metres) -> int:
        """Whole milliseconds over ground between a position and its road."""
        return int(1000.0 * max(0.0, off_road_m - self.on_road_within_m) / self.off_road_mps + 0.5)

    def eta(
        self,
        *,
        request_ms: int,
        turnout_ms: int,
        travel_ms: int,
        access_ms: int,
        distance_m: Metres,
        fix_age_s: Seconds,
        unsure_s: Seconds = 0.0,
    ) -> Eta:
        """p50_s stretches travel by the town or country factor; p90_s adds the spread, what an old fix may hide, and
        how far the places apart are where the unit may be (`unsure_s`, one sigma)."""
        travel_s, rest_s = travel_ms / 1000, (request_ms + turnout_ms + access_ms) / 1000
        likely_s = travel_s * self._factor(distance_m / travel_s if travel_s > 0 else 0.0)
        # A unit that drove on since its fix is at most its age farther away; half of that is a fair nine in ten.
        spread_s = math.hypot(likely_s * math.expm1(_Z90 * self.sigma), max(0.0, fix_age_s) / 2, _Z90 * unsure_s)
        return Eta(
            eta_s=(request_ms + turnout_ms + travel_ms + access_ms) / 1000, request_s=request_ms / 1000,
            turnout_s=turnout_ms / 1000, travel_s=travel_s, access_s=access_ms / 1000,
            p50_s=round(rest_s + likely_s, 3), p90_s=round(rest_s + likely_s + spread_s, 3), calibrated=False,
        )  # fmt: skip

    def _factor(self, crow_mps: float) -> float:
        share = (crow_mps - self.urban_below_mps) / (self.rural_above_mps - self.urban_below_mps)
        return self.urban_factor + min(max(share, 0.0), 1.0) * (self.rural_factor - self.urban_factor)


_Z90 = 1.2815515655446004
"""Nine tenths of a normal distribution lie below this many sigmas."""
