"""Closures over HTTP and from the command line."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from test_closures_import import CIFS_XML, LINE, WZDX
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import UnitState
from geomatch.cli import main
from geomatch.service.app import create_app

STOP = {"id": "s1", "at": {"lon": at(1050.0).lon, "lat": at(1050.0).lat}, "agency": "town.example"}
CLOSURE = {"id": "c/1", "line": [{"lon": lon, "lat": lat} for lon, lat in LINE]}
XML = {"Content-Type": "application/xml"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("http") / "main.region"


@pytest.fixture(scope="module")
def region(folder):
    return main_street(folder)


@pytest.fixture
def client(region):
    matcher = matcher_with(region, [UnitState(unit=unit("west"), fix=fix("west", 750.0, course=90.0))])
    return TestClient(create_app(matcher, clock=lambda: NOW))


def rank(client) -> dict:
    return client.post("/v1/rankings", json={"stop": STOP}).json()


def test_a_road_is_closed_listed_and_reopened_and_every_ranking_tells_its_epoch(client):
    assert (len(rank(client)["candidates"]), rank(client)["epoch"]) == (1, 0)
    answer = client.post("/v1/closures", json={"closures": [CLOSURE]}).json()
    assert [(r["id"], r["outcome"]) for r in answer["results"]] == [("c/1", "matched")]
    assert (len(rank(client)["candidates"]), rank(client)["epoch"]) == (0, answer["epoch"])
    listed = client.get("/v1/closures").json()
    assert [one["closure"]["id"] for one in listed["closures"]] == ["c/1"]
    assert listed["closures"][0]["result"] == answer["results"][0]
    assert client.get("/readyz").json()["epoch"] == answer["epoch"]
    assert client.delete("/v1/closures/c/1").status_code == 204
    assert client.delete("/v1/closures/c/1").json()["type"] == "urn:geomatch:problem:unknown_closure"
    assert len(rank(client)["candidates"]) == 1


def test_a_feed_is_taken_in_one_step_and_its_next_message_replaces_it(client):
    answer = client.post("/v1/closures:import", content=CIFS_XML, headers=XML).json()
    assert [r["outcome"] for r in answer["results"]] == ["matched", "left_out", "faulty", "faulty", "unmatched"]
    assert rank(client)["candidates"] == []
    wzdx = client.post("/v1/closures:import?format=wzdx&mode=emergency", json=WZDX).json()
    assert wzdx["results"][0]["outcome"] == "matched"
    client.post("/v1/closures:import?format=cifs", json={"incidents": []})
    assert len(rank(client)["candidates"]) == 1


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [(b"<a/>", "", 422), (b"{}", "", 422), (b"{}", "?format=none", 422), (b"<incidents/>", "?format=wzdx", 422)],
)
def test_what_is_no_feed_is_refused_whole_without_a_position(client, body, query, status):
    client.post("/v1/closures:import", content=CIFS_XML, headers=XML)
    before = client.get("/v1/closures").json()
    answer = client.post(f"/v1/closures:import{query}", content=body, headers=XML)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.get("/v1/closures").json() == before


def test_a_malformed_batch_is_refused_whole(client):
    for wrong in ({**CLOSURE, "lines": []}, {"id": "x"}, {**CLOSURE, "kind": "shut"}, {**CLOSURE, "modes": []}):
        answer = client.post("/v1/closures", json={"closures": [{**CLOSURE, "id": "good"}, wrong]})
        assert answer.status_code == 422
    assert client.get("/v1/closures").json() == {"epoch": 0, "closures": []}


@pytest.mark.usefixtures("region")
def test_the_command_says_what_would_be_closed(folder, tmp_path, capsys):
    file = tmp_path / "feed.geojson"
    file.write_text(json.dumps(WZDX))
    assert main(["closures", str(folder), str(file), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["taken"] is False
    assert [result["outcome"] for result in told["results"]][:4] == ["matched", "matched", "left_out", "left_out"]
    assert main(["closures", str(folder), str(file)]) == 1
    text = capsys.readouterr().out
    assert "unmatched (1)" in text
    assert "Nothing was changed" in text
    file.write_bytes(b"{}")
    assert main(["closures", str(folder), str(file)]) == 1
    assert "neither WZDx" in capsys.readouterr().err
    assert main(["closures", str(folder), str(file), "--mode", "quick"]) == 2


@pytest.mark.usefixtures("region")
def test_the_command_reaches(folder, tmp_path, capsys):
    place = f"{at(1050.0).lon},{at(1050.0).lat}"
    out = tmp_path / "reach.geojson"
    assert main(["reach", str(folder), "--at", place, "--within", "30", "-o", str(out)]) == 0
    assert "0.6 km of road lead here within 30 s" in capsys.readouterr().out
    assert json.loads(out.read_text())["features"]
    assert main(["reach", str(folder), "--at", place, "--within", "30", "--direction", "up"]) == 2
    assert main(["reach", str(folder), "--at", place, "--within", "-1"]) == 1
