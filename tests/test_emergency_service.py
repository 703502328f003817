"""Calls for help by every way they come in: the API, feeds, words; while the journal is down, too."""

from __future__ import annotations

import json
import threading
import time

import pytest
from doors import OWN, Service, full_matcher
from fastapi.testclient import TestClient
from service_town import NOW, SOUTH, STOP, WEST, states

from geomatch import LonLat, Matcher, Stop
from geomatch.backup.calls_for_help import Alarm
from geomatch.backup.stop_events import EventKind
from geomatch.backup.watch import Told
from geomatch.feeds.cot import parse as parse_cot
from geomatch.feeds.eido import parse as parse_eido
from geomatch.feeds.intake import Intake
from geomatch.feeds.parsed import Context
from geomatch.journal.faults import JournalDown
from geomatch.journal.recorder import Recorder
from geomatch.journal.replay import replay
from geomatch.journal.sqlite import SqliteStore
from geomatch.journal.told import known_regions
from geomatch.quantities import format_time
from geomatch.service.app import create_app
from geomatch.service.emergency_desk import EmergencyDesk
from geomatch.service.scopes import Scope
from geomatch.service.settings import EmergencyPolicy
from geomatch.service.stop_watch import StopWatch

pytest_plugins = ["service_town"]

EIDO = {
    "emergencyResourceComponent": {
        "$id": "u1", "agentReference": {"$ref": "agent-7"}, "primaryUnitStatusRegistryText": "NotAvailable",
        "secondaryUnitStatusRegistryText": ["TrafficStop"], "lastUpdateTimeStamp": format_time(NOW),
    },
    "unitEmergencyStateComponent": {
        "$id": "s", "reportingAgentReference": {"$ref": "agent-7"}, "emergencyStateType": "OfficerNeedsHelp",
        "severity": "highest", "startTimestamp": format_time(NOW - 1),
    },
}  # fmt: skip


def cot(kind: str = "b-a-o-tbl", uid: str = "u1", seconds: float = 0.0) -> bytes:
    when = format_time(NOW + seconds)
    return (
        f'<event version="2.0" uid="{uid}-9-1-1" type="{kind}" time="{when}" start="{when}" stale="{when}" how="m-g">'
        f'<point lat="{SOUTH}" lon="{WEST}" hae="0" ce="9" le="9"/><detail><emergency type="911 Alert"/>'
        f'<link uid="{uid}" type="a-f-G" relation="p-p"/></detail></event>'
    ).encode()


@pytest.fixture
def client(matcher) -> TestClient:
    return TestClient(create_app(matcher, clock=lambda: NOW))


def sent(client, path, raw, kind="application/octet-stream"):
    return client.post(path, content=raw, headers={"content-type": kind})


def stops(client) -> dict:
    return {one["open_stop"]["stop"]["id"]: one["open_stop"] for one in client.get("/v1/stops").json()["stops"]}


def test_the_api_opens_ranks_and_answers_in_one(client):
    answer = client.post("/v1/emergencies", json={"unit": "u1", "kind": "OfficerNeedsHelp"})
    assert answer.status_code == 201
    told = answer.json()
    stop = told["open_stop"]["stop"]
    assert (stop["urgency"], stop["units_on_scene"], stop["need"]["officers"]) == ("officer_emergency", ["u1"], 2)
    assert told["emergency"]["id"] == stop["id"]
    assert [c["unit"] for c in told["ranking"]["candidates"]] == ["u2"]
    assert told["ranking"]["excluded"] is None
    again = client.post("/v1/emergencies", json={"unit": "u1", "raised_at": format_time(NOW + 9)})
    assert (again.status_code, again.json()["emergency"]["repeats"]) == (200, 1)
    assert list(stops(client)) == [stop["id"]]


