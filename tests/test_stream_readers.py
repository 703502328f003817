"""Many readers of event streams: each gets what is its own, once; who does not read is cut off and can come back."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from towns import NOW, main_street, matcher_with

from geomatch.backup.stop_events import EventKind, StopEvent
from geomatch.model import Urgency
from geomatch.service import events
from geomatch.service.callers import CALLER, OPERATOR
from geomatch.service.event_log import EventLog
from geomatch.service.serve import listen, server

STOPS = ("a", "b", "c")


def event(stop: str, sentence: str = "No cover.") -> StopEvent:
    return StopEvent(kind=EventKind.no_cover, stop=stop, at=NOW, position="p", urgency=Urgency.routine_backup,
                     sentence=sentence, version=1, interrupts=True)  # fmt: skip


async def read(log: EventLog, stop: str | None, seen: list[int]) -> None:
    """As a stream does, until the log has ended."""
    seq = 0
    while True:
        seq = await log.after(seq, stop)
        new = log.since(seq)
        assert new is not None, "its events were all in the log when they were told of"
        if log.ended and not new:
            return
        seq += len(new)
        seen += [one.seq for one in new if stop in {None, one.event.stop}]


@given(
    batches=st.lists(st.lists(st.sampled_from(STOPS), min_size=1, max_size=4), max_size=20),
    readers=st.lists(st.sampled_from((None, *STOPS)), min_size=1, max_size=6),
    breaths=st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_each_reader_gets_its_own_events_once_and_in_order(batches, readers, breaths):
    log, told, seen = EventLog("run"), [], [[] for _ in readers]

    async def scene() -> None:
        tasks = [asyncio.create_task(read(log, stop, into)) for stop, into in zip(readers, seen, strict=True)]
        for batch, breathes in zip(batches, breaths, strict=False):
            told.extend(log.append([event(stop) for stop in batch]))
            for _ in range(3 * breathes):
                await asyncio.sleep(0)
        log.end()
        await asyncio.wait_for(asyncio.gather(*tasks), 10.0)

    asyncio.run(scene())
    for stop, found in zip(readers, seen, strict=True):
        assert found == [one.seq for one in told if stop in {None, one.event.stop}]


def test_a_stop_where_nothing_happens_is_not_behind_when_the_log_has_gone_round():
    async def scene() -> list[int]:
        log, seen = EventLog("run", kept=3), []
        quiet = asyncio.create_task(read(log, "a", seen))
        for _ in range(10):
            log.append([event("b")])
            await asyncio.sleep(0)
        log.append([event("a")])
        for _ in range(3):
            await asyncio.sleep(0)
        log.end()
        await asyncio.wait_for(quiet, 10.0)
        return seen

    assert asyncio.run(scene()) == [11]


def test_a_reader_that_leaves_is_forgotten():
    async def scene() -> None:
        log = EventLog("run")
        tasks = [asyncio.create_task(log.after(0, stop)) for stop in ("a", "a", None)]
        await asyncio.sleep(0)
        assert log.waiting == 3
        tasks[0].cancel()
        await asyncio.sleep(0)
        assert log.waiting == 2
        log.append([event("a")])
        await asyncio.gather(*tasks[1:])
        assert log.waiting == 0

    asyncio.run(scene())


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    return matcher_with(main_street(tmp_path_factory.mktemp("readers") / "main.region"), [])


@contextmanager
def serving(matcher, log, *, stalled_after_ms=30_000):
    """The streams alone, for the operator, on a socket of their own."""
    app = FastAPI()
    app.include_router(events.router(matcher, log))
    app.state.about_to_end = log.end

    async def asked(scope, receive, send):
        CALLER.set(OPERATOR)
        await app(scope, receive, send)

    asked.state = app.state
    with listen("127.0.0.1", 0, stalled_after_ms=stalled_after_ms) as listener:
        running = server(asked)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], running.server_state.connections
        finally:
            running.should_exit = True
            thread.join(20.0)
            assert not thread.is_alive()


def asking(port: int, *, last: str = "", buffer_bytes: int = 2**20) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    client.settimeout(20.0)
    client.connect(("127.0.0.1", port))
    resume = f"Last-Event-ID: {last}\r\n" if last else ""
    client.sendall(f"GET /v1/events HTTP/1.1\r\nhost: x\r\n{resume}\r\n".encode())
    return client


def numbers(text: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"id: run-(\d+)", text)]


def until(condition) -> None:
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about within 20 s")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system has no such limit")
def test_who_takes_nothing_is_cut_off_and_comes_back_without_a_gap(matcher):
    log = EventLog("run")
    with serving(matcher, log, stalled_after_ms=300) as (port, held), closing(asking(port, buffer_bytes=4096)) as slow:
        until(lambda: log.waiting == 1)
        with closing(asking(port)) as quick:
            until(lambda: log.waiting == 2)
            heard = b""
            for _ in range(40):
                log.append([event("a", "x" * 4_000)] * 10)
                while f"id: run-{log.newest}\n".encode() not in heard[-100:]:
                    heard += quick.recv(2**20)
            until(lambda: len(held) == 1)
            # The slow one is cut off; the quick one has everything.
            assert numbers(heard)[1:] == list(range(1, log.newest + 1))
        got = b""
        with suppress(OSError):  # what the system had kept for it, and then that it was cut off
            while chunk := slow.recv(2**16):
                got += chunk
        last = numbers(got)[-1]
        assert last < log.newest
        with closing(asking(port, last=f"run-{last}")) as back:
            rest = b""
            while not numbers(rest) or numbers(rest)[-1] < log.newest:
                rest += back.recv(2**20)
        assert numbers(rest) == list(range(last, log.newest + 1))


def test_a_quiet_stream_says_that_it_is_still_there(matcher, monkeypatch):
    monkeypatch.setattr(events, "QUIET_S", 0.05)
    log = EventLog("run")
    with serving(matcher, log) as (port, _), httpx.stream("GET", f"http://127.0.0.1:{port}/v1/events") as answer:
        lines = answer.iter_lines()
        assert next(line for line in lines if line.startswith(":")) == ": still there"
        log.append([event("a")])
        assert next(line for line in lines if line.startswith("event")) == "event: no_cover"


def test_many_readers_of_a_few_stops_are_all_told(matcher):
    """A hundred connections over one loop: what each gets is its own, and nobody is left hanging after the end."""
    log = EventLog("run")

    async def reader(port: int) -> list[int]:
        source, into = await asyncio.open_connection("127.0.0.1", port)
        into.write(b"GET /v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        with closing(into):
            return numbers(await asyncio.wait_for(source.read(), 30.0))

    async def scene(port: int) -> list[list[int]]:
        tasks = [asyncio.create_task(reader(port)) for _ in range(100)]
        await asyncio.to_thread(until, lambda: log.waiting == len(tasks))
        for stop in STOPS * 3:
            log.append([event(stop)])
        log.end()
        return await asyncio.gather(*tasks)

    with serving(matcher, log) as (port, _):
        heard = asyncio.run(scene(port))
    assert all(one == list(range(10)) for one in heard)
