"""Running the API on a socket."""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from geomatch.errors import BadInput

LONGEST_QUEUE = 2048
STALLED_AFTER_MS = 30_000
"""A reader that takes nothing for so long is cut off by the system, and what was kept for it is freed. An event stream
goes on from its Last-Event-ID when the reader comes back."""
SEND_BUFFER_BYTES = 256 * 1024
"""What the system keeps, twice over, for a reader that is slow; left to itself it keeps up to 4 MB for each."""
OPEN_REFUSED = (
    "other machines can reach this address and no keys are checked: make some with `geomatch keys new` and serve with"
    " --keys, or say --allow-open where the network itself is closed"
)


def is_loopback(host: str) -> bool:
    """Can nobody but this machine reach it? A name other than localhost might be anybody's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(
    host: str, port: int, *, open_to_all: bool = False, stalled_after_ms: int = STALLED_AFTER_MS
) -> socket.socket:
    """A socket on which callers already queue; port 0 takes a free one. Raises BadInput where none may be had.

    Where no keys are checked whoever reaches it sees every unit's position. So it stays on this machine unless the
    caller says that keys, or something in front of it, tell who asks.
    """
    if not open_to_all and not is_loopback(host):
        raise BadInput(OPEN_REFUSED)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Each connection has these from here.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stalled_after_ms)
        listener.bind(address)
        listener.listen(LONGEST_QUEUE)
    except OSError as fault:
        raise BadInput(f"cannot listen on {host} port {port} ({fault.strerror}): choose another with --port") from None
    return listener


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The files of a service that speaks TLS 1.2 or newer itself."""

    cert: Path
    """PEM: its own certificate, and those between it and the root."""
    key: Path
    client_ca: Path | None = None
    """PEM: whoever has no certificate of one of these gets no further than the handshake."""

    def __post_init__(self) -> None:
        """Raises BadInput where they do not belong together, or cannot be read."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.cert, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
        except (ssl.SSLError, OSError) as fault:
            raise BadInput(
                f"the TLS files cannot be used ({fault.strerror or fault}): check certificate, key and client CA"
            ) from None


def address_of(listener: socket.socket, tls: Tls | None = None) -> str:
    """The URL that clients on this machine use."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def run(app: FastAPI, listener: socket.socket, tls: Tls | None = None) -> None:
    """Answers until interrupted, and finishes what it has begun to answer: the usual end, and no error."""
    # Libraries and the compiler leave a million objects that live for ever. Each full collection would go through them
    # all while every request waits: 90 to 150 ms, a few times a minute under load, against 8 to 25.
    gc.collect()
    gc.freeze()
    with _terminated_as_interrupted(), suppress(KeyboardInterrupt):
        server(app, tls).run(sockets=[listener])


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """uvicorn sends itself the signal that stopped it once more, and a plain SIGTERM would end the process there: with
    the journal open and the last spans unsent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    """Tells the application that it is about to end before it waits for its answers: streams of events have no end."""

    def __init__(self, config: uvicorn.Config, about_to_end: Callable[[], None]) -> None:
        super().__init__(config)
        self.about_to_end = about_to_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.about_to_end()
        await super().shutdown(sockets)


def server(app: FastAPI, tls: Tls | None = None) -> uvicorn.Server:
    """Not started: `.run(sockets=[listener])` blocks until interrupted or `should_exit`."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # a line a request costs more than the request
        server_header=False,
        log_config=None,  # the process's own: one form for all lines
        backlog=LONGEST_QUEUE,
        ssl_certfile=None if tls is None else tls.cert,
        ssl_keyfile=None if tls is None else tls.key,
        ssl_ca_certs=None if tls is None or tls.client_ca is None else str(tls.client_ca),
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls is not None and tls.client_ca is not None else ssl.CERT_NONE,
        timeout_graceful_shutdown=5,
    )
    return _Server(config, app.state.about_to_end)
