"""A journal is written once: on both stores a line follows the last one, and none is ever changed or deleted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres_server import postgres  # noqa: F401 - a fixture

from geomatch.journal.faults import BadJournal, JournalDown
from geomatch.journal.records import Draft, Record, canonical, chained
from geomatch.journal.sqlite import SqliteStore
from geomatch.journal.store import Store, open_store, record_of, row_of

DAY = 86_400.0
NOW = 20_000 * DAY


def draft(event: int, kind: str = "fixes", *, at: float = NOW, told: bool = True, size: int = 1) -> Draft:
    return Draft(kind=kind, at=at, event=event, told=told, payload=canonical({"event": event, "filler": "x" * size}))


@pytest.fixture(params=["sqlite", "postgres"])
def journal(request, tmp_path) -> str:
    """Where a new journal may be made."""
    if request.param == "sqlite":
        return str(tmp_path / "events.journal")
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def store(journal) -> Iterator[Store]:
    opened = open_store(journal, create=True)
    yield opened
    opened.close()


@pytest.fixture
def by_hand(journal) -> Iterator[Callable[[str], object]]:
    """Runs SQL on the journal as somebody would who has its password or its file."""
    if journal.startswith("postgresql:"):
        with psycopg.connect(journal, options="-c search_path=geomatch_journal", autocommit=True) as connection:
            yield connection.execute
    else:
        connection = sqlite3.connect(journal, isolation_level=None)
        yield connection.execute
        connection.close()


SAME = "version, kind, at, event + 9, told, payload, packed, payload_hash"
Refused = (sqlite3.IntegrityError, psycopg.Error)


def test_what_was_appended_is_read_in_order_and_by_another_process(store, journal):
    written = store.append([draft(0), draft(1, size=2_000)]) + store.append([draft(1, "ranking", told=False)])
    other = open_store(journal)
    assert list(other.chain()) == written == list(store.chain())
    assert other.last() == written[-1]
    assert list(other.chain(after_seq=1)) == written[1:]
    other.close()


def test_history_puts_each_event_before_what_was_made_with_it(store):
    store.append([draft(0), draft(1), draft(2), draft(1, "ranking", told=False), draft(2, "ranking", told=False)])
    store.append([draft(0, "ranking", told=False), draft(3)])
    read = [(record.event, record.kind) for record in store.history()]
    assert read == [
        (0, "fixes"),
        (0, "ranking"),
        (1, "fixes"),
        (1, "ranking"),
        (2, "fixes"),
        (2, "ranking"),
        (3, "fixes"),
    ]
    assert [record.event for record in store.history(after_event=0, kinds=["ranking"])] == [1, 2]
    assert [record.seq for record in store.newest("ranking")] == [6, 5, 4]


def test_both_stores_write_the_same_chain(tmp_path, postgres):  # noqa: F811
    drafts = [draft(event, size=event * 100) for event in range(20)]
    one, other = SqliteStore(tmp_path / "j", create=True), open_store(postgres.database(), create=True)
    one.append(drafts)
    for single in drafts:
        other.append([single])
    assert list(one.chain()) == list(other.chain())


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM record",
        "DELETE FROM record WHERE seq = 3",
        "UPDATE record SET payload = NULL WHERE seq = 1",
        "UPDATE record SET kind = 'nothing' WHERE seq = 2",
        "UPDATE record SET at = at + 1",
        "UPDATE record SET hash = previous",
        "INSERT INTO retention (kind, through_seq) VALUES ('fixes', 3)",
        "INSERT INTO retention (kind, through_seq) VALUES ('seal', 1)",
        "DELETE FROM retention",
        "UPDATE retention SET through_seq = 3",
        f"INSERT INTO record SELECT seq + 2, {SAME}, hash, hash FROM record WHERE seq = 4",
        f"INSERT INTO record SELECT seq + 1, {SAME}, previous, hash FROM record WHERE seq = 4",
    ],
)
def test_sql_by_hand_changes_nothing(store, by_hand, change):
    before = store.append([draft(0), draft(1), draft(1, "seal", told=False), draft(2)])
    # One that retention allows, so that there is something to delete and change.
    by_hand("INSERT INTO retention (kind, through_seq) VALUES ('status', 1)")
    with pytest.raises(Refused):
        by_hand(change)
    assert list(store.chain()) == before


def test_only_what_a_seal_covers_loses_its_payload_and_every_hash_stays(store):
    before = store.append(
        [draft(0), draft(1, "status"), draft(1, "seal", told=False), draft(2), draft(2, "seal", told=False)]
    )
    assert store.purge(["fixes"], through_seq=2) == 1
    after = list(store.chain())
    assert [record.payload is None for record in after] == [True, False, False, False, False]
    assert [record.hash for record in after] == [record.hash for record in before]
    assert all(record.hash == record.expected_hash for record in after)
    with pytest.raises(JournalDown):
        store.purge(["fixes"], through_seq=5)
    assert store.purge(["fixes"], through_seq=2) == 0


def test_a_second_process_that_tells_its_own_events_is_refused(store, journal):
    store.append([draft(0)])
    other = open_store(journal)
    other.append([draft(1)])
    with pytest.raises(BadJournal, match="another process"):
        store.append([draft(1)])
    # What is not told of a matcher may come from anybody, as a seal by hand.
    assert [record.seq for record in store.append([draft(1, "seal", told=False)])] == [3]
    other.close()


def test_all_drafts_of_one_append_are_written_or_none(store):
    store.append([draft(0)])
    with pytest.raises(BadJournal):
        store.append([draft(1), draft(2), draft(2)])
    assert [record.event for record in store.chain()] == [0]
    assert [record.seq for record in store.append([draft(1)])] == [2]


def test_a_purged_payload_is_not_left_in_the_files(tmp_path):
    path = tmp_path / "j"
    store = SqliteStore(path, create=True)
    secret = b"-74.0312345"
    store.append([Draft(kind="fixes", at=NOW, event=0, told=True, payload=b'{"lon":' + secret + b"}")])
    store.append([draft(0, "seal", told=False)])
    assert any(secret in file.read_bytes() for file in tmp_path.iterdir())
    store.purge(["fixes"], through_seq=1)
    assert not any(secret in file.read_bytes() for file in tmp_path.iterdir())


def test_no_journal_is_made_where_one_should_be_read(tmp_path, postgres):  # noqa: F811
    with pytest.raises(BadJournal, match="no journal here"):
        open_store(tmp_path / "missing")
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadJournal, match="no journal in this database"):
        open_store(postgres.database())


def test_a_file_that_is_no_journal_is_refused_untouched(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    with pytest.raises(BadJournal, match="cannot be used"):
        open_store(path, create=True)
    assert path.read_text().startswith("not a database")


@pytest.mark.usefixtures("store")
def test_a_journal_of_a_later_geomatch_is_refused(journal, by_hand):
    by_hand("INSERT INTO migration VALUES (9999, 'of the future')")
    with pytest.raises(BadJournal, match="later geomatch"):
        open_store(journal)


@pytest.mark.usefixtures("store")
def test_a_migration_that_was_changed_since_is_noticed(journal, by_hand):
    by_hand("UPDATE migration SET hash = 'another'")
    with pytest.raises(BadJournal, match="not the one it was made with"):
        open_store(journal)


def test_a_server_that_cannot_be_reached_is_down_and_its_password_is_not_told(tmp_path):
    with pytest.raises(JournalDown) as fault:
        open_store(f"postgresql://journal:s3cret@/none?host={tmp_path}")
    assert "s3cret" not in str(fault.value)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain_values)
def test_canonical_json_reads_back_to_the_same_bytes(value):
    try:
        raw = canonical(value)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    assert canonical(json.loads(raw)) == raw
    assert b"\n" not in raw


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(ValueError, match="Out of range"):
        canonical({"speed_mps": value})


@given(st.lists(st.binary(max_size=1500).map(lambda b: canonical(b.hex())), min_size=1, max_size=5), st.data())
def test_any_change_of_any_line_breaks_the_chain(payloads, data):
    drafts = [Draft(kind="fixes", at=NOW, event=n, told=True, payload=payload) for n, payload in enumerate(payloads)]
    records = list(chained(drafts, None))
    assert all(record.hash == record.expected_hash for record in records)
    assert [record_of(row_of(record)) for record in records] == records
    field, value = data.draw(
        st.sampled_from([("at", NOW + 1), ("event", 99), ("kind", "x"), ("seq", 77), ("told", False)])
    )
    one = data.draw(st.sampled_from(records))
    fields = {name: getattr(one, name) for name in Record.__slots__} | {field: value}
    assert Record(**fields).expected_hash != one.hash
