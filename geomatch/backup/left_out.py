"""The units that are not proposed: one sentence each, made when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from geomatch.backup.eta import EtaPriors
from geomatch.model import REASON_OF_CODE, BeyondK, Excluded, Reason, Stop, Verdict
from geomatch.quantities import NEVER_MS, Bytes, Ints
from geomatch.region import Region
from geomatch.road.travel_time import Places, Soonest

if TYPE_CHECKING:
    from geomatch.backup.ranking import Field


class ExcludedList(Sequence[Excluded]):
    """Every unit that may not go or cannot, by unit id."""

    def __init__(self, field: Field, codes: Bytes, region: Region, stop: Stop, priors: EtaPriors) -> None:
        self._field, self._codes, self._region, self._stop, self._priors = field, codes, region, stop, priors

    @cached_property
    def _slots(self) -> Ints:
        return np.flatnonzero(self._codes).astype(np.int32)

    def __len__(self) -> int:
        return len(self._slots)

    @overload
    def __getitem__(self, index: int) -> Excluded: ...
    @overload
    def __getitem__(self, index: slice) -> list[Excluded]: ...
    def __getitem__(self, index: int | slice) -> Excluded | list[Excluded]:
        if isinstance(index, slice):
            return [self._made(slot) for slot in self._slots[index].tolist()]
        return self._made(int(self._slots[index]))

    def _made(self, slot: int) -> Excluded:
        unit = self._field.view.units[slot]
        reason = REASON_OF_CODE[self._codes[slot]]
        assert reason is not None  # noqa: S101 - only slots with a reason are listed
        best_s, worst_s = self._cases(slot) if reason is Reason.stale_fix else (None, None)
        verdict = self._field.verdicts.of(slot, eta_ms=_FAR) if reason in _BY_AGREEMENT else None
        detail = self._detail(slot, reason, best_s, worst_s) if verdict is None else of_verdict(verdict)
        return Excluded(
            unit=unit.id, agency=unit.agency, reason=reason, detail=detail, verdict=verdict, best_case_s=best_s,
            worst_case_s=worst_s,
        )  # fmt: skip

    def _detail(self, slot: int, reason: Reason, best_s: float | None, worst_s: float | None) -> str:
        view, unit = self._field.view, self._field.view.units[slot]
        if reason is Reason.stale_fix:
            age_s, limit_s = self._field.now - float(view.fix_time[slot]), float(view.stale_after_s[slot])
            seen = f"last seen {clock(age_s)} ago, and its fixes count for {clock(limit_s)}"
            if best_s is None or worst_s is None:
                return f"{seen}; from where it was there is no way"
            return f"{seen}; if it is free it needs between {clock(best_s)} and {clock(worst_s)}"
        if reason is Reason.lacks_capability:
            lacks = [word for word in self._stop.need.capabilities if word not in unit.capabilities]
            return f"it has no {' or '.join(lacks)}"
        if reason is Reason.not_available:
            return f"it says it is not available ({view.activity[slot]})"
        return _DETAILS.get(reason, reason.value)

    def _cases(self, slot: int) -> tuple[float | None, float | None]:
        """Seconds if it drove towards the stop, or away from it, ever since its last fix."""
        travel_ms = int(self._stale_travel_ms[np.searchsorted(self._stale, slot)])
        if travel_ms >= NEVER_MS:
            return None, None
        field = self._field
        start_ms = int(field.verdicts.request_ms[slot] + field.turnout_ms[slot] + field.access_ms[slot])
        age_ms = round(1000 * (field.now - float(field.view.fix_time[slot])))
        return (start_ms + max(0, travel_ms - age_ms)) / 1000, (start_ms + travel_ms + age_ms) / 1000

    @cached_property
    def _stale(self) -> Ints:
        return np.flatnonzero(self._codes == Reason.stale_fix.code).astype(np.int32)

    @cached_property
    def _stale_travel_ms(self) -> Ints:
        """One search for all stale units, from where each was last seen; made when the first is read."""
        view, stale = self._field.view, self._stale
        places = Places(
            edge=np.stack([view.edge[stale], view.other[stale]], axis=1),
            fraction=np.stack([view.fraction[stale], view.other_fraction[stale]], axis=1),
        )
        none = np.zeros(len(stale), np.int32)
        found = self._region.times.k_soonest(self._field.resolved.targets, places, none, len(stale), self._field.mode)
        return found.evaluated_ms


class BeyondList(Sequence[BeyondK]):
    """Every unit that may go but is not among the k fastest, by unit id."""

    def __init__(self, field: Field, codes: Bytes, found: Soonest, shown: int) -> None:
        self._field, self._codes, self._found, self._shown = field, codes, found, shown

    @cached_property
    def _slots(self) -> Ints:
        candidates = self._field.slots[self._found.rows[: self._shown]]
        return np.setdiff1d(np.flatnonzero(self._codes == 0), candidates, assume_unique=True).astype(np.int32)

    def __len__(self) -> int:
        return len(self._slots)

    @overload
    def __getitem__(self, index: int) -> BeyondK: ...
    @overload
    def __getitem__(self, index: slice) -> list[BeyondK]: ...
    def __getitem__(self, index: int | slice) -> BeyondK | list[BeyondK]:
        if isinstance(index, slice):
            return [self._made(slot) for slot in self._slots[index].tolist()]
        return self._made(int(self._slots[index]))

    def _made(self, slot: int) -> BeyondK:
        row = int(np.searchsorted(self._field.slots, slot))
        # Evaluated from one of its two places only, the other may still be sooner: but not than the frontier.
        frontier_ms = int(self._field.delay_ms[row]) + self._found.frontier_ms
        at_least_ms = min(int(self._found.evaluated_ms[row]), frontier_ms)
        unit = self._field.view.units[slot]
        return BeyondK(unit=unit.id, agency=unit.agency, at_least_s=at_least_ms / 1000)


def clock(seconds: float) -> str:
    """m:ss, as a dispatcher reads it."""
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def of_verdict(verdict: Verdict) -> str:
    """Why an agreement keeps a unit, by which clause, and what would change it."""
    by = f" ({verdict.agreement}, {verdict.clause})" if verdict.agreement else ""
    change = f"; {verdict.what_would_change}" if verdict.what_would_change else ""
    return f"it may not come: {verdict.code.replace('_', ' ')}{by}{change}"


_FAR = 1 << 30
"""Milliseconds that no agreement's max_eta_s allows: a unit that is listed as too far is shown as such."""

_BY_AGREEMENT = frozenset({
    Reason.prohibited, Reason.no_agreement, Reason.no_authority, Reason.outside_geography, Reason.outside_hours,
    Reason.not_triggered, Reason.capability_denied, Reason.limit_reached, Reason.home_cover, Reason.approval_denied,
})  # fmt: skip

_DETAILS = {
    Reason.on_scene: "it is at the stop already",
    Reason.excluded_by_request: "it was left out by the request",
    Reason.unmanned: "it has no officer aboard",
    Reason.no_fix: "it has never reported a position",
    Reason.off_map: "it reported a position outside this map",
    Reason.no_route: "it has no way by road to the stop in this driving mode",
}
