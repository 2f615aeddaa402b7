"""What is in a registry: selections, and the images that they choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from . import times
from ._tidewaiter import NativeListing


class Selection:
    """Which images of a registry are meant. Without arguments: all.

    Patterns: ``team/app`` is that name, ``team/*`` begins, ``*-dev`` ends, ``*web*`` contains, ``*`` is all;
    ``glob:team/{api,web}/**`` and ``regex:^v\\d+$`` say more. ``pushed`` is ``"today"``, ``"yesterday"``, ``"last-7-days"``, a number of
    days, a :class:`~datetime.timedelta` of whole days, or a pair (from, to) of which either may be None.
    ``undated`` says what a date filter does where the registry has no date of pushing: ``"built"`` (default), ``"include"``, ``"exclude"``.
    ``newest`` keeps that many images of each repository; ``cap`` stops after so many.
    """

    __slots__ = ("_shape",)

    #: The JSON object that every language has for it.
    _shape: dict[str, Any]

    def __init__(
        self,
        *,
        repositories: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        exclude_repositories: Sequence[str] | None = None,
        exclude_tags: Sequence[str] | None = None,
        pushed: str | int | timedelta | tuple[datetime | date | None, datetime | date | None] | None = None,
        zone: str | ZoneInfo | None = None,
        undated: str | None = None,
        newest: int | None = None,
        cap: int | None = None,
        aql: str | None = None,
        platforms: Sequence[str] | str | None = None,
    ) -> None:
        given = {
            "repositories": _names(repositories, "repositories"),
            "tags": _names(tags, "tags"),
            "exclude_repositories": _names(exclude_repositories, "exclude_repositories"),
            "exclude_tags": _names(exclude_tags, "exclude_tags"),
            "pushed": _pushed(pushed),
            "zone": zone.key if isinstance(zone, ZoneInfo) else zone,
            "undated": undated,
            "newest": newest,
            "cap": cap,
            "aql": aql,
            "platforms": platforms if platforms is None or isinstance(platforms, str) else list(platforms),
        }
        self._shape = {name: value for name, value in given.items() if value is not None}

    def __repr__(self) -> str:
        return f"Selection({', '.join(f'{name}={value!r}' for name, value in self._shape.items())})"


@dataclass(frozen=True)
class ImageDate:
    """The date of an image, with its source."""

    #: None exactly where the source is ``none``.
    time: datetime | None
    #: ``pushed``, ``first-pushed``, ``modified``, ``built``, ``none``, or in what
    #: ``explain`` tells ``unknown``: nobody asked, since another reason leaves the image out.
    source: str


@dataclass(frozen=True)
class Image:
    """An image as a registry lists it: one digest in one repository, an index as one."""

    repository: str
    digest: str
    #: Sorted.
    tags: list[str]
    media_type: str
    #: In bytes; None where it is not known.
    size: int | None
    date: ImageDate
    #: ``scan``, ``rematch`` or ``skip``.
    verdict: str
    #: Why, a fixed word such as ``new`` or ``date``.
    reason: str
    #: What :meth:`Scanner.scan` takes.
    reference: str
    #: What a date filter could not know: ``by-build-date``, ``no-date``; None where it knew all.
    note: str | None = None


def images(listing: NativeListing) -> Iterator[Image]:
    """The images of a listing as they come."""
    while (line := listing.next()) is not None:
        time = line["date"]["time"]
        when = None if time is None else times.read(time)
        yield Image(
            line["repository"],
            line["digest"],
            line["tags"],
            line["media_type"],
            line["size"],
            ImageDate(when, line["date"]["source"]),
            line["verdict"],
            line["reason"],
            line["reference"],
            line.get("note"),
        )


def repositories(listing: NativeListing) -> Iterator[str]:
    """The repositories of a listing as they come."""
    while (line := listing.next()) is not None:
        yield line["repository"]


def _names(patterns: Sequence[str] | None, name: str) -> list[str] | None:
    if isinstance(patterns, str):
        raise TypeError(f"{name}= is a list of patterns")
    return None if patterns is None else list(patterns)


def _pushed(pushed: Any) -> str | None:
    if pushed is None or isinstance(pushed, str):
        return pushed
    if isinstance(pushed, timedelta):
        if pushed % timedelta(days=1):
            raise ValueError("pushed= is a whole number of days")
        return str(pushed.days)
    if isinstance(pushed, int):
        return str(pushed)
    begin, end = (None if bound is None else _bound(bound) for bound in pushed)
    return f"{begin or ''}..{end or ''}"


def _bound(bound: datetime | date) -> str:
    if isinstance(bound, datetime) and bound.tzinfo is None:
        raise ValueError("pushed= takes times with a zone, or dates")
    return bound.isoformat()
