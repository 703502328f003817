"""A ranking as it is noted: the question, whole, and the answer with all that is not derived from it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from geomatch.journal.records import canonical, made, plain
from geomatch.matcher import Matcher
from geomatch.model import Degraded, Ranking, Rung, Stop, UnitState
from geomatch.quantities import UnixTime

KIND = "ranking"
UNRECORDED = Degraded(
    code=Rung.unrecorded,
    detail="the journal takes nothing: this waits to be written, and nothing new is taken but a call for help",
)
_LAZY = frozenset({"excluded", "beyond_k"})
"""Of thousands of units; `counts` has them by reason, and whoever replays the ranking has each of them again."""
_AS_SEARCHED = ("beyond_k", "no_route", "limit_reached")
"""A unit that is too far, or has no way at all, is known to be so only where the search got to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    stop: Stop
    k: int
    now: UnixTime
    exclude_units: tuple[str, ...] = ()
    with_routes: bool = False
    units: tuple[UnitState, ...] | None = None
    """Those that came with the request; None: the fleet that was held."""

    def asked_of(self, matcher: Matcher) -> Ranking:
        if self.units is not None:
            return matcher.rank_units(
                self.stop, self.units, self.k, now=self.now, exclude_units=self.exclude_units,
                with_routes=self.with_routes,
            )  # fmt: skip
        return matcher.rank(
            self.stop, self.k, now=self.now, exclude_units=self.exclude_units, with_routes=self.with_routes
        )


@dataclass(frozen=True)
class Noted:
    """A question and its answer, on the way to the journal; encoded when it is called."""

    question: Question
    ranking: Ranking

    def __call__(self) -> bytes:
        answer, proof = plain_answer(self.ranking)
        return canonical({"question": plain(Question, self.question), "answer": answer, "proof": proof})


def plain_answer(ranking: Ranking) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer, and how far it was looked for: as it happened, since two ways that find the same look at other units.

    Which way is taken hangs on whether the hierarchy has caught up with a road that was closed a moment ago.
    """
    said: dict[str, Any] = plain(Ranking, ranking, leave_out=_LAZY)
    complete = said.pop("complete")
    counts = dict(said.pop("counts"))
    complete["counts"] = {reason: counts.pop(reason) for reason in _AS_SEARCHED if reason in counts}
    return said | {"kth_eta_s": complete.pop("kth_eta_s"), "counts": counts}, complete


def read_note(payload: bytes) -> tuple[Question, bytes]:
    """The question, and the canonical bytes of the answer that was given."""
    note = json.loads(payload)
    return made(Question, note["question"]), canonical(note["answer"])
