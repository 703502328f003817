"""An agency's own words over HTTP and in a region: what they mean there, or the question which of several is meant."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from service_town import NOW, STOP, states

from geomatch import build
from geomatch.cli import main
from geomatch.errors import BadMap
from geomatch.matcher import Matcher
from geomatch.region import Region, verify
from geomatch.service.app import create_app

pytest_plugins = ("service_town",)

WORDS = """
format = 1

[[vocabulary]]
agency = "hoboken.nj"
version = 1
priority = { highest = 1, lowest = 5 }
[vocabulary.urgency]
"code 3 cover" = "urgent_backup"
"10-78" = "officer_emergency"
[vocabulary.ask]
"backup" = ["routine_backup", "urgent_backup"]
[vocabulary.status]
"10-8" = { primary = "Available", secondary = ["InService"] }
"10-7" = { primary = "NotAvailable", secondary = ["OutofService"] }
"10-6" = { primary = "ConditionallyAvailable" }
[vocabulary.incident_type]
"T-STOP" = "TSTOP"

[[vocabulary]]
agency = "weehawken.nj"
version = 1
[vocabulary.urgency]
"backup" = "officer_emergency"
"""


@pytest.fixture(scope="module")
def region(town_osm, tmp_path_factory) -> Region:
    folder = tmp_path_factory.mktemp("words")
    (folder / "words.toml").write_text(WORDS, encoding="utf-8")
    build(town_osm, folder / "town.region", vocabulary=folder / "words.toml")
    return Region.open(folder / "town.region")


@pytest.fixture
def client(region) -> TestClient:
    matcher = Matcher(region)
    matcher.replace_fleet(states(), source="test", source_seq=1)
    return TestClient(create_app(matcher, clock=lambda: NOW))


def ranked(client, status: int = 200, agency: str | None = "hoboken.nj", **local) -> dict:
    stop = STOP | {"agency": agency, "internal_type": "T-STOP"}
    answer = client.post("/v1/rankings", json={"stop": stop, "local": local})
    assert answer.status_code == status, answer.text
    return answer.json()


def status(client, unit: str, word: str) -> dict:
    answer = client.put(f"/v1/units/{unit}/status", json={"local_status": word})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_stop_may_be_told_in_the_words_of_its_agency(client):
    ranking = ranked(client, urgency="Code 3  cover", priority=1)
    assert (ranking["stop"]["urgency"], ranking["mode"]) == ("urgent_backup", "urgent")
    assert (ranking["stop"]["priority"], ranking["stop"]["apco_type"]) == (10, "TSTOP")


def test_the_same_word_means_another_thing_in_the_next_town(client):
    assert ranked(client, agency="weehawken.nj", urgency="backup")["stop"]["urgency"] == "officer_emergency"
    asked = ranked(client, 422, urgency="backup")
    assert asked["type"] == "urn:geomatch:problem:unclear_word"
    assert asked["choices"] == ["routine_backup", "urgent_backup"]
    assert "ask which" in asked["detail"]


def test_a_word_nobody_defined_is_asked_about_with_all_there_are(client):
    assert ranked(client, 422, urgency="help!")["choices"] == ["routine_backup", "urgent_backup", "officer_emergency"]
    assert ranked(client, urgency="urgent_backup")["stop"]["urgency"] == "urgent_backup", (
        "canonical words mean themselves"
    )
    assert "highest" in ranked(client, 422, agency="weehawken.nj", priority=1)["detail"]


def test_words_of_nobody_in_particular_are_refused(client):
    assert "name its agency" in ranked(client, 422, agency=None, urgency="10-78")["detail"]
    both = client.post("/v1/rankings", json={"stop_id": "x", "local": {"urgency": "10-78"}})
    assert both.status_code == 422


def test_a_status_code_is_what_its_agency_says(client):
    assert status(client, "u1", "10-7")["availability"] == "not_available"
    assert status(client, "u1", "10\u20138") == {
        "availability": "available", "activity": "in_service", "at": "2026-03-07T22:15:00.000Z"
    }  # fmt: skip
    held = status(client, "u1", "10-6")
    assert (held["availability"], held["activity"]) == ("conditionally_available", "10-6")


@pytest.mark.parametrize("word", ["10-99", "available?!", "10-8x", "\u0007", "frei"])
def test_a_status_nobody_defined_is_never_available(client, word):
    """u2 was available; whatever it says now is not understood, so it is not sent."""
    held = status(client, "u2", word)
    assert held["availability"] == "not_available"
    assert held["activity"].startswith("unknown_status")
    ranking = client.post("/v1/rankings", json={"stop": STOP, "include": ["excluded"]}).json()
    (left_out,) = [one for one in ranking["excluded"] if one["unit"] == "u2"]
    assert (left_out["reason"], "unknown_status" in left_out["detail"]) == ("not_available", True)


def test_a_code_of_an_agency_with_no_vocabulary_is_unknown(client):
    client.put("/v1/units/w1", json={"id": "w1", "agency": "union-city.nj"})
    assert status(client, "w1", "10-8")["availability"] == "not_available"


def test_a_status_is_said_once(client):
    twice = client.put("/v1/units/u1/status", json={"local_status": "10-8", "availability": "available"})
    assert (twice.status_code, "once" in twice.json()["detail"]) == (422, True)
    plain = client.put("/v1/units/u1/status", json={}).json()
    assert (plain["availability"], plain["activity"]) == ("available", "patrol")


def test_an_open_stop_is_opened_and_changed_in_local_words(client):
    stop = STOP | {"agency": "hoboken.nj"}
    opened = client.post("/v1/stops", json={"stop": stop, "local": {"urgency": "code 3 cover"}})
    assert opened.json()["open_stop"]["stop"]["urgency"] == "urgent_backup"
    changed = client.patch("/v1/stops/s1", json={"local_urgency": "10-78"})
    assert changed.json()["open_stop"]["stop"]["urgency"] == "officer_emergency"
    unclear = client.patch("/v1/stops/s1", json={"local_urgency": "backup", "phase": "custody"})
    assert (unclear.status_code, unclear.json()["choices"]) == (422, ["routine_backup", "urgent_backup"])
    assert client.get("/v1/stops/s1").json()["open_stop"]["stop"]["phase"] == "initiated", "nothing of it was applied"
    assert client.patch("/v1/stops/s1", json={"local_urgency": "10-78", "urgency": "urgent_backup"}).status_code == 422


def test_a_region_keeps_its_words_and_a_bad_dictionary_leaves_none_behind(region, town_osm, tmp_path, capsys):
    assert region.vocabularies.agencies() == ("hoboken.nj", "weehawken.nj")
    words = tmp_path / "words.toml"
    words.write_text(WORDS.replace('"officer_emergency"', '"officer_emergencies"'), encoding="utf-8")
    with pytest.raises(BadMap, match=r"words\.toml, line 10, vocabulary\.urgency"):
        build(town_osm, tmp_path / "bad.region", vocabulary=[words])
    assert not (tmp_path / "bad.region").exists()
    words.write_text(WORDS, encoding="utf-8")
    assert main(["build", str(town_osm), "-o", str(tmp_path / "good.region"), "--vocabulary", str(words)]) == 0
    verify(tmp_path / "good.region")
    other = Region.open(tmp_path / "good.region")
    assert other.vocabularies.of("hoboken.nj").urgency_of("10-78") == "officer_emergency"
    assert Region.open(tmp_path / "good.region").hash == other.hash
    capsys.readouterr()
