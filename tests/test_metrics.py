"""What operators are told: numbers that add up and name nobody, log lines without a secret, an end without a loss."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from service_town import NOW, STOP, states

from geomatch.cli import main
from geomatch.quantities import format_time
from geomatch.service.app import create_app
from geomatch.service.logs import JsonLines, TextLines
from geomatch.service.operations import OPERATIONS

pytest_plugins = ("service_town",)


@pytest.fixture
def client(matcher):
    with TestClient(create_app(matcher, clock=lambda: NOW)) as asking:
        yield asking


def scraped(client) -> dict:
    """(name, label values) -> value."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_operation_and_status_and_their_paths_make_no_series(client):
    for unit in ("u1", "u2", "nobody"):
        client.get(f"/v1/units/{unit}")
    for path in ("/x", "/y", "/v2/z"):
        client.get(path)
    seen = scraped(client)
    name = "GET /v1/units/{unit_id:path}"
    assert (seen["geomatch_requests_total", "200", name], seen["geomatch_requests_total", "404", name]) == (2, 1)
    assert seen["geomatch_request_seconds_count", name] == 3
    assert seen["geomatch_requests_total", "404", "other"] == 3
    operations = {labels[-1] for metric, *labels in seen if metric == "geomatch_request_seconds_count"}
    assert operations <= {one.name for one in OPERATIONS} | {"other"}


def test_fixes_are_counted_by_feed_and_outcome(client):
    fixes = [{"unit": unit, "time": format_time(NOW), "at": STOP["at"]} for unit in ("u1", "u3", "no")]
    client.post("/v1/fixes", json={"fixes": fixes})
    client.post("/v1/fixes:raw", json=fixes[0] | {"unit": "u2", "time": format_time(NOW + 20)})
    client.post("/v1/fixes:raw", content=b"{", headers={"content-type": "application/json"})
    seen = scraped(client)
    assert seen["geomatch_fixes_total", "api", "applied"] == 2
    assert seen["geomatch_fixes_total", "api", "unknown_unit"] == 1
    assert seen["geomatch_fixes_total", "applied", "http"] == 1
    assert seen["geomatch_feed_messages_total", "http", "received"] == 2
    assert seen["geomatch_feed_messages_total", "fault_malformed", "http"] == 1
    assert seen["geomatch_feed_queue", "http"] == 0


def test_exclusions_are_counted_as_rankings_tell_them(client):
    for _ in range(3):
        told = client.post("/v1/rankings", json={"stop": STOP}).json()["counts"]
    seen = scraped(client)
    reasons = {labels[0]: value for (name, *labels), value in seen.items() if name == "geomatch_excluded_units_total"}
    assert reasons == {"not_available": 3, "no_fix": 3}
    assert sum(reasons.values()) == 3 * (told["units"] - told["candidates"])


def test_the_age_of_fixes_adds_up_to_the_fleet(client, matcher):
    seen = scraped(client)
    ages = [NOW - state.fix.time for state in states() if state.fix is not None]
    assert seen["geomatch_units",] == len(matcher.states()) == 4
    for bound in (5.0, 60.0):
        below = seen["geomatch_fix_age_seconds_bucket", str(bound) if bound % 1 else f"{bound:g}"]
        assert below == sum(age <= bound for age in ages)
    assert seen["geomatch_fix_age_seconds_bucket", "+Inf"] == 4
    assert (seen["geomatch_epoch",], seen["geomatch_open_stops",]) == (0, 0)


def test_metrics_name_no_unit_no_agency_and_no_place(client):
    client.post("/v1/rankings", json={"stop": STOP})
    client.put("/v1/units/u9", json={"id": "u9", "agency": "hoboken.nj"})
    text = client.get("/metrics").text
    assert "geomatch_request_seconds" in text
    for secret in ("u9", "u1", "hoboken", "97.7", "30.27", "s1"):
        assert secret not in text.replace("unit_id", "")


# Log lines


