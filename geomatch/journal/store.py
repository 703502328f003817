"""Where a journal lies: SQLite in a file, or PostgreSQL. Both refuse to change or forget a line."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from geomatch.errors import BadInput
from geomatch.journal.faults import BadJournal
from geomatch.journal.records import Draft, Record

PACKED_FROM = 512
"""Bytes from which a payload is stored compressed: a batch of fixes shrinks to a fifth. Hashes are over the JSON."""
COLUMNS = "seq, version, kind, at, event, told, payload, packed, payload_hash, previous, hash"


class Store(Protocol):
    """One journal. One thread at a time appends; any number read meanwhile, also from other processes."""

    def append(self, drafts: Sequence[Draft]) -> list[Record]:
        """Writes all of them at the end of the chain, or none. On return they outlast a loss of power.

        Raises JournalDown when the store takes nothing now, BadJournal when another process writes its own events.
        """
        ...

    def last(self) -> Record | None: ...

    def chain(self, *, after_seq: int = 0) -> Iterator[Record]:
        """By seq."""
        ...

    def history(self, *, after_event: int = -1, kinds: Sequence[str] = ()) -> Iterator[Record]:
        """By (event, seq): each event, then whatever was made with it as the newest known. No kinds: all."""
        ...

    def newest(self, kind: str) -> Iterator[Record]:
        """Of one kind, last written first."""
        ...

    def purge(self, kinds: Sequence[str], *, through_seq: int) -> int:
        """Forgets the payloads of these kinds up to a line that a later seal covers; how many there were."""
        ...

    def close(self) -> None: ...


def open_store(journal: str | Path, *, create: bool = False) -> Store:
    """A file, or `postgresql://...`. Raises BadJournal where there is none, unless it may be made."""
    if isinstance(journal, str) and journal.startswith(("postgresql://", "postgres://")):
        try:
            from geomatch.journal.postgres import PostgresStore
        except ImportError:
            raise BadInput("PostgreSQL is reached by psycopg: pip install 'geomatch-dispatch[postgres]'") from None

        return PostgresStore(journal, create=create)
    from geomatch.journal.sqlite import SqliteStore

    return SqliteStore(Path(journal), create=create)


def row_of(record: Record) -> tuple[object, ...]:
    """In the order of COLUMNS."""
    assert record.payload is not None  # noqa: S101 - only what was purged has none, and that is never written
    packed = len(record.payload) >= PACKED_FROM
    return (
        record.seq, record.version, record.kind, record.at, record.event, record.told,
        zlib.compress(record.payload, 1) if packed else record.payload, packed, record.payload_hash, record.previous,
        record.hash,
    )  # fmt: skip


def record_of(row: Sequence[Any]) -> Record:
    seq, version, kind, at, event, told, stored, packed, payload_hash, previous, digest = row
    payload = None if stored is None else bytes(stored)
    if payload is not None and packed:
        try:
            payload = zlib.decompress(payload)
        except zlib.error:
            raise BadJournal(f"record {seq}: its payload is damaged; restore the journal from a copy") from None
    return Record(
        seq=seq, version=version, kind=kind, at=at, event=event, told=bool(told), payload=payload,
        payload_hash=bytes(payload_hash), previous=bytes(previous), hash=bytes(digest),
    )  # fmt: skip


def migrations(dialect: str) -> Mapping[int, tuple[str, str, str]]:
    """Number -> name, SQL, and the hash of that SQL. Files 0001_name.sql, ...; one that was applied never changes."""
    folder = files("geomatch.journal") / "migrations" / dialect
    found = {}
    for file in folder.iterdir():
        name = file.name.removesuffix(".sql")
        if name != file.name:
            sql = file.read_text(encoding="utf-8")
            found[int(name[:4])] = (name, sql, hashlib.sha256(sql.encode()).hexdigest())
    return dict(sorted(found.items()))


def missing(dialect: str, applied: Mapping[int, str], *, where: str) -> list[tuple[int, str, str, str]]:
    """Number, name, SQL and hash of what has to be applied still. Raises BadJournal where this geomatch is too old, or
    a migration is not the one that was applied."""
    known = migrations(dialect)
    for number, digest in applied.items():
        if number not in known:
            raise BadJournal(f"{where} was written by a later geomatch (migration {number}): upgrade this one")
        if known[number][2] != digest:
            raise BadJournal(f"{where}: migration {known[number][0]} is not the one it was made with")
    return [(number, *known[number]) for number in known if number not in applied]
