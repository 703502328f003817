"""A feeds file says what is received besides HTTP; `geomatch serve --feeds` receives it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from service_town import SOUTH, WEST, write_fleet
from test_feeds_mapped import FILE
from test_feeds_taip import framed
from websockets.sync.client import connect

from geomatch.errors import BadInput
from geomatch.feeds.plan import read_plan

pytest_plugins = ("service_town",)
PLAN = """
[devices]
"1234" = "u1"
[addresses]
"10.0.0.7" = "u2"
[mappings]
vendor = "vendor.toml"
[[udp]]
name = "modems"
listen = "127.0.0.1:5017"
format = "taip"
[[udp]]
name = "boxes"
listen = "[::1]:5018"
format = "vendor"
[[mqtt]]
name = "phones"
broker = "127.0.0.1"
topic = "owntracks/+/+"
format = "owntracks"
tls = true
username = "geomatch"
password_env = "PHONES_PASSWORD"
client_id = "geomatch-1"
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "vendor.toml").write_text(FILE)

    def write(text: str = PLAN):
        file = tmp_path / "feeds.toml"
        file.write_text(text)
        return file

    return write


def test_a_plan_is_its_transports(write):
    plan = read_plan(write(), {"PHONES_PASSWORD": "s3cret"})
    modems, boxes, phones = plan.transports(object(), clock=time.time)
    assert (modems.host, modems.port, modems.intake.name, modems.units) == (
        "127.0.0.1", 5017, "modems", {"10.0.0.7": "u2"},
    )  # fmt: skip
    assert (boxes.host, boxes.port) == ("::1", 5018)
    broker = phones.broker
    assert (broker.host, broker.port, broker.username, broker.password) == ("127.0.0.1", 8883, "geomatch", "s3cret")
    assert broker.tls.verify_mode.name == "CERT_REQUIRED"
    assert "s3cret" not in repr(plan)
    assert plan.devices == {"1234": "u1"}


def test_an_empty_file_is_no_feeds(write):
    assert read_plan(write(""), {}).transports(object(), clock=time.time) == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('format = "taip"', 'format = "tapi"', "tapi"),
        ('format = "taip"', 'format = "mapped"', "mapped"),
        ('listen = "127.0.0.1:5017"', 'listen = "5017"', "listen must be"),
        ('listen = "127.0.0.1:5017"', 'listen = "127.0.0.1:99999"', "listen must be"),
        ('listen = "127.0.0.1:5017"', 'liste = "127.0.0.1:5017"', "liste"),
        ('name = "boxes"', 'name = "modems"', "two feeds"),
        ('name = "boxes"', "", "must have a name"),
        ('topic = "owntracks/+/+"', 'topic = "owntracks/#/x"', "topic filter"),
        ('password_env = "PHONES_PASSWORD"', 'password_env = "OTHER"', "OTHER is not set"),
        ("tls = true", 'tls = "yes"', "tls must be"),
        ("[[mqtt]]", "[mqtt]", "list of tables"),
        ('"1234" = "u1"', '"1234" = 7', "table of texts"),
        ('vendor = "vendor.toml"', 'vendor = "other.toml"', r"other\.toml"),
        ('vendor = "vendor.toml"', 'vendor = "vendor.toml"\ntaip = "vendor.toml"', "name of a format"),
        ("[devices]", "[device]", "device"),
        ("[devices]", "[devices", "feeds file"),
    ],
)
def test_a_typing_error_in_the_file_is_named(write, old, new, told):
    with pytest.raises(BadInput, match=told) as caught:
        read_plan(write(PLAN.replace(old, new)), {"PHONES_PASSWORD": "s3cret"})
    assert "feeds.toml" in str(caught.value)


def serve(town_folder, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "geomatch.cli", "serve", str(town_folder), "--port", "0", *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)


def test_an_address_that_others_can_reach_is_refused(town_folder, write):
    file = write(PLAN.partition("[[mqtt]]")[0].replace("127.0.0.1:5017", "0.0.0.0:5017"))
    with serve(town_folder, "--feeds", str(file)) as process:
        told = " ".join(process.stderr.read().split())
        assert process.wait(timeout=60) == 2
    assert "--allow-open" in told


def test_a_datagram_and_a_socket_move_units_of_a_running_service(town_folder, tmp_path, write):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    plan = PLAN.partition('[[udp]]\nname = "boxes"')[0].replace("5017", str(port))
    fleet = write_fleet(tmp_path / "fleet.geojson", now=time.time() - 60)
    with serve(town_folder, "--fleet", str(fleet), "--feeds", str(write(plan))) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline()).group()

            def state(path: str) -> dict:
                with urllib.request.urlopen(f"{address}{path}", timeout=60) as response:
                    return json.load(response)

            before = state("/v1/units/u1")["fix"]["time"]
            body = f"RPV{int(time.time()) % 86_400:05d}{SOUTH * 1e5:+08.0f}{WEST * 1e5:+09.0f}01509012;ID=1234"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as modem:
                modem.sendto(framed(body) + b"noise", ("127.0.0.1", port))
            deadline = time.monotonic() + 30
            while state("/v1/units/u1")["fix"]["time"] == before and time.monotonic() < deadline:
                time.sleep(0.05)
            assert state("/v1/units/u1")["fix"]["source"] == "modems"
            modems = state("/v1/feeds")["feeds"][1]
            assert (modems["name"], modems["counts"]["fixes"]) == ("modems", {"applied": 1})
            assert modems["counts"]["faults"] == {"malformed": 1}
            with connect(f"{address.replace('http', 'ws')}/v1/fixes/ws?format=taip") as ws:
                ws.send(framed(body.replace("1234", "u2")))
                assert json.loads(ws.recv(timeout=30))["applied"] == 1
            assert state("/v1/units/u2")["fix"]["source"] == "taip"
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
