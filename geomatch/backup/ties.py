"""Units of equal ETA: by unit id, or where a ledger is given first the agency that owes the stop's own most cover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from geomatch.aid.ledger import Ledger
from geomatch.backup.field import Field
from geomatch.quantities import Ints
from geomatch.region import Region
from geomatch.road.by_deadline import Ask, Late
from geomatch.road.travel_time import Places, Soonest

TIES_BY_LEDGER = "ties_by_ledger"
"""A note on every ranking in which equal ETAs are ordered by what agencies owe each other."""


def soonest(region: Region, field: Field, k: int, ledger: Ledger | None, late: Late | None = None) -> Soonest:
    """The k soonest rows of the field, ties by row or by debt; no later one ever comes before an earlier one. With
    `late`: as many as are proven by then.

    The search breaks ties by row, so it is given the rows in the order of debts, and its answer is turned back.
    """
    order = order_of(field, ledger)
    if order is None:
        return _searched(region, field, field.places, field.delay_ms, k, field.most_ms, late)
    places = Places(edge=field.places.edge[order], fraction=field.places.fraction[order])
    most_ms = None if field.most_ms is None else field.most_ms[order]
    found = _searched(region, field, places, field.delay_ms[order], k, most_ms, late)
    evaluated_ms = np.empty_like(found.evaluated_ms)
    evaluated_ms[order] = found.evaluated_ms
    return replace(found, rows=order[found.rows].astype(np.int32), evaluated_ms=evaluated_ms)


def order_of(field: Field, ledger: Ledger | None) -> npt.NDArray[np.intp] | None:
    """The rows as equals come; None: as they are."""
    if ledger is None:
        return None
    owed = ledger.owed_to(field.resolved.stop.agency, field.view.agencies)
    return np.argsort(owed[field.view.agency[field.slots]], kind="stable") if len(owed) else np.zeros(0, np.intp)


def _searched(
    region: Region, field: Field, places: Places, delay_ms: Ints, k: int, most_ms: Ints | None, late: Late | None
) -> Soonest:
    targets, mode = field.resolved.targets, field.mode
    if late is None:
        return region.times.k_soonest(targets, places, delay_ms, k, mode, most_ms)
    k = min(k, len(delay_ms))
    ask = Ask(targets=targets, places=places, delay_ms=delay_ms, k=k, mode=mode, most_ms=most_ms)
    return region.times.k_soonest_by(ask, late)
