"""An agency's own words at the door: made canonical, or asked about; never guessed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from geomatch.aid.vocabulary import LocalWords, status_in_canonical, urgency_of_type
from geomatch.errors import BadInput
from geomatch.model import Availability, Status, Stop, Urgency
from geomatch.quantities import UnixTime

if TYPE_CHECKING:
    from geomatch.matcher import Matcher
    from geomatch.service.bodies import RankingRequest, StatusReport


def stop_in_canonical(matcher: Matcher, stop: Stop, words: LocalWords | None) -> Stop:
    """Raises UnclearWord with the choices, and BadInput where the stop does not say whose words they are."""
    if words is not None:
        if stop.agency is None:
            raise BadInput(f"stop {stop.id}: name its agency: a word means what that agency's vocabulary says")
        stop = matcher.region.vocabularies.of(stop.agency).stop_of(stop, words)
    # HLP1 and MAYDAY call for it by themselves; a type never makes a stop less urgent than it is said to be.
    if stop.apco_type is not None and urgency_of_type(stop.apco_type) is Urgency.officer_emergency:
        return replace(stop, urgency=Urgency.officer_emergency)
    return stop


def stop_of(matcher: Matcher, ask: RankingRequest) -> Stop:
    """Raises UnknownStop, and as `stop_in_canonical`."""
    if ask.stop is None:
        return matcher.stops.get(ask.stop_id or "").stop
    return stop_in_canonical(matcher, ask.stop, ask.local)


def status_of(matcher: Matcher, unit_id: str, report: StatusReport, now: UnixTime) -> Status:
    """Raises UnknownUnit."""
    at = report.at or now
    if report.local_status is None:
        return Status(
            availability=report.availability or Availability.available, activity=report.activity or "patrol", at=at
        )
    agency = matcher.state(unit_id).unit.agency
    return status_in_canonical(matcher.region.vocabularies.of(agency).status_of(report.local_status), at=at)
