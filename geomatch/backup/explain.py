"""One unit and one stop, in words a dispatcher understands."""

from __future__ import annotations

from geomatch.backup.eta import EtaPriors
from geomatch.backup.left_out import clock
from geomatch.backup.ranking import rank
from geomatch.fleet.view import FleetView
from geomatch.model import Candidate, Excluded, Explanation, Stop
from geomatch.quantities import UnixTime
from geomatch.region import Region


def explain(
    stop: Stop, unit_id: str, view: FleetView, region: Region, *, now: UnixTime, priors: EtaPriors
) -> Explanation:
    """Where a unit stands among all that may go, or why it does not. Raises UnknownUnit. Ranks every unit."""
    view.slot_of(unit_id)
    ranking = rank(stop, view, region, k=min(max(len(view), 1), 10_000), now=now, priors=priors)
    for number, candidate in enumerate(ranking.candidates, start=1):
        if candidate.unit == unit_id:
            return Explanation(
                unit=unit_id, rank=number, code="candidate", sentence=of_candidate(candidate, number),
                candidate=candidate,
            )  # fmt: skip
    for excluded in ranking.excluded:
        if excluded.unit == unit_id:
            return Explanation(
                unit=unit_id, rank=None, code=excluded.reason.value, sentence=of_excluded(excluded), excluded=excluded
            )
    at_least_s = next(other.at_least_s for other in ranking.beyond_k if other.unit == unit_id)
    return Explanation(
        unit=unit_id, rank=None, code="beyond_k",
        sentence=f"{unit_id} may go, but not before {clock(at_least_s)}, after the most units that may be sent.",
    )  # fmt: skip


def of_candidate(candidate: Candidate, number: int) -> str:
    """`2A14 is 1st: there in 1:32 (0:15 to get rolling, 1:17 of driving), seen 4 s ago on River Road.`"""
    eta = candidate.eta
    parts = [
        f"{clock(eta.request_s)} to be asked for" if eta.request_s else "",
        f"{clock(eta.turnout_s)} to get rolling",
        f"{clock(eta.travel_s)} of driving",
        f"{clock(eta.access_s)} on foot" if eta.access_s else "",
    ]
    name = candidate.call_sign or candidate.unit
    seen = f"seen {max(candidate.fix_age_s, 0):.0f} s ago" + (
        f" on {candidate.place.road}" if candidate.place.road else ""
    )
    return f"{name} is {ordinal(number)}: there in {clock(eta.eta_s)} ({', '.join(filter(None, parts))}), {seen}."


def of_excluded(excluded: Excluded) -> str:
    return f"{excluded.unit} is not proposed: it {excluded.detail}."


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th ..."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
