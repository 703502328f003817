"""A service with keys, four agencies and what they agreed on, and a way to ask it that sees every byte."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from aid_world import grant
from service_town import NOW, SOUTH, STOP, WEST

from geomatch.aid.agreements import Agreements
from geomatch.aid.clauses import Disclosed, Disclosure
from geomatch.matcher import Matcher
from geomatch.model import Fix, Status, Unit, UnitState
from geomatch.quantities import LonLat, format_time
from geomatch.service.app import create_app
from geomatch.service.keys import KeyFile, new_key, read_keys, write_keys
from geomatch.service.scopes import Scope
from geomatch.service.security import Ring

OWN, OPEN, VAGUE, SHY, STRANGER = "hoboken.nj", "open.nj", "vague.nj", "shy.nj", "stranger.nj"
"""Hoboken, and four neighbours: one shows it everything, one cells of 300 m, one its ETA, and one has no agreement."""
BLUR_M = 300.0
SHOWN = {
    OPEN: Disclosure(),
    VAGUE: Disclosure(position=Disclosed.blurred, blur_m=BLUR_M),
    SHY: Disclosure(position=Disclosed.eta_only, status=False),
}
PLACES = {"own": (0.0001, 0.0), "open": (0.0041, 0.004), "vague": (0.0013, 0.0021), "shy": (0.0037, 0.0)}
PLACES |= {"stranger": (0.002, 0.0033), "busy": (0.0022, 0.0041)}
AGENCY_OF = {"own": OWN, "open": OPEN, "vague": VAGUE, "shy": SHY, "stranger": STRANGER, "busy": SHY}
EVERYTHING = tuple(Scope)
CALL = f"emergency-{int(NOW)}-1"
"""The first call for help."""


def agreements() -> Agreements:
    return Agreements(
        grant(id=f"{agency}-helps", provider_agency=agency, receiver_agency=OWN, disclosure=shown)
        for agency, shown in SHOWN.items()
    )


def cars() -> list[UnitState]:
    return [
        UnitState(
            unit=Unit(id=name, agency=AGENCY_OF[name], call_sign=name.upper()),
            fix=Fix(unit=name, time=NOW - 5, at=LonLat(WEST + east, SOUTH + north), course_deg=90.0, speed_mps=0.5),
            status=Status(availability="not_available" if name == "busy" else "available", at=NOW - 60),
        )
        for name, (east, north) in PLACES.items()
    ]


def full_matcher(town) -> Matcher:
    matcher = Matcher(town.under(agreements()))
    matcher.register([car.unit for car in cars()])
    matcher.update([car.fix for car in cars()])
    for car in cars():
        matcher.set_status(car.unit.id, availability=car.status.availability, at=car.status.at)
    return matcher


class Service:
    """An application with keys, and its own clock."""

    def __init__(self, matcher, folder, *, issuers=(), fetch=None, **options):
        self.matcher, self.now = matcher, NOW
        self.path = folder / "keys.json"
        write_keys(self.path, KeyFile(issuers=tuple(issuers)))
        self.options = {"fetch": fetch} if fetch else {}
        self.more = options
        self.app = None

    def key(self, name, *, agencies=(OWN,), scopes=EVERYTHING, expires=None) -> str:
        held, credential = new_key(
            read_keys(self.path), key_id=name, agencies=tuple(agencies), scopes=tuple(scopes), now=self.now,
            expires=expires,
        )  # fmt: skip
        write_keys(self.path, held)
        self.now += 2  # so that it is read again
        return credential

    def open(self):
        self.app = create_app(self.matcher, clock=lambda: self.now, ring=Ring(self.path, **self.options), **self.more)
        return self

    def ask(self, method, path, body=None, *, key=None, headers=(), address="10.0.0.7", **how):
        sent = [(b"authorization", f"Bearer {key}".encode())] if key is not None else []
        if self.app is None:
            self.open()
        return ask(self.app, method, path, body, headers=[*sent, *headers], address=address, **how)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    def json(self):
        return json.loads(self.text)


def ask(app, method, path, body=None, *, headers=(), address="10.0.0.7", media=b"application/json") -> Answer:
    """One request straight at the application; of an endless stream, its beginning."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    scope = {
        "type": "http" if method != "WEBSOCKET" else "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1",
        "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "scheme": "http", "headers": [(b"host", b"test"), (b"content-type", media), *headers],
        "client": (address, 4711), "server": ("test", 80), "extensions": {}, "subprotocols": [],
    }  # fmt: skip
    return asyncio.run(_asked(app, scope, raw))


