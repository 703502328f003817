"""What a matcher is told, one class a kind: it is written to the journal and can be told again from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from geomatch.errors import BadInput
from geomatch.fleet.delta import FleetDelta
from geomatch.journal.faults import BadJournal
from geomatch.journal.records import decoded
from geomatch.matcher import Matcher
from geomatch.model import Fix, FixResult, Status, Unit, UnitState
from geomatch.quantities import UnixTime
from geomatch.region import Region

Regions: TypeAlias = Callable[[str], Region]
"""The region of a content hash; raises BadInput where there is none."""


class Told(Protocol):
    """`again` tells a matcher the same as was told when it was written, and gives what the matcher said."""

    kind: ClassVar[str]
    of_fleet: ClassVar[bool]
    """It changes units alone, so that whoever ranks need not wait for it."""

    def again(self, matcher: Matcher, regions: Regions) -> object: ...


@dataclass(frozen=True, kw_only=True)
class Registered:
    kind: ClassVar[str] = "units"
    of_fleet: ClassVar[bool] = True
    units: tuple[Unit, ...]

    def again(self, matcher: Matcher, _regions: Regions) -> None:
        matcher.register(self.units)


@dataclass(frozen=True, kw_only=True)
class Removed:
    kind: ClassVar[str] = "units_removed"
    of_fleet: ClassVar[bool] = True
    unit_ids: tuple[str, ...]

    def again(self, matcher: Matcher, _regions: Regions) -> None:
        matcher.remove(self.unit_ids)


@dataclass(frozen=True, kw_only=True)
class Fixes:
    kind: ClassVar[str] = "fixes"
    of_fleet: ClassVar[bool] = True
    fixes: tuple[Fix, ...]
    now: UnixTime | None

    def again(self, matcher: Matcher, _regions: Regions) -> list[FixResult]:
        return matcher.update(self.fixes, self.now)


@dataclass(frozen=True, kw_only=True)
class StatusSaid:
    kind: ClassVar[str] = "status"
    of_fleet: ClassVar[bool] = True
    unit: str
    status: Status

    def again(self, matcher: Matcher, _regions: Regions) -> Status:
        said = self.status
        return matcher.set_status(self.unit, availability=said.availability, activity=said.activity, at=said.at)


@dataclass(frozen=True, kw_only=True)
class FleetReplaced:
    kind: ClassVar[str] = "fleet"
    of_fleet: ClassVar[bool] = True
    states: tuple[UnitState, ...]
    source: str
    source_seq: int
    now: UnixTime | None

    def again(self, matcher: Matcher, _regions: Regions) -> list[FixResult]:
        return matcher.replace_fleet(self.states, source=self.source, source_seq=self.source_seq, now=self.now)


@dataclass(frozen=True, kw_only=True)
class FleetChanged:
    kind: ClassVar[str] = "fleet_change"
    of_fleet: ClassVar[bool] = True
    delta: FleetDelta
    source: str
    source_seq: int
    now: UnixTime | None

    def again(self, matcher: Matcher, _regions: Regions) -> list[FixResult]:
        return matcher.apply_delta(self.delta, source=self.source, source_seq=self.source_seq, now=self.now)


@dataclass(frozen=True, kw_only=True)
class Activated:
    """Another map, by its hash: the map itself is not in the journal."""

    kind: ClassVar[str] = "region"
    of_fleet: ClassVar[bool] = False
    name: str
    hash: str

    def again(self, matcher: Matcher, regions: Regions) -> None:
        matcher.activate(regions(self.hash))


KINDS: Mapping[str, type[Told]] = {
    kind.kind: kind for kind in (Registered, Removed, Fixes, StatusSaid, FleetReplaced, FleetChanged, Activated)
}


def told_of(kind: str, payload: bytes) -> Told:
    """Raises BadJournal on a kind that this geomatch does not know."""
    if kind not in KINDS:
        raise BadJournal(f"the journal tells of {kind!r}, which this geomatch does not know: upgrade it")
    return decoded(KINDS[kind], payload)


def known_regions(*regions: Region) -> Regions:
    """Those at hand, by their hashes."""
    by_hash = {region.hash: region for region in regions}

    def region_of(content_hash: str) -> Region:
        if content_hash not in by_hash:
            raise BadInput(f"the journal was written on region {content_hash[:12]}, which is not at hand: name it too")
        return by_hash[content_hash]

    return region_of
