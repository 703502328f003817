"""The doors: every route against every scope and a foreign agency, and whatever else is tried at them."""

from __future__ import annotations

import logging
import re
from contextlib import nullcontext
from functools import cache

import pytest
from doors import (
    BLUR_M,
    EVERYTHING,
    OPEN,
    OWN,
    PLACES,
    SHOWN,
    STRANGER,
    Service,
    ask,
    full_matcher,
    samples,
)
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st
from service_town import NOW, STOP
from starlette.routing import compile_path

from geomatch.aid.clauses import Disclosed
from geomatch.backup.calls_for_help import Alarm
from geomatch.errors import BadInput, UnknownUnit
from geomatch.model import Stop
from geomatch.quantities import LonLat
from geomatch.service.app import create_app
from geomatch.service.callers import CALLER, Caller, Forbidden
from geomatch.service.keys import Key, KeyFile, new_key, read_keys, revoked, write_keys
from geomatch.service.limiting import Limits
from geomatch.service.operations import OPERATIONS, SOCKET, Operations
from geomatch.service.scopes import Scope
from geomatch.service.security import Ring
from geomatch.service.tenancy import Tenants

pytest_plugins = ("service_town",)
HERE = STOP | {"agency": OWN}
CLOSED = [one for one in OPERATIONS if one.scopes]


@pytest.fixture
def service(town, tmp_path) -> Service:
    """With a stop of Hoboken's that has its own unit, and a call for help of one of its radios."""
    matcher = full_matcher(town)
    stop = Stop(id="s-own", at=LonLat(STOP["at"]["lon"], STOP["at"]["lat"]), agency=OWN)
    matcher.open_stop(stop, at=NOW)
    matcher.assign("s-own", "own", version=1, at=NOW)
    matcher.emergencies.hear(Alarm(unit=None, device="radio 7", agency=OWN, at=NOW), now=NOW)
    return Service(matcher, tmp_path)


def routes() -> list[tuple[str, str]]:
    class NoMatcher:
        stops = None

    listed = []
    for route in iter_route_contexts(create_app(NoMatcher()).routes):
        methods = set(route.methods or {SOCKET}) - {"HEAD"}
        listed += [(method, route.path) for method in methods]
    return listed


# Every route


def test_every_route_says_what_it_takes_and_the_table_names_no_other():
    assert {f"{method} {path}" for method, path in routes()} == {one.name for one in OPERATIONS}
    assert set(samples()) == {one.name for one in OPERATIONS}


WORDS = (
    "v1",
    "units",
    "stops",
    "status",
    "events",
    "fixes",
    "fixes:raw",
    "ws",
    "a",
    "",
    "..",
    "assignments",
    "closures",
)
SEGMENTS = st.sampled_from(WORDS)


@cache
def patterns():
    return [(method, compile_path(path)[0], f"{method} {path}") for method, path in routes()]


@given(st.lists(SEGMENTS, max_size=5).map(lambda parts: "/" + "/".join(parts)), st.sampled_from(["GET", "PUT", SOCKET]))
def test_the_table_finds_the_operation_that_the_application_routes_to(path, method):
    routed = [name for verb, pattern, name in patterns() if verb == method and pattern.match(path)]
    found = Operations().find(method, path)
    assert (found.name if found else None) == (routed[0] if routed else None)


def test_what_is_in_no_table_is_not_there_with_keys(service):
    service.open()
    service.app.add_api_route("/v1/forgotten", lambda: "secret")
    key = service.key("all", agencies=("*",))
    assert service.ask("GET", "/v1/forgotten", key=key).status == 404
    assert service.ask("PATCH", "/v1/units", key=key).status == 405


