"""Assignments over HTTP: of a hundred consoles that take one unit one gets it, and no place is sold twice."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from test_stops import PAPERS, cars
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import UnitState
from geomatch.service.app import create_app

CONSOLES = 100


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = tmp_path_factory.mktemp("race")
    papers = folder / "papers.toml"
    papers.write_text(PAPERS.replace("max_units_at_once = 1", "max_units_at_once = 3"), encoding="utf-8")
    return main_street(folder / "main.region", agreements=(papers,))


@pytest.fixture
def matcher(region):
    return matcher_with(region, cars())


@pytest.fixture
def client(matcher):
    return TestClient(create_app(matcher, clock=lambda: NOW))


def stop(name="s1", x=1000.0, **more) -> dict:
    place = at(x)
    return {"id": name, "at": {"lon": place.lon, "lat": place.lat}, "agency": "town.example"} | more


def opened(client, *names, **more):
    for number, name in enumerate(names):
        assert client.post("/v1/stops", json={"stop": stop(name, 1000.0 - number, **more)}).status_code == 201
    return client.post("/v1/rankings", json={"stop_id": names[0]}).json()


def take(client, stop_id, unit_id, version, **more):
    return client.post("/v1/assignments", json={"stop_id": stop_id, "unit": unit_id, "version": version} | more)


def at_once(client, asks):
    """All asks as near to one moment as threads come."""
    begin = threading.Barrier(len(asks))

    def one(ask):
        begin.wait()
        return take(client, *ask)

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(one, asks))


@pytest.mark.parametrize("stops", [1, CONSOLES], ids=["one stop", "a stop each"])
def test_of_a_hundred_consoles_that_take_one_unit_one_gets_it_and_the_rest_a_fresh_ranking(client, matcher, stops):
    names = [f"s{n}" for n in range(stops)]
    ranking = opened(client, *names)
    best = ranking["candidates"][0]["unit"]
    version = matcher.stops.view().version
    answers = at_once(client, [(names[n % stops], best, version) for n in range(CONSOLES)])
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CONSOLES - 1}
    won = next(answer.json() for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            body = answer.json()
            assert answer.headers["content-type"] == "application/problem+json"
            assert body["type"] == "urn:geomatch:problem:lost_race"
            assert best not in [one["unit"] for one in body["ranking"]["candidates"]]
            assert body["ranking"]["version"] == won["version"]
    live = [one for held in matcher.stops.view().stops.values() for one in held.assignments]
    assert [one.unit for one in live] == [best]


def test_a_loser_assigns_at_once_from_the_ranking_it_was_given(client):
    ranking = opened(client, "s1")
    first = ranking["candidates"][0]["unit"]
    assert take(client, "s1", first, ranking["version"]).status_code == 201
    lost = take(client, "s1", first, ranking["version"]).json()["ranking"]
    assert take(client, "s1", lost["candidates"][0]["unit"], lost["version"]).status_code == 201


def test_places_under_an_agreement_are_never_oversold(region):
    """Ten cars of the other agency, ten stops, three places."""
    neighbours = [
        UnitState(unit=unit(f"e{n}", agency="east.example"), fix=fix(f"e{n}", 900.0 + 10 * n)) for n in range(10)
    ]
    matcher = matcher_with(region, neighbours)
    client = TestClient(create_app(matcher, clock=lambda: NOW))
    opened(client, *[f"s{n}" for n in range(10)])
    version = matcher.stops.view().version
    answers = at_once(client, [(f"s{n}", f"e{n}", version) for n in range(10)])
    assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 7}
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"urn:geomatch:problem:limit_reached"}
    assert matcher.quotas.view().at_once == {"east-helps": 3}
    with ThreadPoolExecutor(10) as pool:
        gone = list(pool.map(lambda n: client.delete(f"/v1/stops/s{n}").status_code, range(10)))
    assert gone == [204] * 10
    assert not matcher.quotas.view().at_once


def test_the_life_of_a_stop_over_http(client):
    opening = {"stop": stop(units_on_scene=["t1"]), "position": "radio 2"}
    report = client.post("/v1/stops", json=opening).json()
    assert report["status_check"]["state"] == "waiting"
    assert client.post("/v1/stops", json=opening).status_code == 200
    assert client.post("/v1/stops", json={"stop": stop(x=900.0)}).json()["type"] == "urn:geomatch:problem:illegal_step"
    ranking = client.post("/v1/rankings", json={"stop_id": "s1", "include": ["excluded"]}).json()
    assert {x["unit"]: x["reason"] for x in ranking["excluded"]} == {"t1": "on_scene", "south1": "prohibited"}
    taken = take(client, "s1", "t3", ranking["version"], reason="skills", by="radio 2")
    assert taken.status_code == 201
    one = taken.json()
    assert (one["state"], one["chosen"]["first"], one["chosen"]["reason"]) == ("proposed", "east1", "skills")
    path = f"/v1/assignments/{one['id']}"
    assert client.patch(path, json={"state": "on_scene"}).json()["state"] == "on_scene"
    assert client.patch(path, json={"state": "accepted"}).status_code == 409
    listed = client.get("/v1/stops").json()
    assert [held["open_stop"]["stop"]["units_on_scene"] for held in listed["stops"]] == [["t1", "t3"]]
    change = {"phase": "custody", "need": {"officers": 2}, "officer_heard": True}
    held = client.patch("/v1/stops/s1", json=change).json()["open_stop"]
    assert (held["stop"]["phase"], held["stop"]["need"]["officers"]) == ("custody", 2)
    refused = client.patch("/v1/stops/s1", json={"phase": "initiated", "urgency": "urgent_backup"})
    assert refused.status_code == 409
    assert client.get("/v1/stops/s1").json()["open_stop"]["stop"]["urgency"] == "routine_backup"
    over = client.patch("/v1/stops/s1", json={"phase": "cleared"}).json()
    assert (over["status_check"], over["open_stop"]["assignments"][0]["state"]) == (None, "cleared")
    assert client.get("/v1/stops/s1").status_code == client.get(path).status_code == 404
    assert client.get("/v1/overrides").json()["by_reason"] == {"skills": 1}


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (("nowhere", "t2", 0), 404, "unknown_stop"),
        (("s1", "nobody", 1), 404, "unknown_unit"),
        (("s1", "south1", 1), 409, "may_not_go"),
        (("s1", "t2", 99), 409, "lost_race"),
        (("s1", "t2", -1), 422, "bad_input"),
    ],
)
def test_what_cannot_be_assigned_is_refused_with_its_kind(client, ask, status, code):
    opened(client, "s1")
    answer = take(client, *ask)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:geomatch:problem:{code}")


@pytest.mark.parametrize("body", [{}, {"stop": stop(), "stop_id": "s1"}])
def test_a_ranking_is_asked_by_stop_or_by_id_and_not_by_both(client, body):
    assert client.post("/v1/rankings", json=body).status_code == 422
    assert client.post("/v1/rankings", json={"stop_id": "s1"}).status_code == 404
