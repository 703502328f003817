"""A key that was used gets the first answer again: after a restart too, and until it has expired."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from service_town import NOW, STOP, states

from geomatch.journal.faults import JournalDown
from geomatch.journal.recorder import Recorder
from geomatch.journal.sqlite import SqliteStore
from geomatch.journal.verify import verify
from geomatch.matcher import Matcher
from geomatch.service.app import create_app
from geomatch.service.idempotency import EXPIRES_S

pytest_plugins = ("service_town",)
ONCE = {"Idempotency-Key": "7f3a"}


class Restarted:
    """A service that is killed and started anew as often as one likes, over one journal."""

    def __init__(self, town, path):
        self.town, self.path, self.now = town, path, NOW

    def client(self) -> TestClient:
        # The one before it is not closed: it was killed.
        self.recorder = Recorder(SqliteStore(self.path, create=True), self.town, clock=lambda: self.now)
        if self.recorder.event == 0:
            self.recorder.replace_fleet(states(), source="test", source_seq=1)
        return TestClient(create_app(self.recorder, clock=lambda: self.now))


@pytest.fixture
def service(town, tmp_path):
    return Restarted(town, tmp_path / "journal")


def opened(client, stop_id="s1", headers=ONCE):
    return client.post("/v1/stops", json={"stop": STOP | {"id": stop_id}}, headers=headers)


def test_after_a_restart_the_first_answer_is_given_to_the_byte_and_nothing_is_done_twice(service):
    client = service.client()
    first = opened(client)
    assert first.status_code == 201
    ask = {"stop_id": "s1", "unit": "u1", "version": first.json()["open_stop"]["version"]}
    made = client.post("/v1/assignments", json=ask, headers={"Idempotency-Key": "a"})
    assert made.status_code == 201
    client = service.client()
    events = service.recorder.event
    again = opened(client)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    same = client.post("/v1/assignments", json=ask, headers={"Idempotency-Key": "a"})
    assert (same.status_code, same.content) == (201, made.content)
    assert service.recorder.event == events
    assert opened(client, "s2").json()["type"] == "urn:geomatch:problem:idempotency_key_reused"
    verify(SqliteStore(service.path))


def test_a_key_that_has_expired_may_be_used_anew_with_a_restart_and_without(service):
    client = service.client()
    opened(client)
    service.now += EXPIRES_S + 1
    assert opened(client, "s2").status_code == 201
    assert opened(service.client(), "s2").status_code == 201
    service.now += EXPIRES_S + 1
    assert opened(service.client(), "s3").status_code == 201


def test_an_answer_is_in_the_store_before_it_is_sent(service, monkeypatch):
    client = service.client()
    opened(client)
    kept = list(SqliteStore(service.path).newest("answer"))
    assert len(kept) == 1
    monkeypatch.setattr(
        "geomatch.journal.answers.Answers.keep", lambda *_: (_ for _ in ()).throw(JournalDown("the disk is full"))
    )
    assert opened(client, "s2", {"Idempotency-Key": "b"}).status_code == 201, "what was acknowledged is recorded"


def test_without_a_journal_a_running_service_answers_again_all_the_same(town):
    matcher = Matcher(town)
    client = TestClient(create_app(matcher, clock=lambda: NOW))
    assert opened(client).content == opened(client).content
