"""Every operation of the table against each scope, broken bodies, media types, and whatever its document allows."""

from __future__ import annotations

import json
import re

import pytest
import schemathesis
from doors import OWN, STRANGER, Service, full_matcher, samples
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_town import NOW, STOP

from geomatch.model import Stop
from geomatch.quantities import LonLat
from geomatch.service.operations import OPERATIONS, SOCKET
from geomatch.service.scopes import Scope
from geomatch.service.settings import Settings

pytest_plugins = ("service_town",)
CLOSED = [one for one in OPERATIONS if one.scopes]
BODIES = [one for one in OPERATIONS if samples()[one.name][1] is not None]
STREAMS = {"GET /v1/events", "GET /v1/stops/{stop_id:path}/events"}
DESCRIBED = [one for one in CLOSED if one.method != SOCKET and one.name not in {*STREAMS, "GET /metrics"}]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def service(town, tmp_path_factory) -> Service:
    matcher = full_matcher(town)
    matcher.open_stop(Stop(id="s-own", at=LonLat(STOP["at"]["lon"], STOP["at"]["lat"]), agency=OWN), at=NOW)
    return Service(matcher, tmp_path_factory.mktemp("matrix"), settings=Settings(max_body_bytes=200_000))


@pytest.fixture(scope="module")
def foreign(service) -> str:
    """With every scope there is, of an agency that nobody has an agreement with."""
    return service.key("foreign", agencies=(STRANGER,))


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_opens_what_the_table_says_and_nothing_else(service, scope):
    key = service.key(f"only-{scope.name.replace('_', '-')}", agencies=("nobody.example",), scopes=(scope,))
    opened = set()
    for one in CLOSED:
        path, body = samples()[one.name]
        if service.ask(one.method, path, body, key=key).status != 403 or one.scopes == {scope}:
            opened.add(one.name)
    assert opened == {one.name for one in CLOSED if one.scopes == {scope}}


def test_each_scope_opens_something():
    assert {scope for one in OPERATIONS for scope in one.scopes} == set(Scope)


BROKEN = {
    "nothing": b"", "nul": b"\x00", "half": b'{"', "no json": b"\xff\xfe", "null": b"null", "a number": b"1",
    "a list": b"[]", "text": b'"x"', "deep lists": b"[" * 50_000, "deep objects": b'{"a":' * 30_000,
    "deep and whole": b"[" * 5_000 + b"]" * 5_000, "not a number": b'{"stop": NaN}',
    "half a character": b'{"\\ud800": 1}',
    "half in utf-8": b'{"\xed\xa0\x80": 1}', "utf-16": '{"a": 1}'.encode("utf-16"), "bom": b"\xef\xbb\xbf{}",
    "digits": b'{"k": ' + b"9" * 6_000 + b"}", "exponent": b'{"k": 1e999}', "twice": b'{"stop": 1, "stop": 2}',
    "keys of any kind": '{"\u202e": 1, "": 2, "__proto__": 3, "a\\u0000b": 4}'.encode(),
    "xml": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
}  # fmt: skip


@pytest.mark.parametrize("operation", BODIES, ids=lambda one: one.name)
def test_no_body_breaks_an_operation_or_changes_anything(service, foreign, operation):
    path, _ = samples(unit="stranger", agency=STRANGER)[operation.name]
    before = service.matcher.memory()
    path = path.replace("&source=city", "")  # then whose it is, the body says
    for name, body in BROKEN.items():
        answer = service.ask(operation.method, path, body, key=foreign)
        assert answer.status < 500, (name, answer.text)
        assert "root:" not in answer.text
        assert answer.headers["content-type"].startswith(("application/problem+json", "application/json")), name
        if operation.name.startswith(("POST /v1/fixes:", "POST /v1/closures:")):
            continue  # lines and items: what is read is told of each
        assert answer.status in {403, 404, 413, 415, 422}, (name, answer.status, answer.text)
    assert service.matcher.memory() == before


@pytest.mark.parametrize("operation", BODIES, ids=lambda one: one.name)
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(service, foreign, operation):
    path, _ = samples(unit="stranger", agency=STRANGER)[operation.name]
    if operation.name == "POST /v1/fixes:stream":
        return  # as long as it is: each line has the limit
    said = service.ask(operation.method, path, b"{}", key=foreign, headers=[(b"content-length", b"200001")])
    sent = service.ask(operation.method, path, b" " * 200_001, key=foreign)
    assert {said.status, sent.status} == {413}, (said.text, sent.text)


@pytest.mark.parametrize(
    "media",
    [b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"*/*", b"\xff\x00",
     b"application/json, text/html", b"application/" + b"x" * 9_000],
)  # fmt: skip
def test_what_does_not_call_itself_json_is_not_read_as_json(service, foreign, media):
    for one in BODIES:
        path, body = samples(unit="stranger", agency=STRANGER)[one.name]
        answer = service.ask(one.method, path, body, key=foreign, media=media)
        assert answer.status < 500, (one.name, answer.text)
        if not one.path.startswith(("/v1/fixes:", "/v1/closures:")):
            assert answer.status == 415, (one.name, answer.status)


@pytest.fixture(scope="module")
def api(service):
    service.open()
    return schemathesis.openapi.from_asgi("/openapi.json", service.app)


@pytest.mark.parametrize("operation", DESCRIBED, ids=lambda one: one.name)
def test_whatever_a_foreign_key_sends_by_the_document_shows_no_place_of_another(service, foreign, api, operation):
    """As test_openapi.py does without keys; the answers are those that the document promises, refusals too."""
    fixes = [state.fix for state in service.matcher.states() if state.unit.id != "stranger"]
    hidden = {degrees for fix in fixes for degrees in (fix.at.lon, fix.at.lat)}

    @given(case=api[operation.path.replace(":path", "")][operation.method].as_strategy())
    @hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case):
        answer = case.call_and_validate(headers={"authorization": f"Bearer {foreign}"}, checks=CHECKS)
        told, asked = numbers(answer.text), numbers(json.dumps(case.body, default=str) if case.body else "")
        assert not hidden & told - asked

    send()


def numbers(text: str) -> set[float]:
    return {float(one) for one in re.findall(r"-?\d+\.\d+", text)}
