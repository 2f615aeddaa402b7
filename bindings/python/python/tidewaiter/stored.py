"""The operations of a scanner that rest on its store: registries, jobs and their runs, the inventory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from . import errors, listing, times
from ._tidewaiter import Cancel, NativeScanner, Report
from .errors import InvalidInput
from .job import Job
from .listing import Image
from .records import (
    Change,
    Done,
    InventoryRow,
    Item,
    JobStatus,
    Pruned,
    RegistrySummary,
    Rematched,
    Run,
    SavedRegistry,
    StoreStatus,
    Summary,
    Worker,
)
from .registry import Registry

#: Is told what happens during a call, on the thread that made it. What it raises ends the call and is raised by it.
#: The dict has the key ``event``, a word such as ``layer-done``; the words and the fields of each stand in ``docs/events.md``.
OnEvent = Callable[[dict[str, Any]], object]


class StoredOperations:
    """What a scanner with a store can do. Part of :class:`Scanner`."""

    _native: NativeScanner

    # Registries

    def put_registry(
        self,
        name: str,
        registry: Registry,
        *,
        mode: str = "put",
        check: bool = True,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> SavedRegistry:
        """Saves a registry under a name. With ``mode="add"`` the name must be new, with ``"set"`` it must not be.

        Unless ``check`` is False the connection is checked first, and nothing is saved when that fails. What can never be right is
        refused always. A secret must be a reference
        (``env=``, ``file=``, ``command=``): a plain one is never saved.
        """
        request = {"name": name, "registry": registry._shape, "mode": mode, "check": check, "timeout": timeout}
        return SavedRegistry._of(self._ask("put_registry", request, cancel=cancel))

    def registry(self, name: str) -> SavedRegistry:
        """The registry with this name, of the scanner's file or of the store."""
        return SavedRegistry._of(self._ask("registry", name))

    def registries(self) -> list[SavedRegistry]:
        """All registries that have names."""
        return [SavedRegistry._of(line) for line in self._ask("list_registries")]

    def pause_registry(self, name: str) -> None:
        """None of its jobs is due until it is resumed."""
        self._each("pause_registries", name, paused=True)

    def resume_registry(self, name: str) -> None:
        """The opposite of :meth:`pause_registry`."""
        self._each("pause_registries", name, paused=False)

    def remove_registry(self, name: str) -> None:
        """Removes a registry that no job uses. What is known of its images stays."""
        self._each("remove_registries", name)

    # Jobs

    def put_job(self, job: Job, *, mode: str = "put") -> JobStatus:
        """Saves a job, and its registry where the job has one of its own. ``mode`` is as for :meth:`put_registry`.

        A saved registry of that name with another definition is replaced only while no other job uses it.
        """
        registry = None if (own := job._definition) is None else own._shape
        return JobStatus._of(self._ask("put_job", {"job": job._shape, "registry": registry, "mode": mode}))

    def job(self, name: str) -> JobStatus:
        """The job with this name, what came of its latest run, and who works on it."""
        return JobStatus._of(self._ask("job", name))

    def jobs(self) -> list[JobStatus]:
        """All jobs."""
        return [JobStatus._of(line) for line in self._ask("list_jobs")]

    def pause_job(self, name: str) -> None:
        """The job is not due until it is resumed."""
        self._each("pause_jobs", name, paused=True)

    def resume_job(self, name: str) -> None:
        """The opposite of :meth:`pause_job`."""
        self._each("pause_jobs", name, paused=False)

    def cancel_job(self, name: str) -> None:
        """Cancels the live run of a job, whoever works on it. What is finished is kept."""
        self._each("cancel_jobs", name)

    def delete_job(self, name: str) -> None:
        """Deletes a job that has no run going on. The inventory stays."""
        self._each("delete_jobs", name)

    def explain_job(
        self,
        job: str,
        *,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Image]:
        """Lists what a run of the job would do with each image, and why. Nothing is saved."""
        return listing.images(self._native.lines("explain_job", json.dumps(job), timeout, on_event, cancel))

    def run(
        self,
        job: Job | str,
        *,
        scan_all: bool = False,
        pull: bool = False,
        detach: bool = False,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Summary:
        """Runs a job to its end: a saved one by its name, or this one, which is saved first with its registry.

        Only images that are new are scanned; with ``scan_all`` the known ones are held against today's advisories too, with ``pull``
        they are pulled again. With ``detach`` the run waits for a worker. Images that could not be scanned are in ``failed``. After
        ``timeout`` seconds or ``cancel`` the state is ``Canceled``, and after Ctrl-C ``KeyboardInterrupt`` is raised: what was finished is kept.
        """
        if isinstance(job, Job):
            self.put_job(job)
            job = job.name
        request = {"job": job, "scan_all": scan_all, "pull": pull, "detach": detach, "timeout": timeout}
        return Summary._of(self._ask("run_job", request, on_event, cancel))

    def restart(
        self,
        job: str,
        *,
        detach: bool = False,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Summary:
        """Runs a job again: what is missing and what failed."""
        request = {"job": job, "detach": detach, "timeout": timeout}
        return Summary._of(self._ask("restart_job", request, on_event, cancel))

    # The steps of a run

    def plan(
        self,
        job: Job | str | int,
        *,
        scan_all: bool = False,
        pull: bool = False,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Run:
        """Begins a run of a job, or takes the number of one that waits, and finds the images to look at.

        The rest is :meth:`lease`, :meth:`execute` and :meth:`commit`: on one machine, or spread over as many as you like.
        """
        if not isinstance(job, int):
            job = self.run(job, scan_all=scan_all, pull=pull, detach=True, cancel=cancel).run
        return Run._of(self._ask("plan", job, on_event, cancel))

    def lease(
        self,
        run: Run | int | None = None,
        *,
        count: int = 1,
        seconds: int = 60,
        worker: str | None = None,
        cancel: Cancel | None = None,
    ) -> list[Item]:
        """Takes up to ``count`` images in hand, of this run or of any; after ``seconds`` others may take them. Empty when none is left.

        What takes longer is kept in hand by :meth:`renew`.
        """
        number = run.run if isinstance(run, Run) else run
        request = {"run": number, "count": count, "seconds": seconds, "worker": worker}
        return [Item(line) for line in self._ask("lease", request, cancel=cancel)]

    def renew(self, items: Iterable[Item], *, seconds: int = 60, cancel: Cancel | None = None) -> list[bool]:
        """Keeps images in hand for so many seconds from now on, while they are looked at. Tells of each whether it is still held.

        One that is not is committed, or was canceled, or somebody else has it: its commit would be refused.
        """
        request = {"items": [item._shape for item in items], "seconds": seconds}
        return [bool(held) for held in self._ask("renew", request, cancel=cancel)]

    def execute(self, item: Item, *, on_event: OnEvent | None = None, cancel: Cancel | None = None) -> Done:
        """Looks at one image. It needs no store, and doing it twice does no harm. An image that cannot be scanned is an outcome, too."""
        return Done(self._ask("execute", item._shape, on_event, cancel))

    def commit(self, done: Done, *, on_event: OnEvent | None = None, cancel: Cancel | None = None) -> str:
        """Puts what came of an item into the store: ``taken``, or ``before`` where the image was committed already."""
        return str(self._ask("commit", done._shape, on_event, cancel))

    def summary(self, run: Run | int) -> Summary:
        """What came of a run so far."""
        return Summary._of(self._ask("run_summary", run.run if isinstance(run, Run) else run))

    def work(
        self,
        *,
        name: str | None = None,
        concurrency: int | None = None,
        lease: int = 60,
        once: bool = False,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Works: runs the jobs that are due and helps with the runs of others, until ``cancel``; with ``once`` until nothing is left.

        ``lease`` is how many seconds the others wait before they take over what a lost worker had in hand.
        """
        request = {"name": name, "concurrency": concurrency, "lease": lease, "once": once}
        self._ask("work", request, on_event, cancel)

    def workers(self) -> list[Worker]:
        """Who works on this store."""
        return [Worker._of(line) for line in self._ask("list_workers")]

    # Inventory

    def inventory(
        self,
        *,
        registry: str | None = None,
        repository: str | None = None,
        severity: str | None = None,
        advisory: str | None = None,
        package: str | None = None,
        vulnerable: bool = False,
        cancel: Cancel | None = None,
    ) -> Iterator[InventoryRow]:
        """The images that were scanned: all, or those with a finding at least as bad as ``severity``, with an ``advisory``, with a
        ``package`` (a name or a package URL), with any finding (``vulnerable``)."""
        request = {
            "registry": registry,
            "repository": repository,
            "severity": severity,
            "advisory": advisory,
            "package": package,
            "vulnerable": vulnerable,
        }
        lines = self._native.lines("inventory", json.dumps(request), None, None, cancel)
        while (line := lines.next()) is not None:
            yield InventoryRow._of(line)

    def inventory_summary(self, registry: str | None = None) -> list[RegistrySummary]:
        """What is known of the registries, in numbers."""
        return [RegistrySummary._of(line) for line in self._ask("inventory_summary", {"registry": registry})]

    def stored_reports(self, reference: str) -> list[Report]:
        """The stored reports of ``NAME/repository:tag`` or ``NAME/repository@sha256:...``, one a platform; NAME is a saved registry or its host."""
        return list(self._native.stored_reports(reference))

    def changes(
        self, *, registry: str | None = None, since: datetime | None = None, cancel: Cancel | None = None
    ) -> Iterator[Change]:
        """What scans and matches changed: findings that are new, and those that are fixed."""
        request = {"registry": registry, "since": None if since is None else times.write("since", since)}
        lines = self._native.lines("changes", json.dumps(request), None, None, cancel)
        while (line := lines.next()) is not None:
            yield Change._of(line)

    def rematch(
        self, registry: str | None = None, *, on_event: OnEvent | None = None, cancel: Cancel | None = None
    ) -> Rematched:
        """Holds the stored packages against today's advisories, without asking a registry."""
        return Rematched._of(self._ask("rematch", {"registry": registry}, on_event, cancel))

    # The store itself

    def store_status(self) -> StoreStatus:
        """How big the store is, and what fills it."""
        return StoreStatus._of(self._ask("store_status"))

    def prune_store(self, older_than: timedelta | int = 0, *, cancel: Cancel | None = None) -> Pruned:
        """Removes what no job needs any more and is older than so many days; 0 is all of it.

        What a job has scanned and its registry still lists stays, however old.
        """
        if isinstance(older_than, timedelta):
            if older_than % timedelta(days=1):
                raise InvalidInput(f"an age is a whole number of days (field: older_than, older_than: {older_than})")
            older_than = older_than.days
        return Pruned._of(self._ask("prune_store", {"older_than": older_than}, cancel=cancel))

    def _ask(
        self, operation: str, request: Any = None, on_event: OnEvent | None = None, cancel: Cancel | None = None
    ) -> Any:
        return self._native.ask(operation, json.dumps({} if request is None else request), on_event, cancel)

    def _each(self, operation: str, name: str, **options: Any) -> None:
        """An operation for names, asked for one: what is wrong with it is raised."""
        (outcome,) = self._ask(operation, {"names": [name], **options})
        if (error := outcome["error"]) is not None:
            raise errors.of_kind(error["kind"], error["message"], error["hint"], None)
