"""What is told of open stops: each kind of event when it should be, and seldom enough to be listened to."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from forty_stops import most_turns, shift, worst_hour
from hypothesis import given
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Matcher, Need, Status, Stop, UnitState, Urgency
from geomatch.backup.assignments import AssignmentState
from geomatch.backup.coming import coming
from geomatch.backup.stop_events import Budget, BudgetPolicy, EventKind, StopEvent
from geomatch.backup.watch import WatchPolicy
from geomatch.fleet.limits import FleetLimits
from geomatch.model import Phase
from geomatch.quantities import LonLat
from geomatch.service.stop_watch import StopWatch

SILENT = {kind for kind in EventKind if not kind.interrupts}


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    return main_street(tmp_path_factory.mktemp("watch") / "main.region")


@dataclass
class Scene:
    """A stop at x = 1,900 m on Main Street, cars at given metres, and a clock that is told."""

    matcher: Matcher
    watch: StopWatch
    now: float = NOW
    events: list[StopEvent] = field(default_factory=list)

    def place(self, **x_of):
        """Where cars are now, in metres along the street; 10 m are a second."""
        self.matcher.update([fix(name, x, age_s=NOW - self.now) for name, x in x_of.items()])

    def wait(self, seconds=1.0, *, looks=1):
        new = []
        for _ in range(looks):
            self.now += seconds / looks
            new += self.watch.look(self.now)
        self.events += new
        return [event.kind.value for event in new if event.kind not in SILENT]

    def assign(self, name, state="en_route"):
        version = self.matcher.stops.view().version
        one = self.matcher.assign("s1", name, version=version, at=self.now)
        return self.matcher.stops.advance(one.id, AssignmentState(state), at=self.now)


@pytest.fixture
def scene(region):
    cars = {"a": 400.0, "b": 100.0, "c": 0.0}
    # The scenes put cars here and there at once, which no car can do.
    anywhere = FleetLimits(fastest_mps=math.inf)
    matcher = matcher_with(region, [UnitState(unit=unit(n), fix=fix(n, x)) for n, x in cars.items()], anywhere)
    made = Scene(matcher, StopWatch(matcher))
    matcher.open_stop(Stop(id="s1", at=at(1900.0), agency="town.example"), at=NOW)
    return made


def test_a_ranking_is_told_at_once_and_again_only_when_it_has_changed(scene):
    assert scene.wait() == []
    assert [event.kind for event in scene.events] == ["ranking"]
    assert [one.unit for one in scene.events[0].ranking] == ["a", "b", "c"]
    scene.wait(5, looks=5)
    assert len(scene.events) == 1
    scene.place(b=900.0)
    scene.wait()
    assert [one.unit for one in scene.events[-1].ranking] == ["b", "a", "c"]
    assert scene.events[-1].sentence == "B is first, there in 1:55."


def test_a_closer_unit_is_told_once_when_it_has_stayed_clearly_closer(scene):
    scene.wait()
    scene.assign("b")
    scene.place(c=1500.0)
    assert scene.wait(1) == []
    assert scene.wait(10, looks=10) == []
    assert scene.wait(10, looks=10) == ["closer_unit"]
    event = next(event for event in scene.events if event.kind == "closer_unit")
    assert (event.unit, event.instead_of) == ("c", "b")
    # 1,800 m at 10 m/s against 400 m and the turnout.
    assert event.sentence == "C is closer than B: 0:55 instead of 3:00."
    assert scene.wait(60, looks=60) == []


def test_a_closer_unit_that_is_gone_in_a_moment_is_no_news(scene):
    scene.wait()
    scene.assign("b")
    for turn in range(12):
        scene.place(b=100.0 + 40.0 * turn, c=1500.0 if turn % 2 else 0.0)
        assert scene.wait(6) == []


@pytest.mark.parametrize("metres", [1100.0, 1800.0])
def test_past_the_commit_point_nobody_is_replaced(scene, metres):
    """A unit 1,000 m away needs 100 s and may be replaced; nearer than 900 m, 90 s, it may not."""
    scene.wait()
    scene.assign("b")
    scene.place(b=metres, c=1890.0)
    assert scene.wait(40, looks=8) == []


def test_a_little_closer_is_not_worth_a_sound(scene):
    scene.wait()
    scene.assign("b")
    scene.place(c=600.0, a=620.0)
    assert scene.wait(60, looks=12) == []


def test_who_was_taken_off_a_stop_is_never_proposed_for_it_again(scene):
    scene.wait()
    first = scene.assign("b")
    scene.matcher.stops.advance(first.id, AssignmentState.cleared, at=scene.now)
    scene.assign("c")
    scene.place(b=1700.0, a=0.0)
    assert scene.wait(60, looks=12) == []


@pytest.mark.parametrize("why", ["declined", "diverted", "stale"])
def test_cover_that_is_lost_is_told_once(scene, why):
    scene.wait()
    one = scene.assign("b")
    if why == "stale":
        limit_s = scene.matcher.limits.stale_after_s if hasattr(scene.matcher.limits, "stale_after_s") else 120.0
        assert "candidate_lost" in scene.wait(limit_s + 200, looks=200)
    else:
        scene.matcher.stops.advance(one.id, AssignmentState(why), at=scene.now)
        assert scene.wait() == ["candidate_lost"]
    lost = [event for event in scene.events if event.kind == "candidate_lost"]
    assert [event.unit for event in lost] == ["b" if why != "stale" else "B"] or len(lost) == 1
    scene.wait(30, looks=30)
    assert sum(event.kind == "candidate_lost" for event in scene.events) == 1


def test_cover_that_stands_still_is_delayed_and_told_again_only_after_twice_as_long(scene):
    scene.wait()
    scene.assign("b")
    scene.wait()
    kinds = []
    for _ in range(175):
        scene.place(b=100.0, a=0.0, c=0.0)
        kinds += scene.wait(1.0)
    assert kinds == ["cover_delayed"]
    scene.matcher.stops.heard("s1", at=scene.now)
    for _ in range(110):
        scene.place(b=100.0, a=0.0, c=0.0)
        kinds += scene.wait(1.0)
    assert kinds == ["cover_delayed"] * 2
    assert next(event.sentence for event in scene.events if event.kind == "cover_delayed").startswith(
        "B is delayed by 1:3"
    )


def test_cover_that_drives_as_promised_is_not_delayed(scene):
    scene.wait()
    scene.assign("b")
    kinds = []
    for second in range(170):
        scene.place(b=100.0 + 10.0 * second / 1.5)
        kinds += scene.wait(1.0)
    assert kinds == []


def test_no_cover_is_told_after_a_minute_and_again_only_after_it_was_over(region):
    matcher = matcher_with(region, [UnitState(unit=unit("a"), fix=fix("a", 100.0))])
    scene = Scene(matcher, StopWatch(matcher, policy=WatchPolicy(no_cover_s=dict.fromkeys(Urgency, 120.0))))
    matcher.open_stop(Stop(id="s1", at=at(1900.0), agency="town.example"), at=NOW)
    assert scene.wait(59, looks=59) == []
    assert scene.wait(2, looks=2) == ["no_cover"]
    assert scene.events[-1].sentence == "No cover for stop s1 within 2:00: the soonest needs 3:15."
    for x in (900.0, 800.0, 900.0):  # about the threshold: 115 and 125 s
        scene.place(a=x)
        matcher.stops.heard("s1", at=scene.now)
        assert scene.wait(90, looks=3) == []
    scene.place(a=1500.0)
    scene.wait()
    scene.place(a=100.0)
    assert scene.wait(70, looks=70) == ["no_cover"]


def test_the_officer_gets_a_sentence_and_another_when_the_arrival_has_moved(scene):
    scene.wait()
    scene.assign("b")
    scene.wait()
    assert scene.events[-1].kind == "cover_eta"
    assert scene.events[-1].sentence == "Your cover is B, there in about 4 minutes, now on Main Street."
    count = len(scene.events)
    for second in range(100):
        scene.place(b=100.0 + 10.0 * second / 1.5)
        scene.wait(1.0)
    assert len(scene.events) == count
    scene.place(b=1600.0)
    scene.wait()
    assert scene.events[-1].sentence == "Your cover is B, there in under a minute, now on Main Street."


def test_a_status_check_is_told_when_due_and_when_overdue_and_the_last_event_is_the_clearing(scene):
    def pass_by(seconds):
        told = []
        for _ in range(int(seconds / 20)):
            scene.place(a=400.0, b=100.0, c=0.0)
            told += scene.wait(20, looks=20)
        return told

    assert pass_by(160) == []
    assert "status_check_due" not in [event.kind for event in scene.events]
    assert pass_by(60) == []
    assert scene.events[-1].kind == "status_check_due"
    assert pass_by(40) == ["status_check_overdue"]
    scene.matcher.stops.heard("s1", at=scene.now)
    assert pass_by(400) == []
    scene.matcher.stops.set_phase("s1", Phase.cleared, at=scene.now)
    scene.wait()
    assert scene.events[-1].kind == "cleared"
    assert scene.wait(1000) == []


def test_code_4_wants_nobody_and_nobody_is_proposed(scene):
    scene.wait()
    scene.matcher.stops.code_4("s1", at=scene.now)
    before = len(scene.events)
    scene.place(b=1800.0)
    scene.wait(30, looks=30)
    assert len(scene.events) == before


def test_an_assigned_units_eta_needs_no_status_and_is_the_same_as_the_rankings_without_the_asking(scene):
    ranking = {one.unit: one.eta for one in scene.matcher.rank(scene.matcher.stops.get("s1").stop, now=NOW).candidates}
    one = scene.assign("b", "accepted")
    scene.matcher.set_status("b", availability="not_available", activity="en_route", at=NOW + 1)
    on = scene.matcher.snapshot()
    seen = coming(scene.matcher.stops.get("s1"), on.view, on.region, now=NOW, priors=scene.matcher.priors)
    assert [(a.assignment.id, a.eta) for a in seen] == [(one.id, ranking["b"])]


def test_one_stop_that_cannot_be_ranked_does_not_stop_the_others(scene):
    scene.matcher.stops.open(Stop(id="s0", at=LonLat(2.35, 48.85), agency="town.example"), at=NOW)
    scene.wait()
    assert [event.stop for event in scene.events] == ["s1"]


# The budget


def event(kind, position="p", urgency=Urgency.routine_backup) -> StopEvent:
    kind = EventKind(kind)
    return StopEvent(kind=kind, stop="s", at=0.0, position=position, urgency=urgency, sentence="", version=1,
                     interrupts=kind.interrupts)  # fmt: skip


moments = st.lists(
    st.tuples(st.floats(0, 4 * 3600), st.sampled_from(sorted(EventKind)), st.sampled_from(["p", "q"])), max_size=60
)


@given(moments)
def test_whatever_happens_no_position_is_interrupted_more_often_than_the_budget_and_no_event_is_lost(told):
    budget, policy, heard = Budget(), BudgetPolicy(), defaultdict(list)
    count = 0
    for now, kind, position in sorted(told):
        budget, after = budget.spend([event(kind, position)], policy, now=now)
        count += len(after)
        heard[position] += [now for one in after if one.interrupts]
        assert all(one.interrupts or one.held_back or one.kind in SILENT for one in after)
    assert count == len(told)
    for times in heard.values():
        for end in times:
            assert sum(end - policy.within_s < time <= end for time in times) <= policy.interruptions


def test_what_can_wait_leaves_room_for_what_cannot_and_an_emergency_always_interrupts():
    budget, policy = Budget(), BudgetPolicy()
    kinds = ["closer_unit"] * 6 + ["no_cover"] * 3
    budget, after = budget.spend([event(kind) for kind in kinds], policy, now=0.0)
    assert [one.interrupts for one in after] == [True] * 4 + [False] * 2 + [True] * 2 + [False]
    budget, after = budget.spend([event("no_cover", urgency=Urgency.officer_emergency)], policy, now=1.0)
    assert after[0].interrupts


# A shift


def test_a_shift_with_forty_stops_open_interrupts_one_position_at_most_six_times_an_hour(opened):
    """One position has all forty, which is more than anybody is given; it follows each advice. Officer emergencies are
    not counted: they always interrupt."""
    made = shift(opened("metro"), 4500.0, 15.0)
    assert len(made.matcher.stops.view().stops) >= 39
    times = [one.at for one in made.events if one.interrupts and one.urgency is not Urgency.officer_emergency]
    assert 1 <= worst_hour(times) <= 6
    would = [one for one in made.events if one.interrupts or one.held_back]
    assert {one.kind for one in would} & {"closer_unit", "cover_delayed", "no_cover"}
    # No ping-pong: no stop gets a unit back that was sent away from it, and no assignment is advised on twice.
    assert most_turns(made) == (1, 1)
    # Nothing is lost: whatever was held back came all the same, silently.
    assert all(not one.interrupts for one in made.events if one.held_back)


def test_a_units_need_of_two_keeps_the_ranking_coming_until_two_are_assigned(scene):
    scene.matcher.stops.change("s1", need=Need(officers=2), at=NOW)
    scene.wait()
    scene.assign("a")
    scene.wait()
    assert [one.unit for one in [e for e in scene.events if e.kind == "ranking"][-1].ranking] == ["b", "c"]
    scene.assign("b")
    before = sum(e.kind == "ranking" for e in scene.events)
    scene.place(c=1700.0)
    scene.wait(5, looks=5)
    assert sum(e.kind == "ranking" for e in scene.events) == before


def test_a_unit_held_busy_by_status_is_still_counted_on_its_way(region):
    states = [UnitState(unit=unit("a"), fix=fix("a", 400.0), status=Status(at=NOW))]
    matcher = matcher_with(region, states)
    scene = Scene(matcher, StopWatch(matcher))
    matcher.open_stop(Stop(id="s1", at=at(1900.0), agency="town.example"), at=NOW)
    scene.assign("a")
    matcher.set_status("a", availability="not_available", activity="en_route", at=NOW + 1)
    assert scene.wait(90, looks=9) == []
