"""What an operator may set of the service."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from annotated_types import Ge, Le

from geomatch.backup.stop_events import BudgetPolicy, EventKind
from geomatch.backup.watch import WatchPolicy
from geomatch.errors import BadInput
from geomatch.fleet.limits import FleetLimits
from geomatch.model import STRICT
from geomatch.service.pressure import PressureLimits

SECRET_PREFIX = "whsec_"  # noqa: S105 - how a secret begins, not one


@dataclass(frozen=True, kw_only=True)
class WebhookTarget:
    """Where events of open stops are posted, for a CAD that cannot hold a stream."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    url: str
    """https://host/path; http:// on this machine alone."""
    secret: str = field(repr=False)
    """`whsec_` and base64 of 24 to 64 random bytes, as Standard Webhooks has it."""
    kinds: tuple[EventKind, ...] = ()
    """Empty: all."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Sent along, as what a gateway in front asks for."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if not parts.hostname or parts.scheme not in {"https", "http"} or parts.username:
            raise BadInput("the URL of a webhook must be https://host/path, without a user in it")
        if parts.scheme == "http" and not _is_this_machine(parts.hostname):
            raise BadInput("a webhook to another machine must be https: it carries where officers are")
        if not 24 <= len(self.key) <= 64:
            raise BadInput("the secret of a webhook must be whsec_ and base64 of 24 to 64 random bytes")

    @property
    def key(self) -> bytes:
        try:
            return base64.b64decode(self.secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            return b""


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, kw_only=True)
class EmergencyPolicy:
    """What an officer emergency asks for where the call itself does not say."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    officers: Annotated[int, Ge(1), Le(999)] = 2
    """So many are wanted there."""
    candidates: Annotated[int, Ge(1), Le(100)] = 5
    """So many are in the answer to the call."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    max_body_bytes: int = 16 * 1024 * 1024
    """A longer body is refused with 413 before it is read; 10,000 units with their fixes are about 4 MB."""
    notes: tuple[str, ...] = ()
    """Added to those of every ranking, as "simulated" where the units are."""
    fleet: FleetLimits = field(default_factory=FleetLimits)
    """How old a fix may be, and when less is known of the fleet than usual."""
    pressure: PressureLimits = field(default_factory=PressureLimits)
    """When the service is overloaded, and refuses what can wait."""
    webhooks: tuple[WebhookTarget, ...] = ()
    """Where events of open stops are posted."""
    watch: WatchPolicy = field(default_factory=WatchPolicy)
    """What is worth telling of an open stop, and when its officer is to be asked how it goes."""
    budget: BudgetPolicy = field(default_factory=BudgetPolicy)
    """How often a dispatch position may be interrupted."""
    emergency: EmergencyPolicy = field(default_factory=EmergencyPolicy)
    """What an officer emergency asks for."""
