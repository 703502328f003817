"""A service in a process of its own, for benchmarks that ask over HTTP: started, asked, measured and ended."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Self

from measure import CHECKOUT

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[bytes]
    port: int

    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        said = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) / TICKS

    def rss_mib(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def serving(region: Path, *options: str, core: int | None = None) -> Iterator[Served]:
    """`geomatch serve` on a free port of loopback, on one core if one is named; ended as by a signal."""
    command = [sys.executable, "-m", "geomatch.cli", "serve", str(region), "--port", "0", *options]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONPATH": str(CHECKOUT)})
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        try:
            yield Served(process, _port(process, log))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.seek(0)
            sys.stderr.write("".join(line for line in log if "http://" not in line))


def _port(process: subprocess.Popen[bytes], log: IO[str]) -> int:
    while process.poll() is None:
        log.seek(0)
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read()):
            return int(found[1])
        time.sleep(0.05)
    log.seek(0)
    raise SystemExit(f"the service ended: {log.read()}")


class Line:
    """One kept connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._used = time.perf_counter()

    @classmethod
    async def to(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**22))

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self._used = time.perf_counter()
        self._writer.write(_head(method, path, body))
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        return int(head[9:12]), await self._reader.readexactly(int(length[1])) if length else b""

    async def events(self, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> asyncio.StreamReader:
        """Begins a stream; what comes is the reader's, in chunks as HTTP has them."""
        self._writer.write(_head("GET", path, headers=headers))
        head = await self._reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"GET {path}: {head.decode()}")
        return self._reader

    @property
    def is_fresh(self) -> bool:
        """The service closes a connection that nobody has used for 5 s."""
        return time.perf_counter() - self._used < 3.0 and not self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()


class Lines:
    """As many connections as are needed at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Line] = []

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        while self._free and not self._free[-1].is_fresh:
            self._free.pop().close()
        line = self._free.pop() if self._free else await Line.to(self._port)
        answer = await line.ask(method, path, body)
        self._free.append(line)
        return answer

    async def say(self, method: str, path: str, value: Any = None) -> Any:
        """JSON both ways. Ends the benchmark where the answer is an error."""
        status, raw = await self.ask(method, path, b"" if value is None else json.dumps(value).encode())
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {raw.decode()}")
        return json.loads(raw) if raw else None


def _head(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    typed = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
    others = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{typed}{others}\r\n".encode() + body


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}
    found = {name: round(ordered[min(int(q * len(ordered)), len(ordered) - 1)] * 1e3, 3) for name, q in at.items()}
    return found | {"most_ms": round(ordered[-1] * 1e3, 3), "count": len(ordered)}


async def paced(begin: float, number: int, per_s: float) -> float:
    """Waits until the instant that was fixed in advance for the so-maniest, and returns it. perf_counter's clock."""
    due = begin + number / per_s
    pause = due - time.perf_counter()
    if pause > 0:
        await asyncio.sleep(pause)
    return due
