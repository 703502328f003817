"""What eligibility is asked about: one stop, as far as agreements look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from geomatch.aid.approval import Asked
from geomatch.errors import BadInput
from geomatch.model import Urgency
from geomatch.quantities import XY, UnixTime


@dataclass(frozen=True, slots=True, kw_only=True)
class AidRequest:
    """What is asked of the neighbours: for whose stop, where, when and how urgently."""

    agency: str | None
    """Whose stop it is; None: nobody's, so that no grant reaches it."""
    at: XY
    now: UnixTime
    urgency: Urgency = Urgency.routine_backup
    incident: str = ""
    """Stop id: limits per incident are counted by it."""
    apco_type: str | None = None
    internal_type: str | None = None
    priority: int | None = None
    """EIDO's scale: 0 to 10, 10 is the highest."""
    self_initiated: bool = False
    """A unit offers itself, nobody asked."""
    needs_full_powers: bool = False
    """The visiting officer will have to act as the host's own, not only assist."""
    asked: Mapping[str, Asked] = field(default_factory=dict)
    """Agreement id -> the request made under it for this stop."""

    def __post_init__(self) -> None:
        if self.priority is not None and not 0 <= self.priority <= 10:
            raise BadInput("priority must be between 0 and 10, and 10 is the highest (EIDO); map the CAD's own scale")
        object.__setattr__(self, "asked", MappingProxyType(dict(self.asked)))
