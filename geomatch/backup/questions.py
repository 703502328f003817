"""The question worth asking: where the first of a ranking hangs on where a unit is, what an answer would gain.

Its worth is the value of information: by how much the first would be there sooner, on average over the answers, than
the one who is first now. It is made when it is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

from geomatch.backup import likely
from geomatch.backup.field import Field
from geomatch.backup.left_out import clock
from geomatch.model import BelievedPlace, Question, QuestionOption, Reason
from geomatch.quantities import NEVER_MS, Degrees, Seconds
from geomatch.region import Region
from geomatch.road.plausible import PARTS
from geomatch.road.travel_time import Places, Soonest

WORTH_ASKING_S: Seconds = 5.0
"""Nobody is called on the radio for less."""
LOST_FOR_S: Seconds = 120.0
"""A unit whose reports contradict themselves may be as far off as it drives in this time, if not farther."""
MISSED_FOR = 3.0
"""Times the age at which a fix counts no longer: a unit that was silent for longer is off duty, not missed."""
_BOUNDS = ("northbound", "eastbound", "southbound", "westbound")


@dataclass(frozen=True)
class _Asked:
    """A unit that may be sooner or later than is said of it."""

    slot: int
    worth_ms: float


class Questions(Sequence[Question]):
    """The units worth asking where they are, the one whose answer gains most first; ties by unit id."""

    def __init__(self, field: Field, found: Soonest, region: Region) -> None:
        self._field, self._found, self._region = field, found, region

    def __len__(self) -> int:
        return len(self._worth)

    @overload
    def __getitem__(self, index: int) -> Question: ...
    @overload
    def __getitem__(self, index: slice) -> list[Question]: ...
    def __getitem__(self, index: int | slice) -> Question | list[Question]:
        if isinstance(index, slice):
            return [self._made(one) for one in self._worth[index]]
        return self._made(self._worth[index])

    @cached_property
    def _worth(self) -> list[_Asked]:
        found, field = self._found, self._field
        if len(found.rows) == 0:
            return []
        first_ms = found.total_ms.item(0)
        second_ms = found.total_ms.item(1) if len(found.rows) > 1 else None
        first = field.slots.item(found.rows.item(0))
        asked = [*self._of_several(first, first_ms, second_ms)]
        for slot, total_ms in self._adrift.items():
            other_ms = second_ms if slot == first else first_ms
            if other_ms is not None:
                asked.append(_Asked(slot, self._of_adrift_ms(slot, total_ms, other_ms)))
        worth = [one for one in asked if one.worth_ms >= WORTH_ASKING_S * 1000]
        return sorted(worth, key=lambda one: (-one.worth_ms, one.slot))

    def _of_several(self, first: int, first_ms: int, second_ms: int | None) -> list[_Asked]:
        """Of the units that may be in several places, those that may be there before the first wherever it is."""
        field, several = self._field, self._field.several
        if several is None:
            return []
        delay_ms = field.delay_ms[np.searchsorted(field.slots, several.slot)].astype(np.int64)
        may_gain = several.slot != first
        if several.at_least_ms is not None:
            may_gain &= several.at_least_ms + delay_ms < first_ms
        may_gain |= (several.slot == first) & (second_ms is not None)
        if not may_gain.any():
            return []
        near, delay_ms = several.among(may_gain), delay_ms[may_gain]
        other_ms = np.where(near.slot == first, second_ms or 0, first_ms)
        of = np.repeat(np.arange(len(near.slot)), np.diff(near.first))
        here_ms = np.where(near.travel_ms < NEVER_MS, near.travel_ms + delay_ms[of], other_ms[of])
        known_ms = np.add.reduceat(near.parts * np.minimum(here_ms, other_ms[of]), near.first[:-1])
        expected_ms = np.minimum(delay_ms + near.expected_ms, other_ms)
        gain_ms = expected_ms - known_ms / PARTS
        return [_Asked(*one) for one in zip(near.slot.tolist(), gain_ms.tolist(), strict=True)]

    @cached_property
    def _adrift(self) -> dict[int, int]:
        """Slot -> milliseconds from where it was last seen, of the units whose one place is old or contradicted; those
        too that are left out since it is too old, as long as it is not many times that. Only who may be the first."""
        field, view = self._field, self._field.view
        age_s = field.now - view.fix_time
        share = np.where(np.isnan(view.still_since), likely.OLD_MOVING, likely.OLD_STANDING)
        doubted = (field.codes == 0) & ((view.doubt != 0) | (age_s > share * view.stale_after_s))
        if field.several is not None:
            doubted[field.several.slot] = False
        doubted |= (field.codes == Reason.stale_fix.code) & (age_s <= MISSED_FOR * view.stale_after_s)
        slots = np.flatnonzero(doubted & (view.edge >= 0)).astype(np.int32)
        if len(slots) == 0:
            return {}
        delay_ms = (field.verdicts.request_ms + field.turnout_ms + field.access_ms)[slots].astype(np.int32)
        places, times = likely.places_now(view, slots, self._region, field.now), self._region.times
        at_least_ms = times.at_least_ms(field.resolved.targets, places, field.mode)
        if at_least_ms is not None:
            # Nobody who is later than the first at best is worth a call.
            away_s = np.maximum(age_s[slots], np.where(view.doubt[slots] != 0, LOST_FOR_S, 0.0))
            may_gain = delay_ms + at_least_ms - 1000.0 * away_s < self._found.total_ms[0]
            slots, delay_ms = slots[may_gain], delay_ms[may_gain]
            places = Places(edge=places.edge[may_gain], fraction=places.fraction[may_gain])
        found = times.k_soonest(field.resolved.targets, places, delay_ms, len(slots), field.mode)
        total_ms = zip(slots.tolist(), found.evaluated_ms.tolist(), strict=True)
        return {slot: ms for slot, ms in total_ms if ms < NEVER_MS}

    def _of_adrift_ms(self, slot: int, total_ms: int, other_ms: int) -> float:
        """As if it were there at any moment between the soonest and the latest that it can be, one as likely as the
        other: the mean of what it is sooner than the other one, or the other one than it."""
        view = self._field.view
        away_s = self._field.now - view.fix_time.item(slot)
        if view.doubt.item(slot):
            away_s = max(away_s, LOST_FOR_S)
        least_ms = max(self._delay_ms(slot), total_ms - 1000.0 * away_s)
        most_ms = total_ms + 1000.0 * away_s
        is_first = self._field.codes[slot] == 0 and total_ms <= other_ms
        gain_ms = max(most_ms - other_ms, 0.0) if is_first else max(other_ms - least_ms, 0.0)
        return gain_ms * gain_ms / (2 * (most_ms - least_ms))

    def _delay_ms(self, slot: int) -> int:
        field = self._field
        return int(field.verdicts.request_ms[slot] + field.turnout_ms[slot] + field.access_ms[slot])

    def _made(self, asked: _Asked) -> Question:
        field, view = self._field, self._field.view
        unit = view.units[asked.slot]
        age_s = field.now - view.fix_time.item(asked.slot)
        held = field.several
        which = None if held is None else held.of(asked.slot)
        places: tuple[BelievedPlace, ...] = ()
        if held is not None and which is not None:
            places = likely.believed(held, self._region, which, view.snap_m.item(asked.slot))
        words = answers(places)
        delay_ms = self._delay_ms(asked.slot)
        options = tuple(
            QuestionOption(
                answer=word, probability=one.probability, place=one.place,
                eta_s=None if one.travel_s is None else (delay_ms + round(one.travel_s * 1000)) / 1000,
            )
            for word, one in zip(words, places, strict=True)
        )  # fmt: skip
        worth_s = round(asked.worth_ms / 1000, 3)
        name = unit.call_sign or unit.id
        what = " or ".join(words) if places else f"where are you? Last seen {clock(max(age_s, 0.0))} ago"
        mark = "?" if places else "."
        return Question(
            unit=unit.id, agency=unit.agency, call_sign=unit.call_sign, worth_s=worth_s, options=options,
            position=likely.position(view, asked.slot, age_s, one_place=not places),
            text=f"ask {name}: {what}{mark} Worth {round(worth_s)} s.",
        )  # fmt: skip


def answers(places: Sequence[BelievedPlace]) -> list[str]:
    """What the unit would say, place by place, so that no two are the same."""
    towards = [bound(one.place.towards_deg) for one in places]
    roads = [one.place.road or "a road without a name" for one in places]
    for words in (towards, roads, [f"{way} on {road}" for way, road in zip(towards, roads, strict=True)]):
        if len(set(words)) == len(words):
            return words if words is not roads else [f"on {road}" for road in roads]
    return [f"{way} on {road} (edge {one.place.edge})" for way, road, one in zip(towards, roads, places, strict=True)]


def bound(towards_deg: Degrees) -> str:
    return _BOUNDS[round(towards_deg / 90.0) % 4]