def test_taken_back_it_stays_open_until_a_person_says_so(client):
    name = client.post("/v1/emergencies", json={"unit": "u1"}).json()["emergency"]["id"]
    back = client.post("/v1/emergencies", json={"unit": "u1", "cancelled": True})
    assert back.json()["emergency"]["cancelled_at"] == format_time(NOW)
    assert list(stops(client)) == [name]
    over = client.patch(f"/v1/emergencies/{name}", json={"decision": "over", "by": "radio 2"})
    assert (over.status_code, over.json()["emergency"]["decided_by"], over.json()["open_stop"]) == (
        200,
        "radio 2",
        None,
    )
    assert not stops(client)
    assert client.get(f"/v1/emergencies/{name}").status_code == 404
    assert client.post("/v1/emergencies", json={"unit": "u1", "cancelled": True}).status_code == 404


def test_a_unit_that_was_never_heard_of_is_open_without_a_place_until_one_is_told(client):
    told = client.post("/v1/emergencies", json={"unit": "u4"}).json()
    assert (told["emergency"]["place_from"], told["open_stop"], told["ranking"]) == ("unknown", None, None)
    name = told["emergency"]["id"]
    assert [one["emergency"]["id"] for one in client.get("/v1/emergencies").json()["emergencies"]] == [name]
    outside = client.patch(f"/v1/emergencies/{name}", json={"at": {"lon": 2.35, "lat": 48.85}})
    assert (outside.status_code, outside.json()["type"]) == (422, "urn:geomatch:problem:outside_map")
    placed = client.patch(f"/v1/emergencies/{name}", json={"at": STOP["at"]}).json()
    assert placed["open_stop"]["stop"]["id"] == name
    assert placed["ranking"]["candidates"]


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/v1/fixes:raw?format=eido", json.dumps(EIDO).encode()),
        ("/v1/fixes:raw?format=cot", cot()),
        ("/v1/fixes:stream?format=cot", cot() + b"\n"),
    ],
)
def test_a_feed_opens_it_once_however_often_it_says_so(client, path, raw):
    for _ in range(3):
        assert sent(client, path, raw).json()["emergencies"] == 1
    assert [held["stop"]["units_on_scene"] for held in stops(client).values()] == [["u1"]]


def test_an_eido_that_ends_it_asks_a_person(client):
    sent(client, "/v1/fixes:raw?format=eido", json.dumps(EIDO).encode())
    state = EIDO["unitEmergencyStateComponent"] | {"stopTimestamp": format_time(NOW + 30)}
    ended = json.dumps(EIDO | {"unitEmergencyStateComponent": state}).encode()
    for _ in range(2):
        sent(client, "/v1/fixes:raw?format=eido", ended)
    (held,) = stops(client).values()
    assert held["emergency"]["stopped_at"] == format_time(NOW + 30)
    assert held["emergency"]["stands_at"] is None


@pytest.mark.parametrize("apco_type", ["HLP1", "mayday"])
def test_a_stop_of_a_type_that_calls_for_help_is_an_emergency_whatever_it_says(client, apco_type):
    answer = client.post("/v1/stops", json={"stop": STOP | {"apco_type": apco_type, "urgency": "routine_backup"}})
    assert answer.json()["open_stop"]["stop"]["urgency"] == "officer_emergency"
    ranked = client.post("/v1/rankings", json={"stop": STOP | {"id": "s2", "apco_type": apco_type}}).json()
    assert (ranked["stop"]["urgency"], ranked["mode"]) == ("officer_emergency", "emergency")


def test_a_call_that_names_nobody_is_refused(client):
    assert client.post("/v1/emergencies", json={}).status_code == 422
    assert client.patch("/v1/emergencies/e", json={}).status_code == 422


# Events


def kinds(events):
    return [one.kind for one in events if one.kind.interrupts]


def test_the_first_event_says_who_where_and_who_is_first(matcher):
    watch = StopWatch(matcher)
    matcher.set_status("u3", availability="available", at=NOW)
    call = matcher.emergencies.hear(Alarm(unit="u1", at=NOW), now=NOW)
    (event, *_) = watch.look_now(call.id, NOW)
    assert event.kind is EventKind.officer_emergency
    assert event.sentence.startswith("Officer emergency: U1, on ")
    ranking = matcher.rank(matcher.stops.get(call.id).stop, now=NOW)
    assert [one.unit for one in event.ranking] == [c.unit for c in ranking.candidates] == ["u3", "u2"]
    assert kinds(watch.look(NOW + 1)) == []
    matcher.emergencies.hear(Alarm(unit="u1", at=NOW, stopped_at=NOW + 2), now=NOW + 2)
    assert kinds(watch.look(NOW + 2)) == ["emergency_cancelled"]
    assert kinds(watch.look(NOW + 3)) == []
    matcher.emergencies.hear(Alarm(unit="u1", at=NOW + 4), now=NOW + 4)
    assert kinds(watch.look(NOW + 4)) == ["officer_emergency"]


