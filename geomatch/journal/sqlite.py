"""A journal in one SQLite file: nothing to install, readable while it is written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from geomatch.journal.faults import BadJournal, JournalDown
from geomatch.journal.records import Draft, Record, chained
from geomatch.journal.store import COLUMNS, missing, record_of, row_of

Connect: TypeAlias = Callable[[Path], sqlite3.Connection]
"""Makes a connection without transactions of its own; a test puts another file layer under it."""

PATIENCE_S = 5.0
"""For a reader that has to wait for a checkpoint, and for another writer."""


class SqliteStore:
    """WAL with a full sync: a commit is on the disk when it returns, and a torn one is gone when the file is opened."""

    def __init__(self, path: Path, *, create: bool = False, connect: Connect | None = None) -> None:
        self._path, self._connect = path, connect or _connection
        if not create and not path.is_file():
            raise BadJournal(f"{path}: there is no journal here; name the file that `serve --journal` wrote")
        self._appending = Lock()
        try:
            self._writer = self._connect(path)
            self._migrate()
        except sqlite3.DatabaseError as fault:
            raise BadJournal(f"{path} cannot be used as a journal ({fault}); name another file") from fault

    def append(self, drafts: Sequence[Draft]) -> list[Record]:
        with self._appending:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                records = list(chained(drafts, _last(self._writer)))
                self._writer.executemany(_INSERT, map(row_of, records))
                self._writer.execute("COMMIT")
            except sqlite3.Error as fault:
                with suppress(sqlite3.Error):
                    self._writer.execute("ROLLBACK")
                if isinstance(fault, sqlite3.IntegrityError):
                    raise BadJournal(
                        f"{self._path.name}: another process writes to this journal; end one of them"
                    ) from None
                raise JournalDown(
                    f"{self._path.name} takes no records ({fault}): free its disk or see to it"
                ) from fault
            return records

    def last(self) -> Record | None:
        with closing(self._connect(self._path)) as reader:
            return _last(reader)

    def chain(self, *, after_seq: int = 0) -> Iterator[Record]:
        return self._read("WHERE seq > ? ORDER BY seq", after_seq)

    def history(self, *, after_event: int = -1, kinds: Sequence[str] = ()) -> Iterator[Record]:
        among = f"AND kind IN ({','.join('?' * len(kinds))}) " if kinds else ""
        return self._read(f"WHERE event > ? {among}ORDER BY event, seq", after_event, *kinds)

    def newest(self, kind: str) -> Iterator[Record]:
        return self._read("WHERE kind = ? ORDER BY seq DESC", kind)

    def purge(self, kinds: Sequence[str], *, through_seq: int) -> int:
        purged = 0
        with self._appending:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                for kind in kinds:
                    self._writer.execute("INSERT INTO retention (kind, through_seq) VALUES (?, ?)", (kind, through_seq))
                    purged += self._writer.execute(
                        "UPDATE record SET payload = NULL WHERE kind = ? AND seq <= ? AND payload IS NOT NULL",
                        (kind, through_seq),
                    ).rowcount
                self._writer.execute("COMMIT")
            except sqlite3.Error as fault:
                self._writer.execute("ROLLBACK")
                raise JournalDown(f"{self._path.name}: nothing was purged ({fault})") from fault
            # Overwritten in the file by secure_delete, and no longer in the log beside it.
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return purged

    def close(self) -> None:
        self._writer.close()

    def _read(self, where: str, *values: object) -> Iterator[Record]:
        with closing(self._connect(self._path)) as reader:
            for row in reader.execute(f"SELECT {COLUMNS} FROM record {where}", values):  # noqa: S608 - fixed texts
                yield record_of(row)

    def _migrate(self) -> None:
        execute = self._writer.execute
        execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT")
        applied = dict(execute("SELECT number, hash FROM migration ORDER BY number"))
        for number, _, sql, digest in missing("sqlite", applied, where=str(self._path)):
            execute("BEGIN IMMEDIATE")
            for statement in statements(sql):
                execute(statement)
            execute("INSERT INTO migration VALUES (?, ?)", (number, digest))
            execute("COMMIT")
        # SQLite does not see to it that a new file's name is on the disk too.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def statements(sql: str) -> Iterator[str]:
    """Cut where SQLite says that one is complete."""
    waiting = ""
    for line in sql.splitlines(keepends=True):
        waiting += line
        if sqlite3.complete_statement(waiting):
            yield waiting
            waiting = ""


def prepare(execute: Callable[[str], object]) -> None:
    """What every connection to a journal has to say first."""
    execute(f"PRAGMA busy_timeout = {int(1000 * PATIENCE_S)}")
    execute("PRAGMA journal_mode = WAL")
    execute("PRAGMA synchronous = FULL")
    execute("PRAGMA secure_delete = ON")
    execute("PRAGMA trusted_schema = OFF")


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE_S)
    prepare(connection.execute)
    return connection


def _last(connection: sqlite3.Connection) -> Record | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM record ORDER BY seq DESC LIMIT 1").fetchone()  # noqa: S608 - fixed
    return None if row is None else record_of(row)


_INSERT = f"INSERT INTO record ({COLUMNS}) VALUES ({','.join('?' * len(COLUMNS.split(',')))})"  # noqa: S608 - fixed
