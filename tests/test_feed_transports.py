"""Messages over real sockets and a real broker reach the fleet; what cannot be read or kept is counted."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_feeds_cot import ALERT
from test_feeds_nmea import rmc
from test_feeds_taip import framed

from geomatch.errors import BadInput, UnknownUnit
from geomatch.feeds.formats import parser_of
from geomatch.feeds.intake import BATCH, Intake
from geomatch.feeds.parsed import FaultKind
from geomatch.feeds.transports import running
from geomatch.feeds.transports.mqtt import Broker, subscribe, wild_part
from geomatch.feeds.transports.udp import udp
from geomatch.matcher import Matcher
from geomatch.model import FixOutcome, Status
from geomatch.quantities import format_time

pytest_plugins = ["service_town"]
NOW = 1_772_921_700.0
LON_E5, LAT_E5 = -9_774_990, 3_027_000


class Recorder:
    """A sink that keeps what it is given, and knows the units u0 to u999."""

    def __init__(self) -> None:
        self.fixes: list = []
        self.statuses: list = []

    def update(self, fixes, now=None):
        assert now == NOW
        self.fixes += fixes
        return []

    def set_status(self, unit_id, *, availability, activity, at):
        if not unit_id.startswith("u"):
            raise UnknownUnit(unit_id)
        self.statuses.append((unit_id, availability, activity))
        return Status(at=at)


def intake_of(format_name="taip", sink=None, **options) -> Intake:
    return Intake("modems", parser_of(format_name), sink or Recorder(), clock=lambda: NOW, **options)


def taip(unit: str, seconds_ago: int = 1, lon_e5: int = LON_E5, lat_e5: int = LAT_E5) -> bytes:
    return framed(f"RPV{int(NOW - seconds_ago) % 86_400:05d}{lat_e5:+08d}{lon_e5:+09d}01509012;ID={unit}")


def drained(intake: Intake) -> Intake:
    while intake.drain():
        pass
    return intake


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - it waits for numbers, which ring no bell
            await asyncio.sleep(0.01)


def test_a_message_that_says_what_happened_is_counted_as_that():
    sink = Recorder()
    intake = intake_of(sink=sink)
    for raw in (taip("u1"), b"noise", taip("u1").replace(b"*", b"*0"), b">RTM19250815028061994021105120000<"):
        intake.offer(raw, sender="10.0.0.7")
    assert intake.counts().queued == 4
    counts = drained(intake).counts()
    assert (counts.received, counts.read, counts.queued, counts.ignored) == (4, 4, 0, 1)
    assert counts.faults == {FaultKind.malformed: 1, FaultKind.checksum: 1}
    assert [fault.sender for fault in intake.tally.recent_faults()] == ["10.0.0.7"] * 2
    assert [fix.source for fix in sink.fixes] == ["modems"]


def test_of_too_many_messages_the_oldest_are_dropped_and_counted():
    sink = Recorder()
    intake = intake_of(sink=sink, most_messages=3)
    for number in range(10):
        intake.offer(taip(f"u{number}"))
    counts = drained(intake).counts()
    assert (counts.received, counts.dropped, counts.read) == (10, 7, 3)
    assert [fix.unit for fix in sink.fixes] == ["u7", "u8", "u9"]
    small = intake_of(most_bytes=200)
    small.offer(b"x" * 300)
    assert small.counts().dropped == 1


def test_an_emergency_is_read_first_and_dropped_last():
    heard = []
    intake = intake_of("cot", most_messages=3, alarm=heard.append, units={"ANDROID-1": "u1"})
    intake.offer(ALERT.encode())
    for _ in range(10):
        intake.offer(b"<event type='b-t-f'/>")
    intake.drain()
    assert [emergency.unit for emergency in heard] == ["u1"]
    assert intake.counts().dropped == 8


def test_a_status_of_an_unknown_unit_is_counted():
    sink = Recorder()
    intake = intake_of("geojson", sink)
    for unit in ("u1", "stranger"):
        properties = {"unit_id": unit, "time": format_time(NOW), "availability": "available"}
        intake.offer(json.dumps({"type": "Feature", "geometry": None, "properties": properties}).encode())
    counts = drained(intake).counts()
    assert (counts.statuses, counts.unknown_statuses) == (2, 1)
    assert sink.statuses == [("u1", "available", "patrol")]


def test_a_defect_in_one_batch_is_counted_and_the_next_batch_holds():
    sink = Recorder()
    intake = intake_of(sink=sink)
    whole, sink.update = sink.update, lambda *_: 1 / 0
    for _ in range(BATCH):
        intake.offer(taip("u1"))
    intake.drain()
    sink.update = whole
    intake.offer(taip("u2"))
    counts = drained(intake).counts()
    assert (counts.failed, counts.read) == (BATCH, 1)
    assert [fix.unit for fix in sink.fixes] == ["u2"]


def test_datagrams_move_the_fleet(town):
    matcher = Matcher(town)
    from service_town import SOUTH, WEST, states

    matcher.replace_fleet(states(NOW - 60), source="test", source_seq=1)
    intake = intake_of(sink=matcher, units={"0001": "u1"})

    async def scenario():
        async with udp(intake, "127.0.0.1", 0) as address, running(intake.run()):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as modem:
                east = round((WEST + 0.0041) * 1e5)
                modem.sendto(taip("0001", 2, east, round(SOUTH * 1e5)), address)
                modem.sendto(b"\x00\xff", address)
                modem.sendto(taip("0001", 9, east, round(SOUTH * 1e5)) + taip("nobody"), address)
            await until(lambda: intake.counts().read == 3)

    asyncio.run(scenario())
    counts = intake.counts()
    assert counts.fixes == {FixOutcome.applied: 1, FixOutcome.late: 1, FixOutcome.unknown_unit: 1}
    assert counts.faults == {FaultKind.malformed: 1}
    assert matcher.state("u1").fix.time == NOW - 2


def test_a_sentence_without_a_unit_is_the_one_of_its_address():
    known, unknown = intake_of("nmea"), intake_of("nmea")

    async def scenario():
        async with (
            udp(known, "127.0.0.1", 0, units={"127.0.0.1": "u5"}) as first,
            udp(unknown, "127.0.0.1", 0) as second,
            running(known.run(), unknown.run()),
        ):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as modem:
                modem.sendto(rmc(), first)
                modem.sendto(rmc(), second)
            await until(lambda: known.counts().read == 1 == unknown.counts().read)

    asyncio.run(scenario())
    assert known.counts().faults == {}
    assert unknown.counts().faults == {FaultKind.no_unit: 1}


def test_an_address_that_is_taken_is_said_so():
    async def scenario():
        async with udp(intake_of(), "127.0.0.1", 0) as (host, port):
            with pytest.raises(BadInput, match=f"{port}"):
                async with udp(intake_of(), host, port):
                    pass

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("topic", "pattern", "found"),
    [
        ("owntracks/jane/phone", "owntracks/+/+", "jane/phone"),
        ("avl/2A14", "avl/#", "2A14"),
        ("avl", "avl/#", None),
        ("avl/hoboken/2A14/fix", "avl/+/+/fix", "hoboken/2A14"),
        ("avl/all", "avl/all", None),
    ],
)
def test_a_topic_says_whose_it_is_where_its_filter_is_open(topic, pattern, found):
    assert wild_part(topic, pattern) == found


@pytest.mark.parametrize("topic", ["", "avl/#/x", "avl/x#", "avl/+x"])
def test_a_wrong_filter_is_refused(topic):
    with pytest.raises(BadInput, match="topic filter"):
        Broker(host="127.0.0.1", topic=topic)


class Mosquitto:
    """A real broker in a folder of its own; stop() and start() keep its port."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            pytest.skip("mosquitto is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser {Path.home().owner()}\n"
            f"persistence true\npersistence_location {folder}/\nlog_dest file {folder}/mosquitto.log\n"
        )
        self._command = [program, "-c", str(config)]
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


