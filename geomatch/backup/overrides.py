"""How often a dispatcher chose otherwise than the first of the ranking, and why: it judges the ranking, not them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, ClassVar

from geomatch.backup.assignments import Chosen
from geomatch.model import STRICT
from geomatch.quantities import Seconds, UnixTime


@dataclass(frozen=True, kw_only=True)
class Overrides:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    decisions: int
    overridden: int
    """The unit chosen was not the first."""
    rate_share: float | None
    """overridden over decisions, 0 to 1; None: nothing was decided."""
    median_behind_s: Seconds | None
    """How much later than the first those came that were chosen instead; None: not known of any."""
    by_reason: Mapping[str, int]
    """Most frequent first."""
    by_agency: Mapping[str, int]
    """Overrides at the stops of each agency; `` where it is not known."""
    since: UnixTime | None
    """The first decision it counts."""


def overrides(decisions: Iterable[Chosen]) -> Overrides:
    """Of these decisions. `first` is as of the moment of the decision; without a candidate nobody was overridden."""
    all_of = list(decisions)
    other = [one for one in all_of if one.reason is not None and one.first is not None]
    behind_s = [one.behind_s for one in other if one.behind_s is not None]
    return Overrides(
        decisions=len(all_of),
        overridden=len(other),
        rate_share=len(other) / len(all_of) if all_of else None,
        median_behind_s=median(behind_s) if behind_s else None,
        by_reason=dict(Counter(str(one.reason) for one in other).most_common()),
        by_agency=dict(Counter(one.agency or "" for one in other).most_common()),
        since=min((one.at for one in all_of), default=None),
    )
