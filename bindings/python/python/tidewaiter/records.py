"""What a store answers: flat records, the same in every language. Times are in UTC."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from . import times
from .listing import Selection
from .registry import Registry
from .schedule import Schedule

if TYPE_CHECKING:
    from typing_extensions import Self


class Record:
    """A record made from an object of JSON."""

    #: The fields that are times, and those that are lists of records.
    _times: ClassVar[tuple[str, ...]] = ()
    _lists: ClassVar[dict[str, type[Record]]] = {}

    @classmethod
    def _of(cls, shape: dict[str, Any]) -> Self:
        values: dict[str, Any] = {field.name: shape.get(field.name) for field in fields(cls)}  # type: ignore[arg-type]
        for name in cls._times:
            values[name] = None if values[name] is None else times.read(values[name])
        for name, record in cls._lists.items():
            values[name] = [record._of(line) for line in values[name] or []]
        return cls(**values)


@dataclass(frozen=True)
class SavedRegistry(Record):
    """A registry under a name."""

    name: str
    #: As JSON, with references to secrets.
    definition: dict[str, Any]
    #: ``store``, or ``file``: the one that the scanner was opened with.
    source: str
    #: Whether none of its jobs is ever due.
    paused: bool
    #: None in a file.
    added: datetime | None

    _times = ("added",)

    @property
    def registry(self) -> Registry:
        """What the functions of a scanner take."""
        return Registry.named(self.name)


@dataclass(frozen=True)
class Holding(Record):
    """What a worker has in hand."""

    #: The worker; None in a list of workers.
    worker: str | None
    #: The run and its job; None where they are known from the context.
    run: int | None
    job: str | None
    #: The image; None while the run is planned.
    repository: str | None
    digest: str | None
    since: datetime | None

    _times = ("since",)


@dataclass(frozen=True)
class Worker(Record):
    """Who works on a store."""

    worker: str
    host: str
    process: int
    began: datetime
    seen: datetime
    #: Whether it was heard of within the last two minutes.
    alive: bool
    holds: list[Holding]

    _times = ("began", "seen")
    _lists = {"holds": Holding}


@dataclass(frozen=True)
class Failed(Record):
    """An image that could not be scanned."""

    repository: str
    digest: str
    error: str


@dataclass(frozen=True)
class Summary(Record):
    """What came of a run so far."""

    run: int
    job: str
    #: ``Queued``, ``Running``, ``Finished``, ``Canceled`` or ``Error``.
    state: str
    listed: int
    selected: int
    scanned: int
    rematched: int
    #: By reason.
    skipped: dict[str, int]
    failed: list[Failed]
    #: Those of which not everything could be looked at, or matched.
    incomplete: int
    #: Those for which there was no advisory database.
    unmatched: int
    #: Those that still wait.
    waiting: int
    bytes_fetched: int
    layers_fetched: int
    layers_from_store: int
    #: By rating.
    findings: dict[str, int]
    new_findings: int
    fixed_findings: int
    #: Why the registry could not be listed, or parts of it.
    error: str | None

    _lists = {"failed": Failed}


@dataclass(frozen=True)
class Run(Record):
    """A run of a job."""

    run: int
    job: str
    registry: str
    state: str
    scan_all: bool
    pull: bool
    #: Whether all images to look at are known.
    planned: bool
    queued: datetime
    began: datetime | None
    ended: datetime | None
    error: str | None

    _times = ("queued", "began", "ended")


@dataclass(frozen=True)
class JobStatus(Record):
    """A job as it is saved, and where it stands."""

    job: str
    #: That of its latest run; None where it never ran.
    state: str | None
    #: The number of its latest run.
    run: int | None
    #: When it runs next; None on demand, and while it or its registry is paused.
    next: datetime | None
    #: When its latest run began and ended; None while it waits, and goes on.
    began: datetime | None
    ended: datetime | None
    #: The name.
    registry: str
    selection: Selection
    schedule: Schedule
    scan_all: bool
    paused: bool
    #: Whether its registry is paused, and so all jobs on it.
    registry_paused: bool
    added: datetime
    error: str | None
    #: What came of the latest run; None in a list of jobs.
    summary: Summary | None
    #: Who works on it; empty in a list of jobs.
    holds: list[Holding]

    _times = ("began", "ended", "next", "added")
    _lists = {"holds": Holding}

    @classmethod
    def _of(cls, shape: dict[str, Any]) -> Self:
        selection = Selection()
        selection._shape = shape["selection"]
        summary = shape.get("summary")
        return super()._of(
            {
                **shape,
                "selection": selection,
                "schedule": Schedule(shape["schedule"]),
                "summary": None if summary is None else Summary._of(summary),
            }
        )


@dataclass(frozen=True)
class InventoryRow(Record):
    """An image that was scanned."""

    registry: str
    repository: str
    digest: str
    tags: list[str]
    #: The latest of its platforms.
    scanned_at: datetime
    #: Whether everything of it was looked at.
    complete: bool
    #: By rating.
    findings: dict[str, int]

    _times = ("scanned_at",)


@dataclass(frozen=True)
class RegistrySummary(Record):
    """What is known of a registry, in numbers."""

    registry: str
    repositories: int
    tags: int
    images: int
    scanned: int
    failed: int
    #: Images of which not everything could be looked at, or matched: findings may be missing.
    incomplete: int
    vulnerable: int
    vulnerable_by_severity: dict[str, int]
    #: Images that the registry has no more.
    gone: int
    last_run: datetime | None
    next_run: datetime | None

    _times = ("last_run", "next_run")


@dataclass(frozen=True)
class Changed(Record):
    """A finding that came or went."""

    id: str
    #: The package URL.
    package: str
    rating: str


@dataclass(frozen=True)
class Change(Record):
    """What one scan or match changed of an image. At the first scan all findings are new."""

    time: datetime
    #: None for a match outside of a run.
    run: int | None
    registry: str
    repository: str
    digest: str
    platform: str
    new: list[Changed]
    fixed: list[Changed]

    _times = ("time",)
    _lists = {"new": Changed, "fixed": Changed}


@dataclass(frozen=True)
class Rematched(Record):
    """What holding the stored packages against today's advisories brought."""

    images: int
    #: Images whose findings are others now.
    changed: int
    new: int
    fixed: int


