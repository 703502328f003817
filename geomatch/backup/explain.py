"""One unit and one stop, in words a dispatcher understands."""

from __future__ import annotations

from geomatch.backup.left_out import clock, ordinal
from geomatch.errors import UnknownUnit
from geomatch.model import Candidate, Excluded, Explanation, Ranking


def explain(ranking: Ranking, unit_id: str) -> Explanation:
    """Where a unit stands in a ranking, or why it does not. Raises UnknownUnit where the ranking does not know it."""
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
    for beyond in ranking.beyond_k:
        if beyond.unit == unit_id:
            sentence = (
                f"{unit_id} may go, but needs at least {clock(beyond.at_least_s)}: {ranking.k} others are sooner."
            )
            return Explanation(unit=unit_id, rank=None, code="beyond_k", sentence=sentence)
    raise UnknownUnit(f"unit {unit_id} is not registered: register it first")


def of_candidate(candidate: Candidate, number: int) -> str:
    """`2A14 is 1st: there in 1:32 (0:15 to get rolling, 1:17 of driving), seen 4 s ago on River Road.`"""
    eta = candidate.eta
    parts = [
        f"{clock(eta.request_s)} until its agency has sent it" if eta.request_s else "",
        f"{clock(eta.turnout_s)} to get rolling",
        f"{clock(eta.travel_s)} of driving",
        f"{clock(eta.access_s)} on foot" if eta.access_s else "",
    ]
    name = candidate.call_sign or candidate.unit
    seen = f"seen {max(candidate.fix_age_s, 0):.0f} s ago" + (
        f" on {candidate.place.road}" if candidate.place and candidate.place.road else ""
    )
    return f"{name} is {ordinal(number)}: there in {clock(eta.eta_s)} ({', '.join(filter(None, parts))}), {seen}."


def of_excluded(excluded: Excluded) -> str:
    would = f" It would be {excluded.would_be}." if excluded.would_be else ""
    return f"{excluded.unit} is not proposed: {excluded.detail}.{would}"
