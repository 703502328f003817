"""What a new map changes in who may go: agreements that come, go, change their terms, or lose their agency."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from geomatch.aid.agreements import Agreement, Agreements, in_force
from geomatch.quantities import UnixTime


class AgreementChange(StrEnum):
    added = "added"
    removed = "removed"
    changed = "changed"
    """The same id and version with other terms."""
    lost_agency = "lost_agency"
    """The same terms, but an agency it names is no longer on the map."""
    replaced = "replaced"
    """The same terms, but another version of it begins or ceases to count."""


@dataclass(frozen=True, kw_only=True)
class TermChange:
    """One term, by its place in the file."""

    term: str
    """As limits.max_units_at_once; area:NAME for an area that the files draw."""
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class AgreementDiff:
    key: str
    """id@version"""
    what: AgreementChange
    title: str
    provider_agency: str
    receiver_agency: str
    in_force_before: bool
    in_force_after: bool
    compared_with: str | None = None
    """id@version that `terms` are compared with: itself, or for a new version the newest older one."""
    terms: tuple[TermChange, ...] = ()
    off_map: tuple[str, ...] = ()
    """Agencies it names that no area of the new map is of; a map without areas misses none."""


@dataclass(frozen=True, kw_only=True)
class _Side:
    """The agreements of one map."""

    agreements: Agreements
    agencies: Collection[str] | None
    live: frozenset[str]

    @classmethod
    def of(cls, agreements: Agreements | None, agencies: Collection[str] | None, at: UnixTime) -> _Side:
        held = agreements or Agreements()
        return cls(agreements=held, agencies=agencies, live=frozenset(one.key for one in in_force(held.all, at)))

    def find(self, agreement_id: str, version: int) -> Agreement | None:
        return next((one for one in self.agreements.all if (one.id, one.version) == (agreement_id, version)), None)

    def newest_below(self, agreement: Agreement) -> Agreement | None:
        older = [one for one in self.agreements.all if one.id == agreement.id and one.version < agreement.version]
        return max(older, key=lambda one: one.version, default=None)

    def off_map(self, agreement: Agreement) -> tuple[str, ...]:
        named = (agreement.provider_agency, agreement.receiver_agency)
        return () if self.agencies is None else tuple(agency for agency in named if agency not in self.agencies)


def agreements_diff(
    old: tuple[Agreements | None, Collection[str] | None],
    new: tuple[Agreements | None, Collection[str] | None],
    *,
    at: UnixTime,
) -> tuple[AgreementDiff, ...]:
    """By id and version. Each side is its agreements and the agencies on its map; None: it has no areas."""
    was, now = _Side.of(*old, at), _Side.of(*new, at)
    keys = {(one.id, one.version) for side in (was, now) for one in side.agreements.all}
    found = (_one(was, now, *key) for key in sorted(keys))
    return tuple(diff for diff in found if diff is not None)


def _one(was: _Side, now: _Side, agreement_id: str, version: int) -> AgreementDiff | None:
    before, after = was.find(agreement_id, version), now.find(agreement_id, version)
    said = after or before
    assert said is not None  # noqa: S101 - the key is of one of them
    compared = before or was.newest_below(said)
    terms = tuple(_term_changes(was, compared, now, after)) if compared and after else ()
    what = _what(was, now, said, before, after, terms)
    if what is None:
        return None
    return AgreementDiff(
        key=said.key, what=what, title=said.title, provider_agency=said.provider_agency,
        receiver_agency=said.receiver_agency, in_force_before=said.key in was.live, in_force_after=said.key in now.live,
        compared_with=compared.key if compared and terms else None, terms=terms, off_map=now.off_map(said),
    )  # fmt: skip


def _what(
    was: _Side,
    now: _Side,
    said: Agreement,
    before: Agreement | None,
    after: Agreement | None,
    terms: tuple[TermChange, ...],
) -> AgreementChange | None:
    if before is None:
        return AgreementChange.added
    if after is None:
        return AgreementChange.removed
    if terms:
        return AgreementChange.changed
    if set(now.off_map(said)).difference(was.off_map(said)):
        return AgreementChange.lost_agency
    return AgreementChange.replaced if (said.key in was.live) != (said.key in now.live) else None


def _term_changes(was: _Side, before: Agreement, now: _Side, after: Agreement) -> Iterator[TermChange]:
    one, other = _flat(before), _flat(after)
    for term in sorted(one.keys() | other.keys()):
        if term not in ("id", "version") and one.get(term) != other.get(term):
            yield TermChange(term=term, before=one.get(term), after=other.get(term))
    for name in sorted(_drawn(before) & _drawn(after)):
        drawn, redrawn = was.agreements.areas.get(name), now.agreements.areas.get(name)
        if drawn != redrawn:
            yield TermChange(term=f"area:{name}", before="as drawn in the old files", after="drawn otherwise")


def _drawn(agreement: Agreement) -> set[str]:
    within = () if agreement.authority_within is None else (agreement.authority_within,)
    return {name[5:] for name in (*agreement.geography.areas, *within) if name.startswith("area:")}


def _flat(agreement: Agreement) -> dict[str, Any]:
    """Every term by its dotted name, as plain JSON."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(agreement), default=str))
    flat: dict[str, Any] = {}

    def put(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, held in value.items():
                put(f"{prefix}.{name}" if prefix else name, held)
        else:
            flat[prefix] = value

    put("", plain)
    return flat
