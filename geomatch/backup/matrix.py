"""Every unit to every stop at once, and so when the k-th officer is at each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from geomatch.aid.approvals import NOBODY_ASKED, AskedView
from geomatch.aid.quotas import QuotaView
from geomatch.backup import assigning
from geomatch.backup.assignments import StopsView
from geomatch.backup.eta import EtaPriors
from geomatch.backup.ranking import aid_request, screen
from geomatch.backup.resolve import resolve
from geomatch.fleet.view import FleetView
from geomatch.model import Stop
from geomatch.model.closures import UnitStopMatrix
from geomatch.quantities import NEVER_MS, UnixTime, checked_time
from geomatch.region import Region


def matrix(
    stops: Sequence[Stop],
    view: FleetView,
    region: Region,
    *,
    now: UnixTime,
    priors: EtaPriors,
    quotas: QuotaView | None = None,
    asked: AskedView | None = None,
    open_stops: StopsView | None = None,
) -> UnitStopMatrix:
    """The eta_s a ranking would give each unit at each stop; one search or merge a stop. Raises as `rank` does."""
    checked_time(now, "now")
    rows = []
    for stop in stops:
        resolved = resolve(stop, region, priors, now=now)
        request = aid_request(stop, resolved, now, (asked or {}).get(stop.id, NOBODY_ASKED))
        verdicts = region.eligibility.decide(request, view, quotas)
        taken: Mapping[str, str] = {} if open_stops is None else assigning.taken(open_stops, stop, view)
        field = screen(stop, view, region, resolved, verdicts, priors=priors, now=now, assigned=taken)
        travel_ms = region.times.matrix([resolved.targets], field.places, field.mode)[0]
        if field.several is not None:
            rows_of = np.searchsorted(field.slots, field.several.slot)
            travel_ms[rows_of] = field.several.expected_ms
        total_ms = travel_ms.astype(np.int64) + field.delay_ms
        goes = travel_ms < NEVER_MS
        if field.most_ms is not None:
            goes &= total_ms <= field.most_ms
        row: list[float | None] = [None] * len(view)
        for slot, ms in zip(field.slots[goes].tolist(), total_ms[goes].tolist(), strict=True):
            row[slot] = ms / 1000
        rows.append(tuple(row))
    return UnitStopMatrix(
        stops=tuple(stop.id for stop in stops), units=tuple(unit.id for unit in view.units),
        officers=tuple(unit.officers for unit in view.units), eta_s=tuple(rows), epoch=region.times.epoch,
    )  # fmt: skip
