"""Drills on a whole service: the clock jumps, the database and the broker are restarted, every door is flooded."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from postgres_server import Server, postgres  # noqa: F401 - a fixture
from service_town import NOW, SOUTH, STOP, WEST, states
from starlette.websockets import WebSocketDisconnect
from test_feed_transports import Mosquitto, framed, intake_of, mosquitto, publish  # noqa: F401 - a fixture
from test_journal_faults import wait_until
from test_metrics import scraped

from geomatch import Matcher, Region
from geomatch.feeds.intake import Intake
from geomatch.feeds.transports.mqtt import Broker, MqttFeed
from geomatch.feeds.transports.udp import UdpFeed
from geomatch.journal.replay import replay
from geomatch.journal.restore import restored
from geomatch.journal.store import open_store
from geomatch.journal.told import known_regions
from geomatch.journal.verify import verify
from geomatch.quantities import format_time
from geomatch.service.app import create_app
from geomatch.service.feeds import Feeds
from geomatch.service.journaling import recorded

pytest_plugins = ("service_town",)

U1 = {"lon": WEST + 0.001, "lat": SOUTH}


def fix_body(unit: str, at: float) -> dict:
    return {"unit": unit, "time": format_time(at), "at": U1}


def owntracks_at(seconds: float) -> bytes:
    return json.dumps({"_type": "location", "lat": U1["lat"], "lon": U1["lon"], "tst": seconds}).encode()


def taip_at(unit: str, seconds: float) -> bytes:
    lat, lon = round(U1["lat"] * 1e5), round(U1["lon"] * 1e5)
    return framed(f"RPV{int(seconds) % 86_400:05d}{lat:+08d}{lon:+09d}01509012;ID={unit}")


# The clock


@pytest.mark.parametrize("seed", range(3))
def test_when_the_clock_jumps_nothing_is_lost_and_nothing_changes_places(town_folder, tmp_path, seed):
    """The service's clock is set back and forth, by seconds and by days; devices go on by their own."""
    rng, region, clock = random.Random(seed), Region.open(town_folder), [NOW]
    told: list[float] = []
    with recorded(str(tmp_path / "j"), region, clock=lambda: clock[0]) as (matcher, _):
        matcher.replace_fleet(states(), source="cad", source_seq=1)
        client = TestClient(create_app(matcher, clock=lambda: clock[0]))
        opened = []
        for n in range(60):
            if rng.random() < 0.3:
                clock[0] = max(1.0, NOW + rng.choice([-86_400.0, -3_600.0, -5.0, 0.0, 5.0, 3_600.0, 86_400.0]))
            clock[0] += rng.random()
            answer = client.post("/v1/fixes", json={"fixes": [fix_body("u1", NOW + n)]}).json()
            if answer["applied"]:
                told.append(NOW + n)
            else:
                # Refused and said so, where the clock stands before the device's: never half taken.
                assert answer["results"][0]["outcome"] == "future"
            if rng.random() < 0.2:
                stop = STOP | {"id": f"s{n}"}
                assert client.post("/v1/stops", json={"stop": stop}).status_code == 201
                opened.append(f"s{n}")
            ranking = client.post("/v1/rankings", json={"stop": STOP})
            assert ranking.status_code == 200
            ahead = clock[0] < max(told, default=0.0) - 30.0
            assert ahead is any(one["code"] == "clock_ahead" for one in ranking.json()["degraded"])
        assert matcher.state("u1").fix.time == max(told)
    store = open_store(str(tmp_path / "j"))
    verify(store)
    sequence = [record.at for record in store.history(kinds=["fixes"])]
    assert sequence != sorted(sequence), "else it was no test"
    assert [record.event for record in store.history() if record.told] == list(range(store.last().event + 1))
    memory = restored(store, region).memory
    assert next(one.fix.time for one in memory.fleet.states if one.unit.id == "u1") == max(told)
    assert {held.stop.id for held in memory.stops} == set(opened)
    assert not replay(store, known_regions(region)).differences
    store.close()


# The database


