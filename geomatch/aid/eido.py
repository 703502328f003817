"""The words of NENA's EIDO and APCO's incident types that geomatch maps, and what they mean here.

Codes of EIDO's registries (primary and secondary unit status) and of APCO ANS 2.103.2; only those that are mapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from geomatch.model import Availability, Urgency

AVAILABILITY: Mapping[str, Availability] = MappingProxyType(
    {
        "Available": Availability.available,
        "ConditionallyAvailable": Availability.conditionally_available,
        "NotAvailable": Availability.not_available,
    }
)

ACTIVITY: Mapping[str, str] = MappingProxyType(
    {
        "AcknowledgedTransmission": "acknowledged",
        "Arrived": "arrived",
        "BacktoAssignedArea": "back_to_assigned_area",
        "Backup": "backup",
        "Break": "break",
        "CheckedIn": "checked_in",
        "Cleared": "cleared",
        "Court": "court",
        "CoveringAlternateArea": "covering_alternate_area",
        "Delayed": "delayed",
        "Dispatched": "dispatched",
        "EnRoute": "en_route",
        "EquipmentIssues": "equipment_issues",
        "InService": "in_service",
        "Investigation": "investigation",
        "Meal": "meal",
        "OffDuty": "off_duty",
        "OnDuty": "on_duty",
        "OnScene": "on_scene",
        "OutofService": "out_of_service",
        "Post": "post",
        "ResponderInitiatedEvent": "responder_initiated_event",
        "RollCall": "roll_call",
        "Roster": "roster",
        "ShiftPending": "shift_pending",
        "Staging": "staging",
        "Station": "station",
        "TrafficStop": "traffic_stop",
        "Training": "training",
        "Transporting": "transporting",
        "Unmanned": "unmanned",
    }
)
"""EIDO secondary status -> activity."""

_NEVER_AVAILABLE = frozenset({"OutofService", "OffDuty", "Roster", "ShiftPending", "Unmanned"})

URGENCY_OF_TYPE: Mapping[str, Urgency] = MappingProxyType(
    {
        "HLP1": Urgency.officer_emergency,
        "MAYDAY": Urgency.officer_emergency,
        "HLP2": Urgency.routine_backup,
        "ASSIST": Urgency.routine_backup,
        "STDBY": Urgency.routine_backup,
    }
)
"""APCO type -> the urgency it calls for of itself."""


def never_available(secondary: Iterable[str]) -> set[str]:
    """Those of the secondary statuses with which a unit cannot be available."""
    return set(secondary) & _NEVER_AVAILABLE
