"""The OpenAPI 3.1 document: one schema per type of the model, whichever way it travels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from geomatch.backup.assignments import Assignment, OpenStop
from geomatch.backup.calls_for_help import OpenEmergency
from geomatch.backup.overrides import Overrides
from geomatch.backup.stop_events import StopEvent
from geomatch.feeds.closure_formats import ClosureFormat
from geomatch.feeds.formats import Format
from geomatch.model import Comparison, Explanation, Fix, Ranking, Status, Stop, Unit, UnitState
from geomatch.model.adapters import adapter_of
from geomatch.model.closures import Closure, ClosureResult, HeldClosure
from geomatch.service.approval_bodies import ApprovalAnswer, ApprovalList, ApprovalRequest, ApprovalStanding
from geomatch.service.bodies import (
    ComparisonRequest,
    ExplanationRequest,
    FixBatch,
    FixResults,
    FleetChange,
    FleetSnapshot,
    Health,
    Problem,
    RankingRequest,
    Readiness,
    StatusReport,
    UnitList,
)
from geomatch.service.closure_bodies import ClosureBatch, ClosureList, ClosureResults
from geomatch.service.collection_bodies import (
    Collection,
    CollectionList,
    ConformanceClasses,
    Feature,
    FeatureCollection,
    LandingPage,
)
from geomatch.service.emergency_bodies import EmergencyCall, EmergencyChange, EmergencyList, EmergencyReport
from geomatch.service.feed_bodies import FeedList, FeedResults, StreamSummary
from geomatch.service.operations import OPERATIONS
from geomatch.service.stop_bodies import (
    AssignmentRefused,
    AssignmentRequest,
    AssignmentStep,
    StopChange,
    StopList,
    StopOpening,
    StopReport,
)

TYPES = (
    ApprovalAnswer, ApprovalList, ApprovalRequest, ApprovalStanding,
    Collection, CollectionList, ConformanceClasses, Feature, FeatureCollection, LandingPage,
    Assignment, AssignmentRefused, AssignmentRequest, AssignmentStep, OpenStop, Overrides, StopChange, StopList,
    StopOpening, StopReport, StopEvent,
    EmergencyCall, EmergencyChange, EmergencyList, EmergencyReport, OpenEmergency,
    Closure, ClosureBatch, ClosureFormat, ClosureList, ClosureResult, ClosureResults, HeldClosure,
    Comparison, ComparisonRequest, Explanation, ExplanationRequest, FeedList, FeedResults, Fix, FixBatch, FixResults,
    FleetChange, FleetSnapshot, Format, Health, Problem, Ranking, RankingRequest, Readiness, Status, StatusReport, Stop,
    StreamSummary, Unit, UnitList, UnitState,
)  # fmt: skip

DESCRIPTION = """Which patrol units can be at a stop first, by road, and may go? geomatch ranks them, exactly, and says
why each unit is on the list and why each other unit is not.

Two ways to ask. **With no state**: send the units and their fixes along with the stop (`POST /v1/rankings` with
`units`); nothing of it is kept. **With a fleet the service holds**: register units (`PUT /v1/units/{id}` or a whole
snapshot, `PUT /v1/fleet`), stream their AVL fixes (`POST /v1/fixes`, or as devices write them: `POST /v1/fixes:raw`,
`POST /v1/fixes:stream` and the WebSocket `/v1/fixes/ws`), set their status, and send only the stop.

Every measure names its unit: `_s` seconds, `_m` metres, `_mps` metres per second, `_kph` kilometres per hour, `_deg`
degrees clockwise from true north. Positions are `{"lon", "lat"}` in WGS 84. Times are RFC 3339 with an offset, and
come back in UTC. Unknown keys, NaN and infinity are refused. Errors are `application/problem+json` (RFC 9457); decide
on their `type`. Nothing of a refused request is applied, and no error repeats the values it was sent.

