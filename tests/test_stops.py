"""Open stops and who is assigned to them: states that only go forward, one winner, quotas taken and given back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import BadInput, OutsideMap, Reason, Status, Stop, UnitState, UnknownStop, UnknownUnit
from geomatch.aid.quotas import Quotas
from geomatch.backup.assignments import LIVE, AssignmentState, ChoiceReason, may_become
from geomatch.backup.overrides import overrides
from geomatch.backup.stops import OpenStops
from geomatch.backup.timers import CheckState, TimerPolicy, status_check
from geomatch.errors import GeomatchError, IllegalStep, LimitReached, LostRace, MayNotGo, UnknownAssignment
from geomatch.model import Need, Phase
from geomatch.quantities import LonLat

PAPERS = """
format = 1

[[agreement]]
id = "east-helps"
version = 3
title = "East lends one car at a time"
status = "active"
provider_agency = "east.example"
receiver_agency = "town.example"
mode = "automatic"
authority = "full"
legal_basis = { kind = "mou", citation = "MOU 12", clause = "4" }
limits = { max_units_at_once = 1 }
triggers = { officer_emergency_override = true }

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
CARS = {"t1": 400.0, "t2": 700.0, "t3": 1500.0, "east1": 900.0, "east2": 1800.0, "south1": 950.0}
AGENCIES = {"t": "town.example", "e": "east.example", "s": "south.example"}


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stops")
    papers = folder / "papers.toml"
    papers.write_text(PAPERS, encoding="utf-8")
    return main_street(folder / "main.region", agreements=(papers,))


def cars(**activities):
    return [
        UnitState(unit=unit(name, agency=AGENCIES[name[0]]), fix=fix(name, x),
                  status=Status(availability=activities.get(name, "available"), at=NOW))
        for name, x in CARS.items()
    ]  # fmt: skip


@pytest.fixture
def matcher(region):
    return matcher_with(region, cars())


def stop(name="s1", x=1000.0, **more) -> Stop:
    return Stop(id=name, at=at(x), agency="town.example", **more)


def assign(matcher, stop_id, unit_id, **more):
    return matcher.assign(stop_id, unit_id, version=matcher.stops.view().version, at=NOW, **more)


def reason_of(matcher, of, unit_id):
    return next((one.reason for one in matcher.rank(of, now=NOW).excluded if one.unit == unit_id), None)


# Life of a stop


def test_a_stop_is_opened_once_and_a_repeated_opening_changes_nothing(matcher):
    held = matcher.open_stop(stop(), at=NOW)
    assert matcher.open_stop(stop(), at=NOW + 9) == held == matcher.stops.get("s1")
    with pytest.raises(IllegalStep, match="open already"):
        matcher.open_stop(stop(x=900.0), at=NOW)
    with pytest.raises(OutsideMap):
        matcher.open_stop(Stop(id="s2", at=LonLat(2.35, 48.85)), at=NOW)
    with pytest.raises(UnknownStop):
        matcher.stops.get("s2")


def test_phases_go_on_and_never_back_to_the_beginning_and_clearing_ends_the_stop(matcher):
    matcher.open_stop(stop(), at=NOW)
    assert matcher.stops.set_phase("s1", Phase.custody, at=NOW + 60).stop.phase is Phase.custody
    assert matcher.stops.set_phase("s1", Phase.contact, at=NOW + 70).stop.phase is Phase.contact
    with pytest.raises(IllegalStep):
        matcher.stops.set_phase("s1", Phase.initiated, at=NOW + 80)
    over = matcher.stops.set_phase("s1", Phase.cleared, at=NOW + 90)
    assert (over.cleared_at, over.stop.phase) == (NOW + 90, Phase.cleared)
    with pytest.raises(UnknownStop, match="not open"):
        matcher.stops.set_phase("s1", Phase.contact, at=NOW + 99)


def test_who_is_on_scene_at_an_open_stop_is_no_candidate_for_another(matcher):
    matcher.open_stop(stop(units_on_scene=("t1",)), at=NOW)
    assert reason_of(matcher, stop("s2", 500.0), "t1") is Reason.assigned
    assert reason_of(matcher, matcher.stops.get("s1").stop, "t1") is Reason.on_scene
    matcher.stops.clear("s1", at=NOW + 60)
    assert reason_of(matcher, stop("s2", 500.0), "t1") is None


