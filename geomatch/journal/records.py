"""One line of the journal, its one encoding, and the chain that ties it to all lines before it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, TypeVar

from geomatch.model.adapters import adapter_of
from geomatch.quantities import UnixTime

FORMAT = 1
"""Of the payloads; a later geomatch reads earlier ones."""
ROOT = bytes(32)
"""What the first record follows."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be written; its place in the chain is found when it is."""

    kind: str
    at: UnixTime
    """By the clock of whoever wrote it, which may have been set back: `seq` tells the order, not this."""
    event: int
    """The number of this event, where something is told; else of the last event that was known."""
    told: bool
    """Something a matcher was told, which a later answer may rest on. Each has a number of its own."""
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line. Its hash covers all but the payload, and the payload's hash: so a payload may be purged, no more."""

    seq: int
    """From 1, without a gap."""
    version: int
    kind: str
    at: UnixTime
    event: int
    told: bool
    payload: bytes | None
    """Canonical JSON; None: purged."""
    payload_hash: bytes
    previous: bytes
    hash: bytes

    @property
    def expected_hash(self) -> bytes:
        head = [self.version, self.seq, self.kind, self.at, self.event, self.told, self.payload_hash.hex()]
        return hashlib.sha256(self.previous + canonical(head)).digest()

    @property
    def is_whole(self) -> bool:
        """Is it what was written, as far as it tells by itself? Whether it is in its place, the chain tells."""
        kept = self.payload is None or hashlib.sha256(self.payload).digest() == self.payload_hash
        return kept and self.hash == self.expected_hash


def chained(drafts: Iterable[Draft], last: Record | None) -> Iterator[Record]:
    """The drafts as the lines that follow `last`."""
    seq, previous = (last.seq, last.hash) if last else (0, ROOT)
    for draft in drafts:
        seq += 1
        open_end = Record(
            seq=seq, version=FORMAT, kind=draft.kind, at=draft.at, event=draft.event, told=draft.told,
            payload=draft.payload, payload_hash=hashlib.sha256(draft.payload).digest(), previous=previous, hash=b"",
        )  # fmt: skip
        previous = open_end.expected_hash
        yield Record(
            seq=seq, version=FORMAT, kind=draft.kind, at=draft.at, event=draft.event, told=draft.told,
            payload=draft.payload, payload_hash=open_end.payload_hash, previous=open_end.previous, hash=previous,
        )  # fmt: skip


def canonical(value: object) -> bytes:
    """The one JSON of plain values: sorted keys, no spaces, UTF-8, numbers as short as they can be read back exactly.

    Raises ValueError on NaN and infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain_mapping
    ).encode()


def _plain_mapping(value: object) -> dict[str, object]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a journal holds no {type(value).__name__}")


def plain(kind: type[T], value: T, *, leave_out: AbstractSet[str] = frozenset()) -> Any:
    """A value of the model as dicts, lists and numbers. Not its form on the wire: that cuts times to milliseconds."""
    return adapter_of(kind).dump_python(value, exclude=set(leave_out) or None, warnings=False)


def encoded(kind: type[T], value: T) -> bytes:
    said = plain(kind, value)
    try:
        return canonical(said)
    except ValueError:
        # A limit may be infinite; JSON has no such number, and what reads the word takes it for one.
        return canonical(_spelled(said))


def _spelled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _spelled(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner) for inner in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def decoded(kind: type[T], payload: bytes) -> T:
    return made(kind, json.loads(payload))


def made(kind: type[T], said: Any) -> T:
    """Of what `plain` gave, or its JSON."""
    return adapter_of(kind).validate_python(said)


def day_of(time: UnixTime) -> int:
    """Days since 1970, in UTC."""
    return int(time // 86_400)
