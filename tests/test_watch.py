"""While `geomatch serve` answers, another region is activated in its folder: no request fails and no unit is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from service_town import as_json
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Matcher, Region, UnitState
from geomatch.quantities import format_time
from geomatch.region import activate, rollback
from geomatch.service import watch as watching
from geomatch.service.app import create_app
from geomatch.service.serve import address_of, listen, server
from geomatch.service.watch import RegionWatch

STOP = {"id": "s1", "at": {"lon": at(1000.0).lon, "lat": at(1000.0).lat}, "agency": "town.example"}
UNITS = [UnitState(unit=unit(f"u{n}"), fix=fix(f"u{n}", 100.0 * n)) for n in range(20)]
PATIENCE_S = 60.0
"""How long a busy machine may take; a quiet one needs a tenth of a second."""


@pytest.fixture
def live(tmp_path) -> Path:
    """A region at 10 m/s in the live folder, and one at 5 m/s beside it."""
    main_street(tmp_path / "live.region")
    main_street(tmp_path / "next.region", kph=18.0)
    return tmp_path / "live.region"


@pytest.fixture
def slow(live) -> Path:
    return live.with_name("next.region")


@contextmanager
def served(matcher: Matcher, watch: RegionWatch) -> Iterator[str]:
    """The address of a real server on loopback."""
    with listen("127.0.0.1", 0) as listener:
        running = server(create_app(matcher, clock=lambda: NOW, watch=watch))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield address_of(listener)
        finally:
            running.should_exit = True
            thread.join()


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def got(address: str, path: str) -> dict:
    return httpx.get(f"{address}{path}", timeout=PATIENCE_S).json()


def spoil(folder: Path) -> None:
    with (folder / "roads" / "edge_ms.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\x01")


def test_regions_are_swapped_under_load_and_no_request_fails_and_no_unit_is_lost(live, slow):
    fast_hash, slow_hash = Region.open(live).hash, Region.open(slow).hash
    seconds = {fast_hash: 0.1, slow_hash: 0.2}
    matcher = matcher_with(Region.open(live), UNITS)
    faults: list[str] = []
    answered: dict[str, int] = {fast_hash: 0, slow_hash: 0}
    ended = threading.Event()

    def asking(address: str, work: Callable[[httpx.Client, int], None]) -> None:
        count = 0
        try:
            with httpx.Client(base_url=address, timeout=PATIENCE_S) as client:
                while not ended.is_set():
                    count += 1
                    work(client, count)
        except httpx.HTTPError as fault:
            faults.append(repr(fault))

    def ask(client: httpx.Client, _count: int) -> None:
        answer = client.post("/v1/rankings", json={"stop": STOP, "k": 20})
        if answer.status_code != 200:
            faults.append(answer.text)
            return
        ranking = answer.json()
        # On one straight street the seconds tell which map an answer is of: all of it, or it is of two.
        wrong = [
            c["unit"] for c in ranking["candidates"]
            if abs(c["eta"]["travel_s"] - c["distance_m"] * seconds[ranking["region"]]) > 0.1
        ]  # fmt: skip
        if wrong or len(ranking["candidates"]) != 20:
            faults.append(f"{ranking['region'][:6]}: {len(ranking['candidates'])} units, wrong {wrong}")
        answered[ranking["region"]] += 1

    def report(client: httpx.Client, count: int) -> None:
        told = {"unit": "u0", "time": format_time(NOW + count / 1000), "at": STOP["at"] | {"lon": at(0.0).lon}}
        answer = client.post("/v1/fixes", json={"fixes": [told]})
        if answer.status_code != 200 or answer.json()["applied"] != 1:
            faults.append(answer.text)

    watch = RegionWatch(matcher, live, every_s=0.02, tell=lambda _: None)
    with served(matcher, watch) as address, httpx.Client(base_url=address, timeout=PATIENCE_S) as client:
        askers = [threading.Thread(target=asking, args=(address, work)) for work in (ask, ask, report)]
        for asker in askers:
            asker.start()
        try:
            for turn in range(6):
                expected = fast_hash if turn % 2 else slow_hash
                activate(slow, live) if turn == 0 else rollback(live)
                wait_for(lambda expected=expected: client.get("/readyz").json()["region_hash"] == expected)
                before = answered[expected]
                wait_for(lambda before=before, expected=expected: answered[expected] > before + 5 or bool(faults))
        finally:
            ended.set()
            for asker in askers:
                asker.join()
        ready = client.get("/readyz").json()
        held = client.get("/v1/units").json()["units"]
    assert faults == []
    assert (ready["units"], ready["region_fault"]) == (20, None)
    assert [one["unit"]["id"] for one in held] == sorted(state.unit.id for state in UNITS)


def test_a_damaged_region_is_refused_and_told_and_the_old_one_answers(live, slow):
    fast_hash, slow_hash = Region.open(live).hash, Region.open(slow).hash
    matcher = matcher_with(Region.open(live), UNITS)
    lines: list[str] = []
    with served(matcher, RegionWatch(matcher, live, every_s=0.02, tell=lines.append)) as address:
        # Damaged on its way into the folder: `activate` itself would refuse it.
        shutil.copytree(slow, live.with_name("copy.region"))
        spoil(live.with_name("copy.region"))
        live.rename(live.with_name("aside.region"))
        live.with_name("copy.region").rename(live)
        wait_for(lambda: got(address, "/readyz")["region_fault"] is not None)
        ready = got(address, "/readyz")
        assert (ready["status"], ready["region_hash"], ready["units"]) == ("ready", fast_hash, 20)
        assert "not those it was built with" in ready["region_fault"]
        assert str(live.parent) not in ready["region_fault"]
        answer = httpx.post(f"{address}/v1/rankings", json={"stop": STOP}, timeout=PATIENCE_S).json()
        assert (answer["region"], len(answer["candidates"])) == (fast_hash, 5)
        (line,) = lines
        assert line.startswith("not activated")
        activate(slow, live)
        wait_for(lambda: got(address, "/readyz")["region_fault"] is None)
        assert got(address, "/readyz")["region_hash"] == slow_hash
    assert len(lines) == 2


def test_a_folder_that_nobody_touches_is_not_read_again(live, monkeypatch):
    reads = []
    watch = RegionWatch(Matcher(Region.open(live)), live, tell=reads.append)
    monkeypatch.setattr(watching, "verify", lambda folder: reads.append(str(folder)))
    for _ in range(50):
        watch.look()
    assert reads == []


def test_a_fault_is_told_once_and_looked_at_again_after_a_while(live, slow, monkeypatch):
    lines: list[str] = []
    reads: list[Path] = []
    verify = watching.verify
    matcher = Matcher(Region.open(live))
    watch = RegionWatch(matcher, live, tell=lines.append)
    monkeypatch.setattr(watching, "verify", lambda folder: (reads.append(folder), verify(folder)))
    good = (slow / "roads" / "edge_ms.npy").read_bytes()
    activate(slow, live)
    spoil(live)
    for _ in range(2 * watching.AGAIN_LOOKS):
        watch.look()
    assert len(lines) == 1
    assert len(reads) == 2
    # Mended in its place, as by a copy that was still under way, with the manifest untouched.
    (live / "roads" / "edge_ms.npy").write_bytes(good)
    for _ in range(watching.AGAIN_LOOKS):
        watch.look()
    assert watch.fault is None
    assert matcher.region.hash == Region.open(slow).hash


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"hash": 3, "format": 1}', "\xff"])
def test_whatever_lies_in_the_folder_the_watch_goes_on(live, manifest):
    matcher = Matcher(Region.open(live))
    before, kept = matcher.region.hash, (live / "region.json").read_bytes()
    watch = RegionWatch(matcher, live, tell=lambda _: None)
    (live / "region.json").write_text(manifest, encoding="latin-1")
    watch.look()
    assert watch.fault is not None
    assert matcher.region.hash == before
    (live / "region.json").write_bytes(kept)
    watch.look()
    assert watch.fault is None


def test_a_folder_that_is_gone_is_told_and_one_between_two_renames_is_not(live):
    matcher = Matcher(Region.open(live))
    watch = RegionWatch(matcher, live, tell=lambda _: None)
    aside = live.rename(live.with_name("aside"))
    watch.look()
    assert watch.fault is None
    for _ in range(watching.GONE_LOOKS):
        watch.look()
    assert "is gone" in watch.fault
    aside.rename(live)
    watch.look()
    assert watch.fault is None


def test_a_region_swapped_while_it_is_read_is_read_again(live, slow, monkeypatch):
    """`verify` sees the first of two regions, `open` the second: neither is taken before it is checked whole."""
    fast_hash, slow_hash = Region.open(live).hash, Region.open(slow).hash
    matcher = Matcher(Region.open(live))
    watch = RegionWatch(matcher, live, tell=lambda _: None)
    verify = watching.verify

    def interrupted(folder: Path) -> None:
        verify(folder)
        monkeypatch.setattr(watching, "verify", verify)
        rollback(live)

    monkeypatch.setattr(watching, "verify", interrupted)
    activate(slow, live)
    watch.look()
    assert matcher.region.hash == fast_hash
    rollback(live)
    watch.look()
    assert matcher.region.hash == slow_hash
    assert watch.fault is None


def test_the_command_serves_what_another_command_activates(live, slow, tmp_path):
    slow_hash = Region.open(slow).hash
    command = [sys.executable, "-m", "geomatch.cli"]
    running = subprocess.Popen(
        [*command, "serve", str(live), "--port", "0"], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        assert running.stderr is not None
        address = running.stderr.readline().split()[-1]
        units = [as_json(state) for state in UNITS]
        put = httpx.put(
            f"{address}/v1/fleet", json={"source": "cad", "source_seq": 1, "units": units}, timeout=PATIENCE_S
        )
        assert put.status_code == 200
        done = subprocess.run([*command, "activate", str(slow), str(live)], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "")
        wait_for(lambda: got(address, "/readyz")["region_hash"] == slow_hash)
        assert got(address, "/readyz")["units"] == 20
        subprocess.run([*command, "rollback", str(live)], check=True, capture_output=True)
        wait_for(lambda: got(address, "/readyz")["region_hash"] != slow_hash)
    finally:
        running.terminate()
        running.wait()
        assert running.stderr is not None
        running.stderr.close()