async def _asked(app, scope, raw) -> Answer:
    sent, begun = [], asyncio.Event()
    incoming = [{"type": "http.request", "body": raw}]
    if scope["type"] == "websocket":
        incoming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]

    async def receive():
        if incoming:
            return incoming.pop(0)
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)
        if dict(message.get("headers", ())).get(b"content-type", b"").startswith(b"text/event-stream"):
            begun.set()

    answering = asyncio.ensure_future(app(scope, receive, send))
    streaming = asyncio.ensure_future(begun.wait())
    await asyncio.wait([answering, streaming], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    if answering.done():
        answering.result()
    for one in (answering, streaming):
        one.cancel()
    await asyncio.gather(answering, streaming, return_exceptions=True)
    return _answer(sent)


def _answer(sent) -> Answer:
    first = sent[0]
    if first["type"].startswith("websocket"):
        return Answer(101 if first["type"] == "websocket.accept" else 403, {}, "")
    headers = {name.decode(): value.decode() for name, value in first["headers"]}
    return Answer(first["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]).decode())


WZDX = {
    "type": "FeatureCollection", "features": [],
    "feed_info": {"publisher": "City", "version": "4.2", "update_date": "2026-03-07T22:00:00Z", "data_sources": []},
}  # fmt: skip


def samples(unit="own", stop="s-own", agency=OWN, at=NOW) -> dict[str, tuple[str, object]]:
    """Of every operation a request that is well formed, about this agency's unit and stop."""
    fix = {"unit": unit, "time": format_time(at), "at": STOP["at"]}
    state = {"unit": {"id": unit, "agency": agency}, "status": {"availability": "available", "at": format_time(at)}}
    here = STOP | {"id": stop, "agency": agency}
    assignment = {"stop_id": stop, "unit": unit, "version": 1}
    agreement = f"{OPEN}-helps"
    return {
        "GET /healthz": ("/healthz", None),
        "GET /readyz": ("/readyz", None),
        "GET /openapi.json": ("/openapi.json", None),
        "GET /metrics": ("/metrics", None),
        "POST /v1/rankings": ("/v1/rankings", {"stop": here}),
        "POST /v1/explanations": ("/v1/explanations", {"stop": here, "unit": unit}),
        "POST /v1/comparisons": ("/v1/comparisons", {"stop": here}),
        "GET /v1/units": ("/v1/units", None),
        "PUT /v1/units/{unit_id:path}/status": (f"/v1/units/{unit}/status", {"availability": "not_available"}),
        "GET /v1/units/{unit_id:path}": (f"/v1/units/{unit}", None),
        "PUT /v1/units/{unit_id:path}": (f"/v1/units/{unit}", {"id": unit, "agency": agency, "officers": 2}),
        "DELETE /v1/units/{unit_id:path}": (f"/v1/units/{unit}", None),
        "PUT /v1/fleet": ("/v1/fleet", {"source": "test", "source_seq": 9, "units": [state]}),
        "PATCH /v1/fleet": ("/v1/fleet", {"source": "test", "source_seq": 2, "removed": [unit]}),
        "POST /v1/fixes": ("/v1/fixes", {"fixes": [fix]}),
        "POST /v1/fixes:raw": ("/v1/fixes:raw", fix),
        "POST /v1/fixes:stream": ("/v1/fixes:stream", fix),
        "WEBSOCKET /v1/fixes/ws": ("/v1/fixes/ws", None),
        "GET /v1/feeds": ("/v1/feeds", None),
        "GET /v1/emergencies": ("/v1/emergencies", None),
        "POST /v1/emergencies": ("/v1/emergencies", {"unit": unit}),
        "GET /v1/emergencies/{emergency_id:path}": (f"/v1/emergencies/{CALL}", None),
        "PATCH /v1/emergencies/{emergency_id:path}": (f"/v1/emergencies/{CALL}", {"decision": "stands"}),
        "GET /v1/stops": ("/v1/stops", None),
        "POST /v1/stops": ("/v1/stops", {"stop": here}),
        "GET /v1/events": ("/v1/events", None),
        "GET /v1/stops/{stop_id:path}/events": (f"/v1/stops/{stop}/events", None),
        "GET /v1/stops/{stop_id:path}": (f"/v1/stops/{stop}", None),
        "PATCH /v1/stops/{stop_id:path}": (f"/v1/stops/{stop}", {"phase": "custody"}),
        "DELETE /v1/stops/{stop_id:path}": (f"/v1/stops/{stop}", None),
        "POST /v1/assignments": ("/v1/assignments", assignment),
        "GET /v1/assignments/{assignment_id}": ("/v1/assignments/a2", None),
        "PATCH /v1/assignments/{assignment_id}": ("/v1/assignments/a2", {"state": "accepted"}),
        "GET /v1/overrides": ("/v1/overrides", None),
        "GET /v1": ("/v1", None),
        "GET /v1/conformance": ("/v1/conformance", None),
        "GET /v1/collections": ("/v1/collections", None),
        "GET /v1/collections/{collection_id}": ("/v1/collections/units", None),
        "GET /v1/collections/{collection_id}/items": ("/v1/collections/units/items", None),
        "GET /v1/collections/{collection_id}/items/{feature_id:path}": (f"/v1/collections/units/items/{unit}", None),
        "GET /v1/closures": ("/v1/closures", None),
        "POST /v1/closures": ("/v1/closures", {"closures": []}),
        "POST /v1/closures:import": ("/v1/closures:import?format=wzdx&source=city", WZDX),
        "DELETE /v1/closures/{closure_id:path}": ("/v1/closures/none", None),
        "GET /v1/approvals": ("/v1/approvals", None),
        "POST /v1/approvals": ("/v1/approvals", {"stop": stop, "agreement": agreement}),
        "POST /v1/approvals/answers": (
            "/v1/approvals/answers", {"stop": stop, "agreement": agreement, "agency": agency, "answer": "granted"},
        ),
    }  # fmt: skip
