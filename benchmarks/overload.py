"""More is asked than can be answered: what is refused, and how long an officer's emergency waits meanwhile.

    python benchmarks/overload.py REGION [--units 2000] [--clients 200] [--seconds 10]

So many clients ask without a pause, each for one kind of thing: rankings for routine and for urgent backup, comparisons
and lists. One that is refused waits for a second, as it is told to. Beside them one ranking for an officer emergency
every 100 ms. Every answer is 200 or 503 with Retry-After, and no emergency is ever refused: else it ends with a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from measure import machine

from geomatch import Region
from geomatch.quantities import XY, format_time

EMERGENCY = "officer_emergency"


def places(region: Region, count: int) -> list[dict[str, float]]:
    rng, found = random.Random(1), []
    for _ in range(count):
        x, y = region.network.points(rng.randrange(region.network.originals))
        at = region.network.projection.lonlat(XY(float(x[0]), float(y[0])))
        found.append({"lon": at.lon, "lat": at.lat})
    return found


def fleet(region: Region, units: int, folder: Path) -> Path:
    now = format_time(time.time())
    features = [
        {
            "type": "Feature", "geometry": {"type": "Point", "coordinates": [at["lon"], at["lat"]]},
            "properties": {"id": f"u{n}", "agency": f"a{n % 9}.example", "time": now},
        }
        for n, at in enumerate(places(region, units))
    ]  # fmt: skip
    path = folder / "fleet.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def asked(method: str, path: str, body: object = None) -> bytes:
    raw = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


def kinds(stops: list[dict[str, float]]) -> dict[str, list[bytes]]:
    def ranking(urgency: str) -> list[bytes]:
        return [asked("POST", "/v1/rankings", {"stop": {"id": "s", "at": at, "urgency": urgency}}) for at in stops]

    compare = [asked("POST", "/v1/comparisons", {"stop": {"id": "s", "at": at}}) for at in stops]
    return {
        "routine": ranking("routine_backup"), "urgent": ranking("urgent_backup"), "comparison": compare,
        "list": [asked("GET", "/v1/units")], EMERGENCY: ranking(EMERGENCY),
    }  # fmt: skip


class Asking:
    def __init__(self, port: int, requests: dict[str, list[bytes]], until: float) -> None:
        self.port, self.requests, self.until = port, requests, until
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.waited_s: dict[str, list[float]] = defaultdict(list)

    async def client(self, kind: str, every_s: float = 0.0) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)
        due = time.perf_counter()
        while (begun := time.perf_counter()) < self.until:
            writer.write(random.choice(self.requests[kind]))
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await reader.readexactly(int(re.search(r"content-length: (\d+)", head)[1]))
            status = int(head.split()[1])
            if status not in {200, 503} or (status == 503 and "retry-after" not in head):
                raise SystemExit(f"{kind}: {head}")
            self.statuses[kind][status] += 1
            if status == 200:
                # Of the paced ones from when they were due, however late the one before it came.
                self.waited_s[kind].append(time.perf_counter() - (due if every_s else begun))
            elif status == 503:
                await asyncio.sleep(min(1.0, self.until - time.perf_counter()))
            due += every_s
            if every_s:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.close()


async def measured(port: int, requests: dict[str, list[bytes]], clients: int, seconds: float) -> Asking:
    asking = Asking(port, requests, time.perf_counter() + seconds)
    crowd = ["routine"] * 5 + ["urgent"] + ["comparison"] * 2 + ["list"]
    tasks = [asking.client(crowd[n % len(crowd)]) for n in range(clients)]
    await asyncio.gather(asking.client(EMERGENCY, every_s=0.1), *tasks)
    return asking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    parser.add_argument("--units", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    region = Region.open(chosen.region)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        units = fleet(region, chosen.units, Path(folder))
        command = [sys.executable, "-m", "geomatch.cli", "serve", chosen.region, "--port", "0", "--fleet", str(units)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                port = next(int(at[1]) for line in process.stderr if (at := re.search(r"http://[\d.]+:(\d+)", line)))
                # Its log goes on being read, or a service that has much to say would wait for its reader.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                requests = kinds(places(region, 500))
                for clients in (0, chosen.clients):
                    report(asyncio.run(measured(port, requests, clients, chosen.seconds)), clients)
            finally:
                process.send_signal(signal.SIGKILL)


def report(asking: Asking, clients: int) -> None:
    print(f"{clients} clients without a pause:")
    for kind, statuses in sorted(asking.statuses.items()):
        waited_ms = sorted(1000 * one for one in asking.waited_s[kind])
        worst = waited_ms[int(0.99 * len(waited_ms))] if waited_ms else float("nan")
        middle = statistics.median(waited_ms) if waited_ms else float("nan")
        told = f"{statuses[200]:6} answered, {statuses[503]:6} refused"
        print(f"  {kind:18} {told}; p50 {middle:.0f} ms, p99 {worst:.0f} ms")
    if asking.statuses[EMERGENCY][503]:
        raise SystemExit("an officer's emergency was refused")


if __name__ == "__main__":
    main()
