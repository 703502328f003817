"""Feeds over HTTP and WebSocket: what a device sends moves its unit, and what is wrong is told."""

from __future__ import annotations

import asyncio
import json
import time
import tomllib

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from service_town import NOW, SOUTH, WEST, states
from starlette.websockets import WebSocketDisconnect
from test_feeds_cot import ALERT, POSITION
from test_feeds_eido import EIDO
from test_feeds_mapped import FILE, RECORD
from test_feeds_taip import framed

from geomatch.feeds.formats import parser_of
from geomatch.feeds.intake import Intake
from geomatch.feeds.mapped import mapping_of
from geomatch.feeds.transports.udp import UdpFeed
from geomatch.matcher import Matcher
from geomatch.quantities import format_time
from geomatch.service.app import create_app
from geomatch.service.feeds import LONGEST_LINE, Feeds, lines_in
from geomatch.service.settings import Settings

pytest_plugins = ("service_town",)
BYTES = {"content-type": "application/octet-stream"}
JSON = {"content-type": "application/json"}
PROBLEM = "application/problem+json"


@pytest.fixture
def held(town) -> Matcher:
    matcher = Matcher(town)
    matcher.replace_fleet(states(NOW - 60), source="test", source_seq=1)
    return matcher


@pytest.fixture
def alarms() -> list:
    return []


@pytest.fixture
def client(held, alarms) -> TestClient:
    mapping = mapping_of(tomllib.loads(FILE))
    feeds = Feeds(mappings={"vendor": mapping}, units={"2A14": "u1", "ANDROID-1": "u1"}, alarm=alarms.append)
    return TestClient(create_app(held, clock=lambda: NOW, feeds=feeds), raise_server_exceptions=False)


def taip(unit: str, seconds_ago: float = 1) -> bytes:
    lat, lon = round(SOUTH * 1e5), round((WEST + 0.001) * 1e5)
    return framed(f"RPV{int(NOW - seconds_ago) % 86_400:05d}{lat:+08d}{lon:+09d}01509012;ID={unit}")


def own(unit: str, seconds_ago: float = 1, **more) -> dict:
    told = {"unit": unit, "time": format_time(NOW - seconds_ago), "at": {"lon": WEST + 0.001, "lat": SOUTH}}
    return told | more


# Messages


def test_a_message_moves_its_unit(client, held):
    answer = client.post("/v1/fixes:raw?format=taip", content=taip("u1") + taip("u2", 2), headers=BYTES)
    assert answer.status_code == 200
    assert answer.json() == {
        "applied": 2, "statuses": 0, "emergencies": 0, "ignored": 0, "fault_count": 0, "faults": [],
        "results": [{"unit": unit, "outcome": "applied", "detail": ""} for unit in ("u1", "u2")],
    }  # fmt: skip
    assert held.state("u1").fix.time == NOW - 1
    assert held.state("u1").fix.source == "taip"


def test_a_faulty_report_is_told_and_the_others_hold(client, held):
    damaged = taip("u2").replace(b"01509", b"01519")
    answer = client.post(
        "/v1/fixes:raw?format=taip", content=taip("u1") + damaged + taip("nobody"), headers=BYTES
    ).json()
    assert [result["outcome"] for result in answer["results"]] == ["applied", "unknown_unit"]
    assert (answer["applied"], answer["fault_count"]) == (1, 1)
    assert answer["faults"][0]["kind"] == "checksum"
    assert held.state("u2").fix.time == NOW - 65


def test_a_message_of_nothing_but_faults_is_refused_and_says_where(client):
    answer = client.post("/v1/fixes:raw?format=nmea", content=b"$GPRMC,1*00\nnoise", headers=BYTES)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert [error["location"] for error in answer.json()["errors"]] == ["line 1", "line 2"]


def test_the_query_says_whose_it_is_and_where_from(client, held):
    told = own("somebody")
    assert client.post("/v1/fixes:raw?unit=u2&source=portable", json=told).json()["applied"] == 1
    assert held.state("u2").fix.source == "portable"


def test_other_peoples_json_comes_by_a_mapping(client, held):
    record = RECORD | {"position": {"lng": WEST + 0.001, "lat": SOUTH}, "ts": (NOW - 1) * 1000}
    message = {"data": {"vehicles": [record]}}
    answer = client.post("/v1/fixes:raw?format=mapped&mapping=vendor", json=message)
    assert (answer.json()["applied"], answer.json()["statuses"]) == (1, 1)
    assert held.state("u1").fix.speed_mps == pytest.approx(26.8224)
    for query in ("format=mapped", "format=mapped&mapping=other", "format=gpx", "unit=", "mapping=other"):
        answer = client.post(f"/v1/fixes:raw?{query}", json=message)
        assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), query


