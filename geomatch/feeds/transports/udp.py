"""UDP, as vehicle modems send NMEA and TAIP: one datagram, one or more messages.

UDP proves no sender. Listen where only the modems' own network reaches.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds.intake import Intake
from geomatch.feeds.transports import running

SOCKET_BUFFER_BYTES = 4 * 1024 * 1024
"""What the kernel keeps while the loop is busy; it drops the rest without a word, so it is large."""


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, intake: Intake, units: Mapping[str, str]) -> None:
        self._intake = intake
        self._units = units

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        host = str(addr[0])
        self._intake.offer(data, sender=host, unit=self._units.get(host))


@asynccontextmanager
async def udp(
    intake: Intake, host: str, port: int, *, units: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[str, int]]:
    """Listens while the context is open; gives the address it has, for port 0. `units`: unit by the sender's address.

    Raises BadInput where the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    try:
        family, kind, protocol, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as fault:
        raise _refused(host, port, fault) from None
    try:
        listener.settimeout(0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        listener.bind(address)
        transport, _ = await loop.create_datagram_endpoint(lambda: _Receiver(intake, dict(units or {})), sock=listener)
    except OSError as fault:
        listener.close()
        raise _refused(host, port, fault) from None
    try:
        yield listener.getsockname()[:2]
    finally:
        transport.close()


def _refused(host: str, port: int, fault: OSError) -> BadInput:
    return BadInput(f"cannot listen on UDP {host} port {port} ({fault.strerror}): choose another address or port")


@dataclass(frozen=True, kw_only=True)
class UdpFeed:
    """An address to listen on, and where what comes there goes."""

    intake: Intake
    host: str
    port: int
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit by the sender's address, for messages that name none."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with udp(self.intake, self.host, self.port, units=self.units), running(self.intake.run()):
            yield
