"""A thousand consoles read event streams, a tenth of them never reads: does the service go on, and in what memory?

    python benchmarks/streams.py [--minutes 4] [--clients 1000] [--slow 100]

200 open stops in rhine-neckar, 2,000 units driving and reporting once a second, and consoles that read one stop each.
The slow ones ask for the events of all stops and never take one from their sockets: the service is to cut them off by
its rule, and each resumes with the last id it had read. Rankings are asked for all the while, as an open loop, before
and after the consoles come. Checked: no console that reads misses an event, or has one twice. Simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop
from load import OUR_CORE, SERVER_CORE, Load, Seen, stop_at
from measure import SHARED, machine
from served import Line, Lines, Served, serving
from served import quantiles as told
from traffic import Traffic, patrol, places

import geomatch
from geomatch import Region

STOPS, SMALL_BYTES = 200, 4096


@dataclass
class Console:
    """One stream and the numbers of its events."""

    path: str
    seqs: list[int] = field(default_factory=list)
    kinds: Counter[bytes] = field(default_factory=Counter)
    ended: bool = False

    async def read(self, port: int) -> None:
        line = await Line.to(port)
        with contextlib.closing(line), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            stream = await line.events(self.path)
            while True:
                said = await stream.readuntil(b"\n")
                if said.startswith(b"event:"):
                    self.kinds[said[6:].strip()] += 1
                elif said.startswith(b"id:"):
                    self.seqs.append(int(said.rpartition(b"-")[2]))
        self.ended = True


def never_read(port: int) -> socket.socket:
    """Asks for all events and takes the first few bytes only."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BYTES)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    return client


async def resumed(port: int, client: socket.socket) -> str:
    """What a console that was cut off is told when it comes back with the last id it has."""
    client.settimeout(1.0)
    with contextlib.suppress(OSError):
        seen = b""
        while chunk := client.recv(2**16):
            seen += chunk
    last = re.findall(rb"id: ([0-9a-f]+-\d+)", seen)[-1]
    line = await Line.to(port)
    with contextlib.closing(line):
        stream = await line.events("/v1/events", {"Last-Event-ID": last.decode()})
        while not (said := await stream.readuntil(b"\n")).startswith(b"event:"):
            pass
        return said[6:].strip().decode()


def connections(port: int) -> int:
    """Those that the service holds open."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[1].rpartition(":")[2], 16) == port and row[3] == "01" for row in rows)


async def run(chosen: argparse.Namespace, region: Region) -> dict[str, object]:
    traffic = Traffic(region, chosen.units)
    questions = [json.dumps({"stop": stop_at(f"q{n}", at)}).encode() for n, at in enumerate(places(region, 2_000, 2))]
    seconds = chosen.minutes * 60.0
    with serving(chosen.region, core=SERVER_CORE) as served:
        os.sched_setaffinity(0, {OUR_CORE})
        lines = Lines(served.port)
        units = [{"unit": {"id": one.id, "agency": one.agency}} for one in patrol(chosen.units)]
        await lines.say("PUT", "/v1/fleet", {"source": "load", "source_seq": 1, "units": units})
        await lines.ask("POST", "/v1/fixes", traffic.body(np.arange(chosen.units), 0.0, time.time() - 1.0))
        for n, at in enumerate(places(region, STOPS, seed=3)):
            await lines.say("POST", "/v1/stops", {"stop": stop_at(f"s{n}", at), "position": f"p{n // 5}"})
        alone = await _asked(chosen, served, lines, traffic, questions, 20.0)
        rss_mib, held = served.rss_mib(), connections(served.port)
        consoles = [Console(f"/v1/stops/s{n % STOPS}/events") for n in range(chosen.clients - chosen.slow)]
        reading = [asyncio.create_task(one.read(served.port)) for one in consoles]
        slow = [never_read(served.port) for _ in range(chosen.slow)]
        await asyncio.sleep(3.0)
        most = connections(served.port) - held
        watched = await _asked(chosen, served, lines, traffic, questions, seconds, since=20.0)
        cut_off = most - (connections(served.port) - held)
        back = Counter([await resumed(served.port, one) for one in slow])
        report = {
            "machine": machine(), "clients": chosen.clients, "slow": chosen.slow, "units": chosen.units,
            "minutes": chosen.minutes, "open_stops": STOPS,
            "connected": most, "cut_off_by_rule": cut_off, "told_when_they_come_back": dict(back),
            "rankings_before": told(alone.latency_s), "rankings_with_them": told(watched.latency_s),
            "rss_mib": {"before": round(rss_mib, 1), "with_them": round(served.rss_mib(), 1),
                        "most": round(max(watched.rss_mib), 1)},
            "events_read": sum(len(one.seqs) for one in consoles),
            "faults": dict(watched.faults + _missed(consoles)),
        }  # fmt: skip
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return report


async def _asked(
    chosen: argparse.Namespace, served: Served, lines: Lines, traffic: Traffic, questions: list[bytes], seconds: float,
    since: float = 0.0,
) -> Seen:  # fmt: skip
    load = Load(chosen, served, lines, traffic, questions, Seen())
    begin = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.rankings(begin, seconds, chosen.rankings))
        tasks.create_task(load.http_fixes(begin, seconds, np.arange(chosen.units), since))
        tasks.create_task(load.watch(seconds))
    return load.seen


def _missed(consoles: list[Console]) -> Counter[str]:
    """Consoles of one stop read the same events, each of them once."""
    faults: Counter[str] = Counter()
    by_stop: dict[str, list[Console]] = {}
    for one in consoles:
        by_stop.setdefault(one.path, []).append(one)
        faults["ended"] += one.ended
        faults["reset"] += one.kinds[b"reset"]
        faults["out of order"] += any(b <= a for a, b in zip(one.seqs[1:], one.seqs[2:], strict=False))
    for group in by_stop.values():
        first = max(one.seqs[0] for one in group if one.seqs)
        last = min(one.seqs[-1] for one in group if one.seqs)
        seen = {tuple(seq for seq in one.seqs[1:] if first < seq <= last) for one in group}
        faults["missed"] += len(seen) - 1
    return +faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--slow", type=int, default=100, help="of them, that never read")
    parser.add_argument("--units", type=int, default=2_000)
    parser.add_argument("--rankings", type=float, default=100.0, help="a second")
    parser.add_argument("--region", type=Path, help="built from rhine-neckar before")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.region is None:
            chosen.region = Path(folder) / "rhine-neckar.region"
            geomatch.build(SHARED / "rhine-neckar/rnv.osm.pbf", chosen.region)
        report = uvloop.run(run(chosen, Region.open(chosen.region)))
    print(json.dumps(report, indent=1))
    if report["faults"]:
        sys.exit("some console did not get what it should")


if __name__ == "__main__":
    main()