def test_a_postgresql_that_is_restarted_while_a_service_answers_loses_nothing(town_folder, postgres: Server):  # noqa: F811
    region, url = Region.open(town_folder), postgres.database()
    acknowledged, refused, ended = [0.0], [], threading.Event()
    with recorded(url, region) as (matcher, _):
        matcher.journal._tries_at_most = 2
        matcher.replace_fleet(states(), source="cad", source_seq=1)
        client = TestClient(create_app(matcher, clock=lambda: NOW), raise_server_exceptions=False)

        def tell() -> None:
            n = 0.0
            while not ended.is_set():
                n += 0.001
                answer = client.post("/v1/fixes", json={"fixes": [fix_body("u1", NOW + n)]})
                if answer.status_code == 200:
                    acknowledged[0] = NOW + n
                else:
                    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
                    refused.append(answer.json()["type"])
                    time.sleep(0.02)

        teller = threading.Thread(target=tell)
        teller.start()
        wait_until(lambda: acknowledged[0] > NOW)
        postgres.stop("immediate")
        try:
            wait_until(lambda: len(refused) > 1)
            ranking = client.post("/v1/rankings", json={"stop": STOP}).json()
            assert ranking["candidates"]
            assert [one["code"] for one in ranking["degraded"]] == ["unrecorded"]
        finally:
            postgres.start()
        before = acknowledged[0]
        wait_until(lambda: acknowledged[0] > before)
        ended.set()
        teller.join()
        assert client.get("/readyz").json()["degraded"] == []
    store = open_store(url)
    verify(store)
    held = next(one.fix.time for one in restored(store, region).memory.fleet.states if one.unit.id == "u1")
    assert held >= acknowledged[0]
    assert not replay(store, known_regions(region)).differences
    store.close()


# The broker


@contextmanager
def quick_to_seek_again():
    from geomatch.feeds.transports import mqtt

    kept = mqtt.FIRST_PAUSE_S, mqtt.LONGEST_PAUSE_S
    mqtt.FIRST_PAUSE_S = mqtt.LONGEST_PAUSE_S = 0.05
    try:
        yield
    finally:
        mqtt.FIRST_PAUSE_S, mqtt.LONGEST_PAUSE_S = kept


def mqtt_feed(matcher: Matcher, port: int) -> MqttFeed:
    intake = intake_of("owntracks", matcher, units={"jane/phone": "u1"})
    broker = Broker(host="127.0.0.1", port=port, topic="owntracks/+/+", client_id="geomatch-drill")
    return MqttFeed(intake=intake, broker=broker)


def send(port: int, *messages: tuple[str, bytes]) -> None:
    import asyncio

    asyncio.run(publish(port, *messages))


def test_a_broker_that_is_restarted_while_a_service_answers_is_found_again(town, mosquitto: Mosquitto):  # noqa: F811
    matcher = Matcher(town)
    at = 1_772_921_700.0
    matcher.replace_fleet(states(at - 60), source="test", source_seq=1)
    feed = mqtt_feed(matcher, mosquitto.port)
    app = create_app(matcher, clock=lambda: at, feeds=Feeds(transports=(feed,)))
    with quick_to_seek_again(), TestClient(app) as client:

        def seen(when: float) -> bool:
            send(mosquitto.port, ("owntracks/jane/phone", owntracks_at(when)))
            return matcher.state("u1").fix.time == when

        wait_until(lambda: seen(at - 5))
        mosquitto.stop()
        wait_until(lambda: feed.intake.counts().reconnects >= 1)
        assert client.post("/v1/rankings", json={"stop": STOP}).json()["candidates"]
        mosquitto.start()
        # The broker keeps what comes for a client that it knows, while that is away.
        send(mosquitto.port, ("owntracks/jane/phone", owntracks_at(at - 1)))
        wait_until(lambda: matcher.state("u1").fix.time == at - 1)
        assert scraped(client)["geomatch_feed_messages_total", "modems", "reconnects"] >= 1


# Floods


