"""MQTT: subscribes to a broker, and again whenever it is lost.

Needs aiomqtt: `pip install 'geomatch-dispatch[mqtt]'`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec

from geomatch.errors import BadInput
from geomatch.feeds.intake import Intake
from geomatch.feeds.transports import running
from geomatch.quantities import Seconds

FIRST_PAUSE_S: Seconds = 1.0
LONGEST_PAUSE_S: Seconds = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    host: str
    port: int = 1883
    topic: str
    """A filter: + is one level of a topic, # all that follow."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    qos: int = 1
    client_id: str | None = None
    """With one, the broker keeps what comes while the client is away, and sends it later."""

    def __post_init__(self) -> None:
        levels = self.topic.split("/")
        misplaced = any(("+" in level and level != "+") or ("#" in level and level != "#") for level in levels)
        if not self.topic or misplaced or "#" in levels[:-1]:
            raise BadInput("an MQTT topic filter has + as a whole level, and # as its last level only")


def wild_part(topic: str, pattern: str) -> str | None:
    """What a topic says where its filter leaves it open: `jane/phone` for owntracks/jane/phone and owntracks/+/+."""
    levels, open_levels = topic.split("/"), pattern.split("/")
    found = [level for level, wanted in zip(levels, open_levels, strict=False) if wanted == "+"]
    if open_levels[-1] == "#":
        found += levels[len(open_levels) - 1 :]
    return "/".join(found) or None


async def subscribe(
    intake: Intake, broker: Broker, *, pause: Callable[[Seconds], Awaitable[None]] = asyncio.sleep
) -> None:
    """Runs until it is cancelled. A message that does not say whose it is, is its topic's, as `wild_part` has it.

    Fills the intake as fast as the broker sends: what is too much is dropped there, where it is counted, and not in the
    client. A broker that is lost is counted as `reconnects` and sought again, first after 1 s and at most after 30 s.
    """
    import aiomqtt

    pause_s = FIRST_PAUSE_S
    while True:
        try:
            async with aiomqtt.Client(
                broker.host,
                broker.port,
                username=broker.username,
                password=broker.password,
                tls_context=broker.tls,
                identifier=broker.client_id,
                clean_session=broker.client_id is None,
            ) as client:
                await client.subscribe(broker.topic, qos=broker.qos)
                pause_s = FIRST_PAUSE_S
                async for message in client.messages:
                    topic = str(message.topic)
                    raw = message.payload if isinstance(message.payload, bytes) else b""
                    intake.offer(raw, sender=topic, device=wild_part(topic, broker.topic))
        except aiomqtt.MqttError as fault:
            _log.warning("feed %s: the broker at %s port %d is lost: %s", intake.name, broker.host, broker.port, fault)
            intake.tally.note("reconnects")
        await pause(pause_s)
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)


@dataclass(frozen=True, kw_only=True)
class MqttFeed:
    """A broker's topics, and where what comes there goes."""

    intake: Intake
    broker: Broker

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """A broker that is not there yet is no error: it is sought until it is."""
        if find_spec("aiomqtt") is None:
            raise BadInput("MQTT needs aiomqtt: pip install 'geomatch-dispatch[mqtt]'")
        async with running(self.intake.run(), subscribe(self.intake, self.broker)):
            yield
