"""The scanner for asyncio: the same operations, awaited. To cancel a task cancels what it waits for.

>>> import asyncio, tidewaiter as tw
>>> async def main(references):                                        # doctest: +SKIP
...     async with tw.aio.Scanner(advisories="advisories.db") as scanner:
...         return await asyncio.gather(*(scanner.scan(reference) for reference in references))
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from . import scanner as waiting
from ._tidewaiter import Cancel

P = ParamSpec("P")
T = TypeVar("T")

#: So many calls wait at once; more wait for these. A thread that waits costs next to nothing.
_THREADS = 64


class _Call:
    """One call on its way: its switch, and where its events go."""

    def __init__(self, takes: Any, options: dict[str, Any]) -> None:
        if "cancel" in options:
            raise TypeError("cancel the task instead of giving cancel=")
        self.switch = Cancel()
        self._loop = asyncio.get_running_loop()
        self._on_event = options.pop("on_event", None)
        self._raised: BaseException | None = None
        self.options = options
        if "cancel" in takes:
            options["cancel"] = self.switch
        if self._on_event is not None:
            options["on_event"] = self._pass_on

    def _pass_on(self, event: dict[str, Any]) -> None:
        """From the thread that waits to the loop, on which callbacks run."""
        self._loop.call_soon_threadsafe(self._tell, event)

    def _tell(self, event: dict[str, Any]) -> None:
        if self._raised is not None:
            return
        try:
            self._on_event(event)
        except BaseException as error:  # What a callback raises ends the call, and is raised by it.
            self._raised = error
            self.switch.cancel()

    async def wait(self, threads: ThreadPoolExecutor, work: Callable[..., T], *arguments: Any) -> T:
        """Does ``work`` on a thread. A task that is canceled goes on when the work has ended in order."""
        job = threads.submit(work, *arguments)
        done = asyncio.wrap_future(job)
        # Of a call that nobody waits for any more nobody asks how it ended.
        done.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            self.switch.cancel()
            if not job.cancel() and "cancel" in self.options:
                await asyncio.wait([done])
            raise
        if self._raised is not None:
            raise self._raised
        return done.result()


def _awaited(
    method: Callable[Concatenate[waiting.Scanner, P], T],
) -> Callable[Concatenate[Scanner, P], Coroutine[Any, Any, T]]:
    """The operation, to be awaited."""
    takes = signature(method).parameters

    @functools.wraps(method)
    async def awaited(self: Scanner, *arguments: Any, **options: Any) -> T:
        call = _Call(takes, options)
        return await call.wait(self._threads, functools.partial(method, self._scanner, *arguments, **call.options))

    return awaited  # type: ignore[return-value]


def _iterated(
    method: Callable[Concatenate[waiting.Scanner, P], Iterator[T]],
) -> Callable[Concatenate[Scanner, P], AsyncIterator[T]]:
    """The operation, to be iterated over with ``async for``."""
    takes = signature(method).parameters

    @functools.wraps(method)
    async def iterated(self: Scanner, *arguments: Any, **options: Any) -> AsyncIterator[T]:
        call = _Call(takes, options)
        open_lines = functools.partial(method, self._scanner, *arguments, **call.options)
        lines = await call.wait(self._threads, open_lines)
        end: Any = object()
        while (line := await call.wait(self._threads, next, lines, end)) is not end:
            yield line

    return iterated  # type: ignore[return-value]


class Scanner:
    """The :class:`tidewaiter.Scanner` of asyncio: the same names and arguments, to be awaited or iterated over with ``async for``.

    Calls take no ``cancel``: cancel the task, or leave it to ``asyncio.wait_for``. ``on_event`` is called on the loop.
    """

    def __init__(
        self,
        *,
        advisories: str | os.PathLike[str] | None = None,
        offline: bool = False,
        base_url: str | None = None,
        cache: str | os.PathLike[str] | bool = True,
        memory_mib: int | None = None,
        concurrency: int | None = None,
        registries: str | os.PathLike[str] | None = None,
        store: str | os.PathLike[str] | None = None,
        limits: dict[str, int] | None = None,
    ) -> None:
        self._scanner = waiting.Scanner(
            advisories=advisories,
            offline=offline,
            base_url=base_url,
            cache=cache,
            memory_mib=memory_mib,
            concurrency=concurrency,
            registries=registries,
            store=store,
            limits=limits,
        )
        self._threads = ThreadPoolExecutor(_THREADS, "tidewaiter-aio")

    scan = _awaited(waiting.Scanner.scan)
    scan_platforms = _awaited(waiting.Scanner.scan_platforms)
    check = _awaited(waiting.Scanner.check)
    repositories = _iterated(waiting.Scanner.repositories)
    images = _iterated(waiting.Scanner.images)
    explain = _iterated(waiting.Scanner.explain)
    import_advisories = _awaited(waiting.Scanner.import_advisories)
    update_advisories = _awaited(waiting.Scanner.update_advisories)
    advisories_status = _awaited(waiting.Scanner.advisories_status)

    put_registry = _awaited(waiting.Scanner.put_registry)
    registry = _awaited(waiting.Scanner.registry)
    registries = _awaited(waiting.Scanner.registries)
    pause_registry = _awaited(waiting.Scanner.pause_registry)
    resume_registry = _awaited(waiting.Scanner.resume_registry)
    remove_registry = _awaited(waiting.Scanner.remove_registry)

    put_job = _awaited(waiting.Scanner.put_job)
    job = _awaited(waiting.Scanner.job)
    jobs = _awaited(waiting.Scanner.jobs)
    pause_job = _awaited(waiting.Scanner.pause_job)
    resume_job = _awaited(waiting.Scanner.resume_job)
    cancel_job = _awaited(waiting.Scanner.cancel_job)
    delete_job = _awaited(waiting.Scanner.delete_job)
    explain_job = _iterated(waiting.Scanner.explain_job)
    run = _awaited(waiting.Scanner.run)
    restart = _awaited(waiting.Scanner.restart)

    plan = _awaited(waiting.Scanner.plan)
    lease = _awaited(waiting.Scanner.lease)
    renew = _awaited(waiting.Scanner.renew)
    execute = _awaited(waiting.Scanner.execute)
    commit = _awaited(waiting.Scanner.commit)
    summary = _awaited(waiting.Scanner.summary)
    work = _awaited(waiting.Scanner.work)
    workers = _awaited(waiting.Scanner.workers)

    inventory = _iterated(waiting.Scanner.inventory)
    inventory_summary = _awaited(waiting.Scanner.inventory_summary)
    stored_reports = _awaited(waiting.Scanner.stored_reports)
    changes = _iterated(waiting.Scanner.changes)
    rematch = _awaited(waiting.Scanner.rematch)
    store_status = _awaited(waiting.Scanner.store_status)
    prune_store = _awaited(waiting.Scanner.prune_store)

    async def close(self) -> None:
        """Ends what still runs. Can be called again without effect."""
        # Not on one of the threads, all of which may be taken by what is to be ended.
        await asyncio.to_thread(self._scanner.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> Scanner:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