def rubbish(rng: random.Random, sample: bytes) -> bytes:
    """Noise, or something that was once right."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        return sample[: rng.randrange(len(sample))]
    if kind == 2:
        at = rng.randrange(len(sample))
        return sample[:at] + rng.randbytes(3) + sample[at + 3 :]
    if kind == 3:
        return b"[" * rng.randrange(3_000) + b'{"unit":' * 50
    if kind == 4:
        return json.dumps({"fixes": [{"unit": "u1", "time": "9" * 400, "at": {"lon": 1e999, "lat": None}}]}).encode()
    return b"\xff\xfe\x00" * rng.randrange(1, 300)


def adding_up(intake: Intake) -> bool:
    told = intake.counts()
    return told.received == told.read + told.dropped + told.queued + told.failed


@pytest.fixture
def flooded(town, mosquitto):  # noqa: F811
    """A service with every door there is, and a way to see what became of what it was sent."""
    at = 1_772_921_700.0
    matcher = Matcher(town)
    matcher.replace_fleet(states(at - 60), source="test", source_seq=1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    modems = intake_of("taip", matcher, units={"0001": "u1"}, most_messages=500)
    feeds = Feeds(transports=(UdpFeed(intake=modems, host="127.0.0.1", port=port), mqtt_feed(matcher, mosquitto.port)))
    app = create_app(matcher, clock=lambda: at, feeds=feeds)
    with quick_to_seek_again(), TestClient(app, raise_server_exceptions=False) as client:
        yield at, matcher, client, feeds, port, mosquitto.port


def test_floods_of_rubbish_at_every_door_break_nothing_and_are_counted(flooded):
    at, matcher, client, feeds, udp_port, mqtt_port = flooded
    seed = random.randrange(2**32)
    print("seed", seed)
    rng, answers = random.Random(seed), []
    good = json.dumps(fix_body("u1", at - 30)).encode()
    headers = {"content-type": "application/json"}
    for path in ("/v1/fixes", "/v1/fixes:raw", "/v1/rankings", "/v1/fleet", "/v1/stops", "/v1/assignments"):
        method = "PUT" if path == "/v1/fleet" else "POST"
        asked = [client.request(method, path, content=rubbish(rng, good), headers=headers) for _ in range(40)]
        answers += [answer.status_code for answer in asked]
    lines = b"\n".join(rubbish(rng, good).replace(b"\n", b"") for _ in range(500)) + b"\n" + b"x" * 200_000
    stream = client.post("/v1/fixes:stream", content=lines, headers={"content-type": "application/x-ndjson"})
    assert stream.json()["fault_count"] > 300
    assert len(stream.json()["faults"]) <= 100
    with client.websocket_connect("/v1/fixes/ws") as door:
        for _ in range(100):
            door.send_bytes(rubbish(rng, good))
            assert set(door.receive_json()) >= {"applied", "fault_count"}
    with client.websocket_connect("/v1/fixes/ws") as door:
        door.send_bytes(b"x" * (5 * 1024 * 1024))
        with pytest.raises(WebSocketDisconnect):
            door.receive_json()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as modem:
        for _ in range(2_000):
            modem.sendto(rubbish(rng, taip_at("0001", at - 20)), ("127.0.0.1", udp_port))
    sample = owntracks_at(at - 20)
    send(mqtt_port, *(("owntracks/jane/phone", rubbish(rng, sample)) for _ in range(300)))
    udp, mqtt = (one.intake for one in feeds.transports)
    wait_until(lambda: mqtt.counts().received >= 300 and udp.counts().received > 100)
    wait_until(lambda: udp.counts().queued == mqtt.counts().queued == 0 and adding_up(udp) and adding_up(mqtt))
    assert not {status for status in answers if status >= 500}
    assert (udp.counts().failed, mqtt.counts().failed) == (0, 0)
    assert sum(udp.counts().faults.values()) > 50
    assert len(udp.tally.recent_faults()) <= 100
    # And it goes on: whatever comes next, at each door, is taken.
    assert client.post("/v1/rankings", json={"stop": STOP}).json()["candidates"]
    assert client.post("/v1/fixes", json={"fixes": [fix_body("u1", at - 9)]}).json()["applied"] == 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as modem:
        modem.sendto(taip_at("0001", at - 6), ("127.0.0.1", udp_port))
        wait_until(lambda: matcher.state("u1").fix.time == at - 6)
    send(mqtt_port, ("owntracks/jane/phone", owntracks_at(at - 3)))
    wait_until(lambda: matcher.state("u1").fix.time == at - 3)
    assert client.get("/readyz").json()["status"] == "ready"
