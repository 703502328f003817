"""The API's own description: it is valid, says everything, and whatever is sent by it never breaks the service."""

from __future__ import annotations

import dataclasses
import json

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from pydantic import TypeAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_town import NOW, states

from geomatch.matcher import Matcher
from geomatch.model import Ranking, Stop, UnitState
from geomatch.service.app import create_app
from geomatch.service.openapi import EXAMPLES, TYPES

pytest_plugins = ("service_town",)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = [
    "POST /v1/rankings", "POST /v1/explanations", "POST /v1/comparisons", "GET /v1/units", "GET /v1/units/{unit_id}",
    "PUT /v1/units/{unit_id}", "DELETE /v1/units/{unit_id}", "PUT /v1/units/{unit_id}/status", "PUT /v1/fleet",
    "PATCH /v1/fleet", "POST /v1/fixes", "POST /v1/fixes:raw", "POST /v1/fixes:stream", "GET /v1/feeds",
    "GET /v1/emergencies", "POST /v1/emergencies", "GET /v1/emergencies/{emergency_id}",
    "PATCH /v1/emergencies/{emergency_id}",
    "GET /v1/stops", "POST /v1/stops", "GET /v1/stops/{stop_id}", "PATCH /v1/stops/{stop_id}",
    "DELETE /v1/stops/{stop_id}", "POST /v1/assignments", "GET /v1/assignments/{assignment_id}",
    "PATCH /v1/assignments/{assignment_id}", "GET /v1/overrides",
    "GET /v1/closures", "POST /v1/closures", "POST /v1/closures:import", "DELETE /v1/closures/{closure_id}",
    "GET /v1/approvals", "POST /v1/approvals", "POST /v1/approvals/answers",
    "GET /v1", "GET /v1/conformance", "GET /v1/collections", "GET /v1/collections/{collection_id}",
    "GET /v1/collections/{collection_id}/items", "GET /v1/collections/{collection_id}/items/{feature_id}",
    "GET /healthz", "GET /readyz",
]  # fmt: skip
STREAMS = {"GET /v1/events", "GET /v1/stops/{stop_id}/events"}
"""They do not end, so what is sent to them is in test_events_stream.py."""


@pytest.fixture(scope="module")
def app(town):
    held = Matcher(town)
    held.replace_fleet(states(), source="test", source_seq=1)
    return create_app(held, clock=lambda: NOW)


@pytest.fixture(scope="module")
def document(app) -> dict:
    return TestClient(app).get("/openapi.json").json()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_whatever_is_sent_the_answer_is_one_that_the_document_promises(app, operation):
    method, path = operation.split()
    api = schemathesis.openapi.from_asgi("/openapi.json", app)

    @given(case=api[path][method].as_strategy())
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case):
        case.call_and_validate(checks=CHECKS)

    send()


def test_every_operation_is_sent_something(document):
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described == set(OPERATIONS) | STREAMS


def test_it_is_openapi_3_1_and_every_reference_leads_somewhere(document):
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(document["components"]["schemas"])
    assert "$defs" not in text


def test_every_operation_is_summarised_described_and_names_its_problems(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            if "requestBody" in operation:
                # A stream is as long as it is.
                problems = {"415", "422"} if path.endswith(":stream") else {"413", "415", "422"}
                assert problems <= set(operation["responses"]), (method, path)
                assert operation["requestBody"]["content"]["application/json"]["examples"], (method, path)


def test_every_field_of_a_measure_names_its_unit_and_times_are_rfc_3339(document):
    units = ("_s", "_ms", "_m", "_mps", "_kph", "_deg", "_seq")
    plain = {"lon", "lat", "officers", "cap", "k", "edge", "rank", "evaluated", "units", "applied", "epoch", "status",
             "counts", "tier", "priority", "factor", "probability", "wrong_carriageway",
             "remaining_quota", "home_cover_after", "numberMatched", "numberReturned",
             "received", "read", "dropped", "queued", "statuses", "unknown_statuses", "emergencies", "ignored",
             "failed", "reconnects", "fault_count", "lines",
             "version", "checks", "repeats", "missed", "decisions", "overridden", "rate_share"}  # fmt: skip
    for name, schema_of in document["components"]["schemas"].items():
        for field, kind in schema_of.get("properties", {}).items():
            kinds = {one.get("type") for one in (kind, *kind.get("anyOf", []))}
            if kinds & {"number", "integer"}:
                assert field.endswith(units) or field in plain, f"{name}.{field}"
            if field in {"time", "now"} or (name == "Status" and field == "at"):
                assert "date-time" in json.dumps(kind), f"{name}.{field}"


def test_the_types_of_the_api_are_those_of_the_model(document):
    for kind in (Stop, UnitState, Ranking):
        described = set(document["components"]["schemas"][kind.__name__]["properties"])
        assert described == {field.name for field in dataclasses.fields(kind)}
    assert {kind.__name__ for kind in TYPES} <= set(document["components"]["schemas"])


@pytest.mark.parametrize("kind", list(EXAMPLES), ids=lambda kind: kind.__name__)
def test_every_example_is_what_it_is_an_example_of(kind):
    for example in EXAMPLES[kind].values():
        TypeAdapter(kind).validate_json(json.dumps(example), strict=True)
