"""What one agency sees of another's units: exactly what the agreements between them disclose, and no more.

In a ranking the agreement that decided tells. In a list no stop decides which one holds, so it is the strictest of
those in force; without any, the units of the other agency are not there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar, overload

from geomatch.aid.agreements import Agreement, Agreements, in_force
from geomatch.aid.clauses import Disclosed, Disclosure, Mode
from geomatch.backup.motion import AT_ANOTHER_STOP
from geomatch.model import (
    Availability,
    Candidate,
    Choice,
    Decision,
    Degraded,
    Excluded,
    Fix,
    Question,
    Reason,
    Rung,
    Status,
    UnitState,
    Verdict,
)
from geomatch.quantities import XY, Metres, Projection, UnixTime
from geomatch.service.callers import Caller

WHOLE = Disclosure()
ETA_ONLY = Disclosure(position=Disclosed.eta_only)
NOT_TOLD = "not_disclosed"
"""An activity, and a note on a candidate: its agency says no more of it."""
_STRICTNESS = {Disclosed.exact: 0, Disclosed.blurred: 1, Disclosed.eta_only: 2}

T = TypeVar("T")


def of_agency(agency: str, asking: Caller, agreements: Agreements | None, *, now: UnixTime) -> Disclosure | None:
    """How a list shows this agency's units; None: not at all.

    Where no agreements are loaded everybody may be sent, and so is known to be there; but nobody disclosed a place.
    """
    if asking.owns(agency):
        return WHOLE
    if agreements is None or not len(agreements):
        return ETA_ONLY
    held = [one for receiver in asking.agencies for one in in_force(agreements.of(agency, receiver), now)]
    return _strictest(one for one in held if one.mode is not Mode.prohibited)


def of_verdict(agency: str, verdict: Verdict | None, asking: Caller) -> Disclosure | None:
    """How a ranking shows a unit of this agency; None: it has no right to be shown at all."""
    if asking.owns(agency):
        return WHOLE
    if verdict is None or verdict.code == Reason.prohibited:
        return None
    if verdict.disclosure is None:
        # No agreements are loaded, or none of those that are is with this agency.
        return None if verdict.decision is Decision.ineligible else ETA_ONLY
    if verdict.disclosure.startswith("blurred_"):
        return Disclosure(
            position=Disclosed.blurred, blur_m=float(verdict.disclosure.removeprefix("blurred_").removesuffix("_m"))
        )
    return Disclosure(position=Disclosed(verdict.disclosure))


def degraded(found: Iterable[Degraded], shown: Callable[[str], Disclosure | None]) -> tuple[Degraded, ...]:
    """Of an agency whose units are not even there for the caller, only that there is something."""
    found = tuple(found)
    hidden = [one for one in found if one.agency is not None and shown(one.agency) is None]
    return (*(one for one in found if one not in hidden), *in_general(hidden))


def in_general(found: Iterable[Degraded]) -> tuple[Degraded, ...]:
    """Each code once, and whom it is about left out."""
    return tuple(
        {one.code: Degraded(code=one.code, detail=_IN_GENERAL.get(one.code, one.detail)) for one in found}.values()
    )


_IN_GENERAL = {
    Rung.avl_outage: "no unit of an agency has reported for long: its AVL may be out",
    Rung.feed_frozen: "an agency's messages come, but bring nothing newer: its feed stands still",
    Rung.clock_ahead: "an agency's fixes are ahead of this clock: correct the one that is wrong",
    Rung.map_gap: "many units of an agency stand where the map has no roads: a district may be missing",
}


def state(held: UnitState, shown: Disclosure, projection: Projection) -> UnitState:
    """A unit as it may be shown."""
    if shown == WHOLE:
        return held
    status = held.status if shown.status else Status(availability=Availability.not_available, activity=NOT_TOLD)
    if held.fix is None or shown.position is Disclosed.exact:
        return replace(held, status=status)
    fix = _blurred(held.fix, shown.blur_m, projection) if shown.blur_m else None
    return replace(held, status=status, fix=fix)


def candidate(held: Candidate, shown: Disclosure | None) -> Candidate:
    """A candidate as it may be shown. Its ETA always is: that is what it is a candidate for."""
    if shown is not None and shown.position is Disclosed.exact:
        return held
    cell_m = None if shown is None else shown.blur_m
    distance_m = None if cell_m is None or held.distance_m is None else round(held.distance_m / cell_m) * cell_m
    notes = [note for note in held.notes if not note.startswith(AT_ANOTHER_STOP)]
    return replace(
        held, place=None, route=None, believed=(), distance_m=distance_m, notes=(*notes, f"place_{NOT_TOLD}")
    )  # fmt: skip


def question(held: Question, shown: Disclosure | None) -> tuple[Question, ...]:
    """That a unit is worth asking is shown to whom it is known; where it may be, where its place is disclosed."""
    if shown is None or shown.position is Disclosed.exact:
        return (held,) if shown else ()
    text = f"ask {held.call_sign or held.unit}: where are you? Worth {round(held.worth_s)} s."
    return (replace(held, options=(), text=text),)


def excluded(held: Excluded, shown: Disclosure | None) -> Excluded:
    """That it is left out stays, so that no unit vanishes; what it does and where it is cannot be worked out.

    Without an agreement in force that is the reason, whatever else keeps it; `counts` still have the others together.
    """
    if shown is not None and shown.status:
        return held
    reason = held.reason if shown is not None or held.verdict is not None else Reason.no_agreement
    detail = held.detail if held.verdict is not None else NOT_TOLD.replace("_", " ")
    return replace(held, reason=reason, detail=detail, best_case_s=None, worst_case_s=None, would_be=None)


def choice(held: Choice | None, asking: Caller) -> Choice | None:
    """None where its agency lets nobody see how far its units are."""
    if held is None or of_verdict(held.agency, held.verdict, asking) is None:
        return None
    return held


class Shown(Sequence[T], Generic[T]):
    """A lazy list of which each item is shown as it may be, when it is read."""

    def __init__(self, held: Sequence[T], show: Callable[[T], T]) -> None:
        self._held, self._show = held, show

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._show(one) for one in self._held[index]]
        return self._show(self._held[index])


def _strictest(agreements: Iterable[Agreement]) -> Disclosure | None:
    """The least of each that any of them shows."""
    shown = [one.disclosure for one in agreements]
    if not shown:
        return None
    worst = max(shown, key=lambda one: (_STRICTNESS[one.position], one.blur_m or 0.0))
    return replace(worst, status=all(one.status for one in shown))


def _blurred(fix: Fix, cell_m: Metres, projection: Projection) -> Fix:
    """The middle of its cell of a fixed grid: the same for each fix in it, so that asking often tells no more."""
    at = projection.xy(fix.at)
    middle = XY((math.floor(at.x / cell_m) + 0.5) * cell_m, (math.floor(at.y / cell_m) + 0.5) * cell_m)
    accuracy_m = max(fix.accuracy_m or 0.0, round(cell_m * math.sqrt(0.5), 1))
    return Fix(
        unit=fix.unit, time=fix.time, at=projection.lonlat(middle), accuracy_m=min(accuracy_m, 1e6), source="blurred"
    )