@pytest.fixture
def mosquitto(tmp_path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


async def publish(port: int, *messages: tuple[str, bytes]) -> None:
    import aiomqtt

    async with aiomqtt.Client("127.0.0.1", port) as device:
        for topic, payload in messages:
            await device.publish(topic, payload, qos=1)


def owntracks(seconds_ago: float) -> bytes:
    told = {"_type": "location", "lat": LAT_E5 / 1e5, "lon": LON_E5 / 1e5, "tst": NOW - seconds_ago}
    return json.dumps(told).encode()


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0.05)


async def subscribed(port: int, intake: Intake, topic: str) -> None:
    """Until the subscription stands: what is sent before it is nobody's."""
    while intake.counts().received == 0:
        await publish(port, (topic, b""))
        await asyncio.sleep(0.05)


def test_messages_of_a_real_broker_reach_the_sink(mosquitto):
    sink = Recorder()
    intake = intake_of("owntracks", sink, units={"jane/phone": "u1"})
    broker = Broker(host="127.0.0.1", port=mosquitto.port, topic="owntracks/+/+")

    async def scenario():
        async with running(intake.run(), subscribe(intake, broker, pause=no_pause)):
            await asyncio.wait_for(subscribed(mosquitto.port, intake, "owntracks/x/y"), 20)
            sent = [("owntracks/jane/phone", owntracks(i)) for i in range(300)]
            await publish(
                mosquitto.port, *sent, ("owntracks/jane/phone", b"{broken"), ("other/jane/phone", owntracks(0))
            )
            await until(lambda: len(sink.fixes) == 300 and bool(intake.counts().faults))

    asyncio.run(scenario())
    assert {fix.unit for fix in sink.fixes} == {"u1"}
    assert [fix.time for fix in sink.fixes] == [NOW - i for i in range(300)]
    (fault,) = intake.tally.recent_faults()
    assert (fault.sender, fault.kind) == ("owntracks/jane/phone", FaultKind.malformed)
    assert intake.counts().dropped == 0


def test_a_broker_that_restarts_is_found_again(mosquitto):
    sink = Recorder()
    intake = intake_of("taip", sink)
    broker = Broker(host="127.0.0.1", port=mosquitto.port, topic="avl/#", client_id="geomatch-test")

    async def scenario():
        async with running(intake.run(), subscribe(intake, broker, pause=no_pause)):
            await asyncio.wait_for(subscribed(mosquitto.port, intake, "avl/x"), 20)
            await publish(mosquitto.port, ("avl/2A14", taip("u1", 5)))
            await until(lambda: len(sink.fixes) == 1)
            await asyncio.to_thread(mosquitto.stop)
            await until(lambda: intake.counts().reconnects >= 1)
            await asyncio.to_thread(mosquitto.start)
            # The broker remembers the subscription of a client with an id, so nothing sent now is lost.
            await publish(mosquitto.port, ("avl/2A14", taip("u1", 1)))
            await until(lambda: len(sink.fixes) == 2)

    asyncio.run(scenario())
    assert [fix.time for fix in sink.fixes] == [NOW - 5, NOW - 1]