# Assignments


def test_an_assigned_unit_is_excluded_with_the_stop_that_has_it_and_free_again_when_it_is_cleared(matcher):
    matcher.open_stop(stop(), at=NOW)
    first = matcher.rank(stop(), now=NOW).candidates[0].unit
    taken = assign(matcher, "s1", first)
    for other in (stop(), stop("s2", 900.0)):
        listed = {one.unit: one for one in matcher.rank(other, now=NOW).excluded}
        assert listed[first].reason is Reason.assigned
        assert "s1" in listed[first].detail
        assert listed[first].would_be.endswith("if it were released from its stop")
    matcher.stops.advance(taken.id, AssignmentState.cleared, at=NOW + 10)
    assert matcher.rank(stop("s2"), now=NOW).candidates[0].unit == first


def test_every_unit_is_still_accounted_for(matcher):
    matcher.open_stop(stop(), at=NOW)
    assign(matcher, "s1", "t2")
    ranking = matcher.rank(stop("s2"), k=2, now=NOW)
    assert len(ranking.candidates) + len(ranking.excluded) + len(ranking.beyond_k) == len(CARS)
    assert ranking.counts["assigned"] == 1


def test_an_assignment_takes_its_steps_and_keeps_their_times(matcher):
    matcher.open_stop(stop(), at=NOW)
    one = assign(matcher, "s1", "t2")
    for number, state in enumerate(("accepted", "en_route", "on_scene"), start=1):
        one = matcher.stops.advance(one.id, AssignmentState(state), at=NOW + 10 * number)
    assert [(step.state, step.at) for step in one.steps] == [
        ("proposed", NOW), ("accepted", NOW + 10), ("en_route", NOW + 20), ("on_scene", NOW + 30),
    ]  # fmt: skip
    assert matcher.stops.get("s1").stop.units_on_scene == ("t2",)
    assert reason_of(matcher, matcher.stops.get("s1").stop, "t2") is Reason.on_scene
    with pytest.raises(IllegalStep, match="on_scene cannot become en_route"):
        matcher.stops.advance(one.id, AssignmentState.en_route, at=NOW + 40)
    matcher.stops.advance(one.id, AssignmentState.cleared, at=NOW + 50)
    assert matcher.stops.get("s1").stop.units_on_scene == ()


def test_what_has_ended_stays_so_and_no_step_is_taken_back():
    for now in AssignmentState:
        for then in AssignmentState:
            if now not in LIVE or now is then:
                assert not may_become(now, then)
            elif then in LIVE:
                assert may_become(now, then) == (LIVE.index(then) > LIVE.index(now))
    assert not may_become(AssignmentState.on_scene, AssignmentState.code_4)
    assert may_become(AssignmentState.on_scene, AssignmentState.cleared)


def test_the_radio_says_who_is_there_and_that_assignment_has_arrived(matcher):
    matcher.open_stop(stop(), at=NOW)
    one = assign(matcher, "s1", "t2")
    matcher.stops.change("s1", units_on_scene=("t2",), at=NOW + 5)
    assert matcher.stops.assignment(one.id).state is AssignmentState.on_scene


def test_code_4_turns_back_who_is_on_the_way_and_leaves_who_is_there(matcher):
    matcher.open_stop(stop(), at=NOW)
    there, coming = assign(matcher, "s1", "t2"), assign(matcher, "s1", "east1")
    matcher.stops.advance(there.id, AssignmentState.on_scene, at=NOW + 5)
    held = matcher.stops.code_4("s1", at=NOW + 10)
    assert [one.state for one in held.assignments] == ["on_scene", "code_4"]
    assert held.coming == ()
    assert not matcher.quotas.view().lent
    assert reason_of(matcher, stop("s2"), "east1") is None
    with pytest.raises(IllegalStep):
        matcher.stops.advance(coming.id, AssignmentState.on_scene, at=NOW + 20)


def test_a_decision_on_an_older_version_of_the_stop_loses(matcher):
    matcher.open_stop(stop(), at=NOW)
    seen = matcher.rank(stop(), now=NOW).version
    won = matcher.assign("s1", "t2", version=seen, at=NOW)
    with pytest.raises(LostRace, match="stop 's1' has changed"):
        matcher.assign("s1", "t3", version=seen, at=NOW)
    # The winner's answer carries the version that its next decision may name.
    matcher.assign("s1", "t3", version=won.version, at=NOW)


