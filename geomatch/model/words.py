"""The words of the field that are written down: statuses, urgencies, phases, reasons, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from geomatch.quantities import DrivingMode

STRICT: Mapping[str, Any] = {"extra": "forbid", "allow_inf_nan": False, "use_attribute_docstrings": True}
"""How JSON is read into these types: an unknown key or a NaN is refused, never dropped. The docstrings under the fields
become the descriptions of the OpenAPI schema."""


class Availability(StrEnum):
    """NENA EIDO primary unit status."""

    available = "available"
    conditionally_available = "conditionally_available"
    """Busy, but may be diverted."""
    not_available = "not_available"


class Urgency(StrEnum):
    """Canonical urgency of a request; an agency's own words are mapped to it, never guessed."""

    routine_backup = "routine_backup"
    urgent_backup = "urgent_backup"
    officer_emergency = "officer_emergency"

    @property
    def mode(self) -> DrivingMode:
        """The driving mode it calls for, unless an agency's own data says otherwise."""
        return _MODE_OF[self]


_MODE_OF = {
    Urgency.routine_backup: DrivingMode.routine,
    Urgency.urgent_backup: DrivingMode.urgent,
    Urgency.officer_emergency: DrivingMode.emergency,
}


class Service(StrEnum):
    """Whom a unit works for, and what a stop needs: each is ranked among its own kind."""

    police = "police"
    fire = "fire"
    ems = "ems"


class Phase(StrEnum):
    initiated = "initiated"
    contact = "contact"
    investigation = "investigation"
    custody = "custody"
    tow_wait = "tow_wait"
    transport = "transport"
    cleared = "cleared"


class Reason(StrEnum):
    """Why a unit is not a candidate. The order is the order of the checks: the first that holds is the reason."""

    on_scene = "on_scene"
    excluded_by_request = "excluded_by_request"
    assigned = "assigned"
    """To this stop or another open one, or on scene there."""
    other_service = "other_service"
    """An ambulance where police are needed, say."""
    not_available = "not_available"
    unmanned = "unmanned"
    lacks_capability = "lacks_capability"
    prohibited = "prohibited"
    no_agreement = "no_agreement"
    no_authority = "no_authority"
    outside_geography = "outside_geography"
    outside_hours = "outside_hours"
    not_triggered = "not_triggered"
    capability_denied = "capability_denied"
    limit_reached = "limit_reached"
    home_cover = "home_cover"
    approval_denied = "approval_denied"
    no_fix = "no_fix"
    stale_fix = "stale_fix"
    off_map = "off_map"
    no_route = "no_route"

    @property
    def code(self) -> int:
        """Its number in reason arrays; 0 is "no reason": eligible."""
        return _REASON_CODES[self]


_REASON_CODES = {reason: code for code, reason in enumerate(Reason, start=1)}


REASON_OF_CODE: tuple[Reason | None, ...] = (None, *Reason)


class Decision(StrEnum):
    """May the unit go? Under an agreement, or because it is the agency's own."""

    eligible = "eligible"
    eligible_notify = "eligible_notify"
    needs_approval = "needs_approval"
    ineligible = "ineligible"


class Position(StrEnum):
    """How far the place of a candidate is to be trusted."""

    confirmed = "confirmed"
    """One place, by fresh fixes that agree."""
    ambiguous = "ambiguous"
    """Several places are plausible; travel_s is to be expected over all of them."""
    stale = "stale"
    """Its last fix is old for one that moved, or for one that stood."""
    lost = "lost"
    """What it reports contradicts itself: a jump that no car can make, or one and the same place while it drives."""


class FixOutcome(StrEnum):
    """What became of a fix. Only `applied` moved the unit; none of them is an error of the batch."""

    applied = "applied"
    repeated = "repeated"
    """The same time as the newest fix of the unit: nothing to do."""
    late = "late"
    """Older than the newest fix of the unit: left out."""
    future = "future"
    unknown_unit = "unknown_unit"
    outside_map = "outside_map"
    doubtful = "doubtful"
    """It would take an impossible speed: kept apart, and shown, until a second one confirms it."""
    beside = "beside"
    """Kept beside the fixes of a more trusted source of the unit, which tell where it is."""
