"""Agreements at work in a ranking: waits in the ETA, verdicts with their clause, what each rule costs in seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Reason, Stop, UnitState

PAPERS = """
format = 1

[[agreement]]
id = "east-helps"
version = 3
title = "East helps town at once"
status = "active"
provider_agency = "east.example"
receiver_agency = "town.example"
mode = "automatic"
authority = "full"
legal_basis = { kind = "mou", citation = "MOU 12", clause = "4" }
limits = { max_eta_s = 120 }

[[agreement]]
id = "north-on-request"
version = 1
title = "North helps when asked"
status = "active"
provider_agency = "north.example"
receiver_agency = "town.example"
mode = "on_request"
authority = "full"
legal_basis = { kind = "mou", citation = "MOU 13" }
request_latency_s = { p50 = 60, p90 = 120 }
approval = { needed = "provider", approver_role = "watch commander", timeout_s = 240, on_timeout = "deny" }

[[agreement]]
id = "south-never"
version = 1
title = "South does not come"
status = "active"
provider_agency = "south.example"
receiver_agency = "town.example"
mode = "prohibited"
authority = "none"
legal_basis = { kind = "statute", citation = "Code 22.006" }
"""


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("town")
    papers = folder / "papers.toml"
    papers.write_text(PAPERS, encoding="utf-8")
    return main_street(folder / "main.region", agreements=(papers,))


@pytest.fixture
def matcher(region):
    where = {"own": 400.0, "east": 800.0, "east-far": -900.0, "north": 900.0, "south": 950.0, "west": 990.0}
    return matcher_with(
        region,
        [
            UnitState(
                unit=unit(name, agency=f"{name.split('-')[0].replace('own', 'town')}.example"),
                fix=fix(name, abs(x), 300.0 if x < 0 else 0.0),
            )
            for name, x in where.items()
        ],
    )


STOP = Stop(id="s1", at=at(1000.0), agency="town.example")


def test_the_wait_for_the_other_agency_is_part_of_the_eta(matcher):
    ranking = matcher.rank(STOP, now=NOW)
    by_unit = {c.unit: c for c in ranking.candidates}
    assert by_unit["east"].eta.eta_s == 15.0 + 20.0
    assert by_unit["own"].eta.eta_s == 15.0 + 60.0
    asked = by_unit["north"].eta
    # 10 s away by road, but it has to be phoned for: it is not 10 s away.
    assert asked.travel_s == 10.0
    assert asked.request_s >= 60.0
    assert asked.eta_s == asked.request_s + asked.turnout_s + asked.travel_s
    assert [c.unit for c in ranking.candidates] == ["east", "own", "north"]


def test_every_verdict_names_its_paper(matcher):
    by_unit = {c.unit: c.verdict for c in matcher.rank(STOP, now=NOW).candidates}
    assert by_unit["own"].code == "own_agency"
    assert (by_unit["east"].decision, by_unit["east"].agreement) == ("eligible", "east-helps@3")
    assert by_unit["east"].legal_basis == "mou: MOU 12, 4"
    assert by_unit["north"].decision == "needs_approval"


def test_who_may_not_come_is_excluded_with_reason_and_remedy(matcher):
    excluded = {x.unit: x for x in matcher.rank(STOP, now=NOW).excluded}
    assert excluded["south"].reason is Reason.prohibited
    assert excluded["south"].verdict.agreement == "south-never@1"
    assert excluded["west"].reason is Reason.no_agreement
    assert "west.example helps town.example" in excluded["west"].verdict.what_would_change
    assert excluded["west"].would_be == "1st, in 0:16, if an agreement let it come at once"


def test_a_unit_farther_than_its_agreement_allows_is_excluded(matcher):
    excluded = {x.unit: x for x in matcher.rank(STOP, now=NOW).excluded}
    assert excluded["east-far"].reason is Reason.limit_reached
    assert matcher.rank(STOP, k=1, now=NOW).counts["units"] == 6


def test_four_rules_side_by_side(matcher):
    compared = matcher.compare(STOP, now=NOW)
    assert (compared.fastest_of_all.unit, compared.fastest_of_all.eta_s) == ("west", 16.0)
    assert (compared.fastest_that_may_go.unit, compared.fastest_that_may_go.behind_s) == ("east", 19.0)
    assert compared.fastest_without_approval.unit == "east"
    assert (compared.fastest_of_own_agency.unit, compared.fastest_of_own_agency.behind_s) == ("own", 59.0)


def test_nobody_is_sent_to_a_stop_that_is_nobodys(matcher):
    ranking = matcher.rank(dataclasses.replace(STOP, agency=None), now=NOW)
    assert ranking.candidates == ()
    assert {x.reason for x in ranking.excluded} == {Reason.no_agreement}