def test_a_unit_taken_for_another_stop_is_lost_and_so_is_one_taken_and_released_since(matcher):
    matcher.open_stop(stop(), at=NOW)
    matcher.open_stop(stop("s2", 900.0), at=NOW)
    seen = matcher.rank(stop(), now=NOW).version
    taken = matcher.assign("s2", "t2", version=seen, at=NOW)
    for _ in range(2):
        with pytest.raises(LostRace, match="unit 't2'"):
            matcher.assign("s1", "t2", version=seen, at=NOW)
        matcher.stops.advance(taken.id, AssignmentState.cleared, at=NOW)
    assert assign(matcher, "s1", "t2").unit == "t2"


def test_what_the_officer_does_is_no_reason_to_decide_anew(matcher):
    """Phases, status checks and a unit that says it is on its way change nobody's ranking."""
    matcher.open_stop(stop(), at=NOW)
    one = assign(matcher, "s1", "t2")
    seen = matcher.stops.view().version
    matcher.stops.set_phase("s1", Phase.contact, at=NOW + 1)
    matcher.stops.heard("s1", at=NOW + 2)
    matcher.stops.advance(one.id, AssignmentState.en_route, at=NOW + 3)
    assert matcher.assign("s1", "t3", version=seen, at=NOW + 4).unit == "t3"


def test_unknown_names_and_versions_of_another_run_are_told(matcher):
    matcher.open_stop(stop(), at=NOW)
    with pytest.raises(UnknownStop):
        assign(matcher, "nowhere", "t1")
    with pytest.raises(UnknownUnit):
        assign(matcher, "s1", "nobody")
    with pytest.raises(UnknownAssignment):
        matcher.stops.advance("a99", AssignmentState.cleared, at=NOW)
    with pytest.raises(LostRace, match="another run"):
        matcher.assign("s1", "t1", version=10_000, at=NOW)
    matcher.stops.change("s1", units_on_scene=("t1",), at=NOW)
    with pytest.raises(IllegalStep, match="at the stop already"):
        assign(matcher, "s1", "t1")


# Quotas


def test_another_agencys_unit_takes_a_place_and_gives_it_back_however_it_ends(matcher):
    for ends in ("cleared", "code_4", "declined", "diverted", "stop"):
        matcher.open_stop(stop(), at=NOW)
        one = assign(matcher, "s1", "east1")
        assert one.agreement == "east-helps@3"
        assert matcher.quotas.view().at_once == {"east-helps": 1}
        assert reason_of(matcher, stop("s2"), "east2") is Reason.limit_reached
        with pytest.raises(LimitReached, match="max_units_at_once"):
            assign(matcher, "s1", "east2")
        if ends != "stop":
            matcher.stops.advance(one.id, AssignmentState(ends), at=NOW + 1)
        else:
            matcher.stops.clear("s1", at=NOW + 1)
        assert not matcher.quotas.view().at_once
        assert reason_of(matcher, stop("s2"), "east2") is None
        if ends != "stop":
            matcher.stops.clear("s1", at=NOW + 2)


def test_an_officer_emergency_takes_a_place_over_the_limit_and_the_lift_is_recorded(matcher):
    matcher.open_stop(stop(), at=NOW)
    matcher.open_stop(stop("s2", 900.0, urgency="officer_emergency"), at=NOW)
    assign(matcher, "s1", "east1")
    assert assign(matcher, "s2", "east2").chosen.lifted == ("limits.max_units_at_once",)
    assert matcher.quotas.view().at_once == {"east-helps": 2}


def test_a_prohibited_unit_is_never_sent_not_even_in_an_emergency(matcher):
    matcher.open_stop(stop(urgency="officer_emergency"), at=NOW)
    with pytest.raises(MayNotGo, match="south-never@1"):
        assign(matcher, "s1", "south1")


# Diverting


