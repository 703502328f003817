"""Numbered snapshots and deltas: whatever is dropped, repeated or reordered on the way, the fleet ends as the sender's.

The sender keeps the truth and numbers its messages. The way loses, repeats and swaps them. Whoever is told to resync
asks for a snapshot, which may be lost as well. The oracle is a fleet that got every message, once and in order.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_town import NOW, SOUTH, WEST

from geomatch.errors import ResyncRequired
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.fleet import Fleet
from geomatch.fleet.limits import FleetLimits
from geomatch.model import Availability, Fix, Status, Unit, UnitState
from geomatch.quantities import LonLat
from geomatch.region import Region

pytest_plugins = ["service_town"]
MESSAGES = 1_000
ANYWHERE = FleetLimits(fastest_mps=math.inf)
"""The units of these senders jump about; what is doubted of a jump is another test's."""


@dataclass
class Sender:
    """A CAD: the truth of its units, and the number of its last message."""

    name: str
    rng: random.Random
    seq: int = 0
    held: dict[str, UnitState] = field(default_factory=dict)
    clock: float = NOW

    def snapshot(self) -> tuple[int, tuple[UnitState, ...]]:
        return self.seq, tuple(self.held.values())

    def change(self) -> tuple[int, FleetDelta]:
        """Some units move, change status, come or go; the truth follows, and the message says it."""
        self.seq += 1
        self.clock += 1.0
        units, removed, statuses, fixes = [], [], {}, []
        reporting = self.rng.sample(sorted(self.held), min(3, len(self.held)))
        if self.rng.random() < 0.1 or not self.held:
            unit = Unit(id=f"{self.name}-{self.rng.randrange(30)}", agency=self.name, officers=self.rng.randint(1, 2))
            units.append(unit)
            known = self.held.get(unit.id, UnitState(unit=unit))
            self.held[unit.id] = UnitState(unit=unit, fix=known.fix, status=known.status)
            reporting = sorted({*reporting, unit.id})
        elif self.rng.random() < 0.05 and len(self.held) > 1:
            removed.append(self.rng.choice(sorted(self.held)))
            del self.held[removed[0]]
        for unit_id in reporting:
            state = self.held.get(unit_id)
            if state is None:
                continue
            fix, status, is_new = state.fix, state.status, state.fix is None
            # A unit that comes says where it is and what it does, as logging on does: what was last heard of one of the
            # same id would else hold, since of fix and status the later one does.
            if is_new or self.rng.random() < 0.8:
                at = LonLat(WEST + self.rng.random() * 0.004, SOUTH + self.rng.random() * 0.004)
                fix = Fix(unit=unit_id, time=self.clock, at=at, source=self.name)
                fixes.append(fix)
            if is_new or self.rng.random() < 0.3:
                status = Status(availability=self.rng.choice(list(Availability)), at=self.clock)
                statuses[unit_id] = status
            self.held[unit_id] = UnitState(unit=state.unit, fix=fix, status=status)
        return self.seq, FleetDelta(units=tuple(units), removed=tuple(removed), statuses=statuses, fixes=tuple(fixes))


def garbled(rng: random.Random, messages: list) -> list:
    """A tenth lost, a tenth twice, and each may overtake up to five others."""
    arriving = [message for message in messages if rng.random() > 0.1 for _ in range(1 + (rng.random() < 0.1))]
    places = sorted(range(len(arriving)), key=lambda i: i + rng.random() * 5)
    return [arriving[i] for i in places]


def deliver(fleet: Fleet, sender: Sender, arriving: list, rng: random.Random) -> int:
    """Hands the messages over; how often a snapshot had to be asked for. Half of the snapshots are lost too."""
    resyncs = 0
    for seq, delta in arriving:
        try:
            fleet.apply(delta, source=sender.name, source_seq=seq)
        except ResyncRequired:
            resyncs += 1
            if rng.random() < 0.5:
                newest, states = sender.snapshot()
                fleet.replace(states, source=sender.name, source_seq=newest)
    return resyncs


