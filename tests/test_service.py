"""The HTTP API: what it answers is what the matcher says, and what a CAD sends is what the matcher gets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from service_town import FAR_AWAY, NOW, STOP, as_json, states, write_fleet

from geomatch.errors import BadInput, GeomatchError
from geomatch.matcher import Matcher
from geomatch.model import Comparison, Fix, Ranking, Stop
from geomatch.quantities import LonLat, format_time
from geomatch.service.app import create_app
from geomatch.service.problems import KINDS, kind_of
from geomatch.service.serve import is_loopback, listen
from geomatch.service.settings import Settings

pytest_plugins = ("service_town",)
PROBLEM = "application/problem+json"


@pytest.fixture
def client(matcher) -> TestClient:
    return TestClient(create_app(matcher, clock=lambda: NOW), raise_server_exceptions=False)


def python_ranking(matcher, **more) -> dict:
    stop = TypeAdapter(Stop).validate_python(STOP)
    ranking = matcher.rank(stop, 5, now=NOW, **more)
    whole = replace(ranking, excluded=list(ranking.excluded), beyond_k=list(ranking.beyond_k))
    return TypeAdapter(Ranking).dump_python(whole, mode="json")


# Rankings


def test_the_answer_is_the_rankings_own_json_with_the_long_lists_null_until_asked_for(client, matcher):
    whole = python_ranking(matcher)
    brief = client.post("/v1/rankings", json={"stop": STOP}).json()
    assert brief == whole | {"excluded": None, "beyond_k": None}
    asked = client.post("/v1/rankings", json={"stop": STOP, "include": ["excluded", "beyond_k"]}).json()
    assert asked == whole
    assert [c["unit"] for c in asked["candidates"]] == ["u1", "u2"]
    assert {x["unit"]: x["reason"] for x in asked["excluded"]} == {"u3": "not_available", "u4": "no_fix"}


def test_every_unit_is_accounted_for(client):
    answer = client.post("/v1/rankings", json={"stop": STOP, "k": 1, "include": ["excluded", "beyond_k"]}).json()
    listed = [one["unit"] for part in ("candidates", "excluded", "beyond_k") for one in answer[part]]
    assert sorted(listed) == ["u1", "u2", "u3", "u4"]
    assert answer["counts"]["units"] == 4


def test_units_in_the_request_are_ranked_as_if_they_were_held_and_nothing_is_kept(town, client):
    empty = TestClient(create_app(Matcher(town), clock=lambda: NOW))
    ask = {"stop": STOP, "units": [as_json(state) for state in states()]}
    stateless, held = (
        empty.post("/v1/rankings", json=ask).json(),
        client.post("/v1/rankings", json={"stop": STOP}).json(),
    )
    assert stateless == held | {"version": None}
    assert empty.get("/v1/units").json() == {"units": []}


def test_an_empty_list_of_units_is_not_the_held_fleet(client):
    assert client.post("/v1/rankings", json={"stop": STOP, "units": []}).json()["counts"]["units"] == 0


def test_a_route_comes_when_asked_for_and_its_legs_add_up(client):
    (first, *_) = client.post("/v1/rankings", json={"stop": STOP, "include": ["route"]}).json()["candidates"]
    legs = first["route"]["legs"]
    assert sum(leg["turn_s"] + leg["drive_s"] for leg in legs) == pytest.approx(first["eta"]["travel_s"], abs=1e-3)
    assert first["route"]["attribution"]
    assert client.post("/v1/rankings", json={"stop": STOP}).json()["candidates"][0]["route"] is None


def test_the_clock_is_the_services_unless_the_request_brings_one(client):
    later = format_time(NOW + 40)
    assert client.post("/v1/rankings", json={"stop": STOP}).json()["now"] == format_time(NOW)
    answer = client.post("/v1/rankings", json={"stop": STOP, "now": later.replace("Z", "+00:00")}).json()
    assert answer["now"] == later
    assert answer["candidates"][0]["fix_age_s"] == pytest.approx(45)


def test_a_unit_excluded_by_request_is_told_so(client):
    answer = client.post("/v1/rankings", json={"stop": STOP, "exclude_units": ["u1"], "include": ["excluded"]}).json()
    assert {"u1": "excluded_by_request"}.items() <= {x["unit"]: x["reason"] for x in answer["excluded"]}.items()


def test_an_explanation_says_the_rank_and_the_reason(client):
    first = client.post("/v1/explanations", json={"stop": STOP, "unit": "u1"}).json()
    assert (first["rank"], first["code"]) == (1, "candidate")
    busy = client.post("/v1/explanations", json={"stop": STOP, "unit": "u3"}).json()
    assert (busy["rank"], busy["code"]) == (None, "not_available")
    assert client.post("/v1/explanations", json={"stop": STOP, "unit": "nobody"}).status_code == 404


def test_answers_carry_the_maps_attribution_and_are_stored_by_no_proxy(client, town):
    response = client.post("/v1/rankings", json={"stop": STOP})
    assert response.json()["attribution"] == town.attribution
    assert "OpenStreetMap" in town.attribution
    assert response.headers["cache-control"] == "no-store"


# The fleet


def test_a_unit_is_made_changed_read_and_forgotten(client):
    unit = {"id": "u9", "agency": "hoboken.nj", "officers": 2}
    assert client.put("/v1/units/u9", json=unit).status_code == 201
    assert client.put("/v1/units/u9", json=unit | {"officers": 1}).status_code == 200
    assert client.get("/v1/units/u9").json()["unit"]["officers"] == 1
    assert client.delete("/v1/units/u9").status_code == 204
    assert client.get("/v1/units/u9").status_code == 404
    assert client.delete("/v1/units/u9").status_code == 404


def test_a_unit_id_with_a_slash_has_a_path_too(client):
    assert client.put("/v1/units/2A/14", json={"id": "2A/14", "agency": "hoboken.nj"}).status_code == 201
    assert client.put("/v1/units/2A/14/status", json={"availability": "not_available"}).status_code == 200
    assert client.get("/v1/units/2A%2F14").json()["status"]["availability"] == "not_available"


def test_a_unit_in_another_units_path_is_refused(client):
    response = client.put("/v1/units/u1", json={"id": "u2", "agency": "hoboken.nj"})
    assert (response.status_code, response.headers["content-type"]) == (422, PROBLEM)


def test_a_status_without_a_time_holds_from_now_and_an_older_one_changes_nothing(client):
    assert client.put("/v1/units/u1/status", json={"availability": "not_available"}).json() == {
        "availability": "not_available", "activity": "patrol", "at": format_time(NOW),
    }  # fmt: skip
    older = {"availability": "available", "at": format_time(NOW - 3600)}
    assert client.put("/v1/units/u1/status", json=older).json()["availability"] == "not_available"


def test_each_fix_has_its_own_result(client):
    def fix(unit, seconds, at=STOP["at"]):
        return {"unit": unit, "time": format_time(NOW + seconds), "at": at}

    fixes = [fix("u1", -1), fix("u1", -500), fix("u2", 3600), fix("nobody", -1), fix("u4", -1, FAR_AWAY)]
    answer = client.post("/v1/fixes", json={"fixes": fixes}).json()
    outcomes = [result["outcome"] for result in answer["results"]]
    assert outcomes == ["applied", "late", "future", "unknown_unit", "outside_map"]
    assert answer["applied"] == 1
    assert client.get("/v1/units/u1").json()["fix"]["at"] == STOP["at"]


def test_a_malformed_batch_is_refused_whole(client):
    before = client.get("/v1/units").json()
    good = {"unit": "u1", "time": format_time(NOW), "at": STOP["at"]}
    for bad in ({"unit": "u1"}, good | {"speed_kph": 3}, good | {"at": {"lon": 400, "lat": 0}}, 7, None):
        response = client.post("/v1/fixes", json={"fixes": [good, bad]})
        assert response.status_code == 422
        assert response.json()["errors"][0]["location"].startswith("fixes[1]")
    assert client.get("/v1/units").json() == before


def test_a_batch_holds_ten_thousand_fixes_and_no_more(client):
    good = {"unit": "u1", "time": format_time(NOW), "at": STOP["at"]}
    assert client.post("/v1/fixes", json={"fixes": [good] * 10_000}).status_code == 200
    assert client.post("/v1/fixes", json={"fixes": [good] * 10_001}).status_code == 422


def test_a_snapshot_replaces_its_sources_units_and_an_older_one_is_told_to_resync(client):
    only = {"source": "test", "source_seq": 5, "units": [as_json(states()[0])]}
    assert client.put("/v1/fleet", json=only).status_code == 200
    assert [state["unit"]["id"] for state in client.get("/v1/units").json()["units"]] == ["u1"]
    response = client.put("/v1/fleet", json=only | {"source_seq": 4, "units": []})
    assert response.status_code == 409
    assert response.json()["type"].endswith(":resync_required")
    assert len(client.get("/v1/units").json()["units"]) == 1


def test_changes_follow_a_snapshot_one_by_one_and_a_gap_is_told_to_resync(client):
    unit, fix = as_json(states()[0])["unit"], as_json(states()[0])["fix"]
    change = {"source": "test", "source_seq": 2, "units": [unit | {"officers": 2}], "removed": ["u4"],
              "statuses": {"u2": {"availability": "not_available", "at": format_time(NOW)}},
              "fixes": [fix | {"time": format_time(NOW)}]}  # fmt: skip
    answer = client.patch("/v1/fleet", json=change)
    assert (answer.status_code, answer.json()["applied"]) == (200, 1)
    held = {state["unit"]["id"]: state for state in client.get("/v1/units").json()["units"]}
    assert set(held) == {"u1", "u2", "u3"}
    assert held["u1"]["unit"]["officers"] == 2
    assert held["u2"]["status"]["availability"] == "not_available"

    assert client.patch("/v1/fleet", json=change).json()["results"][0]["outcome"] == "repeated"
    gap = client.patch("/v1/fleet", json=change | {"source_seq": 9})
    assert (gap.status_code, gap.json()["type"]) == (409, "urn:geomatch:problem:resync_required")
    assert client.patch("/v1/fleet", json=change | {"source_seq": 3, "removed": ["nobody"]}).status_code == 404


def test_a_comparison_is_the_matchers(client, matcher):
    told = client.post("/v1/comparisons", json={"stop": STOP}).json()
    compared = matcher.compare(TypeAdapter(Stop).validate_python(STOP), now=NOW)
    assert told == TypeAdapter(Comparison).dump_python(compared, mode="json")
    assert told["fastest_that_may_go"]["unit"] == "u1"


def test_the_service_says_what_it_is_ready_with(client, town):
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["region_hash"], ready["epoch"], ready["units"]) == (town.hash, 0, 4)


# Errors


def test_every_error_of_geomatch_has_a_row_in_the_table():
    def kinds(cls):
        yield cls
        for sub in cls.__subclasses__():
            yield from kinds(sub)

    for cls in kinds(GeomatchError):
        if cls is not GeomatchError and cls.__module__ == "geomatch.errors":
            assert cls in KINDS, f"{cls.__name__} would be answered as {kind_of(cls('x'))}"


def test_a_fault_of_the_service_is_a_problem_that_tells_nothing(matcher):
    def broken():
        raise RuntimeError(f"at {STOP['at']}")

    client = TestClient(create_app(matcher, clock=broken), raise_server_exceptions=False)
    response = client.post("/v1/rankings", json={"stop": STOP})
    assert (response.status_code, response.headers["content-type"]) == (500, PROBLEM)
    assert str(STOP["at"]["lon"]) not in response.text
    assert "RuntimeError" not in response.text


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2", 404), ("PATCH", "/v1/units", 405)])
def test_a_path_that_is_none_is_a_problem_too(client, method, path, status):
    response = client.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, PROBLEM)
    assert response.json()["status"] == status


def test_a_body_may_be_no_longer_than_the_operator_says(matcher):
    client = TestClient(create_app(matcher, clock=lambda: NOW, settings=Settings(max_body_bytes=200)))
    fits, long = {"stop": STOP}, {"stop": STOP, "exclude_units": ["x" * 200]}
    assert client.post("/v1/rankings", json=fits).status_code == 200
    assert client.post("/v1/rankings", json=long).status_code == 413

    def in_parts():  # no Content-Length
        yield from (b" " * 150, b" " * 150)

    response = client.post("/v1/rankings", content=in_parts(), headers={"content-type": "application/json"})
    assert response.status_code == 413


# On a socket


def test_only_loopback_addresses_are_served_unless_the_caller_says_otherwise():
    assert [is_loopback(h) for h in ("127.0.0.1", "127.8.8.8", "::1", "localhost")] == [True] * 4
    assert [is_loopback(h) for h in ("0.0.0.0", "10.0.0.1", "::", "example.org", "")] == [False] * 5
    with pytest.raises(BadInput, match="--allow-open"):
        listen("0.0.0.0", 0)
    with listen("127.0.0.1", 0) as taken, pytest.raises(BadInput, match="--port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_the_command_serves_until_it_is_interrupted(town_folder, tmp_path):
    fleet = write_fleet(tmp_path / "fleet.geojson", now=time.time())
    command = [sys.executable, "-m", "geomatch.cli", "serve", str(town_folder), "--fleet", str(fleet), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline()).group()
            body = TypeAdapter(dict).dump_json({"stop": STOP})
            request = urllib.request.Request(
                f"{address}/v1/rankings", body, {"Content-Type": "application/json"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=60) as response:
                ranking = TypeAdapter(dict).validate_json(response.read())
            assert [c["unit"] for c in ranking["candidates"]] == ["u1", "u2"]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_writers_and_readers_at_once_see_whole_fleets(client, matcher):
    """Fixes move both cars together; a ranking never sees one moved and the other not."""
    from concurrent.futures import ThreadPoolExecutor

    def move(step):
        fixes = [
            Fix(unit=unit, time=NOW + step / 100, at=LonLat(STOP["at"]["lon"] + step * 1e-5, STOP["at"]["lat"]))
            for unit in ("u1", "u2")
        ]
        matcher.update(fixes)

    def ask(_):
        answer = client.post("/v1/rankings", json={"stop": STOP}).json()
        return {round(c["distance_m"], 3) for c in answer["candidates"]}

    move(0)
    with ThreadPoolExecutor(4) as pool:
        moves = [pool.submit(move, step) for step in range(1, 60)]
        seen = list(pool.map(ask, range(60)))
        for done in moves:
            done.result()
    assert all(len(distances) == 1 for distances in seen)
    assert len(seen) == 60
