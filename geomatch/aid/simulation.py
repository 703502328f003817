"""What an agreement would have done in a recorded shift, before anybody signs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.clauses import Effective, Stage

StopT = TypeVar("StopT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Counts over the stops of a shift: candidates of the rankings with the agreement against those without."""

    agreement: str
    stops: int
    stops_changed: int
    added: int
    added_first: int
    """Stops at which an added unit would have been the first."""
    removed: int
    removed_first: int
    """Stops whose first candidate would have been another, because the first one may no longer go."""

    @property
    def sentence(self) -> str:
        if not (self.added or self.removed):
            return f"{self.agreement} would have changed nothing at any of {self.stops} stops"
        parts = []
        if self.added:
            parts.append(f"added {_candidates(self.added)}, {self.added_first} of them first")
        if self.removed:
            parts.append(f"removed {_candidates(self.removed)}, {self.removed_first} of them first")
        return f"{self.agreement} would have {' and '.join(parts)}, at {self.stops_changed} of {self.stops} stops"


def _candidates(count: int) -> str:
    return f"{count} candidate{'' if count == 1 else 's'}"


def simulate(
    agreements: Agreements,
    draft: Agreement,
    stops: Iterable[StopT],
    rank: Callable[[Agreements, StopT], Sequence[str]],
) -> Simulated:
    """Rank every stop twice, without the draft and as if it were active, in place of its id's other versions.

    When it is to begin does not matter: the shift is in the past, the draft is for the future.

    `rank` gives the units of a stop's candidates, soonest first, with the fleet as it was at the time of the stop.
    """
    others = Agreements([one for one in agreements.all if one.id != draft.id], agreements.areas.values())
    tried = others.including(replace(draft, status=Stage.active, effective=Effective()))
    seen = changed = added = added_first = removed = removed_first = 0
    for stop in stops:
        before, after = rank(agreements, stop), rank(tried, stop)
        new, gone = set(after) - set(before), set(before) - set(after)
        seen += 1
        changed += bool(new or gone)
        added += len(new)
        added_first += bool(after and after[0] in new)
        removed += len(gone)
        removed_first += bool(before and before[0] in gone)
    return Simulated(
        agreement=draft.key, stops=seen, stops_changed=changed, added=added, added_first=added_first,
        removed=removed, removed_first=removed_first,
    )  # fmt: skip
