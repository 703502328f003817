"""What counts as an old fix, and what as one from the future."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geomatch.errors import BadInput
from geomatch.model import STRICT, RungLimits
from geomatch.quantities import Seconds


@dataclass(frozen=True, kw_only=True)
class FleetLimits:
    """How old and how far ahead of the clock a fix may be."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {**STRICT, "allow_inf_nan": True}

    stale_after_s: Seconds = 120.0
    """A unit's fix older than this is stale."""
    stale_by_agency: Mapping[str, Seconds] = field(default_factory=dict)
    """The same for agencies whose units report at another pace."""
    future_s: Seconds = 30.0
    """A fix this far ahead of the clock is still taken: devices' clocks differ."""
    fastest_mps: float = 70.0
    """A fix that implies more than this is kept apart until a second one confirms it; infinity: every fix is taken."""
    rungs: RungLimits = field(default_factory=RungLimits)
    """When less is known of the fleet than usual."""

    def __post_init__(self) -> None:
        # Written so that NaN fails too; infinity is allowed: nothing is ever stale.
        for name, value in {"stale_after_s": self.stale_after_s, **self.stale_by_agency}.items():
            if not value > 0.0:
                raise BadInput(f"{name}: the age at which a fix is stale must be more than 0 seconds")
        if not self.fastest_mps > 0.0:
            raise BadInput("fastest_mps must be more than 0 metres a second")
        if not self.future_s >= 0.0:
            raise BadInput("future_s must be 0 seconds or more")