def test_an_old_place_and_no_place_are_said(matcher):
    watch = StopWatch(matcher)
    matcher.emergencies.hear(Alarm(unit="u1", at=NOW), now=NOW + 900)
    matcher.emergencies.hear(Alarm(unit="u4", at=NOW), now=NOW + 900)
    said = {one.unit: one.sentence for one in watch.look(NOW + 900) if one.kind is EventKind.officer_emergency}
    assert "by a position that is 15:05 old: ask where." in said["u1"]
    assert said["u4"] == "Officer emergency: u4, and nobody knows where: ask, and tell the place."
    assert kinds(watch.look(NOW + 901)) == []
    name = next(one.id for one in matcher.emergencies.view().values() if one.unit == "u4")
    matcher.emergencies.decide(name, stands=False, at=NOW + 902)
    assert [one.kind for one in watch.look(NOW + 902)] == ["cleared"]


def test_a_stop_that_becomes_an_emergency_is_told_as_one(matcher):
    watch = StopWatch(matcher)
    matcher.open_stop(Stop(id="s1", at=LonLat(WEST + 0.002, SOUTH)), at=NOW)
    assert kinds(watch.look(NOW)) == []
    matcher.stops.change("s1", urgency="officer_emergency", at=NOW)
    assert kinds(watch.look(NOW + 1)) == ["officer_emergency"]


def test_an_emergency_is_looked_at_before_the_other_stops_are_done(matcher, monkeypatch):
    """A look at forty stops is under way, each of them slow: the emergency waits for one of them."""
    for number in range(40):
        matcher.open_stop(Stop(id=f"s{number}", at=LonLat(WEST + 0.002, SOUTH)), at=NOW)
    watch, order, begun = StopWatch(matcher), [], threading.Event()
    rank = Matcher.rank

    def slow(self, stop, *arguments, **named):
        order.append(stop.id)
        begun.set()
        time.sleep(0.005)
        return rank(self, stop, *arguments, **named)

    monkeypatch.setattr(Matcher, "rank", slow)
    looking = threading.Thread(target=watch.look, args=(NOW,))
    looking.start()
    begun.wait()
    call = matcher.emergencies.hear(Alarm(unit="u1", at=NOW), now=NOW)
    events = watch.look_now(call.id, NOW)
    looking.join()
    assert events[0].kind is EventKind.officer_emergency
    place = order.index(call.id)
    assert len(set(order[:place])) < 20, "the others were all looked at first"
    assert len(set(order)) == 41


# The journal


@pytest.fixture
def recorder(town, tmp_path):
    made = Recorder(SqliteStore(tmp_path / "j", create=True), town, clock=lambda: NOW)
    made.replace_fleet(states(), source="test", source_seq=1)
    return made


def test_a_call_its_ranking_and_the_word_on_it_are_in_the_journal_and_replayed(recorder, town, tmp_path):
    client = TestClient(create_app(recorder, clock=lambda: NOW))
    name = client.post("/v1/emergencies", json={"unit": "u1"}).json()["emergency"]["id"]
    client.patch(f"/v1/emergencies/{name}", json={"decision": "stands", "by": "radio 2"})
    recorder.close()
    store = SqliteStore(tmp_path / "j")
    lines = [one.kind for one in store.chain()]
    assert lines.index("alarm") < lines.index("ranking")
    assert {"alarm_made", "emergency_decided"} <= set(lines)
    found = replay(store, known_regions(town))
    assert (found.same, len(found.differences)) == (found.rankings, 0)
    assert found.rankings >= 1
    again = Recorder(SqliteStore(tmp_path / "j"), town, clock=lambda: NOW)
    assert again.emergencies.get(name).decided_by == "radio 2"


