"""A service that cannot do all that is asked says so, and drops what matters least: drills of each rung."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from doors import EVERYTHING, OPEN, OWN, STRANGER, Service, full_matcher, samples
from fastapi.testclient import TestClient
from service_town import NOW, STOP, states
from test_feed_transports import intake_of, taip
from test_metrics import scraped

from geomatch import Matcher, Region, Stop
from geomatch.errors import BadInput
from geomatch.journal.faults import JournalDown
from geomatch.journal.replay import replay
from geomatch.journal.store import open_store
from geomatch.journal.told import known_regions
from geomatch.model import Rung, Urgency
from geomatch.model.closures import Closure
from geomatch.quantities import LonLat
from geomatch.road import by_deadline
from geomatch.service import app
from geomatch.service.app import create_app
from geomatch.service.conditions import Conditions
from geomatch.service.feeds import Feeds
from geomatch.service.journaling import recorded
from geomatch.service.line import Line
from geomatch.service.operations import OPERATIONS
from geomatch.service.pressure import BEATS, Level, Overloaded, Pressure, PressureLimits
from geomatch.service.settings import Settings

pytest_plugins = ("service_town",)


def codes(degraded) -> list[str]:
    return [one["code"] for one in degraded]


# Overload


def under(late_s: float = 0.0, waiting: int = 0, beats: int = BEATS) -> Pressure:
    pressure = Pressure(PressureLimits())
    for _ in range(beats):
        pressure.note(late_s=late_s, waiting=waiting)
    return pressure


def test_how_far_behind_a_service_is():
    assert under().level is Level.calm
    assert under(late_s=0.1).level is Level.busy
    assert under(late_s=0.5).level is Level.swamped
    assert (under(waiting=8).level, under(waiting=80).level) == (Level.busy, Level.swamped)
    assert under(late_s=9.0, beats=BEATS - 1).level is Level.calm, "one long answer is no overload"
    over = under(late_s=9.0)
    over.note(late_s=0.0, waiting=0)
    assert over.level is Level.calm, "and it is over at once"


@pytest.mark.parametrize(
    "wrong", [{"busy_s": 0.0}, {"busy_s": 2.0}, {"busy_waiting": 0}, {"swamped_waiting": 3}, {"at_once": 0}]
)
def test_limits_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput):
        PressureLimits(**wrong)


@pytest.mark.parametrize("urgency", list(Urgency))
@pytest.mark.parametrize("level", list(Level))
def test_routine_backup_waits_and_an_emergency_never(urgency, level):
    pressure = under(late_s=[0.0, 0.2, 0.9][level])
    assert pressure.level is level
    if level is Level.swamped and urgency is Urgency.routine_backup:
        with pytest.raises(Overloaded):
            pressure.check(urgency)
    else:
        pressure.check(urgency)


@contextmanager
def pressed(monkeypatch, late_s: float):
    """Every service is so far behind."""
    with monkeypatch.context() as patch:
        patch.setattr(Pressure, "behind_s", property(lambda _: late_s))
        yield


def test_a_service_that_is_behind_drops_what_can_wait_first(matcher, monkeypatch):
    client = TestClient(create_app(matcher, clock=lambda: NOW))
    emergency = STOP | {"urgency": "officer_emergency"}
    ask = {name: samples("u1", "s1", "hoboken.nj")[name] for name in ("GET /v1/units", "POST /v1/comparisons")}
    with pressed(monkeypatch, 0.2):
        for name, (path, body) in ask.items():
            refused = client.request(name.split()[0], path, json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["type"] == "urn:geomatch:problem:overloaded"
        routine = client.post("/v1/rankings", json={"stop": STOP})
        assert codes(routine.json()["degraded"]) == ["overload"]
        assert codes(client.get("/readyz").json()["degraded"]) == ["overload"]
        seen = scraped(client)
        assert (seen["geomatch_behind_seconds",], seen["geomatch_requests_waiting",]) == (0.2, 0)
        assert (seen["geomatch_degraded", "overload"], seen["geomatch_degraded", "unrecorded"]) == (1, 0)
    with pressed(monkeypatch, 0.9):
        refused = client.post("/v1/rankings", json={"stop": STOP})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        for stop in (emergency, STOP | {"urgency": "urgent_backup"}):
            answer = client.post("/v1/rankings", json={"stop": stop})
            assert answer.json()["candidates"]
            assert codes(answer.json()["degraded"]) == ["overload"]
        assert client.put("/v1/units/u1/status", json={"availability": "available"}).status_code == 200
        assert client.post("/v1/stops", json={"stop": emergency}).status_code == 201
    calm = client.post("/v1/rankings", json={"stop": STOP}).json()
    assert calm["degraded"] == []
    assert client.get("/v1/units").status_code == 200


def test_only_questions_can_wait():
    """What is told, what is watched and what an emergency needs is never refused for others' sake."""
    waiting = {one.name for one in OPERATIONS if one.can_wait}
    assert waiting
    assert not [name for name in waiting if name.split()[0] not in {"GET", "POST"}]
    posts = {name for name in waiting if name.startswith("POST")}
    assert posts == {"POST /v1/explanations", "POST /v1/comparisons"}
    assert not waiting & {"GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/stops", "GET /v1/events"}