@dataclass(frozen=True)
class StorePart(Record):
    """One part of a store."""

    part: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class StoreStatus(Record):
    """How big a store is, and what fills it."""

    #: ``sqlite``, ``memory`` or ``postgres``.
    kind: str
    #: The path, or the address without its password.
    place: str
    bytes: int
    #: What lies on the disk: of SQLite with the log beside the file.
    disk: int
    parts: list[StorePart]

    _lists = {"parts": StorePart}


@dataclass(frozen=True)
class Pruned(Record):
    """How many of each were removed from a store."""

    reports: int
    layers: int
    images: int
    runs: int
    changes: int


class _Parcel:
    """A value that travels between machines: as JSON, or pickled."""

    __slots__ = ("_shape",)

    def __init__(self, shape: dict[str, Any]) -> None:
        self._shape = shape

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The opposite of :meth:`to_json`."""
        return cls(json.loads(text))

    def to_json(self) -> str:
        """The one shape that every language has for it."""
        return json.dumps(self._shape)

    @property
    def run(self) -> int:
        """The number of the run."""
        return int(self._shape["run"])

    def __eq__(self, other: object) -> bool:
        return self._shape == other._shape if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.to_json())


class Item(_Parcel):
    """An image that a run is to look at: for :meth:`Scanner.execute`, on any machine. It holds no secret."""

    __slots__ = ()

    @property
    def job(self) -> str:
        """The name of the job."""
        return str(self._shape["job"])

    @property
    def registry(self) -> str:
        """The name of the registry."""
        return str(self._shape["registry"])

    @property
    def repository(self) -> str:
        return str(self._shape["image"]["repository"])

    @property
    def digest(self) -> str:
        return str(self._shape["image"]["digest"])

    @property
    def verdict(self) -> str:
        """``scan`` or ``rematch``."""
        return str(self._shape["verdict"])

    def __repr__(self) -> str:
        return f"Item(run={self.run}, {self.repository}@{self.digest}, {self.verdict})"


class Done(_Parcel):
    """What came of an item: for :meth:`Scanner.commit`."""

    __slots__ = ()

    @property
    def repository(self) -> str:
        return str(self._shape["repository"])

    @property
    def digest(self) -> str:
        return str(self._shape["digest"])

    @property
    def outcome(self) -> str:
        """``scanned``, ``rematch``, ``not-an-image``, ``no-platform`` or ``failed``."""
        outcome = self._shape["outcome"]
        return str(outcome if isinstance(outcome, str) else next(iter(outcome)))

    def __repr__(self) -> str:
        return f"Done(run={self.run}, {self.repository}@{self.digest}, {self.outcome})"
