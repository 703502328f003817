"""Running the API on a socket."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from geomatch.errors import BadInput

LONGEST_QUEUE = 2048
OPEN_REFUSED = (
    "other machines can reach this address and the API checks no keys: serve on 127.0.0.1 behind a proxy that checks"
    " who asks, or say --allow-open where the network itself is closed"
)


def is_loopback(host: str) -> bool:
    """Can nobody but this machine reach it? A name other than localhost might be anybody's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, *, open_to_all: bool = False) -> socket.socket:
    """A socket on which callers already queue; port 0 takes a free one. Raises BadInput where none may be had.

    The API has no keys yet: whoever reaches it sees every unit's position. So it stays on this machine unless the
    caller says that something in front of it checks who asks.
    """
    if not open_to_all and not is_loopback(host):
        raise BadInput(OPEN_REFUSED)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(LONGEST_QUEUE)
    except OSError as fault:
        raise BadInput(f"cannot listen on {host} port {port} ({fault.strerror}): choose another with --port") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL that clients on this machine use."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: FastAPI, listener: socket.socket) -> None:
    """Answers until interrupted, and finishes what it has begun to answer: the usual end, and no error."""
    with suppress(KeyboardInterrupt):
        server(app).run(sockets=[listener])


def server(app: FastAPI) -> uvicorn.Server:
    """Not started: `.run(sockets=[listener])` blocks until interrupted or `should_exit`."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # a line a request costs more than the request
        server_header=False,
        backlog=LONGEST_QUEUE,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
