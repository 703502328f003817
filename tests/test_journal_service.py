"""`geomatch serve --journal`: what the API acknowledged is there after kill -9, and a replay answers as the API did."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import closing

import httpx
from conftest import CHECKOUT
from service_town import NOW, STOP, as_json, states, town_folder, town_osm  # noqa: F401 - fixtures

from geomatch import Region
from geomatch.cli import main
from geomatch.journal.faults import JournalDown
from geomatch.journal.replay import replay
from geomatch.journal.store import open_store
from geomatch.journal.told import known_regions
from geomatch.journal.verify import verify
from geomatch.service.app import create_app
from geomatch.service.journaling import recorded


class Service:
    """The real thing, in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "geomatch.cli", "serve", *map(str, arguments), "--port", "0"]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"http://[\d.:]+", line):
                break
        self.client = httpx.Client(base_url=found.group(), timeout=60)

    def end(self, how: int) -> None:
        self.client.close()
        self.process.send_signal(how)
        self.process.wait(timeout=30)
        self.process.stderr.close()


def test_what_the_api_acknowledged_is_there_after_a_kill_and_is_replayed(town_folder, tmp_path, capsys):  # noqa: F811
    journal = tmp_path / "town.journal"
    service = Service(town_folder, "--journal", journal)
    snapshot = {"source": "cad", "source_seq": 1, "units": [as_json(state) for state in states()]}
    assert service.client.put("/v1/fleet", json=snapshot).status_code == 200
    assert service.client.post("/v1/stops", json={"stop": STOP}).status_code == 201
    asked = {"stop": STOP, "k": 3}
    first = service.client.post("/v1/rankings", json=asked | {"now": "2026-03-07T22:15:00Z"}).json()
    units = service.client.get("/v1/units").json()
    service.end(signal.SIGKILL)

    again = Service(town_folder, "--journal", journal)
    assert any("told again" in line for line in again.said)
    assert again.client.get("/v1/units").json() == units
    second = again.client.post("/v1/rankings", json=asked | {"now": "2026-03-07T22:15:00Z"}).json()
    assert second["candidates"] == first["candidates"]
    assert again.client.post("/v1/stops", json={"stop": STOP}).status_code == 200, "it is open already"
    again.end(signal.SIGINT)

    with closing(open_store(journal)) as store:
        verify(store)
        found = replay(store, known_regions(Region.open(town_folder)))
        assert found.same == found.rankings >= 1
        answered = [
            [c["unit"] for c in json.loads(record.payload)["answer"]["candidates"]]
            for record in store.newest("ranking")
        ]
        assert [c["unit"] for c in second["candidates"]] in answered
    assert main(["replay", str(town_folder), str(journal)]) == 0
    assert "are the same" in capsys.readouterr().out


def test_while_the_journal_is_down_the_api_takes_nothing_and_goes_on_ranking(town_folder, tmp_path, monkeypatch):  # noqa: F811
    from fastapi.testclient import TestClient

    region = Region.open(town_folder)
    with recorded(str(tmp_path / "j"), region, clock=lambda: NOW) as (matcher, _):
        matcher.replace_fleet(states(), source="cad", source_seq=1)
        client = TestClient(create_app(matcher, clock=lambda: NOW), raise_server_exceptions=False)
        journal = matcher.journal

        def down(_drafts):
            raise JournalDown("j takes no records (disk full): free its disk or see to it")

        monkeypatch.setattr(journal, "_tries_at_most", 1)
        with monkeypatch.context() as broken:
            broken.setattr(journal._store, "append", down)
            for _ in range(2):
                refused = client.put("/v1/units/u1/status", json={"availability": "not_available"})
                assert refused.status_code == 503
                assert refused.json()["type"].endswith("journal_down")
            assert client.post("/v1/rankings", json={"stop": STOP}).json()["candidates"]
            assert waiting(client) > 0
        with journal._changed:
            assert journal._changed.wait_for(lambda: journal.fault is None, timeout=20)
        assert client.put("/v1/units/u1/status", json={"availability": "not_available"}).status_code == 200
        journal.flush()
        assert waiting(client) == 0


def waiting(client) -> float:
    """Lines that the journal has still to write, as an operator sees it."""
    return float(re.search(r"^geomatch_journal_waiting ([\d.]+)$", client.get("/metrics").text, re.MULTILINE)[1])
