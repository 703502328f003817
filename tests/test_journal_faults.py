"""Nothing acknowledged is lost: not by kill -9, not when the power goes, not on a full disk or a restarted server."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT
from postgres_server import Server, postgres  # noqa: F401 - a fixture
from recording_files import Disk, OneConnection
from towns import NOW, fix, main_street, unit

from geomatch import Region
from geomatch.journal.faults import BadJournal, JournalDown
from geomatch.journal.recorder import Recorder
from geomatch.journal.records import Draft, canonical
from geomatch.journal.replay import replay
from geomatch.journal.restore import restored
from geomatch.journal.sqlite import SqliteStore
from geomatch.journal.store import Store, open_store
from geomatch.journal.told import known_regions
from geomatch.journal.verify import verify

KILLS = int(os.environ.get("GEOMATCH_KILLS", "10"))


@pytest.fixture(scope="session")
def street_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("street") / "street.region"
    main_street(folder)
    return folder


@pytest.fixture(scope="session")
def street(street_folder) -> Region:
    return Region.open(street_folder)


def child(*arguments: object) -> subprocess.Popen:
    script = CHECKOUT / "tests" / "journal_children.py"
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, arguments)], cwd=CHECKOUT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{script.parent}"},
    )  # fmt: skip


# kill -9


def test_whatever_moment_a_process_is_killed_at_nothing_acknowledged_is_lost(street, street_folder, tmp_path):
    journal, seed = tmp_path / "j", random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    nursery = child("nursery", journal, street_folder)
    try:
        assert nursery.stdout.readline() == "ready\n"
        acknowledged: dict[str, float] = {}
        stops: set[str] = set()
        for number in range(KILLS):
            said = tmp_path / f"said-{number}"
            nursery.stdin.write(f"{said}\n")
            nursery.stdin.flush()
            pid = int(nursery.stdout.readline())
            # Now and then while it starts, else under load.
            if rng.random() < 0.85:
                wait_until(lambda said=said: said.exists() and said.stat().st_size > 200)
            time.sleep(rng.random() * 0.2)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: is_gone(pid))
            take(said, acknowledged, stops)
            if number % 10 == 9 or number == KILLS - 1:
                check_all(journal, street, acknowledged, stops)
        assert len(acknowledged) == 3
    finally:
        nursery.stdin.close()
        nursery.wait(timeout=20)


def take(said: Path, acknowledged: dict[str, float], stops: set[str]) -> None:
    lines = said.read_text().splitlines() if said.exists() else []
    for line in lines:
        one = json.loads(line)
        if "unit" in one:
            acknowledged[one["unit"]] = max(one["time"], acknowledged.get(one["unit"], 0.0))
        elif "stop" in one:
            stops.add(one["stop"])
        elif acknowledged:
            assert one["first"] is None or one["first"].startswith("t"), "the first answer knows the units"


def check_all(journal: Path, region: Region, acknowledged: dict[str, float], stops: set[str]) -> None:
    store = SqliteStore(journal)
    verify(store)
    found = restored(store, region)
    assert not found.left_out
    times = {state.unit.id: state.fix.time for state in found.memory.fleet.states if state.fix}
    assert all(times[name] >= time for name, time in acknowledged.items())
    assert stops <= {held.stop.id for held in found.memory.stops}
    store.close()


def wait_until(holds, timeout_s: float = 60.0) -> None:
    for _ in range(int(timeout_s / 0.005)):
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to it")


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return True
    return state == "Z"


# The power goes


def told(path: Path, disk: Disk, *, synchronous: str, rng: random.Random) -> list[tuple[int, int]]:
    """A hundred appends: how many things were done to the files when each was acknowledged, and its last event."""
    connection = OneConnection(disk, synchronous)
    store = SqliteStore(path, create=True, connect=connection)
    done, event = [], 0
    for _ in range(100):
        drafts = []
        for _ in range(rng.randint(1, 4)):
            payload = canonical({"n": event, "x": rng.randbytes(rng.randrange(3_000)).hex()})
            drafts.append(Draft(kind="fixes", at=NOW, event=event, told=True, payload=payload))
            event += 1
        store.append(drafts)
        done.append((len(disk.done), event))
    connection.really_close()
    return done


def lost(disk: Disk, done: list[tuple[int, int]], folder: Path, rng: random.Random) -> int:
    """Of fifty moments, those at which something acknowledged is lost; a broken chain fails at once."""
    count = 0
    for number in range(50):
        moment = rng.randrange(done[0][0], len(disk.done) + 1)
        disk.after_power_loss(moment, folder / str(number), rng)
        acknowledged = max(event for at, event in done if at <= moment)
        store = SqliteStore(folder / str(number) / "j")
        found = verify(store)
        count += found.events < acknowledged
        store.close()
    return count


def test_when_the_power_goes_what_was_synced_is_enough(tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    rng, disk = random.Random(seed), Disk()
    done = told(tmp_path / "j", disk, synchronous="FULL", rng=rng)
    (tmp_path / "after").mkdir()
    assert lost(disk, done, tmp_path / "after", rng) == 0


def test_the_file_layer_would_tell_of_a_commit_that_is_not_synced(tmp_path):
    """The same with SQLite's default in WAL mode: a journal of that would lose what it acknowledged."""
    rng, disk = random.Random(7), Disk()
    done = told(tmp_path / "j", disk, synchronous="NORMAL", rng=rng)
    (tmp_path / "after").mkdir()
    assert lost(disk, done, tmp_path / "after", rng) > 5