When less is known than usual, an answer says so in `degraded`, and so does `/readyz`: an agency's AVL is out or stands
still, a clock is wrong, the map seems to miss a part, a feed is behind, nothing can be recorded. A service asked
for more than it can answer refuses what can wait with 503 and Retry-After: first lists, comparisons and explanations,
then rankings for routine backup, and never an officer's emergency. While nothing can be recorded rankings are answered,
and what is told is refused in the same way. `max_wait_ms` asks for what is proven by then, with a bound for the rest.
"""

TAGS = [
    {"name": "rankings", "description": "Who can be there first, and may go."},
    {"name": "units", "description": "The fleet that the service holds."},
    {"name": "emergencies", "description": "Officers who call for help: answered and told before all else."},
    {"name": "stops", "description": "Stops that stay open, and who is assigned to them."},
    {"name": "events", "description": "What is new at open stops, as server-sent events: each `data` is a StopEvent."},
    {"name": "approvals", "description": "Leave that agreements ask for before a unit may go."},
    {"name": "closures", "description": "Roads that are closed or slowed now, or will be."},
    {"name": "feeds", "description": "Positions and statuses as devices and other systems write them."},
    {"name": "maps", "description": "OGC API - Features: areas, agreements, units and stops for map programs."},
    {"name": "service", "description": "Is it up, and on which map?"},
]

MEANING = {
    400: "A parameter is not known, or not what it should be.",
    404: "No unit, open stop, assignment, closure or agreement of this id is known.",
    409: "What is known has moved on: `resync_required`, send a whole snapshot; `illegal_step`, no step from here.",
    413: "The body is longer than the service takes.",
    415: "The body does not call itself what is read here: JSON, or for a feed whatever it is.",
    422: "The request cannot be what it claims to be, is outside the loaded map, or names an agency that is on no map.",
}

REFUSALS = {
    401: ("NotAuthenticated", "Nobody said who asks, or the key or token is not good here."),
    403: ("Forbidden", "The key is for something else, or this is another agency's."),
    429: ("TooMany", "Too many requests of one caller, or too many wrong credentials: see Retry-After."),
    503: ("Later", "More is asked than can be answered, or nothing can be recorded now: see Retry-After."),
}
"""What any operation may answer: the first three where keys are checked."""

AT = {"lon": -97.7403, "lat": 30.2747}
LINE = [AT, {"lon": -97.7391, "lat": 30.2750}]
STOP = {"id": "T-1041", "at": AT, "course_deg": 15, "urgency": "urgent_backup", "need": {"officers": 2}}
FIX = {"unit": "u1", "time": "2026-03-07T22:15:00Z", "at": AT, "course_deg": 95, "speed_mps": 11.2, "accuracy_m": 6}
UNIT = {"id": "u1", "agency": "hoboken.nj", "call_sign": "2A14", "officers": 1, "capabilities": ["DrugK9"]}
STATUS = {"availability": "available", "activity": "patrol", "at": "2026-03-07T22:10:00Z"}
STATE = {"unit": UNIT, "fix": FIX, "status": STATUS}
EXAMPLES: Mapping[type, Mapping[str, Any]] = {
    RankingRequest: {
        "fleet the service holds": {"stop": STOP, "k": 5, "include": ["route", "excluded"]},
        "in the agency's own words": {
            "stop": STOP | {"agency": "hoboken.nj"},
            "local": {"urgency": "code 3 cover", "priority": 2},
        },
        "a stop that is open": {"stop_id": "T-1041", "k": 5},
        "units in the request": {"stop": STOP, "k": 3, "units": [STATE], "now": "2026-03-07T22:15:05Z"},
    },
    ClosureBatch: {
        "one direction, closed to all but emergencies": {
            "closures": [{"id": "c1", "line": LINE, "modes": ["routine", "urgent"], "ends": "2026-03-07T23:00:00Z"}]
        },
        "slow, both ways": {
            "closures": [{"id": "c2", "kind": "slowed", "line": LINE, "both_directions": True, "speed_kph": 30}]
        },
    },
    ExplanationRequest: {"one unit": {"stop": STOP, "unit": "u1"}},
    ApprovalRequest: {"phoned now": {"stop": "T-1041", "agreement": "weehawken-hoboken@2"}},
    ApprovalAnswer: {
        "granted": {
            "stop": "T-1041",
            "agreement": "weehawken-hoboken@2",
            "agency": "weehawken.nj",
            "answer": "granted",
        }
    },
    ComparisonRequest: {"one stop": {"stop": STOP}},
    FixBatch: {"one fix": {"fixes": [FIX]}},
    FleetSnapshot: {"one unit": {"source": "cad.hoboken.nj", "source_seq": 7, "units": [STATE]}},
    FleetChange: {
        "one fix, one unit gone": {"source": "cad.hoboken.nj", "source_seq": 8, "removed": ["u2"], "fixes": [FIX]}
    },
    EmergencyCall: {
        "a button was pressed": {"unit": "u1", "kind": "OfficerNeedsHelp", "raised_at": "2026-03-07T22:15:00Z"},
        "by radio, with the place": {"unit": "u1", "at": AT, "position": "radio 2"},
        "taken back": {"unit": "u1", "cancelled": True},
    },
    EmergencyChange: {
        "where it is": {"at": AT, "by": "radio 2"},
        "a false alarm": {"decision": "over", "by": "radio 2"},
    },
    StopOpening: {"lone officer": {"stop": STOP | {"units_on_scene": ["u7"]}, "position": "radio 2"}},
    StopChange: {
        "phase": {"phase": "custody"},
        "the officer is well": {"officer_heard": True},
        "no further help needed": {"code_4": True},
    },
    AssignmentRequest: {"not the first": {"stop_id": "T-1041", "unit": "u1", "version": 7, "reason": "own_beat"}},
    AssignmentStep: {"it is there": {"state": "on_scene"}},
    Unit: {"K-9 car": UNIT},
    StatusReport: {"on patrol": STATUS, "in the agency's own words": {"local_status": "10-8"}},
}


def takes(kind: type) -> dict[str, Any]:
    """`openapi_extra` of a route that reads a `kind`."""
    examples = {name: {"value": value} for name, value in EXAMPLES[kind].items()}
    media = {"schema": _reference(kind), "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": media}}}


def takes_raw(*lines: str) -> dict[str, Any]:
    """`openapi_extra` of a route that reads feeds: JSON, or any bytes; `lines`: media types of lines."""
    examples = {"geomatch's own": {"value": FIX}}
    content: dict[str, Any] = {"application/json": {"schema": {}, "examples": examples}}
    content |= {media: {"schema": {"type": "string"}} for media in (*lines, "application/octet-stream")}
    return {"requestBody": {"required": True, "content": content}}


def takes_closures() -> dict[str, Any]:
    """The same of a route that reads feeds of closures: JSON or XML."""
    incident = {"id": "7", "type": "ROAD_CLOSED", "polyline": "30.2747 -97.7403 30.2750 -97.7391"}
    examples = {"Waze CIFS, latitude first": {"value": {"incidents": [incident]}}}
    content: dict[str, Any] = {"application/json": {"schema": {}, "examples": examples}}
    content |= {media: {"schema": {"type": "string"}} for media in ("application/xml", "application/octet-stream")}
    return {"requestBody": {"required": True, "content": content}}


def gives(
    kind: type | None, *problems: int, status: int = 200, media: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers with a `kind`, or with one of these problems."""
    answers: dict[int | str, dict[str, Any]] = {
        code: {
            "description": MEANING[code],
            "content": {"application/problem+json": {"schema": _reference(Problem)}},
        }
        for code in problems
    }
    if kind is not None:
        description = (kind.__doc__ or kind.__name__).strip()
        answers[status] = {"description": description, "content": {media: {"schema": _reference(kind)}}}
    return answers


