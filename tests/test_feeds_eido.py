"""EIDO: unit status by registry codes, place by PIDF-LO, and emergencies that no fault loses."""

from __future__ import annotations

import copy
import json

import pytest

from geomatch.feeds.eido import parse
from geomatch.feeds.parsed import Context, Emergency, FaultKind, UnitStatus
from geomatch.model import Availability, Status
from geomatch.quantities import LonLat, parse_time

NOW = 1_772_921_700.0
IDX = Context(received=NOW, source="eido")
CIRCLE = """
<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"
 xmlns:gml="http://www.opengis.net/gml" xmlns:gs="http://www.opengis.net/pidflo/1.0"
 xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:dyn="urn:ietf:params:xml:ns:pidf:geopriv10:dynamic"
 entity="pres:car@police.example"><dm:device id="d1"><gp:geopriv><gp:location-info>
  <gs:Circle srsName="urn:ogc:def:crs:EPSG::4326"><gml:pos>40.74 -74.03</gml:pos>
   <gs:radius uom="urn:ogc:def:uom:EPSG::9001">10</gs:radius></gs:Circle>
  <dyn:Dynamic><dyn:heading>33.50 5.0</dyn:heading><dyn:speed>24</dyn:speed></dyn:Dynamic>
 </gp:location-info></gp:geopriv><dm:timestamp>2026-03-07T22:14:55Z</dm:timestamp></dm:device></presence>"""
EIDO = {
    "$id": "e1", "eidoVersion": "1.0", "issuingElementIdentification": "cad.police.example",
    "agencyComponent": [{"$id": "agency-1"}],
    "emergencyResourceComponent": [
        {
            "$id": "2A14", "lastUpdateTimeStamp": "2026-03-07T17:14:50-05:00", "emergencyResourceName": "Adam 14",
            "emergencyResourceTypeCommonRegistryText": "PatrolUnit", "resourceAttributeRegistryText": ["TaserTrained"],
            "primaryUnitStatusRegistryText": "ConditionallyAvailable",
            "secondaryUnitStatusRegistryText": ["ResponderInitiatedEvent", "OnScene"],
            "agentReference": [{"$ref": "agent-9"}], "unitLocationReference": {"$ref": "loc-1"},
        }
    ],
    "locationComponent": [
        {"$id": "loc-0", "locationTypeDescriptionRegistryText": "CurrentIncident", "locationByValue": "<x/>"},
        {
            "$id": "loc-1", "lastUpdateTimeStamp": "2026-03-07T22:14:57Z",
            "locationTypeDescriptionRegistryText": "UnitLocation", "locationByValue": CIRCLE,
        },
    ],
    "unitEmergencyStateComponent": [
        {
            "$id": "em-1", "severity": "high", "emergencyStateType": "OfficerNeedsHelp",
            "originatingDevice": "Radio1334", "reportingAgentReference": {"$ref": "agent-9"},
            "startTimestamp": "2026-03-07T22:14:40Z", "acknowledgementTimestamp": "2026-03-07T22:14:45+00:00",
        }
    ],
}  # fmt: skip


def eido(path: str = "", value=...) -> dict:
    """The sample, with one value in it changed, or taken out."""
    document = copy.deepcopy(EIDO)
    if path:
        *way, last = path.split(".")
        at = document
        for key in way:
            at = at[int(key) if key.isdigit() else key]
        if value is ...:
            del at[last]
        else:
            at[last] = value
    return document


def read(document, context=IDX):
    return parse(json.dumps(document).encode(), context)


RESOURCE, LOCATION, EMERGENCY = (
    "emergencyResourceComponent.0.",
    "locationComponent.1.",
    "unitEmergencyStateComponent.0.",
)


def test_a_resource_is_a_status_and_a_fix():
    parsed = read(EIDO)
    at = parse_time("2026-03-07T22:14:50Z")
    assert parsed.statuses == (
        UnitStatus(
            unit="2A14",
            status=Status(
                availability=Availability.conditionally_available, activity="responder_initiated_event+on_scene", at=at
            ),
        ),
    )
    (fix,) = parsed.fixes
    assert (fix.unit, fix.time, fix.at) == ("2A14", NOW - 5, LonLat(lon=-74.03, lat=40.74))
    assert (fix.course_deg, fix.speed_mps, fix.accuracy_m, fix.source) == (33.5, 24.0, 10.0, "eido")
    assert parsed.faults == ()


