"""A journal in PostgreSQL, in a schema of its own: for a service whose state lies on a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

import psycopg
from psycopg import sql as ql

from geomatch.journal.faults import BadJournal, JournalDown
from geomatch.journal.records import Draft, Record, chained
from geomatch.journal.store import COLUMNS, missing, record_of, row_of

SCHEMA = "geomatch_journal"
ROWS_AT_A_TIME = 1_000
CONNECT_S = 10


class PostgresStore:
    """Commits are on the server's disk when they return; a server that was restarted is connected to again.

    A commit whose answer was lost is looked up before anything is written twice.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self._url = url
        self._appending = Lock()
        self._doubtful: list[Record] = []
        """Of the commit whose answer never came."""
        self._writer = self._connected()
        if create:
            self._migrate()
        else:
            self._look()

    def append(self, drafts: Sequence[Draft]) -> list[Record]:
        with self._appending:
            try:
                if self._writer.closed or self._writer.broken:
                    self._writer = self._connected()
                return self._append(drafts)
            except psycopg.errors.IntegrityError:
                self._roll_back()
                raise BadJournal("another process writes to this journal; end one of them") from None
            except psycopg.Error as fault:
                self._roll_back()
                raise JournalDown(f"PostgreSQL takes no records ({_words(fault)}): see to the server") from fault

    def _append(self, drafts: Sequence[Draft]) -> list[Record]:
        writer = self._writer
        doubtful, self._doubtful = self._doubtful, []
        # Nobody else may find the same end of the chain; who reads is not in the way.
        writer.execute("LOCK TABLE record IN EXCLUSIVE MODE")
        if doubtful and self._has(doubtful[0]):
            if [record.payload for record in doubtful] != [draft.payload for draft in drafts]:
                raise BadJournal("a commit that was taken for lost is in the journal; start again from it")
            writer.commit()
            return doubtful
        last = writer.execute(_LAST).fetchone()
        records = list(chained(drafts, None if last is None else record_of(last)))
        with writer.cursor() as cursor:
            cursor.executemany(_INSERT, [row_of(record) for record in records])
        self._doubtful = records
        writer.commit()
        self._doubtful = []
        return records

    def _has(self, record: Record) -> bool:
        return (
            self._writer.execute(
                "SELECT 1 FROM record WHERE hash = %s AND seq = %s", (record.hash, record.seq)
            ).fetchone()
            is not None
        )

    def last(self) -> Record | None:
        with self._connected() as reader:
            row = reader.execute(_LAST).fetchone()
            return None if row is None else record_of(row)

    def chain(self, *, after_seq: int = 0) -> Iterator[Record]:
        return self._read("WHERE seq > %s ORDER BY seq", after_seq)

    def history(self, *, after_event: int = -1, kinds: Sequence[str] = ()) -> Iterator[Record]:
        if kinds:
            return self._read("WHERE event > %s AND kind = ANY(%s) ORDER BY event, seq", after_event, list(kinds))
        return self._read("WHERE event > %s ORDER BY event, seq", after_event)

    def newest(self, kind: str) -> Iterator[Record]:
        return self._read("WHERE kind = %s ORDER BY seq DESC", kind)

    def purge(self, kinds: Sequence[str], *, through_seq: int) -> int:
        purged = 0
        with self._appending:
            try:
                for kind in kinds:
                    self._writer.execute(
                        "INSERT INTO retention (kind, through_seq) VALUES (%s, %s)", (kind, through_seq)
                    )
                    purged += self._writer.execute(
                        "UPDATE record SET payload = NULL WHERE kind = %s AND seq <= %s AND payload IS NOT NULL",
                        (kind, through_seq),
                    ).rowcount
                self._writer.commit()
            except psycopg.Error as fault:
                self._roll_back()
                raise JournalDown(f"nothing was purged ({_words(fault)})") from fault
        return purged

    def close(self) -> None:
        self._writer.close()

    def _read(self, where: str, *values: object) -> Iterator[Record]:
        with self._connected() as reader, reader.cursor(name="journal") as cursor:
            cursor.itersize = ROWS_AT_A_TIME
            cursor.execute(ql.SQL(f"SELECT {COLUMNS} FROM record {where}"), values)  # noqa: S608 - fixed texts
            for row in cursor:
                yield record_of(row)

    def _connected(self) -> psycopg.Connection[Any]:
        # Whatever the server's own setting is: a commit waits for its disk.
        options = f"-c search_path={SCHEMA} -c synchronous_commit=on"
        try:
            return psycopg.connect(self._url, options=options, connect_timeout=CONNECT_S)
        except psycopg.OperationalError as fault:
            raise JournalDown(f"PostgreSQL cannot be reached ({_words(fault)}): see to the server") from fault
        except psycopg.Error as fault:
            raise BadJournal(f"this is no PostgreSQL address ({_words(fault)})") from fault

    def _roll_back(self) -> None:
        with suppress(psycopg.Error):
            self._writer.rollback()

    def _migrate(self) -> None:
        with self._writer.transaction():
            self._writer.execute(ql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(ql.Identifier(SCHEMA)))
            self._writer.execute(
                "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, hash text NOT NULL)"
            )
            self._writer.execute("LOCK TABLE migration IN EXCLUSIVE MODE")
            applied = dict(self._writer.execute("SELECT number, hash FROM migration").fetchall())
            for number, _, statements, digest in missing("postgres", applied, where="this journal"):
                self._writer.execute(statements.encode())
                self._writer.execute("INSERT INTO migration VALUES (%s, %s)", (number, digest))
        self._writer.commit()

    def _look(self) -> None:
        try:
            applied = dict(self._writer.execute("SELECT number, hash FROM migration").fetchall())
        except psycopg.errors.UndefinedTable:
            raise BadJournal(
                "there is no journal in this database; name the one that `serve --journal` wrote"
            ) from None
        finally:
            self._writer.rollback()
        if missing("postgres", applied, where="this journal"):
            self._migrate()


def _words(fault: psycopg.Error) -> str:
    """One line, without the address: it may hold a password."""
    return (str(fault).splitlines() or [type(fault).__name__])[0][:200]


_LAST = f"SELECT {COLUMNS} FROM record ORDER BY seq DESC LIMIT 1"  # noqa: S608 - fixed
_INSERT = f"INSERT INTO record ({COLUMNS}) VALUES ({', '.join(['%s'] * len(COLUMNS.split(',')))})"  # noqa: S608 - fixed