def record(message, *args, **extra) -> logging.LogRecord:
    made = logging.LogRecord("geomatch.access", logging.WARNING, "x.py", 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_a_log_line_is_one_json_object_with_its_fields_and_nothing_else():
    line = JsonLines().format(record("refused", caller="cad", outcome="wrong_key", address="10.0.0.7", at="-97.7,30.2"))
    told = json.loads(line)
    assert {name: told[name] for name in ("event", "caller", "outcome", "address", "level", "logger")} == {
        "event": "refused", "caller": "cad", "outcome": "wrong_key", "address": "10.0.0.7", "level": "warning",
        "logger": "geomatch.access",
    }  # fmt: skip
    assert "at" not in told


@pytest.mark.parametrize("form", [JsonLines(), TextLines()])
def test_no_line_tells_a_secret_or_can_be_forged_into_two(form):
    key, jwt = "gm1.cad.Zm9vYmFyYmF6cXV4", "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"
    line = form.format(record("sent %s and %s\nforged: admitted", key, jwt, caller=key))
    assert "\n" not in line
    assert "Zm9v" not in line
    assert "c2lnbmF0" not in line
    assert "gm1.cad.***" in line


def test_a_fault_is_logged_by_where_and_kind_and_not_by_its_words():
    try:
        float(f"at {-97.5 - 0.25}, 30.27")
    except ValueError:
        made = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    for form in (JsonLines(), TextLines()):
        line = form.format(made)
        assert "ValueError" in line
        assert "97.75" not in line


# The process

GEOMATCH = [sys.executable, "-m", "geomatch.cli"]


def test_a_service_that_is_told_to_end_finishes_what_it_answers(town_folder, tmp_path):
    keys = tmp_path / "keys.json"
    made = subprocess.run(
        [*GEOMATCH, "keys", "new", str(keys), "cad", "-a", "*", "-s", "fixes:write", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    key = json.loads(made.stdout)["key"]
    command = [*GEOMATCH, "serve", str(town_folder), "--port", "0", "--log", "json", "--keys", str(keys)]
    with subprocess.Popen(
        [*command, "--keys", str(keys)], stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        try:
            address = process.stderr.readline().split()[-1]
            assert httpx.get(f"{address}/healthz", timeout=60.0).status_code == 200
            told, begun = [], threading.Event()

            def lines():
                begun.set()
                for n in range(10):
                    yield (
                        json.dumps({"unit": f"n{n}", "time": format_time(time.time()), "at": STOP["at"]}).encode()
                        + b"\n"
                    )
                    time.sleep(0.1)

            def send():
                answer = httpx.post(
                    f"{address}/v1/fixes:stream", content=lines(), timeout=60.0,
                    headers={"authorization": f"Bearer {key}", "content-type": "application/x-ndjson"},
                )  # fmt: skip
                told.append(answer.json())

            sending = threading.Thread(target=send)
            sending.start()
            begun.wait(30)
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            sending.join(30)
        finally:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        log = process.stderr.read()
    assert told
    assert told[0]["lines"] == 10
    admitted = [json.loads(line) for line in log.splitlines() if "admitted" in line]
    assert [(one["caller"], one["operation"]) for one in admitted] == [("key:cad", "POST /v1/fixes:stream")]
    assert key not in log


def test_keys_are_listed_and_revoked_from_the_command_line(tmp_path, capsys):
    keys = str(tmp_path / "keys.json")
    assert main(["keys", "new", keys, "modems", "-a", "a.example", "-s", "fixes:write", "--days", "30"]) == 0
    key = capsys.readouterr().out.strip()
    assert main(["keys", "list", keys]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("modems: good until ")
    assert key.rpartition(".")[2] not in listed
    assert main(["keys", "revoke", keys, "modems"]) == 0
    assert main(["keys", "list", keys, "--json"]) == 0
    assert '"state": "revoked"' in capsys.readouterr().out
    assert main(["keys", "revoke", keys, "nobody"]) == 1
    assert main(["keys", "new", keys, "x", "-a", "a.example", "-s", "everything"]) == 2