@pytest.mark.parametrize(
    ("status", "state", "urgency", "may"),
    [
        ("available", "proposed", "urgent_backup", False),
        ("conditionally_available", "en_route", "urgent_backup", True),
        ("conditionally_available", "en_route", "routine_backup", False),
        ("conditionally_available", "on_scene", "urgent_backup", True),
        ("available", "en_route", "officer_emergency", True),
        ("available", "on_scene", "officer_emergency", False),
    ],
)
def test_an_assigned_unit_is_taken_only_for_a_more_urgent_stop_and_where_it_may_be(region, status, state, urgency, may):
    matcher = matcher_with(region, cars(t2=status))
    matcher.open_stop(stop(), at=NOW)
    one = assign(matcher, "s1", "t2")
    matcher.stops.advance(one.id, AssignmentState(state), at=NOW)
    matcher.open_stop(stop("s2", 600.0, urgency=urgency), at=NOW)
    assert (reason_of(matcher, stop("s2", 600.0, urgency=urgency), "t2") is None) == may
    if may:
        assert assign(matcher, "s2", "t2").stop == "s2"
        assert matcher.stops.assignment(one.id).state is AssignmentState.diverted
        assert "t2" not in matcher.stops.get("s1").stop.units_on_scene
    else:
        with pytest.raises(LostRace):
            assign(matcher, "s2", "t2")


def test_the_officer_who_made_a_stop_is_never_taken_from_it(region):
    matcher = matcher_with(region, cars(t2="conditionally_available"))
    matcher.open_stop(stop(units_on_scene=("t2",)), at=NOW)
    assert reason_of(matcher, stop("s2", urgency="officer_emergency"), "t2") is Reason.assigned


# Decisions


def test_the_first_needs_no_reason_and_any_other_choice_is_recorded_with_one(region):
    matcher = matcher_with(region, cars(t3="not_available"))
    matcher.open_stop(stop(), at=NOW)
    order = [one.unit for one in matcher.rank(stop(), now=NOW).candidates]
    etas = {one.unit: one.eta.eta_s for one in matcher.rank(stop(), now=NOW).candidates}
    assert order == ["east1", "t2", "t1", "east2"]
    chosen = assign(matcher, "s1", "t2", reason=ChoiceReason.own_beat, by="radio 2").chosen
    assert (chosen.rank, chosen.first, chosen.reason, chosen.by) == (2, "east1", "own_beat", "radio 2")
    assert chosen.behind_s == pytest.approx(etas["t2"] - etas["east1"])
    first = assign(matcher, "s1", "east1").chosen
    assert (first.rank, first.reason, first.behind_s) == (1, None, 0.0)
    by_radio = assign(matcher, "s1", "t3").chosen
    assert (by_radio.rank, by_radio.code, by_radio.reason) == (None, "not_available", "not_given")


def test_override_rates_count_what_was_decided(matcher):
    assert overrides(matcher.stops.decisions()).rate_share is None
    matcher.open_stop(stop(), at=NOW)
    for name, why in (("east1", None), ("t3", ChoiceReason.own_beat), ("t1", None), ("t2", None)):
        assign(matcher, "s1", name, reason=why)
    report = overrides(matcher.stops.decisions())
    assert (report.decisions, report.overridden, report.rate_share) == (4, 2, 0.5)
    assert report.by_reason == {"own_beat": 1, "not_given": 1}
    assert report.by_agency == {"town.example": 2}


def test_nobody_sends_an_empty_car(region):
    matcher = matcher_with(region, [UnitState(unit=unit("t1", officers=0), fix=fix("t1", 500.0))])
    matcher.open_stop(stop(), at=NOW)
    with pytest.raises(MayNotGo, match="no officer aboard"):
        assign(matcher, "s1", "t1")


# Timers


def test_a_status_check_is_due_then_overdue_and_an_answer_starts_it_again(matcher):
    policy = TimerPolicy(first_s=120, repeat_s=300, grace_s=30)
    held = matcher.open_stop(stop(), at=NOW)
    states = [status_check(held, policy, now=NOW + s).state for s in (0, 119.9, 120, 149.9, 150)]
    assert states == ["waiting", "waiting", "due", "due", "overdue"]
    assert [status_check(held, policy, now=NOW + s).missed for s in (149, 150, 449, 450, 750)] == [0, 1, 1, 2, 3]
    held = matcher.stops.heard("s1", at=NOW + 160)
    assert status_check(held, policy, now=NOW + 459).state is CheckState.waiting
    assert status_check(held, policy, now=NOW + 460).state is CheckState.due


