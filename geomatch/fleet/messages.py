"""Whose messages come in, whether they say anything new or not: what tells a feed that is out from one that stands
still."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from geomatch.fleet.judge import Judged
from geomatch.fleet.roster import Roster
from geomatch.model import FixOutcome
from geomatch.quantities import Seconds, UnixTime

COARSE_S: Seconds = 1.0
"""Heard again sooner than this is no news: a view is not made anew for it."""
_NOBODY = frozenset({FixOutcome.applied, FixOutcome.unknown_unit})


def last_message(
    before: Mapping[str, UnixTime], judged: Judged, roster: Roster, now: UnixTime
) -> Mapping[str, UnixTime]:
    """Agency -> when a message of its units last came; `before` itself where that is no news. A clock that is set back
    counts: what it said before is as wrong for all."""
    agencies = {roster.units[roster.slots[one.unit]].agency for one in judged.results if one.outcome not in _NOBODY}
    if judged.moves is not None:
        agencies.update(roster.agencies[a] for a in np.unique(roster.agency[judged.moves.slots]).tolist())
    news = {agency: now for agency in agencies if not abs(now - before.get(agency, -np.inf)) < COARSE_S}
    return {**before, **news} if news else before
