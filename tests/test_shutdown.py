"""A service that is told to end answers what it began, ends its streams and closes its journal; its log is discreet."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing

import pytest
from service_town import NOW, SOUTH, STOP, WEST, write_fleet

from geomatch.quantities import format_time
from geomatch.service.keys import KeyFile, new_key, write_keys
from geomatch.service.scopes import Scope

pytest_plugins = ("service_town",)
ASKED = json.dumps({"stop": STOP, "k": 2}).encode()


class Running:
    """`geomatch serve` in a process of its own, with keys and a journal."""

    def __init__(self, region, folder, *more: str, **environment: str):
        held, self.key = new_key(KeyFile(), key_id="cad", agencies=("*",), scopes=tuple(Scope), now=NOW)
        write_keys(folder / "keys.json", held)
        self.journal = folder / "shift.journal"
        command = [sys.executable, "-m", "geomatch.cli", "serve", str(region), "--port", "0", "--log", "json"]
        command += ["--keys", str(folder / "keys.json"), "--journal", str(self.journal), *more]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.lines: list[str] = []
        begun = threading.Event()
        self.address = ""

        def read() -> None:
            for line in self.process.stderr:
                self.lines.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    self.address = found.group()
                    begun.set()

        self.reading = threading.Thread(target=read, daemon=True)
        self.reading.start()
        assert begun.wait(60), self.lines
        self.port = int(self.address.rpartition(":")[2])

    def ask(self, method: str, path: str, body: object = None) -> dict:
        head = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        raw = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data=raw, method=method, headers=head)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def begin(self, head: str, length: int | None = None) -> socket.socket:
        """A request whose head is read by the service: with a length it has said that it waits for the body."""
        wire = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        more = "" if length is None else f"content-length: {length}\r\nexpect: 100-continue\r\n"
        kind = "content-type: application/json\r\n"
        wire.sendall(f"{head} HTTP/1.1\r\nhost: t\r\n{kind}authorization: Bearer {self.key}\r\n{more}\r\n".encode())
        first = wire.recv(65_536)
        assert first.startswith(b"HTTP/1.1 100" if length is not None else b"HTTP/1.1 200"), first
        return wire

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)

    def wait(self) -> int:
        code = self.process.wait(timeout=30)
        self.reading.join(timeout=30)
        return code


@pytest.fixture
def running(town_folder, tmp_path):
    one = Running(town_folder, tmp_path, "--fleet", str(write_fleet(tmp_path / "f.geojson", now=time.time() - 5)))
    yield one
    if one.process.poll() is None:
        one.process.kill()
    one.process.wait(timeout=30)


def rest_of(wire: socket.socket) -> bytes:
    told = b""
    while part := wire.recv(65_536):
        told += part
    return told


def test_sigterm_ends_streams_answers_what_was_begun_and_closes_the_journal(running, town_folder, tmp_path):
    assert running.ask("POST", "/v1/stops", {"stop": STOP})["open_stop"]["stop"]["id"] == "s1"
    stream = running.begin("GET /v1/events")
    begun = running.begin("POST /v1/rankings", len(ASKED))
    running.end()
    events = rest_of(stream)
    assert events.endswith(b"0\r\n\r\n"), "the stream ended, it was not cut off"
    begun.sendall(ASKED)
    answer = rest_of(begun)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"candidates":[{"unit":' in answer
    assert running.wait() == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", running.port), timeout=5)
    assert not list(tmp_path.glob("shift.journal-*")), "the journal was closed: nothing lies beside it"
    with closing(sqlite3.connect(running.journal)) as held:
        assert held.execute("pragma integrity_check").fetchone() == ("ok",)
    again = Running(town_folder, tmp_path)
    try:
        assert [one["open_stop"]["stop"]["id"] for one in again.ask("GET", "/v1/stops")["stops"]] == ["s1"]
        assert {one["unit"]["id"] for one in again.ask("GET", "/v1/units")["units"]} == {"u1", "u2", "u3"}
    finally:
        again.end(signal.SIGINT)
        assert again.wait() == 0


def test_no_line_of_the_log_tells_a_place_or_a_secret_whatever_is_sent(running):
    at = {"lon": WEST + 0.000123, "lat": SOUTH + 0.000123}
    running.ask("POST", "/v1/fixes", {"fixes": [{"unit": "u1", "time": format_time(time.time()), "at": at}]})
    wrong = [
        ("POST", "/v1/fixes", {"fixes": [{"unit": "u1", "time": "x", "at": at}]}),
        ("POST", "/v1/rankings", {"stop": {"id": "s", "at": {"lon": 2.3512345, "lat": 48.8512345}}}),
        ("GET", "/v1/collections/units/items?bbox=-97.7512345,30.2,-97.7,30.3&x=1", None),
        ("POST", "/v1/fixes:raw?format=nmea", "$GPRMC,1,A,3016.123,N,09745.123,W"),
        ("GET", "/v1/units/none-such", None),
    ]
    for method, path, body in wrong:
        with pytest.raises(urllib.error.HTTPError):
            running.ask(method, path, body)
    secret, running.key = running.key, running.key[:-3] + "abc"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        running.ask("GET", "/v1/units")
    running.end()
    assert running.wait() == 0
    told = "".join(running.lines)
    logged = [json.loads(line) for line in running.lines if line.startswith("{")]
    assert {"admitted", "refused"} <= {line["event"] for line in logged}
    assert all(set(line) <= {"time", "level", "logger", "event", "caller", "address", "operation", "outcome", "fault"}
               for line in logged)  # fmt: skip
    for hidden in (secret.rpartition(".")[2][:20], "97.7", "30.27", "2.35", "48.85", "3016.1", "none-such"):
        assert hidden not in told, hidden
    assert not [line for line in logged if line["level"] in {"error", "critical"}]