def in_order(town: Region, messages: dict[str, list]) -> Fleet:
    fleet = Fleet(town.snapper, ANYWHERE)
    for name, told in messages.items():
        fleet.replace((), source=name, source_seq=0)
        for seq, delta in told:
            fleet.apply(delta, source=name, source_seq=seq)
    return fleet


@pytest.mark.parametrize("seed", range(3))
def test_a_fleet_converges_after_a_thousand_lost_repeated_and_reordered_messages(town, seed):
    rng = random.Random(seed)
    fleet, messages, resyncs = Fleet(town.snapper, ANYWHERE), {}, 0
    for name in ("hoboken.nj", "weehawken.nj"):
        sender = Sender(name, rng)
        fleet.replace((), source=name, source_seq=0)
        # The link is garbled while the sender works on: it has gone further than what arrives.
        messages[name] = []
        for _ in range(MESSAGES // 50):
            burst = [sender.change() for _ in range(50)]
            messages[name] += burst
            resyncs += deliver(fleet, sender, garbled(rng, burst), rng)
        seq, states = sender.snapshot()
        fleet.replace(states, source=name, source_seq=seq)
        assert {state.unit.id: state for state in fleet.states() if state.unit.agency == name} == sender.held
    assert resyncs > 20
    assert fleet.states() == in_order(town, messages).states()


def test_without_a_gap_no_resync_is_asked_for_and_repeats_change_nothing(town):
    rng = random.Random(7)
    sender = Sender("hoboken.nj", rng)
    messages = [sender.change() for _ in range(200)]
    fleet = Fleet(town.snapper, ANYWHERE)
    fleet.replace((), source=sender.name, source_seq=0)
    for i, (seq, delta) in enumerate(messages):
        fleet.apply(delta, source=sender.name, source_seq=seq)
        earlier_seq, earlier = messages[rng.randrange(i + 1)]
        before = fleet.states()
        fleet.apply(earlier, source=sender.name, source_seq=earlier_seq)
        assert fleet.states() == before
    assert fleet.states() == in_order(town, {sender.name: messages}).states()


def test_a_gap_changes_nothing_until_the_snapshot_comes(town):
    sender = Sender("hoboken.nj", random.Random(1))
    messages = [sender.change() for _ in range(20)]
    fleet = in_order(town, {sender.name: messages[:10]})
    before = fleet.states()
    with pytest.raises(ResyncRequired, match="11"):
        fleet.apply(messages[11][1], source=sender.name, source_seq=messages[11][0])
    assert fleet.states() == before
    seq, states = sender.snapshot()
    fleet.replace(states, source=sender.name, source_seq=seq)
    with pytest.raises(ResyncRequired):
        fleet.replace((), source=sender.name, source_seq=seq - 1)
    assert {state.unit.id: state for state in fleet.states()} == sender.held


@given(data=st.data())
def test_of_fixes_without_numbers_the_newest_of_each_unit_holds_in_any_order(town, data):
    """The feeds that carry no source_seq (NMEA, TAIP, MQTT): times alone decide, however batches are cut."""
    units = ["u1", "u2", "u3"]
    truth = [
        Fix(unit=unit, time=NOW + i, at=LonLat(WEST + 0.0001 * (i % 40), SOUTH))
        for i, unit in enumerate(data.draw(st.lists(st.sampled_from(units), min_size=1, max_size=60)))
    ]
    newest = {fix.unit: fix for fix in truth}
    lost = data.draw(st.sets(st.integers(0, len(truth) - 1)))
    arriving = [fix for i, fix in enumerate(truth) if i not in lost] + list(newest.values())
    arriving = data.draw(st.permutations(arriving + data.draw(st.lists(st.sampled_from(truth), max_size=20))))
    fleet = Fleet(town.snapper, ANYWHERE)
    fleet.register([Unit(id=unit, agency="hoboken.nj") for unit in units])
    while arriving:
        cut = data.draw(st.integers(1, len(arriving)))
        fleet.update(arriving[:cut])
        arriving = arriving[cut:]
    assert {state.unit.id: state.fix for state in fleet.states() if state.fix} == newest