def test_a_phase_may_have_its_own_time_and_counts_as_being_heard(matcher):
    policy = TimerPolicy(first_s=120, repeat_s=300, in_phase_s={Phase.tow_wait: 900})
    matcher.open_stop(stop(), at=NOW)
    held = matcher.stops.set_phase("s1", Phase.tow_wait, at=NOW + 100)
    assert status_check(held, policy, now=NOW + 100).due_at == NOW + 1000
    with pytest.raises(BadInput):
        TimerPolicy(first_s=0)


@given(s=st.floats(0, 1e5), more=st.floats(0, 1e4))
def test_waiting_longer_never_makes_a_check_less_due(s, more):
    held = OpenStops(Quotas()).open(stop(), at=NOW)
    before, after = (status_check(held, TimerPolicy(), now=NOW + t) for t in (s, s + more))
    assert list(CheckState).index(before.state) <= list(CheckState).index(after.state)
    assert before.missed <= after.missed


# Any history


def test_what_is_restored_is_what_was_held(matcher):
    matcher.open_stop(stop(), at=NOW)
    one = assign(matcher, "s1", "t2")
    view = matcher.stops.view()
    again = OpenStops(matcher.quotas, view.stops.values(), version=view.version)
    assert again.view() == view
    assert again.advance(one.id, AssignmentState.en_route, at=NOW + 1).state == "en_route"


class AnyHistory(RuleBasedStateMachine):
    """Whatever is done in whatever order: no unit is at two stops, and the places taken are those of live loans."""

    @initialize()
    def begin(self):
        self.matcher = matcher_with(type(self).region, cars(t3="conditionally_available"))
        self.assigned: list[str] = []
        self.seen = 0

    @rule(name=st.sampled_from(["s1", "s2", "s3"]), urgency=st.sampled_from(["routine_backup", "officer_emergency"]))
    def opens(self, name, urgency):
        self.attempt(lambda: self.matcher.open_stop(stop(name, urgency=urgency), at=NOW))

    @rule(name=st.sampled_from(["s1", "s2", "s3"]), who=st.sampled_from(sorted(CARS)), stale=st.integers(0, 2))
    def assigns(self, name, who, stale):
        version = self.matcher.stops.view().version - stale
        done = self.attempt(lambda: self.matcher.assign(name, who, version=version, at=NOW))
        self.assigned += [] if done is None else [done.id]

    @precondition(lambda self: self.assigned)
    @rule(data=st.data(), state=st.sampled_from(AssignmentState))
    def steps(self, data, state):
        one = data.draw(st.sampled_from(self.assigned))
        self.attempt(lambda: self.matcher.stops.advance(one, state, at=NOW))

    @rule(name=st.sampled_from(["s1", "s2", "s3"]), how=st.sampled_from(["clear", "code_4"]))
    def ends(self, name, how):
        self.attempt(lambda: getattr(self.matcher.stops, how)(name, at=NOW))

    @rule(name=st.sampled_from(["s1", "s2", "s3"]), who=st.sets(st.sampled_from(sorted(CARS)), max_size=2))
    def is_there(self, name, who):
        self.attempt(lambda: self.matcher.stops.change(name, units_on_scene=tuple(sorted(who)), at=NOW))

    def attempt(self, act):
        before = self.matcher.stops.view(), self.matcher.quotas.view().lent
        try:
            return act()
        except GeomatchError:
            assert (self.matcher.stops.view(), self.matcher.quotas.view().lent) == before
            return None

    @invariant()
    def holds(self):
        if not hasattr(self, "matcher"):
            return
        view = self.matcher.stops.view()
        live = [one for held in view.stops.values() for one in held.assignments if one.live]
        assert len({one.unit for one in live}) == len(live)
        assert {(one.unit, one.stop) for one in live if one.agreement} == set(self.matcher.quotas.view().lent)
        assert view.version >= self.seen
        self.seen = view.version


AnyHistory.TestCase.settings = hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_any_history_keeps_one_winner_a_unit_and_the_right_quotas(region):
    AnyHistory.region = region
    AnyHistory.TestCase("runTest").runTest()


def test_a_stop_of_another_need_is_another_version(matcher):
    held = matcher.open_stop(stop(), at=NOW)
    changed = matcher.stops.change("s1", need=Need(officers=3), at=NOW)
    assert changed.version > held.version
    assert replace(changed.stop, need=Need()) == held.stop
    assert matcher.stops.change("s1", need=Need(officers=3), at=NOW) is matcher.stops.get("s1")