def test_what_is_ranked_at_once_waits_for_no_disk(recorder, monkeypatch):
    ranked, wait = [], recorder.journal.wait

    def waiting(line):
        assert ranked or line.kind != "alarm", "the disk came first"
        return wait(line)

    monkeypatch.setattr(recorder.journal, "wait", waiting)
    recorder.emergencies.hear(
        Alarm(unit="u1", at=NOW), now=NOW,
        at_once=lambda call: ranked.append(recorder.rank(recorder.stops.get(call.id).stop, now=NOW)),
    )  # fmt: skip
    assert [c.unit for c in ranked[0].candidates] == ["u2"]


def test_while_the_journal_is_down_it_is_told_and_ranked_and_opened_when_the_journal_is_back(recorder):

    told: list = []
    desk = EmergencyDesk(recorder, lambda: NOW, StopWatch(recorder), told.extend, EmergencyPolicy())
    recorder.journal.fault = "the disk is full"
    for _ in range(2):
        (one,) = parse_eido(json.dumps(EIDO).encode(), Context(received=NOW)).emergencies
        desk.of_feed(one)
    assert [event.kind for event in told] == ["officer_emergency"]
    assert [one.unit for one in told[0].ranking] == ["u2"]
    assert "cannot be recorded" in told[0].sentence
    assert not recorder.stops.view().stops
    desk.tick(NOW)
    assert not recorder.stops.view().stops
    recorder.journal.fault = None
    desk.tick(NOW)
    assert len(recorder.stops.view().stops) == 1
    assert kinds(told) == ["officer_emergency", "officer_emergency"]


def test_fixes_that_cannot_be_taken_keep_nobody_from_being_called():
    class Down:
        def update(self, _fixes, _now=None):
            raise JournalDown("the disk is full")

        set_status = update

    heard = []

    intake = Intake("tak", parse_cot, Down(), clock=lambda: NOW, alarm=heard.append)
    intake.offer(cot())
    intake.offer(b"<event/>")
    assert intake.drain() == 1, "a call for help goes by itself"
    assert [one.unit for one in heard] == ["u1"]


def test_the_journal_has_a_ranking_when_it_changes_and_not_every_second(recorder):
    recorder.open_stop(Stop(id="s1", at=LonLat(WEST + 0.001, SOUTH)), at=NOW)
    watch = StopWatch(recorder)

    def lines():
        recorder.journal.flush()
        return sum(1 for _ in recorder.journal._store.newest("ranking"))

    for second in range(30):
        watch.look(NOW + second / 10)
    assert lines() == 1
    recorder.set_status("u1", availability="not_available", at=NOW + 5)
    for second in range(30):
        watch.look(NOW + 5 + second / 10)
    assert lines() == 2
    assert watch.told["s1"] != Told()


# Doors


@pytest.fixture
def service(town, tmp_path):
    return Service(full_matcher(town), tmp_path)


def test_a_device_that_may_report_fixes_alone_may_call_for_help(service):
    key = service.key("car", scopes=(Scope.fixes_write,))
    assert service.ask("POST", "/v1/fixes:raw?format=cot", cot(uid="own"), key=key).status == 200
    held = service.matcher.emergencies.view()
    assert [(one.unit, one.agency) for one in held.values()] == [("own", OWN)]


def test_another_agencys_unit_cannot_be_called_for_and_nobody_learns_that_it_is_there(service):
    key = service.key("cad")
    answers = [
        service.ask("POST", "/v1/emergencies", {"unit": name}, key=key).json()["emergency"]
        for name in ("stranger", "no-such-unit")
    ]
    for told in answers:
        assert (told["unit"], told["agency"], told["place_from"]) == (None, OWN, "unknown")
    assert not service.matcher.stops.view().stops
    other = service.key("other", agencies=("open.nj",))
    assert service.ask("GET", "/v1/emergencies", key=other).json()["emergencies"] == []
    path = f"/v1/emergencies/{answers[0]['id']}"
    assert service.ask("GET", path, key=other).status == 404
    assert service.ask("PATCH", path, {"decision": "over"}, key=other).status == 404
    assert service.ask("PATCH", path, {"decision": "over"}, key=key).status == 200
