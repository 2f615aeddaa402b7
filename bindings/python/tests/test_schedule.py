"""Schedules, as the examples of the documentation have them."""

from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

import tidewaiter as tw

UTC = timezone.utc


def test_every_night_in_berlin():
    nightly = tw.Schedule.daily(at=time(2, 30), zone=ZoneInfo("Europe/Berlin"))
    runs = nightly.next(after=datetime(2026, 3, 27, 12, tzinfo=UTC), count=3)
    # The night of the 29th has no 02:30.
    assert runs == [
        datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]
    assert repr(nightly) == "Schedule(every=1, at='02:30', zone='Europe/Berlin')"
    assert nightly == tw.Schedule.daily("02:30", zone="Europe/Berlin")


def test_weeks_and_days():
    anchor = datetime(2026, 11, 24, 17, tzinfo=UTC)
    assert tw.Schedule.weekly(4, anchor=anchor).next(anchor) == [datetime(2026, 11, 27, 17, tzinfo=UTC)]
    assert tw.Schedule.weekly("friday") == tw.Schedule.weekly(4)
    first, second = tw.Schedule.every(30, anchor=anchor).next(anchor, count=2)
    assert second - first == timedelta(days=30) == first - anchor
    assert tw.Schedule.on_demand().next() == []
    (now,) = tw.Schedule.daily().next()
    assert timedelta(hours=23) < now - datetime.now(UTC) <= timedelta(days=1)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: tw.Schedule.every(0), "every"),
        (lambda: tw.Schedule.every(366), "every"),
        (lambda: tw.Schedule.daily(at="24:00"), "at"),
        (lambda: tw.Schedule.daily(at=time(2, 30, 1)), "at"),
        (lambda: tw.Schedule.daily(at=time(2, 30, tzinfo=UTC)), "at"),
        (lambda: tw.Schedule.weekly("someday"), "weekday"),
        (lambda: tw.Schedule.weekly(7), "weekday"),
        (lambda: tw.Schedule.daily(zone="Mars/Olympus"), "zone"),
        (lambda: tw.Schedule.every(7, anchor=datetime(2026, 11, 24)), "anchor"),
        (lambda: tw.Schedule({"every": 7, "at": "02:30"}), "at"),
        (lambda: tw.Schedule.daily().next(datetime(2026, 11, 24)), "after"),
        (lambda: tw.Schedule.daily().next(count=0), "count"),
    ],
)
def test_what_contradicts_itself_names_the_field(make, field):
    with pytest.raises(tw.InvalidInput, match=f"field: {field}"):
        make()
