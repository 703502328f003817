"""The units that are not proposed: one sentence each, made when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import numpy as np

from geomatch.backup.field import Field
from geomatch.backup.likely import places_now
from geomatch.model import REASON_OF_CODE, BeyondK, Excluded, Reason, Stop, Verdict
from geomatch.quantities import NEVER_MS, Bytes, Ints
from geomatch.region import Region
from geomatch.road.travel_time import Soonest


class ExcludedList(Sequence[Excluded]):
    """Every unit that may not go or cannot, by unit id."""

    def __init__(self, field: Field, codes: Bytes, region: Region, stop: Stop, found: Soonest) -> None:
        self._field, self._codes, self._region, self._stop, self._found = field, codes, region, stop, found

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
        eta_ms = self._eta_ms(slot)
        best_s, worst_s = self._cases(slot, eta_ms) if reason is Reason.stale_fix else (None, None)
        verdict = self._field.verdicts.of(slot, eta_ms=_FAR) if reason in BY_AGREEMENT else None
        detail = self._detail(slot, reason, best_s, worst_s) if verdict is None else of_verdict(verdict)
        return Excluded(
            unit=unit.id, agency=unit.agency, reason=reason, detail=detail, verdict=verdict, best_case_s=best_s,
            worst_case_s=worst_s, would_be=self._would_be(slot, reason, eta_ms),
        )  # fmt: skip

    def _detail(self, slot: int, reason: Reason, best_s: float | None, worst_s: float | None) -> str:
        view = self._field.view
        if reason is Reason.stale_fix:
            age_s, limit_s = self._field.now - float(view.fix_time[slot]), float(view.stale_after_s[slot])
            seen = f"last seen {clock(age_s)} ago, and its fixes count for {clock(limit_s)}"
            if best_s is None or worst_s is None:
                return f"{seen}; from where it was there is no way"
            return f"{seen}; if it is free it needs between {clock(best_s)} and {clock(worst_s)}"
        if reason is Reason.lacks_capability:
            return f"it has no {self._lacking(slot)}"
        if reason is Reason.not_available:
            return f"it says it is not available ({view.activity[slot]})"
        if reason is Reason.assigned:
            return f"it is assigned to stop {self._field.assigned[view.units[slot].id]}, or on scene there"
        return _DETAILS.get(reason, reason.value)

    def _would_be(self, slot: int, reason: Reason, eta_ms: int | None) -> str | None:
        """Where it would stand if its reason went away: against the units that may go, and only with a place."""
        if eta_ms is None or reason not in _IF:
            return None
        limit_s = float(self._field.view.stale_after_s[slot])
        change = _IF[reason].format(limit=clock(limit_s), lacking=self._lacking(slot))
        sooner = int(np.count_nonzero(self._found.total_ms < eta_ms))
        if sooner == len(self._found.rows) and int(self._codes.size) > len(self._slots) + sooner:
            return f"not among the {sooner} fastest, even {change}"
        return f"{ordinal(sooner + 1)}, in {clock(eta_ms / 1000)}, {change}"

    def _lacking(self, slot: int) -> str:
        has = self._field.view.units[slot].capabilities
        return " or ".join(word for word in self._stop.need.capabilities if word not in has)

    def _cases(self, slot: int, eta_ms: int | None) -> tuple[float | None, float | None]:
        """Seconds if it drove towards the stop, or away from it, ever since its last fix."""
        if eta_ms is None:
            return None, None
        age_ms = round(1000 * (self._field.now - float(self._field.view.fix_time[slot])))
        start_ms = self._start_ms(slot)
        return max(start_ms, eta_ms - age_ms) / 1000, (eta_ms + age_ms) / 1000

    def _start_ms(self, slot: int) -> int:
        field = self._field
        return int(field.verdicts.request_ms[slot] + field.turnout_ms[slot] + field.access_ms[slot])

    def _eta_ms(self, slot: int) -> int | None:
        """From where it was last seen; None: it has no place, or no way."""
        travel_ms = int(self._travel_ms[np.searchsorted(self._slots, slot)])
        return None if travel_ms >= NEVER_MS else self._start_ms(slot) + travel_ms

    @cached_property
    def _travel_ms(self) -> Ints:
        """One search for all units that are left out; made when the first is read."""
        view, slots = self._field.view, self._slots
        places = places_now(view, slots, self._region, self._field.now)
        none = np.zeros(len(slots), np.int32)
        return self._region.times.k_soonest(
            self._field.resolved.targets, places, none, max(len(slots), 1), self._field.mode
        ).evaluated_ms


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
        if self._found.whole and self._shown:
            # Whoever was passed over for where it may be, at best, is not sooner than the last of the list.
            at_least_ms = max(at_least_ms, self._found.total_ms.item(self._shown - 1))
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


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th ..."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


_IF = {
    Reason.excluded_by_request: "if the request did not leave it out",
    Reason.assigned: "if it were released from its stop",
    Reason.not_available: "if it were available",
    Reason.unmanned: "if it were staffed",
    Reason.lacks_capability: "if it had {lacking}",
    Reason.stale_fix: "if it were still there, and its fix under {limit} old",
    Reason.prohibited: "if it were not prohibited",
    Reason.no_agreement: "if an agreement let it come at once",
    Reason.no_authority: "if its agreement gave it the powers",
    Reason.outside_geography: "if its agreement reached the stop",
    Reason.outside_hours: "in the hours of its agreement",
    Reason.not_triggered: "if the stop were of a kind that its agreement covers",
    Reason.capability_denied: "if its agreement allowed this kind of unit",
    Reason.limit_reached: "if its agreement had room",
    Reason.home_cover: "if enough stayed at home",
    Reason.approval_denied: "if it had been approved",
}

_FAR = 1 << 30
"""Milliseconds that no agreement's max_eta_s allows: a unit that is listed as too far is shown as such."""

BY_AGREEMENT = frozenset({
    Reason.prohibited, Reason.no_agreement, Reason.no_authority, Reason.outside_geography, Reason.outside_hours,
    Reason.not_triggered, Reason.capability_denied, Reason.limit_reached, Reason.home_cover, Reason.approval_denied,
})  # fmt: skip

_DETAILS = {
    Reason.on_scene: "it is at the stop already",
    Reason.excluded_by_request: "it was left out by the request",
    Reason.unmanned: "it has no officer aboard",
    Reason.other_service: "it is of another service than the stop needs",
    Reason.no_fix: "it has never reported a position",
    Reason.off_map: "it reported a position outside this map",
    Reason.no_route: "it has no way by road to the stop in this driving mode",
}