def test_a_loop_that_answers_too_slowly_is_noticed():
    """The real measure, with a real loop that is kept busy for much longer than it may be."""
    pressure, levels = Pressure(PressureLimits(busy_s=0.03, swamped_s=60.0)), []

    async def scenario():
        async with pressure.watched():
            for _ in range(40):
                time.sleep(0.1)  # noqa: ASYNC251 - just that: it holds the loop up
                await asyncio.sleep(0)
                levels.append(pressure.level)
                if levels[-1] is Level.busy:
                    break
            await asyncio.sleep(0.5)
            levels.append(pressure.level)

    asyncio.run(scenario())
    assert Level.busy in levels


def test_an_emergency_passes_the_line_and_the_line_keeps_its_order():
    order = []
    line = Line()

    async def ranked(name: str, *, emergency: bool = False) -> None:
        if not emergency:
            await line.turn()
        order.append(name)

    async def scenario():
        waiting = [asyncio.create_task(ranked(f"r{n}")) for n in range(20)]
        await asyncio.sleep(0)
        waiting[7].cancel()
        await asyncio.sleep(0)
        assert line.head_waits_s > 0
        await asyncio.create_task(ranked("emergency", emergency=True))
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert line.head_waits_s == 0

    for _ in range(2):
        order.clear()
        asyncio.run(scenario())
        assert order.index("emergency") < 6
        assert [name for name in order if name != "emergency"] == [f"r{n}" for n in range(20) if n != 7]


def test_a_line_is_left_behind_by_a_loop_that_ended():
    line = Line()
    for _ in range(3):
        asyncio.run(asyncio.wait_for(line.turn(), 5.0))


# Feeds


def test_a_feed_that_brings_more_than_is_read_is_said(matcher):
    intake = intake_of(sink=matcher, most_messages=10)
    conditions = Conditions(under(), [SimpleNamespace(intake=intake)])
    for number in range(4):
        intake.offer(taip(f"u{number}"))
    assert conditions.now() == ()
    intake.offer(taip("u9"))
    (behind,) = conditions.now()
    assert (behind.code, "5 messages" in behind.detail) == (Rung.feed_behind, True)
    intake.drain()
    assert conditions.now() == ()
    assert intake_of(sink=matcher, most_bytes=100).filled == 0.0


# The fleet, as others may see it


def silent(service: Service) -> None:
    service.now = NOW + 70
    matcher = service.matcher
    for name, agency in (("own2", OWN), ("open2", OPEN), ("stranger2", STRANGER)):
        unit = matcher.state(name[:-1]).unit
        matcher.register([type(unit)(id=name, agency=agency)])
        fix = matcher.state(name[:-1]).fix
        matcher.update([type(fix)(unit=name, time=NOW - 5, at=fix.at)])


