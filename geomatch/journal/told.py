"""What a matcher is told, one class a kind: it is written to the journal and can be told again from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import ClassVar

from geomatch.aid.ledger import Balance, Ledger
from geomatch.backup.eta import EtaPriors
from geomatch.errors import BadInput
from geomatch.fleet.delta import FleetDelta
from geomatch.fleet.limits import FleetLimits
from geomatch.journal.faults import BadJournal
from geomatch.journal.records import decoded
from geomatch.journal.telling import Regions, Told
from geomatch.journal.told_of_stops import (
    AlarmHeard,
    Assigned,
    AssignmentStepped,
    Code4Told,
    EmergencyDecided,
    EmergencyLocated,
    LeaveAnswered,
    LeaveAsked,
    OfficerHeard,
    PhaseTold,
    StopChanged,
    StopCleared,
    StopOpened,
)
from geomatch.matcher import Matcher
from geomatch.model import Fix, FixResult, Status, Unit, UnitState
from geomatch.model.closures import Closure, ClosureResult
from geomatch.quantities import UnixTime
from geomatch.region import Region


@dataclass(frozen=True, kw_only=True)
class Registered:
    kind: ClassVar[str] = "units"
    seen_at_once: ClassVar[bool] = True
    units: tuple[Unit, ...]

    def again(self, matcher: Matcher, _regions: Regions) -> None:
        matcher.register(self.units)


@dataclass(frozen=True, kw_only=True)
class Removed:
    kind: ClassVar[str] = "units_removed"
    seen_at_once: ClassVar[bool] = True
    unit_ids: tuple[str, ...]

    def again(self, matcher: Matcher, _regions: Regions) -> None:
        matcher.remove(self.unit_ids)


@dataclass(frozen=True, kw_only=True)
class Fixes:
    kind: ClassVar[str] = "fixes"
    seen_at_once: ClassVar[bool] = True
    fixes: tuple[Fix, ...]
    now: UnixTime | None

    def again(self, matcher: Matcher, _regions: Regions) -> list[FixResult]:
        return matcher.update(self.fixes, self.now)


@dataclass(frozen=True, kw_only=True)
class StatusSaid:
    kind: ClassVar[str] = "status"
    seen_at_once: ClassVar[bool] = True
    unit: str
    status: Status

    def again(self, matcher: Matcher, _regions: Regions) -> Status:
        said = self.status
        return matcher.set_status(self.unit, availability=said.availability, activity=said.activity, at=said.at)


@dataclass(frozen=True, kw_only=True)
class FleetReplaced:
    kind: ClassVar[str] = "fleet"
    seen_at_once: ClassVar[bool] = True
    states: tuple[UnitState, ...]
    source: str
    source_seq: int
    now: UnixTime | None

    def again(self, matcher: Matcher, _regions: Regions) -> list[FixResult]:
        return matcher.replace_fleet(self.states, source=self.source, source_seq=self.source_seq, now=self.now)


@dataclass(frozen=True, kw_only=True)
class FleetChanged:
    kind: ClassVar[str] = "fleet_change"
    seen_at_once: ClassVar[bool] = True
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
    seen_at_once: ClassVar[bool] = True
    name: str
    hash: str
    agreements: Mapping[str, str]

    def again(self, matcher: Matcher, regions: Regions) -> list[ClosureResult]:
        return matcher.activate(regions(self.hash))


@dataclass(frozen=True, kw_only=True)
class RoadsClosed:
    kind: ClassVar[str] = "closures"
    seen_at_once: ClassVar[bool] = True
    closures: tuple[Closure, ...]
    now: UnixTime | None
    source: str | None

    def again(self, matcher: Matcher, _regions: Regions) -> list[ClosureResult]:
        return matcher.close_roads(self.closures, now=self.now, source=self.source)


@dataclass(frozen=True, kw_only=True)
class RoadsReopened:
    kind: ClassVar[str] = "closures_reopened"
    seen_at_once: ClassVar[bool] = True
    ids: tuple[str, ...]

    def again(self, matcher: Matcher, _regions: Regions) -> None:
        matcher.reopen_roads(self.ids)


@dataclass(frozen=True, kw_only=True)
class TiesBy:
    """The ledger by which equal ETAs are ordered."""

    balances: tuple[Balance, ...]
    since: UnixTime
    until: UnixTime

    @classmethod
    def of(cls, ledger: Ledger | None) -> TiesBy | None:
        if ledger is None:
            return None
        return cls(balances=ledger.balances(), since=ledger.since, until=ledger.until)

    @property
    def ledger(self) -> Ledger:
        return Ledger.of_balances(self.balances, since=self.since, until=self.until)


@dataclass(frozen=True, kw_only=True)
class Began:
    """A process took the journal up: on which map and papers, by which numbers. What it knew is noted beside it."""

    kind: ClassVar[str] = "began"
    seen_at_once: ClassVar[bool] = True
    release: str
    name: str
    hash: str
    agreements: Mapping[str, str]
    limits: FleetLimits
    priors: EtaPriors
    ties_by: TiesBy | None = None

    def again(self, _matcher: Matcher, _regions: Regions) -> None:
        """Nothing that a matcher is told: it is how one is made."""


KINDS: Mapping[str, type[Told]] = MappingProxyType({
    kind.kind: kind
    for kind in (
        Registered, Removed, Fixes, StatusSaid, FleetReplaced, FleetChanged, Activated, Began, StopOpened, PhaseTold,
        OfficerHeard, StopChanged, Code4Told, StopCleared, Assigned, AssignmentStepped, LeaveAsked, LeaveAnswered,
        RoadsClosed, RoadsReopened, AlarmHeard, EmergencyLocated, EmergencyDecided,
    )
})  # fmt: skip


def told_of(kind: str, payload: bytes) -> Told:
    """Raises BadJournal on a kind that this geomatch does not know."""
    if kind not in KINDS:
        raise BadJournal(f"the journal tells of {kind!r}, which this geomatch does not know: upgrade it")
    return decoded(KINDS[kind], payload)


def papers_of(region: Region) -> dict[str, str]:
    """id@version -> status and the SHA-256 of all the agreement says."""
    agreements = () if region.agreements is None else region.agreements.all
    said = {one.key: json.dumps(asdict(one), sort_keys=True, default=str) for one in agreements}
    return {one.key: f"{one.status} {hashlib.sha256(said[one.key].encode()).hexdigest()}" for one in agreements}


def known_regions(*regions: Region) -> Regions:
    """Those at hand, by their hashes."""
    by_hash = {region.hash: region for region in regions}

    def region_of(content_hash: str) -> Region:
        if content_hash not in by_hash:
            raise BadInput(f"the journal was written on region {content_hash[:12]}, which is not at hand: name it too")
        return by_hash[content_hash]

    return region_of
