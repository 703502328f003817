"""Units of equal ETA: by unit id, or where a ledger is given first the agency that owes the stop's own most cover."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geomatch.aid.ledger import Ledger
from geomatch.region import Region
from geomatch.road.travel_time import Places, Soonest

if TYPE_CHECKING:
    from geomatch.backup.ranking import Field

TIES_BY_LEDGER = "ties_by_ledger"
"""A note on every ranking in which equal ETAs are ordered by what agencies owe each other."""


def soonest(region: Region, field: Field, k: int, ledger: Ledger | None) -> Soonest:
    """The k soonest rows of the field, ties by row or by debt; no later one ever comes before an earlier one.

    The search breaks ties by row, so it is given the rows in the order of debts, and its answer is turned back.
    """
    targets, mode = field.resolved.targets, field.mode
    if ledger is None:
        return region.times.k_soonest(targets, field.places, field.delay_ms, k, mode, field.most_ms)
    owed = ledger.owed_to(field.resolved.stop.agency, field.view.agencies)
    order = np.argsort(owed[field.view.agency[field.slots]], kind="stable") if len(owed) else np.zeros(0, np.intp)
    places = Places(edge=field.places.edge[order], fraction=field.places.fraction[order])
    most_ms = None if field.most_ms is None else field.most_ms[order]
    found = region.times.k_soonest(targets, places, field.delay_ms[order], k, mode, most_ms)
    evaluated_ms = np.empty_like(found.evaluated_ms)
    evaluated_ms[order] = found.evaluated_ms
    return replace(found, rows=order[found.rows].astype(np.int32), evaluated_ms=evaluated_ms)