def test_an_outage_is_said_of_those_whose_units_one_may_know_of(town, tmp_path):
    service = Service(full_matcher(town), tmp_path)
    key = service.key("cad", scopes=EVERYTHING)
    silent(service)
    path, body = samples("own", "s-own", OWN, NOW)["POST /v1/rankings"]
    told = service.ask("POST", path, body, key=key).json()["degraded"]
    assert {one["agency"] for one in told} == {OWN, OPEN, None}
    assert STRANGER not in json.dumps(told)
    for name in ("POST /v1/explanations", "POST /v1/comparisons"):
        path, body = samples("own", "s-own", OWN, NOW)[name]
        assert service.ask("POST", path, body, key=key).json()["degraded"] == told
    ready = service.ask("GET", "/readyz")
    assert [(one["code"], one["agency"], one["units"]) for one in ready.json()["degraded"]] == [
        ("avl_outage", None, None)
    ]
    assert "hoboken" not in ready.text


def test_whoever_serves_itself_alone_is_told_all(matcher):
    client = TestClient(create_app(matcher, clock=lambda: NOW + 3_600))
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready"
    ranking = client.post("/v1/rankings", json={"stop": STOP}).json()
    assert ready["degraded"] == ranking["degraded"]
    assert {one["code"] for one in ready["degraded"]} <= {"avl_outage", "feed_frozen"}


# A deadline


def cut_at_once(monkeypatch) -> None:
    monkeypatch.setattr(by_deadline, "FIRST_UNITS", 1)


def test_a_ranking_that_cannot_be_waited_for_says_how_far_it_came(town, monkeypatch):
    matcher = Matcher(town)
    matcher.replace_fleet(states(), source="test", source_seq=1)
    client = TestClient(create_app(matcher, clock=lambda: NOW))
    whole = client.post("/v1/rankings", json={"stop": STOP}).json()
    assert whole["complete"]["cut_at_deadline"] is False
    generous = client.post("/v1/rankings", json={"stop": STOP, "max_wait_ms": 60_000}).json()
    assert generous["candidates"] == whole["candidates"]
    assert generous["notes"] == whole["notes"]
    cut_at_once(monkeypatch)
    in_time = app._late
    monkeypatch.setattr(app, "_late", lambda ask, begun: in_time(ask, begun - 10.0))
    body = {"stop": STOP, "max_wait_ms": 1, "units": None, "include": ["beyond_k"]}
    cut = client.post("/v1/rankings", json=body).json()
    assert cut["complete"]["cut_at_deadline"] is True
    assert "cut_at_deadline" in cut["notes"]
    count = len(cut["candidates"])
    assert count < len(whole["candidates"])
    assert cut["candidates"] == whole["candidates"][:count]
    bound_s = cut["complete"]["not_evaluated_at_least_s"]
    assert all(one["eta"]["eta_s"] >= bound_s for one in whole["candidates"][count:])
    assert {one["unit"] for one in cut["beyond_k"]} >= {one["unit"] for one in whole["candidates"][count:]}


@pytest.mark.parametrize("wrong", [0, -5, 60_001, 1.5, "5"])
def test_a_wait_that_is_none_is_refused(matcher, wrong):
    client = TestClient(create_app(matcher, clock=lambda: NOW))
    assert client.post("/v1/rankings", json={"stop": STOP, "max_wait_ms": wrong}).status_code == 422


