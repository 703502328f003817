"""Events as a CAD gets them: over a real socket, resumed after a break without a gap, and posted with a signature."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook
from test_assignments_race import opened, stop, take
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import BadInput, Stop, UnitState
from geomatch.backup.stop_events import EventKind, StopEvent
from geomatch.model import Urgency
from geomatch.service.app import create_app
from geomatch.service.event_log import EventLog, Logged
from geomatch.service.serve import address_of, listen, server
from geomatch.service.settings import Settings, WebhookTarget
from geomatch.service.webhooks import Webhooks, signature

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return main_street(tmp_path_factory.mktemp("events") / "main.region")


@pytest.fixture
def matcher(region):
    cars = {"a": 400.0, "b": 100.0, "c": 0.0}
    held = matcher_with(region, [UnitState(unit=unit(n), fix=fix(n, x)) for n, x in cars.items()])
    # Compiled here where it was not before, so that no client waits for that.
    held.rank(Stop(id="warm", at=at(500.0), agency="town.example"), now=NOW)
    return held


@contextmanager
def serving(matcher, settings=None):
    """A real server on loopback, ended as by a signal."""
    with listen("127.0.0.1", 0) as listener:
        running = server(create_app(matcher, clock=lambda: NOW, settings=settings))
        running.config.timeout_graceful_shutdown = 1
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            with httpx.Client(base_url=address_of(listener), timeout=60.0) as client:
                yield client
        finally:
            running.should_exit = True
            thread.join(20.0)
            assert not thread.is_alive()


@contextmanager
def reading(client, path, last_event_id=None):
    """Yields a function that returns the next event of the stream as (event, id, data)."""
    headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()

        def following():
            told = {}
            for line in lines:
                name, _, value = line.partition(":")
                if line and name:
                    told[name] = value.strip()
                elif not line and "event" in told:
                    return told["event"], told["id"], json.loads(told["data"])
            return None

        yield following


def until(following, kind):
    seen = []
    while (one := following()) is not None:
        seen.append(one)
        if one[0] == kind:
            return seen
    raise AssertionError(f"the stream ended before {kind}: {seen}")


def test_a_stream_tells_what_happens_and_ends_with_the_stop(matcher):
    with serving(matcher) as client:
        ranking = opened(client, "s1", "s2")
        with reading(client, "/v1/stops/s1/events") as following:
            assert following()[0] == "begin"
            taken = take(client, "s1", "b", ranking["version"]).json()
            told = until(following, "cover_eta")[-1][2]
            assert told["sentence"] == "Your cover is B, there in about 2 minutes, now on Main Street."
            assert (told["stop"], told["unit"]) == ("s1", "b")
            client.patch(f"/v1/assignments/{taken['id']}", json={"state": "declined"})
            assert until(following, "candidate_lost")[-1][2]["sentence"] == "b is lost as cover: declined."
            assert client.delete("/v1/stops/s1").status_code == 204
            assert {one[2].get("stop") for one in until(following, "cleared")} <= {"s1"}
            assert following() is None
        gone = client.get("/v1/stops/s1/events")
        assert (gone.status_code, gone.json()["type"]) == (404, "urn:geomatch:problem:unknown_stop")


def test_a_reader_that_was_cut_off_gets_what_it_missed_once_and_in_order(matcher):
    with serving(matcher) as client:
        with reading(client, "/v1/events") as following:
            opened(client, "s1")
            begin, first = following(), following()
            assert (begin[0], first[0]) == ("begin", "ranking")
        version = client.get("/v1/stops").json()["version"]
        with reading(client, "/v1/events") as witness:
            assert witness()[0] == "begin"
            take(client, "s1", "b", version)
            client.delete("/v1/stops/s1")
            missed = until(witness, "cleared")
        with reading(client, "/v1/events", first[1]) as following:
            assert following()[:2] == ("begin", first[1])
            assert until(following, "cleared") == missed
        # The stop itself is gone, and yet its reader gets its last events.
        with reading(client, "/v1/stops/s1/events", first[1]) as following:
            following()
            assert until(following, "cleared")[-1] == missed[-1]


def test_an_id_of_another_run_begins_anew_and_says_so(matcher):
    with serving(matcher) as client:
        opened(client, "s1")
        for strange in ("18c-3", "nonsense", "-", "9" * 90):
            with reading(client, "/v1/events", strange) as following:
                assert following()[0] == "reset"


def test_a_position_gets_its_own_stops(matcher):
    with serving(matcher) as client, reading(client, "/v1/events?position=radio%202") as following:
        following()
        client.post("/v1/stops", json={"stop": stop("s1"), "position": "radio 1"})
        client.post("/v1/stops", json={"stop": stop("s2"), "position": "radio 2"})
        assert following()[2]["stop"] == "s2"


def test_the_streams_are_in_the_document(matcher):
    paths = TestClient(create_app(matcher, clock=lambda: NOW)).get("/openapi.json").json()["paths"]
    for path in ("/v1/events", "/v1/stops/{stop_id}/events"):
        assert "text/event-stream" in paths[path]["get"]["responses"]["200"]["content"]


# The log


def event(kind="no_cover", name="s1") -> StopEvent:
    return StopEvent(kind=EventKind(kind), stop=name, at=NOW, position="p", urgency=Urgency.routine_backup,
                     sentence="No cover.", version=1, interrupts=True)  # fmt: skip


@given(batches=st.lists(st.integers(0, 5), max_size=30), kept=st.integers(1, 20), asked=st.integers(0, 150))
def test_the_log_gives_all_after_a_number_or_says_that_some_are_gone(batches, kept, asked):
    log, plain = EventLog("run", kept=kept), []
    for size in batches:
        plain += log.append([event()] * size)
    asked = min(asked, len(plain))
    expected = [one for one in plain if one.seq > asked]
    assert log.since(asked) == (expected if len(expected) <= kept else None)
    assert [one.seq for one in plain] == list(range(1, len(plain) + 1))
    assert log.seq_of(log.id_of(asked)) == asked
    assert log.seq_of(f"run-{len(plain) + 1}") is None


# Webhooks


def target(url="http://127.0.0.1:9/hook", **more) -> WebhookTarget:
    return WebhookTarget(url=url, secret=SECRET, **more)


def logged(seq=1, kind="no_cover") -> Logged:
    return EventLog("r").append([event(kind)] * seq)[-1]


@given(body=st.binary(max_size=200), name=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
def test_what_is_signed_is_what_standard_webhooks_signs(body, name):
    body = body.decode("latin-1").encode()
    when = int(time.time())
    expected = Webhook(SECRET).sign(name, datetime.fromtimestamp(when, UTC), body.decode())
    assert signature(target().key, message_id=name, timestamp=when, body=body) == expected


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver) as hook:
        hook.got, hook.answers = [], []
        hook.url = f"http://127.0.0.1:{hook.server_address[1]}/hook?key=1"
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        yield hook
        hook.shutdown()


def settled(hooks, count):
    for _ in range(1000):
        ends = sum(sum(n for name, n in one.items() if name != "retried") for one in hooks.counts())
        if ends >= count:
            return hooks.counts()
        time.sleep(0.01)
    raise AssertionError(hooks.counts())


def test_a_receiver_checks_an_event_with_a_standard_library_and_sees_when_it_was_changed(receiver):
    with Webhooks([target(receiver.url)], time.time, "run-{}".format) as hooks:
        hooks.send([logged()])
        settled(hooks, 1)
    _, headers, body = receiver.got[0]
    sent = Webhook(SECRET).verify(body, headers)
    assert (sent["type"], sent["data"]["sentence"]) == ("stop.no_cover", "No cover.")
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(SECRET).verify(body + b" ", headers)


@pytest.mark.parametrize(
    ("answers", "posts", "outcome"),
    [
        ([500, 503, 204], 3, {"delivered": 1, "retried": 2}),
        ([429, 200], 2, {"delivered": 1, "retried": 1}),
        ([410], 1, {"refused": 1}),
        ([302, 204], 2, {"delivered": 1, "retried": 1}),
        ([500] * 9, 4, {"given_up": 1, "retried": 3}),
    ],
)
def test_it_is_tried_again_with_the_same_id_unless_that_is_no_use(receiver, answers, posts, outcome):
    receiver.answers = list(answers)
    with Webhooks([target(receiver.url)], time.time, "run-{}".format, retry_after_s=(0.01, 0.02, 0.03)) as hooks:
        hooks.send([logged(3)])
        assert settled(hooks, 1) == [outcome]
    assert len(receiver.got) == posts
    assert {headers["webhook-id"] for _, headers, _ in receiver.got} == {"run-3"}
    # A signed event is not carried on to wherever a redirect points.
    assert {path for path, _, _ in receiver.got} == {"/hook?key=1"}


def test_nobody_there_is_tried_again_and_events_stay_in_order():
    calls = []

    def post(_target, body, _headers):
        calls.append(json.loads(body)["type"])
        if len(calls) < 3:
            raise ConnectionRefusedError
        return 200

    with Webhooks([target()], time.time, str, post=post, retry_after_s=(0.01, 0.01, 0.01)) as hooks:
        hooks.send([logged(kind="no_cover"), logged(kind="cleared")])
        assert settled(hooks, 2) == [{"delivered": 2, "retried": 2}]
    assert calls == ["stop.no_cover"] * 3 + ["stop.cleared"]


def test_a_target_gets_the_kinds_it_wants_and_a_full_queue_drops_the_oldest_visibly():
    hooks = Webhooks([target(kinds=(EventKind.no_cover,))], time.time, str)  # no thread empties it
    hooks.send([logged(kind="ranking")] * 5)
    hooks.send([logged()] * 1003)
    assert hooks.counts() == [{"dropped": 3}]


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("http://cad.example/hook", SECRET), ("ftp://cad.example/hook", SECRET), ("https://u:p@cad.example/", SECRET),
        ("https://", SECRET), ("https://cad.example/", "whsec_short"), ("https://cad.example/", "whsec_%%%"),
    ],
)  # fmt: skip
def test_a_target_that_would_leak_or_cannot_be_signed_for_is_refused(url, secret):
    with pytest.raises(BadInput, match="webhook"):
        WebhookTarget(url=url, secret=secret)
    assert "whsec" not in repr(Settings(webhooks=(target("https://cad.example/"),)))


def test_a_service_posts_what_happens_at_its_stops(matcher, receiver):
    with serving(matcher, Settings(webhooks=(target(receiver.url),))) as client:
        opened(client, "s1")
        client.delete("/v1/stops/s1")
        for _ in range(500):
            if any(b'"stop.cleared"' in body for _, _, body in receiver.got):
                break
            time.sleep(0.01)
    kinds = [json.loads(body)["type"] for _, _, body in receiver.got]
    assert kinds[-1] == "stop.cleared"
