"""What was told and answered is in the journal: a start knows it again, and a replay answers the same."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import CHECKOUT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journaled import Clock, tell_shift
from postgres_server import postgres  # noqa: F401 - a fixture
from towns import NOW, at, fix, main_street, unit

from geomatch import Matcher, Region, Status, Stop, UnitState, build
from geomatch.backup.calls_for_help import Alarm
from geomatch.backup.emergencies import Emergencies
from geomatch.backup.stops import OpenStops
from geomatch.cli import main
from geomatch.errors import BadInput, GeomatchError, UnknownUnit
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.limits import FleetLimits
from geomatch.journal.faults import BadJournal, JournalDown
from geomatch.journal.log import Journal
from geomatch.journal.recorded_emergencies import RecordedEmergencies
from geomatch.journal.recorded_stops import RecordedStops
from geomatch.journal.recorder import Recorder
from geomatch.journal.records import Draft
from geomatch.journal.replay import known_at, on_other, replay
from geomatch.journal.restore import restore, restored
from geomatch.journal.sqlite import SqliteStore
from geomatch.journal.store import Store, open_store
from geomatch.journal.told import known_regions
from geomatch.journal.verify import Seal, purge, verify
from geomatch.model import Phase
from geomatch.model.closures import Closure

DAY = 86_400.0
LINES = 40_283 if int(os.environ.get("GEOMATCH_CASES", "700")) >= 10_000 else 6_000
"""Of the built-in shift: the first half hour every day, all of it in CI."""


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> Region:
    return main_street(tmp_path_factory.mktemp("street") / "street.region")


@pytest.fixture(scope="session")
def faster(tmp_path_factory) -> Region:
    """The same streets at twice the speed."""
    return main_street(tmp_path_factory.mktemp("faster") / "faster.region", kph=72.0)


@pytest.fixture(scope="session")
def metro(tmp_path_factory, own_data) -> Path:
    out = tmp_path_factory.mktemp("metro") / "metro.region"
    data = own_data / "metro"
    build(
        data / "metro.osm.pbf", out, jurisdictions=data / "jurisdictions.geojson",
        agreements=[data / "agreements.toml"],
    )  # fmt: skip
    return out


@pytest.fixture
def store(tmp_path) -> Iterator[Store]:
    opened = SqliteStore(tmp_path / "events.journal", create=True)
    yield opened
    opened.close()


def begun(store: Store, region: Region, clock: Clock | None = None, **options) -> Recorder:
    return Recorder(store, region, clock=clock or Clock(NOW), **options)


def stop(x: float = 500.0, **more) -> Stop:
    return Stop(id=more.pop("id", "s1"), at=at(x), **more)


# The built-in shift


def test_the_shift_is_replayed_to_the_byte_from_both_stores_and_by_another_process(
    metro,
    own_data,
    tmp_path,
    postgres,  # noqa: F811
):
    places = [str(tmp_path / "shift.journal"), postgres.database()]
    heads, found = [], []
    for place in places:
        # Opened anew: how far an answer was looked for, which is in the chain, hangs on the labels that are at hand.
        region = Region.open(metro)
        store, clock = open_store(place, create=True), Clock()
        recorder = begun(store, region, clock)
        recorder = tell_shift(
            recorder, clock, own_data, lines=LINES, restart_at=LINES // 2,
            restart=lambda store=store, clock=clock, region=region: begun(store, region, clock),
        )  # fmt: skip
        recorder.close()
        heads.append(verify(store).head)
        found.append(replay(store, known_regions(region)))
        store.close()
    assert found[0].rankings == found[0].same > 5
    assert not found[0].differences
    assert found[0].states >= 2, "one at the end of each process"
    assert found[0] == found[1]
    assert heads[0] == heads[1]
    command = [sys.executable, "-m", "geomatch.cli", "replay", str(metro), places[0], "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["answers_sha256"] == found[0].answers_sha256


# A start


def test_a_start_knows_units_statuses_open_stops_quotas_and_closures_again(metro, own_data, tmp_path):
    region, clock = Region.open(metro), Clock()
    store = SqliteStore(tmp_path / "j", create=True)
    recorder = begun(store, region, clock)
    tell_shift(recorder, clock, own_data, lines=4_000)
    opened = next(iter(recorder.stops.view().stops.values())).stop
    way = recorder.rank(opened, k=1, now=clock(), with_routes=True).candidates[0].route.geometry
    recorder.close_roads([Closure(id="c1", line=tuple(way[:2]))], now=clock())
    known = recorder.matcher.memory()
    # Not closed: whatever is acknowledged is there.
    again = restore(store, region)
    assert again.memory() == known
    assert known.stops
    assert known.closures
    assert again.rank(opened, now=clock.time).candidates == recorder.matcher.rank(opened, now=clock.time).candidates


class Clumsy:
    """Tells a matcher and a recorder the same things, some of them refused."""

    def __init__(self, *tellers) -> None:
        self.tellers = tellers

    def tell(self, name: str, *arguments, **named):
        said = []
        for teller in self.tellers:
            method = teller
            for part in name.split("."):
                method = getattr(method, part)
            try:
                said.append(method(*arguments, **named))
            except GeomatchError as fault:
                said.append((type(fault), str(fault)))
        assert all(one == said[0] for one in said)
        return said[0]


names = st.sampled_from(["u1", "u2", "u3", "nobody"])
metres = st.integers(-100, 2_100).map(float)
times = st.integers(0, 50).map(float)
steps = st.one_of(
    st.tuples(st.just("register"), names),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("fix"), names, metres, times, st.booleans()),
    st.tuples(st.just("status"), names, st.sampled_from(["available", "not_available"]), times),
    st.tuples(st.just("fleet"), st.lists(names, unique=True, max_size=3), st.integers(0, 4)),
    st.tuples(st.just("delta"), names, st.integers(0, 5)),
    st.tuples(st.just("open"), st.sampled_from(["s1", "s2"]), metres),
    st.tuples(st.just("assign"), st.sampled_from(["s1", "s2"]), names),
    st.tuples(st.just("phase"), st.sampled_from(["s1", "s2"]), st.sampled_from(["contact", "cleared", "initiated"])),
    st.tuples(st.just("code_4"), st.sampled_from(["s1", "s2"])),
    st.tuples(st.just("alarm"), names, st.integers(0, 2), st.booleans(), st.one_of(st.none(), metres)),
    st.tuples(st.just("locate"), st.integers(0, 2), st.one_of(st.none(), metres)),
    st.tuples(st.just("decide"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("on_scene"), st.sampled_from(["s1", "s2"]), names),
    st.tuples(st.just("close"), st.sampled_from(["c1", "c2"]), metres),
    st.tuples(st.just("reopen"), st.sampled_from(["c1", "c2"])),
)


def emergency(matcher: Matcher, number: int) -> str:
    """The id of one that is open, or of none."""
    return dict(enumerate(matcher.emergencies.view())).get(number, "none")


def take(step: tuple, both: Clumsy, matcher: Matcher) -> None:
    match step:
        case "register", name:
            both.tell("register", [unit(name)])
        case "remove", name:
            both.tell("remove", [name])
        case "fix", name, x, age_s, away:
            told = fix(name, x, 5_000.0 if away else 0.0, age_s=age_s)
            both.tell("update", [told], NOW)
        case "status", name, availability, age_s:
            both.tell("set_status", name, availability=availability, at=NOW - age_s)
        case "fleet", listed, seq:
            states = [UnitState(unit=unit(name), fix=fix(name, 300.0, age_s=10.0)) for name in listed]
            both.tell("replace_fleet", states, source="cad", source_seq=seq)
        case "delta", name, seq:
            delta = FleetDelta(units=(unit(name, officers=2),), fixes=(fix(name, 700.0),))
            both.tell("apply_delta", delta, source="cad", source_seq=seq, now=NOW)
        case "open", name, x:
            both.tell("open_stop", stop(x, id=name), at=NOW)
        case "assign", name, unit_id:
            both.tell("assign", name, unit_id, version=matcher.stops.view().version, at=NOW, by="desk 1")
        case "phase", name, phase:
            both.tell("stops.set_phase", name, Phase(phase), at=NOW + 1)
        case "code_4", name:
            both.tell("stops.code_4", name, at=NOW + 2)
        case "alarm", name, pressed, over, x:
            alarm = Alarm(
                unit=name, at=NOW + pressed, stopped_at=NOW + 3 if over else None, place=None if x is None else at(x)
            )
            both.tell("emergencies.hear", alarm, now=NOW + 3)
        case "locate", number, x:
            both.tell("emergencies.locate", emergency(matcher, number), now=NOW + 4, at=None if x is None else at(x))
        case "decide", number, stands:
            both.tell("emergencies.decide", emergency(matcher, number), stands=stands, at=NOW + 5, by="desk 1")
        case "on_scene", name, unit_id:
            both.tell("stops.change", name, at=NOW, units_on_scene=(unit_id,))
        case "close", name, x:
            both.tell("close_roads", [Closure(id=name, line=(at(x), at(x + 150.0)))], now=NOW)
        case "reopen", name:
            both.tell("reopen_roads", [name])


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(steps, max_size=25), st.integers(0, 24))
def test_whatever_is_told_a_start_knows_what_a_plain_matcher_does(street, tmp_path_factory, told, restart):
    """The oracle is a matcher that was told the same and never restarted."""
    store = SqliteStore(tmp_path_factory.mktemp("j") / "j", create=True)
    plain, recorder = Matcher(street), begun(store, street)
    for number, step in enumerate(told):
        if number == restart:
            recorder = begun(store, street)
        take(step, Clumsy(recorder, plain), plain)
        recorder.rank(stop(), now=NOW)
    memory = restored(store, street).memory
    assert memory == recorder.matcher.memory()
    assert memory.fleet == plain.memory().fleet
    assert memory.stops == plain.memory().stops
    assert memory.closures == plain.memory().closures
    assert memory.emergencies == plain.memory().emergencies
    recorder.close()
    assert restored(store, street).again == 0, "a state was noted at the end"
    found = replay(store, known_regions(street))
    assert found.same == found.rankings == len(told)
    assert not found.differences


def test_what_is_refused_leaves_no_line(store, street):
    recorder = begun(store, street)
    before = store.last()
    with pytest.raises(UnknownUnit):
        recorder.set_status("nobody", availability="available", at=NOW)
    with pytest.raises(UnknownUnit):
        recorder.remove(["nobody"])
    recorder.journal.flush()
    assert store.last() == before
    recorder.register([unit("u1")])
    assert store.last().event == before.event + 1


def test_a_state_now_and_then_keeps_the_start_short(store, street):
    recorder = begun(store, street, state_after_bytes=2_000)
    recorder.register([unit(f"u{n:04d}") for n in range(1_200)])
    for n in range(40):
        recorder.update([fix(f"u{n:04d}", 10.0 * n, age_s=40.0 - n)])
    recorder.journal.flush()
    found = restored(store, street)
    assert found.again < 15
    assert found.memory == recorder.matcher.memory()
    assert replay(store, known_regions(street)).states > 2


def test_a_start_on_another_map_keeps_what_is_known_and_a_replay_names_the_map_it_lacks(store, street, faster):
    recorder = begun(store, street)
    recorder.register([unit("u1")])
    recorder.update([fix("u1", 400.0)])
    first = recorder.rank(stop(), now=NOW)
    recorder.close()
    moved = begun(store, faster)
    second = moved.rank(stop(), now=NOW)
    moved.close()
    assert first.candidates[0].eta.travel_s > second.candidates[0].eta.travel_s
    with pytest.raises(BadInput, match=faster.hash[:12]):
        replay(store, known_regions(street))
    found = replay(store, known_regions(street, faster))
    assert found.same == found.rankings == 2


def test_limits_that_differ_from_one_start_to_the_next_hold_in_a_replay_too(store, street):
    answers = []
    for stale_s in (60.0, float("inf")):
        recorder = begun(store, street, limits=FleetLimits(stale_after_s=stale_s))
        recorder.register([unit("u1")])
        recorder.update([fix("u1", 400.0, age_s=100.0)])
        answers.append(len(recorder.rank(stop(), now=NOW).candidates))
        recorder.close()
    assert answers == [0, 1]
    assert replay(store, known_regions(street)).same == 2


def test_an_activated_map_holds_in_a_replay(store, street, faster):
    recorder = begun(store, street)
    recorder.register([unit("u1")])
    recorder.update([fix("u1", 400.0)])
    recorder.rank(stop(), now=NOW)
    recorder.activate(faster)
    recorder.rank(stop(), now=NOW)
    recorder.close()
    assert replay(store, known_regions(street, faster)).same == 2


# Rankings while others tell


def test_rankings_made_while_others_tell_are_replayed_from_the_event_they_knew(store, street, monkeypatch):
    recorder = begun(store, street)
    update = recorder.matcher.update

    def slow_update(*arguments):
        """Leaves time to see what is applied and has no line yet."""
        said = update(*arguments)
        time.sleep(0.005)
        return said

    monkeypatch.setattr(recorder.matcher, "update", slow_update)
    recorder.register([unit(f"u{n}") for n in range(8)])
    ended = threading.Event()

    def tell(which: int) -> None:
        for n in range(30):
            recorder.update(
                [fix(f"u{u}", (37.0 * n + 211 * u) % 2_000, age_s=60.0 - n) for u in range(8) if u % 2 == which]
            )
            if n % 10 == 5:
                with suppress(GeomatchError):
                    recorder.open_stop(stop(900.0, id=f"t{which}{n}"), at=NOW)
                    recorder.assign(f"t{which}{n}", f"u{which}", version=recorder.stops.view().version, at=NOW)
                recorder.close_roads(
                    [Closure(id=f"c{which}", line=(at(100.0 * n / 5), at(100.0 * n / 5 + 80)))], now=NOW
                )

    def ask() -> None:
        while not ended.is_set():
            recorder.rank(stop(1_000.0), k=3, now=NOW)
            ended.wait(0.002)

    tellers = [threading.Thread(target=tell, args=(which,)) for which in (0, 1)]
    askers = [threading.Thread(target=ask) for _ in range(2)]
    for thread in (*tellers, *askers):
        thread.start()
    for thread in tellers:
        thread.join()
    ended.set()
    for thread in askers:
        thread.join()
    recorder.close()
    found = replay(store, known_regions(street))
    assert not found.differences
    assert found.same + found.purged == found.rankings > 50
    assert len({record.event for record in store.history(kinds=["ranking"])}) > 20


# What was known, and what another map says


def test_what_was_known_at_a_time_is_what_a_matcher_knew_then(store, street):
    clock, plain = Clock(NOW), Matcher(street)
    recorder = begun(store, street, clock)
    memories = {}
    for n in range(12):
        clock.time = NOW + 10 * n
        both = Clumsy(recorder, plain)
        both.tell("register", [unit(f"u{n}")])
        both.tell("update", [fix(f"u{n}", 100.0 * n)])
        if n == 4:
            both.tell("open_stop", stop(), at=clock.time)
        recorder.rank(stop(), now=clock.time)
        memories[clock.time] = plain.memory()
        if n == 6:
            recorder.close()
            recorder = begun(store, street, clock)
    recorder.close()
    for then, memory in memories.items():
        known = known_at(store, known_regions(street), then + 5)
        assert known.memory == memory
        assert known.at == then
        assert set(known.answers) == ({"s1"} if then >= NOW + 40 else set())
    with pytest.raises(BadJournal, match="nothing is known"):
        known_at(store, known_regions(street), NOW - 1)


def test_another_map_answers_as_a_matcher_on_it_does(store, street, faster):
    recorder, plain = begun(store, street), Matcher(faster)
    both = Clumsy(recorder, plain)
    expected = []
    for n in range(6):
        both.tell("register", [unit(f"u{n}")])
        both.tell("update", [fix(f"u{n}", 300.0 * n, age_s=0.0)])
        recorder.rank(stop(250.0), now=NOW)
        expected.append(tuple(c.unit for c in plain.rank(stop(250.0), now=NOW).candidates))
    recorder.rank(Stop(id="s1", at=at(500.0), course_deg=90.0), now=NOW)
    recorder.close()
    found = list(on_other(store, lambda _: faster))
    assert [one.now for one in found[:-1]] == expected
    assert all(one.first_now_s < one.first_then_s for one in found)


# Differences


def test_an_answer_that_was_changed_is_named(store, street, tmp_path):
    recorder = begun(store, street)
    recorder.register([unit("u1")])
    recorder.update([fix("u1", 400.0)])
    recorder.rank(stop(), now=NOW)
    recorder.rank(stop(), now=NOW + 1)
    recorder.close()
    forged = SqliteStore(tmp_path / "forged", create=True)
    for record in store.chain():
        payload = record.payload
        if record.kind == "ranking" and b'"call_sign":"U1"' in payload:
            payload = payload.replace(b'"call_sign":"U1"', b'"call_sign":"U2"')
        forged.append([Draft(kind=record.kind, at=record.at, event=record.event, told=record.told, payload=payload)])
    found = replay(forged, known_regions(street))
    assert found.same == 0
    assert [one.fields for one in found.differences] == [("candidates",), ("candidates",)]
    assert found.differences[0].stop == "s1"


# Days: seals, purges, verification


def days(store: Store, region: Region, count: int) -> Clock:
    clock = Clock(NOW)
    recorder = begun(store, region, clock)
    recorder.register([unit("u1"), unit("u2")])
    for day in range(count):
        clock.time = NOW + day * DAY
        for hour in range(3):
            clock.time += 3_600.0
            recorder.update([fix("u1", 100.0 * hour + day, age_s=-(clock.time - NOW))])
            recorder.rank(stop(), now=clock.time)
            recorder.journal.flush()
    recorder.close()
    return clock


def test_every_day_that_ended_is_sealed_and_a_journal_written_anew_is_noticed(store, street, tmp_path):
    days(store, street, 4)
    found = verify(store)
    assert [seal.day for seal in found.seals] == ["2026-02-02", "2026-02-03", "2026-02-04"]
    assert verify(store, seals=found.seals) == found
    other = SqliteStore(tmp_path / "short", create=True)
    for record in store.chain():
        if record.seq <= found.seals[1].seq:
            draft = Draft(kind=record.kind, at=record.at, event=record.event, told=record.told, payload=record.payload)
            other.append([draft])
    assert verify(other).seals == found.seals[:2]
    with pytest.raises(BadJournal, match="cut short"):
        verify(other, seals=found.seals)
    forged = [Seal(day="", seq=found.seals[0].seq, hash="00" * 32)]
    with pytest.raises(BadJournal, match="written anew"):
        verify(store, seals=forged)


def test_a_clock_that_is_set_back_opens_no_sealed_day(store, street):
    clock = Clock(NOW)
    recorder = begun(store, street, clock)
    for then in (NOW, NOW + DAY, NOW - 10 * DAY, NOW + DAY + 1, NOW + 2 * DAY):
        clock.time = then
        recorder.register([unit("u1", officers=int(then % 7))])
    recorder.close()
    assert [seal.day for seal in verify(store).seals] == ["2026-02-02", "2026-02-03"]
    assert replay(store, known_regions(street)).events == 6


def test_a_purge_keeps_every_hash_what_a_start_needs_and_the_days_after(store, street):
    clock = days(store, street, 5)
    before, known = verify(store), restored(store, street).memory
    whole = replay(store, known_regions(street))
    done = purge(store, before=NOW + 3 * DAY, now=clock.time)
    assert done["purged"] > 5
    after = verify(store)
    assert after.purged == done["purged"]
    assert after.seals == before.seals
    assert restored(store, street).memory == known
    part = replay(store, known_regions(street))
    assert not part.differences
    assert part.same + part.purged == whole.same
    assert part.same >= 6, "the days that were kept"
    assert not any(r.payload for r in store.chain() if r.seq <= done["through_seq"] and r.kind in {"fixes", "ranking"})
    with pytest.raises(BadInput, match="always kept"):
        purge(store, before=NOW, now=clock.time, kinds=["seal"])
    with pytest.raises(BadJournal, match="nothing is known"):
        known_at(store, known_regions(street), NOW + DAY)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_byte_that_is_changed_behind_the_triggers_is_found(store, street, tmp_path, data):
    if store.last() is None:
        days(store, street, 2)
    records = list(store.chain())
    one = data.draw(st.sampled_from(records))
    column = data.draw(st.sampled_from(["payload", "payload_hash", "previous", "hash", "kind", "event", "at", "told"]))
    copy = tmp_path / "copy"
    copy.unlink(missing_ok=True)
    store._writer.execute("VACUUM INTO ?", (str(copy),))
    forged = SqliteStore(copy)
    for name in ("TRIGGER record_holds", "INDEX record_told_once"):
        forged._writer.execute(f"DROP {name}")
    change = {
        "payload": "zeroblob(9)",
        "kind": "kind || 'x'",
        "event": "event + 100",
        "at": "at + 1",
        "told": "1 - told",
    }
    forged._writer.execute(
        f"UPDATE record SET {column} = {change.get(column, 'zeroblob(32)')} WHERE seq = ?", (one.seq,)
    )
    if column == "previous" and one.seq == 1:
        return  # it was zero before
    with pytest.raises(BadJournal, match=f"record {one.seq}"):
        verify(forged)
    forged.close()


# The store goes away


class Failing:
    """A store that takes nothing while `down`."""

    def __init__(self, store: Store) -> None:
        self._store, self.down = store, False

    def append(self, drafts):
        if self.down:
            raise JournalDown("the disk is full: free it")
        return self._store.append(drafts)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_while_the_store_is_down_nothing_is_acknowledged_and_after_it_nothing_is_missing(store, street, monkeypatch):
    monkeypatch.setattr("geomatch.journal.log.RETRY_S", 0.01)
    failing = Failing(store)
    recorder = begun(failing, street)
    recorder.journal._tries_at_most = 3
    recorder.register([unit("u1"), unit("u2")])
    failing.down = True
    with pytest.raises(JournalDown, match="not acknowledged"):
        recorder.update([fix("u1", 100.0)])
    with pytest.raises(JournalDown, match="disk is full"):
        recorder.update([fix("u2", 200.0)])
    assert recorder.state("u2").fix is None, "it was refused before it was told"
    assert recorder.rank(stop(), now=NOW).candidates[0].unit == "u1", "rankings go on"
    failing.down = False
    with recorder.journal._changed:
        recorder.journal._changed.wait_for(lambda: recorder.journal.fault is None, timeout=10)
    recorder.update([fix("u2", 200.0)])
    recorder.close()
    found = replay(store, known_regions(street))
    assert found.same == found.rankings == 1
    assert restored(store, street).memory == recorder.matcher.memory()


def test_rankings_beyond_what_is_kept_waiting_are_counted(store, monkeypatch):
    monkeypatch.setattr("geomatch.journal.log.RETRY_S", 0.01)
    monkeypatch.setattr("geomatch.journal.log.NOTES_WAITING", 10)
    failing = Failing(store)
    failing.down = True
    journal = Journal(failing, clock=Clock(NOW))
    taken = [journal.note("ranking", -1, b"{}") is not None for _ in range(700)]
    failing.down = False
    journal.flush()
    journal.note("ranking", -1, b"{}")
    journal.close()
    gap = sum(json.loads(record.payload)["notes"] for record in store.newest("gap"))
    assert gap == taken.count(False) > 100


def test_after_the_end_nothing_is_told(store, street):
    recorder = begun(store, street)
    recorder.close()
    with pytest.raises(JournalDown, match="closed"):
        recorder.register([unit("u1")])
    assert not recorder.states()


# It stands in for a matcher


@pytest.mark.parametrize(
    ("own", "double", "through_the_recorder"),
    [
        (Matcher, Recorder, set()),
        (OpenStops, RecordedStops, {"open", "assign", "check", "move", "note_emergency"}),
        (Emergencies, RecordedEmergencies, {"memory"}),
    ],
)
def test_whatever_a_matcher_can_do_a_recorder_can_and_takes_the_same(own, double, through_the_recorder):
    """Who gives a matcher a new method has to say whether it tells something: then it needs a kind of line."""
    for name, method in vars(own).items():
        if name.startswith("_") or name in through_the_recorder:
            continue
        assert name in vars(double), f"{double.__name__} lacks {name}"
        if callable(method):
            assert inspect.signature(method) == inspect.signature(vars(double)[name]), name


# The command line


def test_the_commands_say_what_the_functions_do(store, street, tmp_path, capsys):
    folder = next(path for path in Path(tmp_path.parent).rglob("street.region"))
    clock = days(store, street, 3)
    place = str(tmp_path / "events.journal")
    assert main(["replay", str(folder), place]) == 0
    assert "9 rankings made again: 9 are the same" in capsys.readouterr().out
    assert main(["replay", str(folder), place, "--at", "2026-02-03T05:00:00Z"]) == 0
    assert "2 units, 2 of them available" in capsys.readouterr().out
    assert main(["replay", str(folder), place, "--with", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rankings": 9, "same": 9, "other_first": 0, "changed": []}
    assert main(["journal", "verify", place, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert main(["journal", "verify", place, "--seal", f"{said['seals'][0]['seq']}:{said['seals'][0]['hash']}"]) == 0
    assert main(["journal", "verify", place, "--seal", f"{said['seals'][0]['seq']}:{'0' * 64}"]) == 1
    assert main(["journal", "purge", place, "--before", "2026-02-04T06:00:00Z", "--json"]) == 0
    capsys.readouterr()
    assert main(["replay", str(folder), place]) == 0
    assert "were purged" in capsys.readouterr().out
    assert clock.time > NOW
    assert main(["replay", str(folder), str(tmp_path / "none")]) == 1
    assert main(["replay", str(folder), place, "--at", "yesterday"]) == 2


def test_tracks_are_the_fixes_that_were_told(store, street, tmp_path):
    from pyarrow import parquet

    from geomatch.journal.tracks import write_tracks

    recorder = begun(store, street)
    recorder.register([unit("u1"), unit("u2")])
    told = [fix("u1", 10.0 * n, age_s=50.0 - n, course=90.0 if n % 2 else None) for n in range(20)]
    recorder.update(told[:10])
    recorder.update(told[10:])
    states = [UnitState(unit=unit("u3"), fix=fix("u3", 5.0), status=Status(at=NOW))]
    recorder.replace_fleet(states, source="cad", source_seq=1)
    recorder.close()
    assert write_tracks(store, tmp_path / "t.parquet") == 21
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    told.append(states[0].fix)
    assert [(r["unit"], r["lon"], r["lat"], r["course_deg"], r["speed_mps"]) for r in rows] == [
        (f.unit, f.at.lon, f.at.lat, f.course_deg, f.speed_mps) for f in told
    ]
    assert [r["time"].timestamp() for r in rows] == [f.time for f in told]
    assert write_tracks(store, tmp_path / "none.parquet", since=NOW + 1) == 0