def test_an_emergency_is_the_units_whose_crew_reports_it():
    assert read(EIDO).emergencies == (
        Emergency(
            unit="2A14", state="OfficerNeedsHelp", severity="high", started=NOW - 20, acknowledged=NOW - 15,
            device="Radio1334",
        ),
    )  # fmt: skip
    over = read(eido(EMERGENCY + "stopTimestamp", "2026-03-07T22:15:00Z"))
    assert over.emergencies[0].stopped == NOW
    mapped = Context(received=NOW, units={"2A14": "u1"})
    assert read(EIDO, mapped).emergencies[0].unit == "u1"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("startTimestamp", ..., {"started": NOW}),
        ("startTimestamp", "0001-01-01T00:00:00Z", {"started": NOW}),
        ("startTimestamp", 12, {"started": NOW}),
        ("severity", "dire", {"severity": "highest"}),
        ("severity", ["low"], {"severity": "highest"}),
        ("reportingAgentReference", {"$ref": "agent-7"}, {"unit": None}),
        ("reportingAgentReference", None, {"unit": None}),
        ("stopTimestamp", "soon", {"stopped": None}),
    ],
)
def test_an_emergency_is_never_lost_to_a_fault_in_it(path, value, expected):
    parsed = read(eido(EMERGENCY + path, value))
    (emergency,) = parsed.emergencies
    assert {name: getattr(emergency, name) for name in expected} == expected
    assert parsed.fault_counts == {FaultKind.malformed: 1}
    assert parsed.faults[0].where == "unitEmergencyStateComponent[0]"


@pytest.mark.parametrize("code", ["Assigned", None, 7, "available"])
def test_a_status_no_table_knows_makes_the_unit_not_available_and_is_told(code):
    parsed = read(eido(RESOURCE + "primaryUnitStatusRegistryText", code))
    assert parsed.statuses[0].status.availability == Availability.not_available
    assert parsed.fault_counts == {FaultKind.unknown_code: 1}
    assert len(parsed.fixes) == 1


def test_a_car_without_officers_is_not_available_whatever_its_primary_status():
    parsed = read(eido(RESOURCE + "secondaryUnitStatusRegistryText", ["Unmanned"]))
    assert parsed.statuses[0].status.availability == Availability.not_available
    assert parsed.faults == ()


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (LOCATION + "locationByValue", ..., FaultKind.unsupported),
        (LOCATION + "locationTypeDescriptionRegistryText", "Staging", FaultKind.malformed),
        (LOCATION + "locationByValue", CIRCLE.replace("4326", "27700"), FaultKind.malformed),
        (LOCATION + "locationByValue", CIRCLE.replace("9001", "9002"), FaultKind.malformed),
        (LOCATION + "locationByValue", CIRCLE.replace("40.74 -74.03", "-74.03"), FaultKind.malformed),
        (LOCATION + "locationByValue", CIRCLE.replace("40.74 -74.03", "140.74 -74.03"), FaultKind.out_of_range),
        (LOCATION + "locationByValue", CIRCLE.replace("pos>", "posList>"), FaultKind.malformed),
        (LOCATION + "locationByValue", CIRCLE.replace("<dyn:speed>24", "<dyn:speed>NaN"), FaultKind.malformed),
        (LOCATION + "locationByValue", CIRCLE.replace("22:14:55Z", "22:14:55"), FaultKind.malformed),
        (LOCATION + "locationByValue", "<presence", FaultKind.malformed),
        (RESOURCE + "unitLocationReference", {"$ref": "loc-9"}, FaultKind.malformed),
        (RESOURCE + "unitLocationReference", "loc-1", FaultKind.malformed),
    ],
)
def test_a_place_that_cannot_be_read_leaves_the_status_and_names_no_position(path, value, kind):
    parsed = read(eido(path, value))
    assert parsed.fixes == ()
    assert len(parsed.statuses) == 1
    (fault,) = parsed.faults
    assert (fault.where, fault.kind) == ("emergencyResourceComponent[0].unitLocationReference", kind)
    assert "74.03" not in fault.message


@pytest.mark.parametrize("path", ["$id", "lastUpdateTimeStamp"])
def test_a_resource_without_an_id_or_a_time_has_no_status(path):
    parsed = read(eido(RESOURCE + path))
    assert parsed.statuses == ()
    assert FaultKind.malformed in parsed.fault_counts


def test_the_time_of_a_place_is_its_own_or_else_its_components():
    untimed = CIRCLE.replace("<dm:timestamp>2026-03-07T22:14:55Z</dm:timestamp>", "")
    assert read(eido(LOCATION + "locationByValue", untimed)).fixes[0].time == NOW - 3


def test_a_list_of_eidos_and_components_that_are_no_list_are_read():
    single = eido("locationComponent", EIDO["locationComponent"][1])
    single["emergencyResourceComponent"] = single["emergencyResourceComponent"][0]
    parsed = read([EIDO, single, {"$id": "e3"}])
    assert (len(parsed.fixes), len(parsed.statuses), len(parsed.emergencies)) == (2, 2, 2)
    assert parsed.faults == ()


@pytest.mark.parametrize("document", [7, "text", [7], {"emergencyResourceComponent": [7]}])
def test_what_is_no_eido_is_a_fault(document):
    parsed = read(document)
    assert parsed.is_empty
    assert parsed.fault_counts == {FaultKind.malformed: 1}
