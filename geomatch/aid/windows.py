"""When an agreement holds, by the clock on the station's wall.

A window is open whenever that clock shows a time in it, so it needs no rule of its own for daylight saving: a window
from 02:15 to 02:45 does not open in the night that has no such time, and one from 01:00 to 02:00 is open for two hours
in the night that has it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from geomatch.errors import BadInput
from geomatch.model import STRICT
from geomatch.quantities import Seconds, UnixTime

if TYPE_CHECKING:
    from dateutil.rrule import rrule, rruleset


class Day(StrEnum):
    """A day of the week, by the name an agreement gives it; the order is that of `date.weekday`."""

    mon = "mon"
    tue = "tue"
    wed = "wed"
    thu = "thu"
    fri = "fri"
    sat = "sat"
    sun = "sun"


_DAYS = tuple(Day)
_MIDNIGHT = time(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Times of day on some dates. Closing at or before the opening means the next day: 00:00 to 00:00 is a day."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    zone: str
    """IANA time zone, as America/New_York."""
    opens: time = _MIDNIGHT
    closes: time = _MIDNIGHT
    """The first minute that is no longer in the window."""
    days: tuple[Day, ...] = ()
    """Days on which it opens; empty: every day."""
    rrule: str | None = None
    """Dates on which it opens, by an RFC 5545 rule, as FREQ=MONTHLY;BYDAY=1SA. Not together with days."""
    first: date | None = None
    """The rule's first date (DTSTART), and the first on which the window may open."""
    last: date | None = None
    """The last date on which the window may open."""

    def __post_init__(self) -> None:
        _zone(self.zone)
        for moment in (self.opens, self.closes):
            if moment.second or moment.microsecond or moment.tzinfo:
                raise BadInput("opens and closes must be whole minutes of the wall clock, as 22:00, without a zone")
        object.__setattr__(self, "days", tuple(Day(day) for day in self.days))
        if self.rrule is None:
            return
        if self.days:
            raise BadInput("a window has days or an rrule, not both: put the days into BYDAY")
        if self.first is None or self.first.year < 1970:  # a rule is walked date by date from its first
            raise BadInput("an rrule needs first, the date it counts from (1970 or later), as first = 2026-01-01")
        _dates(self.rrule, self.first)

    def open_at(self, now: UnixTime) -> bool:
        wall = datetime.fromtimestamp(now, _zone(self.zone)).replace(tzinfo=None)
        return self._open_on(wall)

    def next_change(self, now: UnixTime, *, within_s: Seconds = 8 * 86400.0) -> UnixTime | None:
        """The first whole minute after `now` at which it opens or closes; None when there is none within `within_s`.

        Steps of 15 minutes, then of one: windows and clock changes that last less than 15 minutes may be stepped over.
        Meant for sentences, not for deciding.
        """
        state = self.open_at(now)
        minute = now // 60 * 60
        for step in range(int(within_s // 900) + 1):
            if self.open_at(minute + step * 900) != state:
                back = minute + (step - 1) * 900
                return next((back + m * 60 for m in range(1, 16) if self.open_at(back + m * 60) != state), None)
        return None

    def _open_on(self, wall: datetime) -> bool:
        shown = wall.time()
        if self.opens < self.closes:
            return self.opens <= shown < self.closes and self._opens_on(wall.date())
        evening = shown >= self.opens and self._opens_on(wall.date())
        return evening or (shown < self.closes and self._opens_on(wall.date() - timedelta(days=1)))

    def _opens_on(self, day: date) -> bool:
        if (self.first is not None and day < self.first) or (self.last is not None and day > self.last):
            return False
        if self.rrule is not None and self.first is not None:
            midnight = datetime.combine(day, _MIDNIGHT)
            return bool(_dates(self.rrule, self.first).between(midnight, midnight, inc=True))
        return not self.days or _DAYS[day.weekday()] in self.days


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise BadInput(f"{name!r} is no IANA time zone; write one as America/New_York") from None


@lru_cache(maxsize=1024)
def _dates(rule: str, first: date) -> rrule | rruleset:
    from dateutil.rrule import rrulestr

    words = rule.upper()
    if not any(f"FREQ={often}" in words for often in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")):
        raise BadInput("an rrule gives dates: its FREQ must be DAILY, WEEKLY, MONTHLY or YEARLY")
    if "INTERVAL=0" in words:
        raise BadInput("an rrule's INTERVAL must be 1 or more")
    if "BYHOUR" in words or "BYMINUTE" in words or "BYSECOND" in words or "DTSTART" in words or "\n" in words:
        raise BadInput("an rrule gives dates only: put hours into opens and closes, and DTSTART into first")
    try:
        return rrulestr(rule, dtstart=datetime.combine(first, _MIDNIGHT), cache=True)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise BadInput(f"the rrule cannot be read ({fault}); write it as FREQ=MONTHLY;BYDAY=1SA") from None
