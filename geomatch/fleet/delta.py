"""What other systems say of their units: numbered snapshots and deltas, and who owns which unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from geomatch.errors import BadInput, ResyncRequired
from geomatch.model import STRICT, Fix, Status, Unit


@dataclass(frozen=True, kw_only=True)
class FleetDelta:
    """What changed since the snapshot or delta before it, in this order."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    units: tuple[Unit, ...] = ()
    """New or changed."""
    removed: tuple[str, ...] = ()
    statuses: Mapping[str, Status] = field(default_factory=dict)
    """By unit id."""
    fixes: tuple[Fix, ...] = ()


class Sources:
    """The last number taken from each source, and which units it brought. Changed only by the fleet's one writer."""

    def __init__(self, last_seq: Mapping[str, int] | None = None, owner: Mapping[str, str] | None = None) -> None:
        self._last_seq = dict(last_seq or {})
        self._owner = dict(owner or {})

    def last_seqs(self) -> dict[str, int]:
        return dict(self._last_seq)

    def owners(self) -> dict[str, str]:
        return dict(self._owner)

    def check_snapshot(self, source: str, seq: int) -> None:
        """Raises ResyncRequired when it is older than what was taken. The same number again is harmless."""
        _check_seq(seq)
        last = self._last_seq.get(source, 0)
        if seq < last:
            raise ResyncRequired(
                f"source {source}: snapshot {seq} is older than {last}, the last taken; send a newer one"
            )

    def is_repeated(self, source: str, seq: int) -> bool:
        """Was this delta taken before? Raises ResyncRequired at a gap."""
        _check_seq(seq)
        last = self._last_seq.get(source)
        if last is None:
            raise ResyncRequired(f"source {source}: no snapshot was taken yet; send one before deltas")
        if seq > last + 1:
            raise ResyncRequired(f"source {source}: delta {last + 1} is expected, not {seq}; send it, or a snapshot")
        return seq <= last

    def owner(self, unit_id: str) -> str | None:
        """None: it was registered or removed by no source."""
        return self._owner.get(unit_id)

    def check_owned(self, unit_ids: Iterable[str], source: str) -> None:
        """Raises BadInput when another source brought one of them."""
        for unit_id in unit_ids:
            owner = self._owner.get(unit_id)
            if owner is not None and owner != source:
                raise BadInput(f"unit {unit_id} belongs to source {owner}; remove it before {source} sends it")

    def took(self, source: str, seq: int, unit_ids: Iterable[str]) -> None:
        self._last_seq[source] = seq
        self._owner.update(dict.fromkeys(unit_ids, source))

    def forget(self, unit_ids: Iterable[str]) -> None:
        for unit_id in unit_ids:
            self._owner.pop(unit_id, None)


def _check_seq(seq: int) -> None:
    if seq < 0:
        raise BadInput("source_seq must be 0 or more")
