"""All that an answer depends on, and all that was told, as values: what a journal notes and a restart begins from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from geomatch.aid.approvals import AskedView
from geomatch.aid.quotas import Lent, QuotaView
from geomatch.backup.assignments import OpenStop, StopsView
from geomatch.backup.calls_for_help import EmergencyMemory
from geomatch.fleet.memory import FleetMemory
from geomatch.fleet.view import FleetView
from geomatch.model.closures import Closure
from geomatch.quantities import UnixTime
from geomatch.region import Region
from geomatch.road.live import Moment


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All that a ranking depends on besides its question, at one moment; what is told later is not in it.

    Whatever else a ranking comes to depend on belongs in here: a journal notes which moment a ranking was made on, and
    makes it again from that.
    """

    region: Region
    view: FleetView
    quotas: QuotaView
    asked: AskedView = field(default_factory=dict)
    """What was asked of whom, and answered, by stop."""
    stops: StopsView | None = None
    """Whom open stops have. None: of no concern, as where the units came with the request."""
    roads: Moment | None = None
    """What is closed, and when. None: nothing."""
    event: int | None = None
    """The last that it knows, where a journal counts them."""

    def region_at(self, now: UnixTime) -> Region:
        """The region with the roads that are in force at an instant."""
        times = self.region.times if self.roads is None else self.roads.at(now)
        return self.region if times is self.region.times else replace(self.region, times=times)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """All that a matcher was told, as values: what is kept over a restart. Whatever else it comes to hold, belongs
    in here."""

    fleet: FleetMemory = field(default_factory=FleetMemory)
    lent: tuple[Lent, ...] = ()
    stops: tuple[OpenStop, ...] = ()
    stops_version: int = 0
    closures: tuple[Closure, ...] = ()
    closures_epoch: int = 0
    asked: AskedView = field(default_factory=dict)
    """Leave asked for, and the answers, by stop."""
    emergencies: EmergencyMemory = field(default_factory=EmergencyMemory)
    """Calls for help, but for those that an open stop has."""
