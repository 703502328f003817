"""Processes that are killed, or whose disk is full: run as a script, `journal_children.py WHAT JOURNAL REGION`.

`nursery` loads everything once and forks a child for every line it reads; a child tells of units from several threads,
and writes to the file that the line names what was acknowledged. `full` runs out of disk and gets it back.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from towns import NOW, at, fix, unit

from geomatch import Region, Stop
from geomatch.journal.faults import JournalDown
from geomatch.journal.recorder import Recorder
from geomatch.journal.store import open_store

TELLERS = 3


def nursery(journal: str, region: Region) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as folder:
        # Loads what every child needs, once.
        recorder = Recorder(open_store(f"{folder}/j", create=True), region, clock=time.time)
        recorder.register([unit("u1")])
        recorder.update([fix("u1", 5.0)])
        recorder.open_stop(Stop(id="s1", at=at(9.0)), at=NOW)
        recorder.rank(Stop(id="s1", at=at(9.0)), now=NOW)
        recorder.close()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            load(journal, region, line.strip())
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def load(journal: str, region: Region, acknowledged: str) -> None:
    """Tells until it is killed."""
    out = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(**said) -> None:
        os.write(out, json.dumps(said).encode() + b"\n")

    recorder = Recorder(open_store(journal, create=True), region, clock=time.time, state_after_bytes=30_000)
    run = recorder.event
    first = next(iter(recorder.rank(Stop(id="first", at=at(900.0)), now=NOW).candidates), None)
    say(begun=run, first=None if first is None else first.unit)

    def tell(which: int) -> None:
        n = 0
        while True:
            n += 1
            name, when = f"t{which}", run * 1_000 + n
            recorder.register([unit(name, officers=1 + n % 9)])
            told = fix(name, float(n % 2_000), age_s=NOW - when)
            recorder.update([told])
            say(unit=name, time=told.time)
            if n % 7 == 0:
                recorder.open_stop(Stop(id=f"{run}-{which}-{n}", at=at(float(n))), at=NOW)
                say(stop=f"{run}-{which}-{n}")

    for which in range(TELLERS):
        threading.Thread(target=tell, args=(which,), daemon=True).start()
    while True:
        recorder.rank(Stop(id="asked", at=at(500.0)), now=NOW)
        time.sleep(0.001)


def full(journal: str, region: Region) -> None:
    """Files may grow by 200 kB, then no longer, then again."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    recorder = Recorder(open_store(journal, create=True), region, clock=time.time)
    recorder.journal._tries_at_most = 2
    recorder.register([unit("u1")])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = Path(f"{journal}-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 200_000, hard))
    n = acknowledged = 0
    refused = 0
    while refused < 3:
        n += 1
        try:
            recorder.update([fix("u1", 5.0, age_s=1e6 - n)] * 20)
            acknowledged = n
        except JournalDown as fault:
            refused += 1
            why = str(fault)
    answered = len(recorder.rank(Stop(id="s", at=at(100.0)), now=NOW - 1e6 + n).candidates)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    while True:
        try:
            recorder.update([fix("u1", 6.0, age_s=1e6 - n - 1)])
            break
        except JournalDown:
            time.sleep(0.05)
    recorder.close()
    print(json.dumps({"acknowledged": acknowledged, "why": why, "answered": answered, "last": NOW - 1e6 + n + 1}))


if __name__ == "__main__":
    {"nursery": nursery, "full": full}[sys.argv[1]](sys.argv[2], Region.open(sys.argv[3]))