@pytest.mark.parametrize("operation", CLOSED, ids=lambda one: one.name)
def test_nobody_comes_in_without_a_key_or_with_one_for_something_else(service, operation):
    path, body = samples()[operation.name]
    before = service.matcher.memory()
    anonymous = service.ask(operation.method, path, body)
    refused = {"other": [one for one in Scope if one not in operation.scopes]}
    refused |= {f"no-{n}": [s for s in Scope if s is not one] for n, one in enumerate(sorted(operation.scopes))}
    keys = [service.key(name, scopes=scopes) for name, scopes in refused.items()]
    answers = [service.ask(operation.method, path, body, key=key) for key in keys]
    assert {answer.status for answer in answers} == {403}
    assert service.matcher.memory() == before
    if operation.method != SOCKET:
        assert (anonymous.status, anonymous.headers["www-authenticate"]) == (401, 'Bearer realm="geomatch"')
        assert all("insufficient_scope" in answer.headers["www-authenticate"] for answer in answers)
        assert {answer.headers["content-type"] for answer in (anonymous, *answers)} == {"application/problem+json"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_with_just_its_scopes_an_operation_answers(service, operation):
    path, body = samples()[operation.name]
    key = service.key("just", scopes=operation.scopes) if operation.scopes else None
    answer = service.ask(operation.method, path, body, key=key)
    expected = {200, 201, 204, 101, 404, 409} if operation.method not in {"GET", SOCKET} else {200, 101}
    if operation.name == "POST /v1/approvals":
        expected = {422}  # this agreement asks nobody
    if operation.name == "POST /v1/approvals/answers":
        expected = {422}
    assert answer.status in expected, answer.text


ROADS = {"POST /v1/closures", "POST /v1/closures:import", "DELETE /v1/closures/{closure_id:path}"}


def names(answer, unit) -> bool:
    """Does it say more of the unit than the request did?"""
    told = f'"unit":"{unit}"' in answer.text or f'"id":"{unit}"' in answer.text
    return answer.status < 400 and told and "unknown_unit" not in answer.text


@pytest.mark.parametrize("operation", CLOSED, ids=lambda one: one.name)
def test_a_foreign_agency_changes_nothing_and_sees_no_place(service, operation):
    """With every scope there is, about another's unit and stop, in its own name and in the other's."""
    key = service.key("foreign", agencies=(STRANGER,))
    before = service.matcher.memory()
    for agency in (OWN, STRANGER):
        path, body = samples(agency=agency)[operation.name]
        if operation.name in {"PUT /v1/fleet", "POST /v1/stops"} and agency == STRANGER:
            continue  # a stop and a fleet of its own it may have
        answer = service.ask(operation.method, path, body, key=key)
        assert answer.status < 500, answer.text
        if operation.name == "POST /v1/emergencies":
            # No call is lost: it is one of the caller's own, of a device that nobody knows.
            assert service.matcher.memory().stops == before.stops
            continue
        if operation.name in ROADS:
            continue  # everybody's: whoever may close them closes them for all
        assert service.matcher.memory() == before
        if operation.method != SOCKET and operation.name != "GET /metrics":
            assert not [name for name in PLACES if name != "stranger" and names(answer, name)], answer.text


def test_a_foreign_fleet_of_the_same_source_leaves_the_others_units_alone(service):
    foreign = service.key("foreign", agencies=(STRANGER,))
    empty = {"source": "test", "source_seq": 99, "units": []}
    assert service.ask("PUT", "/v1/fleet", empty, key=foreign).status == 200
    assert {state.unit.id for state in service.matcher.states()} == set(PLACES)
    stolen = empty | {"units": [{"unit": {"id": "own", "agency": STRANGER}}]}
    answer = service.ask("PUT", "/v1/fleet", stolen | {"source_seq": 100}, key=foreign)
    assert (answer.status, answer.json()["type"]) == (403, "urn:geomatch:problem:forbidden")
    assert service.matcher.state("own").unit.agency == OWN


def test_another_agencys_unit_is_answered_as_one_that_is_not_there(service):
    foreign = service.key("foreign", agencies=(STRANGER,))
    for unit in ("own", "nobody"):
        gone = [
            service.ask("GET", f"/v1/units/{unit}", key=foreign),
            service.ask("DELETE", f"/v1/units/{unit}", key=foreign),
            service.ask("PUT", f"/v1/units/{unit}/status", {"availability": "available"}, key=foreign),
        ]
        assert [(one.status, one.json()["detail"]) for one in gone] == [
            (404, f"unit {unit} is not registered; register it first")
        ] * 3
    fixes = [{"unit": unit, "time": "2026-03-07T22:15:00Z", "at": STOP["at"]} for unit in ("own", "stranger", "nobody")]
    told = service.ask("POST", "/v1/fixes", {"fixes": fixes}, key=foreign).json()
    assert [one["outcome"] for one in told["results"]] == ["unknown_unit", "applied", "unknown_unit"]
    assert told["results"][0]["detail"] == told["results"][2]["detail"]


def test_a_device_that_may_report_fixes_alone_changes_no_status(service):
    """Formats carry statuses beside positions; where nobody asks at all, nothing is done."""
    tenants, before = Tenants(service.matcher, clock=lambda: NOW), service.matcher.state("own").status
    with pytest.raises(Forbidden):
        tenants.set_status("own", at=NOW)
    for scopes, may in ((Scope.fixes_write,), False), ((Scope.fixes_write, Scope.status_write), True):
        token = CALLER.set(Caller(id="modem", agencies=frozenset({OWN}), scopes=frozenset(scopes)))
        try:
            with nullcontext() if may else pytest.raises(UnknownUnit):
                tenants.set_status("own", availability="not_available", at=NOW)
        finally:
            CALLER.reset(token)
        assert (service.matcher.state("own").status != before) == may


# What partners disclose


def units(service, key) -> dict:
    return {one["unit"]["id"]: one for one in service.ask("GET", "/v1/units", key=key).json()["units"]}


def test_a_list_shows_each_partner_as_it_discloses_itself_and_no_stranger(service):
    seen = units(service, service.key("cad"))
    assert set(seen) == set(PLACES) - {"stranger"}
    held = {state.unit.id: state for state in service.matcher.states()}
    for name in ("own", "open"):
        assert seen[name]["fix"]["at"] == {"lon": held[name].fix.at.lon, "lat": held[name].fix.at.lat}
    assert seen["shy"]["fix"] is None
    assert (seen["shy"]["status"]["activity"], seen["shy"]["status"]["availability"]) == (
        "not_disclosed",
        "not_available",
    )
    vague = seen["vague"]["fix"]
    assert (vague["course_deg"], vague["speed_mps"], vague["source"]) == (None, None, "blurred")
    projection = service.matcher.region.network.projection
    true, told = projection.xy(held["vague"].fix.at), projection.xy(LonLat(vague["at"]["lon"], vague["at"]["lat"]))
    assert max(abs(true.x - told.x), abs(true.y - told.y)) <= BLUR_M / 2 + 0.01
    for told_in in (told.x, told.y):
        assert (told_in / BLUR_M - 0.5) == pytest.approx(round(told_in / BLUR_M - 0.5), abs=1e-3)


def test_a_ranking_shows_everybodys_eta_and_places_as_disclosed(service):
    answer = service.ask(
        "POST", "/v1/rankings", {"stop": HERE | {"id": "other"}, "include": ["route"]}, key=service.key("cad")
    ).json()
    whole = service.matcher.rank(Stop(id="other", at=LonLat(**STOP["at"]), agency=OWN), now=service.now)
    assert [c["unit"] for c in answer["candidates"]] == [c.unit for c in whole.candidates]
    assert [c["eta"]["eta_s"] for c in answer["candidates"]] == [c.eta.eta_s for c in whole.candidates]
    true = {c.unit: c for c in whole.candidates}
    for told in answer["candidates"]:
        shown = SHOWN.get(told["agency"])
        exact = shown is None or shown.position is Disclosed.exact
        assert (told["place"] is None, told["route"] is None) == (not exact, not exact), told["unit"]
        assert ("place_not_disclosed" in told["notes"]) == (not exact)
        if exact:
            assert told["distance_m"] == true[told["unit"]].distance_m
        elif shown.position is Disclosed.blurred:
            assert told["distance_m"] % BLUR_M == 0
            assert abs(told["distance_m"] - true[told["unit"]].distance_m) <= BLUR_M / 2
        else:
            assert told["distance_m"] is None
    assert {"open", "vague", "shy"} <= {c["unit"] for c in answer["candidates"]}


def test_what_is_left_out_is_told_without_what_its_agency_keeps_to_itself(service):
    ask_for = {"stop": HERE | {"id": "other"}, "include": ["excluded"]}
    left_out = {
        x["unit"]: x for x in service.ask("POST", "/v1/rankings", ask_for, key=service.key("cad")).json()["excluded"]
    }
    assert (left_out["stranger"]["reason"], left_out["stranger"]["would_be"]) == ("no_agreement", None)
    assert (left_out["busy"]["detail"], left_out["busy"]["would_be"]) == ("not disclosed", None)
    everything = {
        x.unit: x for x in service.matcher.rank(Stop(id="o", at=LonLat(**STOP["at"]), agency=OWN), now=NOW).excluded
    }
    assert everything["stranger"].would_be
    assert everything["busy"].would_be


def test_an_explanation_names_no_road_of_a_unit_whose_place_is_not_disclosed(service):
    key = service.key("cad")
    told = {
        unit: service.ask("POST", "/v1/explanations", {"stop": HERE | {"id": "o"}, "unit": unit}, key=key).json()
        for unit in ("open", "vague", "shy")
    }
    assert re.search(r" on (Street|Avenue) \d", told["open"]["sentence"])
    for unit in ("vague", "shy"):
        assert "seen 5 s ago." in told[unit]["sentence"] or not re.search(r"Street|Avenue", told[unit]["sentence"])
        assert told[unit]["candidate"]["place"] is None


def test_partners_disclose_to_the_agency_of_the_agreement_and_not_to_whoever_names_it(service):
    foreign = service.key("foreign", agencies=(STRANGER,))
    for path, body in (
        samples()[name] for name in ("POST /v1/rankings", "POST /v1/explanations", "POST /v1/comparisons")
    ):
        answer = service.ask("POST", path, body, key=foreign)
        assert (answer.status, "candidates" in answer.text) == (403, False)


def test_a_regional_centre_sees_and_changes_what_every_agency_does(service):
    centre = service.key("centre", agencies=("*",))
    plain = ask(create_app(service.matcher, clock=lambda: service.now), "GET", "/v1/units")
    assert service.ask("GET", "/v1/units", key=centre).text == plain.text
    assert service.ask("GET", "/v1/stops/s-own", key=centre).status == 200


def test_the_agency_of_an_assigned_unit_sees_its_part_of_the_stop_and_steps_it(service):
    service.matcher.assign("s-own", "open", version=service.matcher.stops.view().version, at=NOW)
    partner, stranger = service.key("open", agencies=(OPEN,)), service.key("foreign", agencies=(STRANGER,))
    seen = service.ask("GET", "/v1/stops/s-own", key=partner).json()["open_stop"]
    assert [one["unit"] for one in seen["assignments"]] == ["open"]
    number = seen["assignments"][0]["id"]
    assert service.ask("GET", "/v1/stops/s-own", key=stranger).status == 404
    assert service.ask("PATCH", f"/v1/assignments/{number}", {"state": "accepted"}, key=stranger).status == 404
    assert service.ask("PATCH", f"/v1/assignments/{number}", {"state": "accepted"}, key=partner).status == 200
    assert service.ask("DELETE", "/v1/stops/s-own", key=partner).status == 403


# Keys


def test_a_key_is_kept_as_a_hash_and_told_once(tmp_path):
    held, credential = new_key(KeyFile(), key_id="cad", agencies=(OWN,), scopes=EVERYTHING, now=NOW)
    write_keys(tmp_path / "keys.json", held)
    secret = credential.rpartition(".")[2]
    assert len(secret) >= 43
    assert secret not in (tmp_path / "keys.json").read_text()
    assert secret not in repr(held)
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert read_keys(tmp_path / "keys.json") == held


def test_a_key_file_that_others_can_write_or_that_is_wrong_is_refused(tmp_path):
    path = tmp_path / "keys.json"
    write_keys(path, KeyFile())
    path.chmod(0o666)
    with pytest.raises(BadInput, match="chmod"):
        read_keys(path)
    for wrong in ("{", '{"key": []}', '{"keys": [{"id": "X"}]}'):
        path.unlink(missing_ok=True)
        path.write_text(wrong)
        path.chmod(0o600)
        with pytest.raises(BadInput, match=r"keys\.json"):
            read_keys(path)


def test_expired_revoked_and_wrong_keys_are_refused_and_a_revoked_one_soon(service):
    good, short = service.key("good"), service.key("short", expires=NOW + 60)
    for key in (good, short):
        assert service.ask("GET", "/v1/units", key=key).status == 200
    service.now = NOW + 61
    assert service.ask("GET", "/v1/units", key=short).status == 401
    write_keys(service.path, revoked(read_keys(service.path), "good", now=service.now))
    service.now += 2
    assert service.ask("GET", "/v1/units", key=good).status == 401
    other = service.key("other")
    for wrong in (other[:-1], other + "x", other.replace("gm1.other", "gm1.nobody"), "gm1.other.", "gm1..", "gm1."):
        assert service.ask("GET", "/v1/units", key=wrong, address=f"10.1.{len(wrong)}.1").status == 401


def test_a_slip_in_the_key_file_locks_nobody_out(service, caplog):
    key = service.key("cad")
    assert service.ask("GET", "/v1/units", key=key).status == 200
    service.path.write_text("{")
    service.now += 2
    assert service.ask("GET", "/v1/units", key=key).status == 200
    assert "the keys before it stay good" in caplog.text


def test_a_key_id_is_a_plain_word_and_is_not_used_twice():
    held, _ = new_key(KeyFile(), key_id="cad", agencies=(OWN,), scopes=(), now=NOW)
    with pytest.raises(BadInput, match="another id"):
        new_key(revoked(held, "cad", now=NOW), key_id="cad", agencies=(OWN,), scopes=(), now=NOW)
    with pytest.raises(BadInput, match="a-z"):
        Key(id="a.b", sha256="0" * 64, agencies=(OWN,), scopes=(), created=NOW)


# Trying things out


def test_five_wrong_secrets_lock_that_key_from_there_and_nothing_else(service):
    key, other = service.key("cad"), service.key("other")
    wrong = key[:-3] + "xyz"
    tries = [service.ask("GET", "/v1/units", key=wrong).status for _ in range(6)]
    assert tries == [401] * 5 + [429]
    locked = service.ask("GET", "/v1/units", key=key)
    assert (locked.status, locked.headers["retry-after"]) == (429, "900")
    assert service.ask("GET", "/v1/units", key=key, address="10.0.0.8").status == 200
    assert service.ask("GET", "/v1/units", key=other).status == 200


def test_whoever_tries_out_ids_or_tokens_is_locked_too_and_an_ipv6_network_is_one(service):
    key = service.key("cad")
    tries = [
        service.ask("GET", "/v1/units", key=f"gm1.guess{n}.{'x' * 43}", address=f"2001:db8::{n + 1:x}").status
        for n in range(2)
    ]
    assert tries == [401, 401]
    tries = [service.ask("GET", "/v1/units", key="a.b.c", address=f"2001:db8::{n + 1:x}").status for n in range(6)]
    assert tries == [401] * 5 + [429]
    assert service.ask("GET", "/v1/units", key=key, address="2001:db8::1").status == 200


def test_a_caller_has_so_many_requests_a_minute(town, tmp_path):
    service = Service(full_matcher(town), tmp_path, limits=Limits(requests_per_minute=5))
    key, other = service.key("cad"), service.key("other")
    answers = [service.ask("GET", "/v1/units", key=key) for _ in range(6)]
    assert [one.status for one in answers] == [200] * 5 + [429]
    wait_s = int(answers[-1].headers["retry-after"])
    service.now += wait_s - 1
    assert service.ask("GET", "/v1/units", key=key).status == 429
    service.now += 1
    assert service.ask("GET", "/v1/units", key=key).status == 200
    assert service.ask("GET", "/v1/units", key=other).status == 200


HEADERS = {
    "two keys": [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")],
    "basic": [(b"authorization", b"Basic YTpi")],
    "no scheme": [(b"authorization", b"gm1.cad.x")],
    "empty": [(b"authorization", b"")],
    "not ascii": [(b"authorization", b"Bearer \xff\xfe")],
    "nul": [(b"authorization", b"Bearer gm1.cad\x00.x")],
    "behind a comma": [(b"authorization", b"Bearer x, Bearer y")],
    "claims to be local": [(b"x-forwarded-for", b"127.0.0.1"), (b"x-real-ip", b"127.0.0.1")],
    "another path": [(b"x-original-url", b"/healthz"), (b"x-rewrite-url", b"/healthz")],
    "another method": [(b"x-http-method-override", b"GET")],
    "a header of 20 kB": [(b"x-long", b"x" * 20_000)],
    "two hundred": [(b"x-%d" % n, b"x") for n in range(200)],
}


@pytest.mark.parametrize("trick", list(HEADERS))
def test_no_trick_with_headers_opens_a_door(service, trick):
    service.key("cad")
    answer = service.ask("POST", "/v1/rankings", {"stop": HERE}, headers=HEADERS[trick])
    assert answer.status in {401, 431}
    assert "candidates" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["//v1/units", "/V1/units", "/v1/units/", "/v1/./units", "/v1/units;x", "/v1/units%00", "/healthz/../v1/units"],
)
def test_no_spelling_of_a_path_goes_around_the_table(service, path):
    assert service.ask("GET", path).status in {401, 404}


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 50_000, b'{"stop":' + b"[" * 5_000 + b"]" * 5_000 + b"}", b"\x00", b"\xff" * 50]
)
def test_deep_and_broken_bodies_are_refused(service, body):
    answer = service.ask("POST", "/v1/rankings", body, key=service.key("cad"))
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")