def test_every_connection_syncs_each_commit(tmp_path):
    store = SqliteStore(tmp_path / "j", create=True)
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# The disk is full


def test_on_a_full_disk_nothing_is_acknowledged_and_with_room_again_nothing_is_missing(street, street_folder, tmp_path):
    process = child("full", tmp_path / "j", street_folder)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    said = json.loads(out)
    assert "takes no records" in said["why"]
    assert said["answered"] == 1, "rankings go on"
    store = SqliteStore(tmp_path / "j")
    verify(store)
    memory = restored(store, street).memory
    assert memory.fleet.states[0].fix.time == said["last"]
    assert said["acknowledged"] > 5
    assert not replay(store, known_regions(street)).differences


# The server is restarted


def test_a_postgresql_that_crashes_and_comes_back_loses_nothing(street, postgres: Server):  # noqa: F811
    url = postgres.database()
    store = open_store(url, create=True)
    recorder = Recorder(store, street, clock=time.time)
    recorder.register([unit("u1"), unit("u2")])
    ended = threading.Event()
    acknowledged: dict[str, float] = {}

    def tell(name: str) -> None:
        n = 0
        while not ended.is_set():
            n += 1
            while True:
                try:
                    recorder.update([fix(name, float(n % 2_000), age_s=1e6 - n)])
                    break
                except JournalDown:
                    # On a busy machine the server takes longer than whoever tells should wait: they send it again.
                    time.sleep(0.05)
            acknowledged[name] = NOW - 1e6 + n

    threads = [threading.Thread(target=tell, args=(name,)) for name in ("u1", "u2")]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.3)
        postgres.stop("immediate")
        postgres.start()
    time.sleep(0.3)
    ended.set()
    for thread in threads:
        thread.join()
    recorder.close()
    store.close()
    again: Store = open_store(url)
    verify(again)
    times = {state.unit.id: state.fix.time for state in restored(again, street).memory.fleet.states}
    assert times == acknowledged
    again.close()


def test_a_commit_whose_answer_was_lost_is_not_written_twice(postgres: Server):  # noqa: F811
    store = open_store(postgres.database(), create=True)
    drafts = [Draft(kind="fixes", at=NOW, event=0, told=True, payload=b'{"n":0}')]
    written = store.append(drafts)
    # As if the connection had broken just after the commit.
    store._doubtful = written
    store._writer.close()
    assert store.append(drafts) == written
    assert len(list(store.chain())) == 1
    store._doubtful = list(store.chain())
    with pytest.raises(BadJournal, match="taken for lost"):
        store.append([Draft(kind="fixes", at=NOW, event=1, told=True, payload=b'{"n":1}')])
    store.close()
