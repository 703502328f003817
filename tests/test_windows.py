"""When an agreement holds: by the wall clock, over both clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomatch.aid.windows import Day, Window
from geomatch.errors import BadInput

CHICAGO = "America/Chicago"
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)
ZONES = (CHICAGO, "Europe/Malta", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
wall_times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


def minutes_open(window: Window, day: date) -> int:
    """Counted minute by minute from noon before the day to noon of the day."""
    noon = datetime.combine(day - timedelta(days=1), time(12), ZoneInfo(window.zone)).timestamp()
    end = datetime.combine(day, time(12), ZoneInfo(window.zone)).timestamp()
    return sum(window.open_at(noon + 60 * m) for m in range(int((end - noon) // 60)))


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 7), (date(2026, 3, 9), 8), (AUTUMN, 9)])
def test_a_night_shift_is_an_hour_shorter_in_spring_and_longer_in_autumn(day, hours):
    assert minutes_open(Window(zone=CHICAGO, opens=time(22), closes=time(6)), day) == hours * 60


@pytest.mark.parametrize(("day", "minutes"), [(SPRING, 0), (date(2026, 3, 9), 30), (AUTUMN, 30)])
def test_a_window_in_the_hour_that_is_left_out_does_not_open(day, minutes):
    assert minutes_open(Window(zone=CHICAGO, opens=time(2, 15), closes=time(2, 45)), day) == minutes


@pytest.mark.parametrize(("day", "minutes"), [(SPRING, 60), (AUTUMN, 120)])
def test_a_window_in_the_hour_that_comes_twice_opens_twice(day, minutes):
    assert minutes_open(Window(zone=CHICAGO, opens=time(1), closes=time(2)), day) == minutes


@given(zone=st.sampled_from(ZONES), opens=wall_times, closes=wall_times, now=st.integers(0, 4_000_000_000))
def test_a_daily_window_and_its_opposite_share_every_minute_between_them(zone, opens, closes, now):
    window, opposite = (Window(zone=zone, opens=a, closes=b) for a, b in ((opens, closes), (closes, opens)))
    if opens == closes:
        assert window.open_at(now)
    else:
        assert window.open_at(now) != opposite.open_at(now)


@given(zone=st.sampled_from(ZONES), opens=wall_times, closes=wall_times, now=st.integers(0, 4_000_000_000))
def test_a_window_changes_only_on_whole_minutes(zone, opens, closes, now):
    window = Window(zone=zone, opens=opens, closes=closes, days=(Day.mon, Day.thu))
    assert window.open_at(now) == window.open_at(now // 60 * 60) == window.open_at(now // 60 * 60 + 59.9)


@given(
    days=st.sets(st.sampled_from(list(Day)), min_size=1), opens=wall_times, closes=wall_times, now=st.integers(0, 2**32)
)
def test_days_and_the_same_days_by_calendar_rule_agree(days, opens, closes, now):
    rule = f"FREQ=WEEKLY;BYDAY={','.join(day[:2].upper() for day in sorted(days))}"
    now = now % 400_000_000 + 1_700_000_000
    by_days = Window(zone=CHICAGO, opens=opens, closes=closes, days=tuple(days), first=date(2023, 1, 1))
    by_rule = Window(zone=CHICAGO, opens=opens, closes=closes, rrule=rule, first=date(2023, 1, 1))
    assert by_days.open_at(now) == by_rule.open_at(now)


@given(opens=wall_times, closes=wall_times, now=st.integers(0, 400_000_000).map(lambda s: s + 1_700_000_000))
def test_the_next_change_is_a_change(opens, closes, now):
    window = Window(zone=CHICAGO, opens=opens, closes=closes)
    change = window.next_change(now)
    if change is not None:
        assert change > now
        assert window.open_at(change) != window.open_at(now)
        assert window.open_at(change - 1) == window.open_at(now)


def test_first_and_last_bound_the_evening_on_which_it_opens():
    window = Window(zone=CHICAGO, opens=time(22), closes=time(6), first=date(2026, 3, 7), last=date(2026, 3, 7))
    at = [datetime(2026, 3, 8, 3, 59, tzinfo=UTC), datetime(2026, 3, 8, 4, tzinfo=UTC)]
    assert [window.open_at(moment.timestamp()) for moment in at] == [False, True]
    at = [datetime(2026, 3, 8, 10, 59, tzinfo=UTC), datetime(2026, 3, 8, 11, tzinfo=UTC)]
    assert [window.open_at(moment.timestamp()) for moment in at] == [True, False]
    assert not window.open_at(datetime(2026, 3, 9, 5, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"zone": "Chicago"}, "IANA"),
        ({"zone": "../etc/passwd"}, "IANA"),
        ({"zone": CHICAGO, "opens": time(22, 0, 30)}, "whole minutes"),
        ({"zone": CHICAGO, "opens": time(22, 0, tzinfo=UTC)}, "whole minutes"),
        ({"zone": CHICAGO, "rrule": "FREQ=DAILY"}, "first"),
        ({"zone": CHICAGO, "rrule": "FREQ=HOURLY", "first": SPRING}, "FREQ"),
        ({"zone": CHICAGO, "rrule": "FREQ=DAILY;BYHOUR=3", "first": SPRING}, "dates only"),
        ({"zone": CHICAGO, "rrule": "FREQ=DAILY;INTERVAL=0", "first": SPRING}, "INTERVAL"),
        ({"zone": CHICAGO, "rrule": "FREQ=WEEKLY;BYDAY=XX", "first": SPRING}, "cannot be read"),
        ({"zone": CHICAGO, "rrule": "FREQ=DAILY", "days": (Day.mon,), "first": SPRING}, "not both"),
    ],
)
def test_a_window_nobody_can_mean_is_refused(fields, fault):
    with pytest.raises(BadInput, match=fault):
        Window(**fields)