def test_no_secret_and_no_place_is_in_any_log_line(service, caplog):
    key = service.key("cad")
    caplog.set_level(logging.DEBUG)
    service.ask("GET", "/v1/units", key=key)
    service.ask("GET", "/v1/units", key=key[:-2] + "zz")
    service.ask("POST", "/v1/rankings", {"stop": HERE | {"agency": OPEN}}, key=key)
    service.ask("POST", "/v1/fixes", b'{"fixes": [{"at": {"lon": -97.7479}}]}', key=key)
    told = " ".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "admitted" in told
    assert "wrong_key" in told
    secret = key.rpartition(".")[2]
    assert secret not in told
    assert secret[:-2] not in told
    assert "97.74" not in told


def test_without_keys_the_one_who_reaches_it_may_do_everything(service):
    plain = create_app(service.matcher, clock=lambda: NOW)
    assert ask(plain, "GET", "/v1/units").json()["units"][0]["fix"]
    assert ask(plain, "GET", "/metrics").status == 200
    assert ask(plain, "GET", "/healthz", headers=[(b"x-long", b"x" * 20_000)]).status == 431


# Once and once only


def test_a_repeated_request_with_the_same_key_is_done_once(service):
    cad, other = service.key("cad"), service.key("other")
    version = service.matcher.stops.view().version
    body = {"stop_id": "s-own", "unit": "open", "version": version}
    once = [(b"idempotency-key", b"7f3a")]
    first = service.ask("POST", "/v1/assignments", body, key=cad, headers=once)
    again = service.ask("POST", "/v1/assignments", body, key=cad, headers=once)
    assert (first.status, again.status) == (201, 201)
    assert again.text == first.text
    assert service.ask("POST", "/v1/assignments", body, key=cad).status == 409  # without it, it is a second one
    reused = service.ask("POST", "/v1/assignments", body | {"unit": "vague"}, key=cad, headers=once)
    assert (reused.status, reused.json()["type"]) == (422, "urn:geomatch:problem:idempotency_key_reused")
    assert service.ask("POST", "/v1/assignments", body, key=other, headers=once).status == 409  # its own keys
    empty = [(b"idempotency-key", b"")]
    assert service.ask("POST", "/v1/assignments", body, key=cad, headers=empty).status == 422


def test_a_ring_of_a_missing_file_is_no_open_door(tmp_path):
    with pytest.raises(OSError, match="keys"):
        Ring(tmp_path / "keys.json")


def test_the_document_says_which_scopes_each_operation_needs():
    class NoMatcher:
        stops = None

    document = create_app(NoMatcher()).openapi()
    told = {
        (method.upper(), path): {scope for one in operation.get("security", ()) for scope in one["key"]}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert told == {
        (one.method, re.sub(r":\w+}", "}", one.path)): set(one.scopes)
        for one in OPERATIONS
        if one.method != SOCKET and one.name not in {"GET /metrics", "GET /openapi.json"}
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert ("401" in operation["responses"]) == bool(told[method.upper(), path])