def document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's paths with pydantic's schemas under them. Some 50 ms."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    # One mode for both directions: what is read and what is written is the same type, and has the same name.
    _, schemas = TypeAdapter.json_schemas(
        [(kind, "validation", adapter_of(kind)) for kind in TYPES], ref_template="#/components/schemas/{model}"
    )
    definitions = schemas["$defs"]
    for lazy in ("excluded", "beyond_k"):
        listed = definitions["Ranking"]["properties"][lazy]
        listed["anyOf"] = [{"type": listed.pop("type"), "items": listed.pop("items")}, {"type": "null"}]
        listed["description"] = f"null unless `include` names {lazy}; `counts` tells how many there are."
    document.setdefault("components", {})["schemas"] = definitions
    _add_security(document)
    return document


def _add_security(document: dict[str, Any]) -> None:
    """Who may ask, where the service checks keys: the scopes that each operation needs, all of them."""
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key (`gm1....`), or a signed token (JWT)."}
    }
    problem = {"content": {"application/problem+json": {"schema": _reference(Problem)}}}
    document["components"]["responses"] = {
        name: {"description": meaning} | problem for name, meaning in REFUSALS.values()
    }
    # The document has {unit_id} for {unit_id:path}.
    needed = {(one.method.lower(), re.sub(r":\w+}", "}", one.path)): one.scopes for one in OPERATIONS}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if scopes := needed.get((method, path)):
                operation["security"] = [{"key": sorted(scopes)}]
                for code, (name, _) in REFUSALS.items():
                    operation["responses"].setdefault(str(code), {"$ref": f"#/components/responses/{name}"})


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
