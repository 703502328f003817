"""An agency's own words at the door: made canonical, or asked about; never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geomatch.aid.vocabulary import LocalWords, status_in_canonical
from geomatch.errors import BadInput
from geomatch.model import Availability, Status, Stop
from geomatch.quantities import UnixTime

if TYPE_CHECKING:
    from geomatch.matcher import Matcher
    from geomatch.service.bodies import RankingRequest, StatusReport


def stop_in_canonical(matcher: Matcher, stop: Stop, words: LocalWords | None) -> Stop:
    """Raises UnclearWord with the choices, and BadInput where the stop does not say whose words they are."""
    if words is None:
        return stop
    if stop.agency is None:
        raise BadInput(f"stop {stop.id}: name its agency: a word means what that agency's vocabulary says")
    return matcher.region.vocabularies.of(stop.agency).stop_of(stop, words)


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
