"""The matrix says of every unit and stop what a ranking says."""

from __future__ import annotations

import pytest
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Need, Stop, UnitState
from geomatch.model.closures import Closure


@pytest.fixture(scope="module")
def matcher(tmp_path_factory):
    region = main_street(tmp_path_factory.mktemp("matrix") / "main.region")
    crews = {"a": (300.0, 1, ()), "b": (900.0, 2, ("K9",)), "c": (1500.0, 1, ()), "d": (1900.0, 1, ("K9",))}
    states = [
        UnitState(unit=unit(name, officers=officers, capabilities=skills), fix=fix(name, x))
        for name, (x, officers, skills) in crews.items()
    ]
    return matcher_with(region, [*states, UnitState(unit=unit("lost"))])


STOPS = [
    Stop(id="s1", at=at(350.0), agency="town.example"),
    Stop(id="s2", at=at(1700.0), agency="town.example", urgency="officer_emergency", units_on_scene=("d",)),
    Stop(id="s3", at=at(650.0, 300.0), agency="town.example", need=Need(capabilities=("K9",))),
]


@pytest.mark.parametrize("closed", [False, True])
def test_every_entry_is_the_eta_of_a_ranking(matcher, closed):
    if closed:
        matcher.close_roads([Closure(id="c", line=(at(500.0), at(600.0)))])
    found = matcher.matrix(STOPS, now=NOW)
    assert found.epoch == matcher.epoch
    for stop, row in zip(found.stops, found.eta_s, strict=True):
        ranking = matcher.rank(next(s for s in STOPS if s.id == stop), k=100, now=NOW)
        told = {u: eta for u, eta in zip(found.units, row, strict=True) if eta is not None}
        assert told == {c.unit: c.eta.eta_s for c in ranking.candidates}


@pytest.mark.parametrize("officers", [1, 2, 3, 9])
def test_the_kth_officer_comes_when_a_ranking_says_the_need_is_met(matcher, officers):
    kth = matcher.matrix(STOPS, now=NOW).kth_officer_s(officers)
    for stop, when in zip(STOPS, kth, strict=True):
        need = Need(officers=officers, capabilities=stop.need.capabilities)
        again = Stop(
            id=stop.id,
            at=stop.at,
            agency=stop.agency,
            urgency=stop.urgency,
            units_on_scene=stop.units_on_scene,
            need=need,
        )
        assert matcher.rank(again, k=1, now=NOW).need_met_s == when