def test_an_eido_sets_a_status_and_raises_the_alarm(client, held, alarms):
    answer = client.post("/v1/fixes:raw?format=eido", json=EIDO).json()
    assert (answer["statuses"], answer["emergencies"]) == (1, 1)
    assert held.state("u1").status.availability == "conditionally_available"
    assert [(emergency.unit, emergency.state) for emergency in alarms] == [("u1", "OfficerNeedsHelp")]
    client.post("/v1/fixes:raw?format=cot", content=(POSITION + ALERT).encode(), headers=BYTES)
    assert [emergency.unit for emergency in alarms] == ["u1", "u1"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; a=b", ""])
@pytest.mark.parametrize("path", ["/v1/fixes:raw", "/v1/fixes:stream"])
def test_what_a_page_of_another_site_could_send_is_refused(client, held, path, kind):
    answer = client.post(path, content=json.dumps(own("u1")), headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)
    assert held.state("u1").fix.time == NOW - 65


def test_a_message_too_long_is_refused(held):
    client = TestClient(create_app(held, clock=lambda: NOW, settings=Settings(max_body_bytes=1_000)))
    assert client.post("/v1/fixes:raw?format=taip", content=b"x" * 1_001, headers=BYTES).status_code == 413
    chunked = client.post("/v1/fixes:raw?format=taip", content=iter([b"x" * 600] * 2), headers=BYTES)
    assert chunked.status_code == 413


# Lines


def test_a_bad_line_is_counted_and_the_next_ones_hold(client, held):
    lines = [json.dumps(own("u1", 3)), "{broken", "", json.dumps(own("u2", 2)), json.dumps(own("u9")),
             json.dumps(own("u1", 9)), "x" * (LONGEST_LINE + 5), json.dumps(own("u1", 1))]  # fmt: skip
    answer = client.post(
        "/v1/fixes:stream", content="\r\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    told = answer.json()
    # Lines that come in one piece are one batch, of which the newest fix of a unit is applied.
    assert sum(told["outcomes"].values()) == 5
    assert told["outcomes"]["unknown_unit"] == 1
    assert told["applied"] == told["outcomes"]["applied"] >= 2
    assert (told["lines"], told["fault_count"]) == (8, 2)
    assert [fault["location"] for fault in told["faults"]] == ["line 2", "line 7"]
    assert held.state("u1").fix.time == NOW - 1
    assert held.state("u2").fix.time == NOW - 2


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b" ")), max_size=12),
    st.lists(st.integers(0, 12), max_size=40),
)
def test_lines_may_be_cut_anywhere_on_the_way(lines, cuts):
    raw = b"".join(line + b"\n" for line in lines) + b"end"

    async def chunks():
        rest = raw
        for cut in cuts:
            yield rest[:cut]
            rest = rest[cut:]
        yield rest

    async def read():
        return [batch async for batch in lines_in(chunks())]

    batches = asyncio.run(read())
    assert [line for _, batch in batches for line in batch] == [*lines, b"end"]
    assert all(first == 1 + sum(len(batch) for _, batch in batches[:i]) for i, (first, _) in enumerate(batches))


def test_a_line_of_any_length_is_not_kept(client):
    long = b"x" * 5 * LONGEST_LINE + b"\n" + taip("u1") + b"\n"
    told = client.post("/v1/fixes:stream?format=taip", content=long, headers=BYTES).json()
    assert (told["lines"], told["applied"], told["fault_count"]) == (2, 1, 1)


# A socket


def test_a_socket_answers_message_by_message(client, held):
    with client.websocket_connect("/v1/fixes/ws?format=taip") as ws:
        ws.send_bytes(taip("u1", 5))
        assert ws.receive_json()["applied"] == 1
        ws.send_text("noise")
        assert ws.receive_json()["faults"][0]["kind"] == "malformed"
        ws.send_text(taip("u1", 1).decode() + taip("u2", 1).decode())
        assert ws.receive_json()["applied"] == 2
    assert held.state("u1").fix.time == NOW - 1


def test_a_socket_opened_by_another_sites_page_is_refused(client):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/v1/fixes/ws", headers={"origin": "https://elsewhere.example"}),
    ):
        pass
    with client.websocket_connect("/v1/fixes/ws", headers={"origin": "http://testserver"}) as ws:
        ws.send_json(own("u1"))
        assert ws.receive_json()["applied"] == 1


def test_a_socket_that_asks_for_what_is_not_there_is_told_why(client):
    with client.websocket_connect("/v1/fixes/ws?format=mapped") as ws, pytest.raises(WebSocketDisconnect) as closed:
        ws.receive_json()
    assert closed.value.code == 1008
    assert "mapping" in closed.value.reason


def test_a_message_too_long_closes_the_socket(held):
    client = TestClient(create_app(held, clock=lambda: NOW, settings=Settings(max_body_bytes=1_000)))
    with client.websocket_connect("/v1/fixes/ws?format=taip") as ws:
        ws.send_text("x" * 1_001)
        with pytest.raises(WebSocketDisconnect) as closed:
            ws.receive_json()
    assert closed.value.code == 1009


# All feeds


def test_what_became_of_each_feed_is_told(held):
    modems = Intake("modems", parser_of("taip"), held, clock=lambda: NOW)
    feeds = Feeds(transports=(UdpFeed(intake=modems, host="127.0.0.1", port=0),))
    with TestClient(create_app(held, clock=lambda: NOW, feeds=feeds)) as client:
        client.post("/v1/fixes:raw?format=taip", content=taip("u1") + b"noise", headers=BYTES)
        modems.offer(b"noise", sender="10.0.0.7")
        for _ in range(200):
            http, udp = client.get("/v1/feeds").json()["feeds"]
            if udp["counts"]["read"]:
                break
            time.sleep(0.02)
    assert (http["name"], udp["name"]) == ("http", "modems")
    assert http["counts"]["fixes"] == {"applied": 1}
    assert udp["counts"]["faults"] == {"malformed": 1}
    assert udp["faults"][0]["sender"] == "10.0.0.7"
    assert "-97" not in json.dumps([http, udp])