def test_a_replay_takes_what_was_cut_as_it_was_recorded(town_folder, tmp_path, monkeypatch):
    region = Region.open(town_folder)
    stop = Stop(id="s1", at=LonLat(**STOP["at"]))
    with recorded(str(tmp_path / "j"), region, clock=lambda: NOW) as (matcher, _):
        matcher.replace_fleet(states(), source="cad", source_seq=1)
        matcher.rank(stop, now=NOW)
        with monkeypatch.context() as small:
            cut_at_once(small)
            cut = matcher.rank(stop, now=NOW, late=lambda: True)
            assert cut.complete.cut_at_deadline
            assert matcher.rank_units(stop, states(), now=NOW, late=lambda: True).complete.cut_at_deadline
        assert not matcher.rank(stop, now=NOW, late=lambda: False).complete.cut_at_deadline
    store = open_store(str(tmp_path / "j"))
    first, second = (replay(store, known_regions(region)) for _ in range(2))
    store.close()
    assert (first.rankings, first.same, first.as_recorded, first.differences) == (4, 2, 2, ())
    assert first == second


# The journal


def test_while_nothing_can_be_recorded_rankings_say_so_and_writes_are_told_when_to_come_again(
    town_folder, tmp_path, monkeypatch
):
    region = Region.open(town_folder)
    with recorded(str(tmp_path / "j"), region, clock=lambda: NOW) as (matcher, _):
        matcher.replace_fleet(states(), source="cad", source_seq=1)
        client = TestClient(create_app(matcher, clock=lambda: NOW), raise_server_exceptions=False)
        journal = matcher.journal

        def down(_drafts):
            raise JournalDown("j takes no records (disk full): free its disk or see to it")

        monkeypatch.setattr(journal, "_tries_at_most", 1)
        assert client.post("/v1/rankings", json={"stop": STOP}).json()["degraded"] == []
        with monkeypatch.context() as broken:
            broken.setattr(journal._store, "append", down)
            refused = client.put("/v1/units/u1/status", json={"availability": "not_available"})
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            before = client.get("/v1/units/u2").json()
            again = client.put("/v1/units/u2/status", json={"availability": "not_available"})
            assert again.status_code == 503
            assert client.get("/v1/units/u2").json() == before, "what is refused outright is not applied"
            ranking = client.post("/v1/rankings", json={"stop": STOP}).json()
            assert ranking["candidates"]
            assert codes(ranking["degraded"]) == codes(client.get("/readyz").json()["degraded"]) == ["unrecorded"]
        with journal._changed:
            assert journal._changed.wait_for(lambda: journal.fault is None, timeout=20)
        assert client.get("/readyz").json()["degraded"] == []
    store = open_store(str(tmp_path / "j"))
    found = replay(store, known_regions(region))
    store.close()
    assert found.rankings == found.same == 2, "the one that waited was written after all"


# Roads


def test_the_metrics_tell_how_far_the_hierarchy_is_behind(matcher, monkeypatch):
    client = TestClient(create_app(matcher, clock=lambda: NOW))
    client.post("/v1/rankings", json={"stop": STOP})
    assert scraped(client)["geomatch_epoch_lag",] == 0
    let_go = threading.Event()
    from geomatch.road.live_engine import LiveMode

    followed = LiveMode.follow

    def held_up(self, changes, epoch):
        let_go.wait(20)
        return followed(self, changes, epoch)

    monkeypatch.setattr(LiveMode, "follow", held_up)
    for n in (1, 2):
        matcher.close_roads([Closure(id=f"c{n}", edges=(n,))], now=NOW)
    assert scraped(client)["geomatch_epoch_lag",] >= 2
    assert client.post("/v1/rankings", json={"stop": STOP}).status_code == 200, "answered by search meanwhile"
    let_go.set()
    for _ in range(1_000):
        if scraped(client)["geomatch_epoch_lag",] == 0:
            break
        time.sleep(0.01)
    assert scraped(client)["geomatch_epoch_lag",] == 0


def test_settings_and_feeds_of_a_service_have_their_say(matcher):
    settings = Settings(pressure=PressureLimits(busy_waiting=1))
    with TestClient(create_app(matcher, clock=lambda: NOW, settings=settings, feeds=Feeds())) as client:
        assert client.get("/readyz").json()["degraded"] == []
