"""Schedules: when a job runs."""

from __future__ import annotations

import json
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from . import times
from ._tidewaiter import schedule_next
from .errors import InvalidInput

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Schedule:
    """When a job runs. What contradicts itself raises ``InvalidInput``.

    >>> from datetime import time
    >>> Schedule.daily(at=time(2, 30), zone="Europe/Berlin")
    Schedule(every=1, at='02:30', zone='Europe/Berlin')
    """

    __slots__ = ("_shape",)

    #: The JSON object that every language has for it; None on demand.
    _shape: dict[str, Any] | None

    def __init__(self, shape: dict[str, Any] | None = None) -> None:
        schedule_next(json.dumps(shape), "{}")
        self._shape = shape

    @classmethod
    def on_demand(cls) -> Schedule:
        """Only when someone asks for it."""
        return cls(None)

    @classmethod
    def daily(
        cls, at: time | str | None = None, *, zone: ZoneInfo | str | None = None, anchor: datetime | None = None
    ) -> Schedule:
        """Every day ``at`` a time in ``zone`` (default: UTC); without ``at``, at the time of the anchor.

        On a day when the clocks jump over that time it runs right after the jump; when the time comes twice, at the first.
        """
        return cls._of(1, zone, anchor, at=at if at is None or isinstance(at, str) else _start(at))

    @classmethod
    def weekly(
        cls, weekday: str | int | None = None, *, zone: ZoneInfo | str | None = None, anchor: datetime | None = None
    ) -> Schedule:
        """Every week on a day: ``"monday"`` to ``"sunday"``, or 0 to 6 as ``datetime.weekday()`` counts them."""
        if isinstance(weekday, int):
            if not 0 <= weekday <= 6:
                raise InvalidInput(f"there is no such day of the week (field: weekday, weekday: {weekday})")
            weekday = _WEEKDAYS[weekday]
        return cls._of(7, zone, anchor, weekday=weekday)

    @classmethod
    def every(
        cls, days: int, *, zone: ZoneInfo | str | None = None, anchor: datetime | None = None
    ) -> Schedule:
        """Every so many days, 1 to 365, counted in ``zone`` from ``anchor`` (default: when the job is added)."""
        return cls._of(days, zone, anchor)

    @classmethod
    def _of(cls, every: int, zone: ZoneInfo | str | None, anchor: datetime | None, **more: str | None) -> Schedule:
        shape: dict[str, Any] = {"every": every, **more}
        shape["zone"] = zone if zone is None or isinstance(zone, str) else _name(zone)
        shape["anchor"] = None if anchor is None else times.write("anchor", anchor)
        return cls({name: value for name, value in shape.items() if value is not None})

    def next(self, after: datetime | None = None, count: int = 1) -> list[datetime]:
        """The next ``count`` runs after a time (default: now), in UTC; none on demand.

        Without an anchor they count from ``after``.
        """
        options: dict[str, Any] = {"count": count}
        if after is not None:
            options["after"] = times.write("after", after)
        runs = schedule_next(json.dumps(self._shape), json.dumps(options))
        return [times.read(run) for run in runs]

    def __eq__(self, other: object) -> bool:
        return self._shape == other._shape if isinstance(other, Schedule) else NotImplemented

    def __hash__(self) -> int:
        return hash(json.dumps(self._shape, sort_keys=True))

    def __repr__(self) -> str:
        if self._shape is None:
            return "Schedule.on_demand()"
        return f"Schedule({', '.join(f'{name}={value!r}' for name, value in self._shape.items())})"


def _start(at: time) -> str:
    if at.second or at.microsecond or at.tzinfo is not None:
        raise InvalidInput(f"a start time is an hour and a minute, and its zone is given apart (field: at, at: {at})")
    return at.strftime("%H:%M")


def _name(zone: ZoneInfo) -> str:
    if zone.key is None:
        raise InvalidInput("a time zone needs its name in the IANA database (field: zone)")
    return zone.key
