"""NENA EIDO JSON (STA-021): the status and place of emergency resources, and their emergencies.

The unit is the resource's `$id`; map ids in the context where the fleet has others. An emergency names the agent who
raised it, and the unit is the resource that has this agent. Whatever else an EIDO says (calls, persons, vehicles,
notes) is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds import pidf, values
from geomatch.feeds.parsed import (
    BadMessage,
    Context,
    Emergency,
    FaultKind,
    Heard,
    Parsed,
    Report,
    UnitStatus,
    collect,
    malformed,
)
from geomatch.model import Availability, Fix, Status
from geomatch.quantities import UnixTime

RESOURCES, LOCATIONS, EMERGENCIES = "emergencyResourceComponent", "locationComponent", "unitEmergencyStateComponent"
SEVERITIES = ("highest", "high", "normal", "low", "lowest")
AVAILABILITY: Mapping[str, Availability] = MappingProxyType(
    {
        "Available": Availability.available,
        "ConditionallyAvailable": Availability.conditionally_available,
        "NotAvailable": Availability.not_available,
    }
)
_UNMANNED = "Unmanned"
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def parse(raw: bytes, context: Context) -> Parsed:
    return collect(context, _reports(raw, context))


def _reports(raw: bytes, context: Context) -> Iterator[Report]:
    """An EIDO, or a list of them."""
    told = values.document(raw)
    whole = isinstance(told, list)
    for i, eido in enumerate(told if whole else [told]):
        prefix = f"[{i}]." if whole else ""
        if not isinstance(eido, dict):
            raise malformed("must be an EIDO, a JSON object, or a list of them")
        locations = {_id(one): one for one in _listed(eido, LOCATIONS) if _has_id(one)}
        resources = _listed(eido, RESOURCES)
        crew = {agent: _id(one) for one in resources if _has_id(one) for agent in _agents(one)}
        # Emergencies first: whoever acts on a message in its order acts on them first.
        for j, state in enumerate(_listed(eido, EMERGENCIES)):
            yield f"{prefix}{EMERGENCIES}[{j}]", partial(_emergency, state, crew, context)
        for j, resource in enumerate(resources):
            where = f"{prefix}{RESOURCES}[{j}]"
            yield where, partial(_status, resource, context)
            if _has_id(resource) and resource.get("unitLocationReference") is not None:
                yield f"{where}.unitLocationReference", partial(_fix, resource, locations, context)


def _listed(eido: Mapping[str, Any], component: str) -> Sequence[Any]:
    """A component may be one object, a list, or not there."""
    value = eido.get(component, [])
    return value if isinstance(value, list) else [value]


def _status(resource: Any, context: Context) -> Iterator[Heard]:
    unit = context.unit_of(_id(resource))
    at = values.time(resource.get("lastUpdateTimeStamp"), "lastUpdateTimeStamp")
    primary = resource.get("primaryUnitStatusRegistryText")
    secondary = resource.get("secondaryUnitStatusRegistryText") or []
    listed = secondary if isinstance(secondary, list) else [secondary]
    activities = [values.text(one, "secondaryUnitStatusRegistryText") for one in listed]
    activity = "+".join(_WORD.sub("_", one).lower() for one in activities)[:254] or "unknown"
    known = AVAILABILITY.get(primary) if isinstance(primary, str) else None
    # A car without officers is sent nowhere, whatever its primary status says.
    availability = Availability.not_available if known is None or _UNMANNED in activities else known
    yield UnitStatus(unit=unit, status=Status(availability=availability, activity=activity, at=at))
    if known is None:
        raise BadMessage(
            FaultKind.unknown_code,
            f"its primary status is none of {', '.join(AVAILABILITY)}: the unit is held to be not available",
        )


def _fix(resource: Mapping[str, Any], locations: Mapping[str, Any], context: Context) -> Iterator[Heard]:
    found = locations.get(_reference(resource["unitLocationReference"]) or "")
    if found is None:
        raise malformed("refers to a location that the EIDO does not carry; send both together")
    if found.get("locationTypeDescriptionRegistryText") != "UnitLocation":
        raise malformed("its location is of another type than UnitLocation")
    if not isinstance(found.get("locationByValue"), str):
        raise BadMessage(FaultKind.unsupported, "its location is by reference; send locationByValue")
    location = pidf.read(found["locationByValue"])
    told = found.get("lastUpdateTimeStamp")
    yield Fix(
        unit=context.unit_of(_id(resource)),
        time=values.time(told, "lastUpdateTimeStamp") if location.time is None else location.time,
        at=location.at,
        course_deg=location.course_deg,
        speed_mps=location.speed_mps,
        accuracy_m=location.accuracy_m,
        source=context.source,
    )


def _emergency(state: Any, crew: Mapping[str, str], context: Context) -> Iterator[Heard]:
    """What cannot be read is left out and told, and the emergency stands."""
    if not isinstance(state, dict):
        raise malformed("must be an object")
    faults: list[str] = []

    def moment(key: str) -> UnixTime | None:
        try:
            return None if state.get(key) is None else values.time(state[key], key)
        except BadInput as fault:
            faults.append(str(fault))
            return None

    started = moment("startTimestamp")
    severity = state.get("severity")
    if severity not in SEVERITIES:
        faults.append(f"severity must be one of {', '.join(SEVERITIES)}; it is taken for the highest")
    resource = crew.get(_reference(state.get("reportingAgentReference")) or "")
    unit = None if resource is None and context.unit is None else context.unit_of(resource)
    if unit is None:
        faults.append("no resource of the EIDO has the agent who reports it, so its unit is not known")
    if started is None:
        faults.append("startTimestamp is missing or wrong; it is taken to begin when it came in")
    yield Emergency(
        unit=unit,
        state=_said(state, "emergencyStateType"),
        severity=severity if severity in SEVERITIES else SEVERITIES[0],
        started=context.received if started is None else started,
        stopped=moment("stopTimestamp"),
        acknowledged=moment("acknowledgementTimestamp"),
        device=_said(state, "originatingDevice"),
    )
    if faults:
        raise malformed("; ".join(faults))


def _agents(resource: Mapping[str, Any]) -> Iterator[str]:
    listed = resource.get("agentReference")
    for one in listed if isinstance(listed, list) else [listed]:
        if reference := _reference(one):
            yield reference


def _said(state: Mapping[str, Any], key: str) -> str:
    value = state.get(key)
    return value if isinstance(value, str) else ""


def _reference(value: Any) -> str | None:
    target = value.get("$ref") if isinstance(value, dict) else None
    return target if isinstance(target, str) else None


def _has_id(component: Any) -> bool:
    return isinstance(component, dict) and isinstance(component.get("$id"), str) and component["$id"] != ""


def _id(component: Any) -> str:
    if not _has_id(component):
        raise malformed("is no component: it must be an object with an $id")
    return str(component["$id"])
