"""The scanner: a handle with one method an operation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import listing
from ._tidewaiter import Cancel, NativeListing, NativeScanner, Report
from .credentials import Credential
from .listing import Image, Selection
from .registry import Registry
from .stored import OnEvent, StoredOperations


@dataclass(frozen=True)
class Step:
    """One step of a check."""

    #: ``resolve``, ``tls``, ``api``, ``authenticate``, ``list`` or ``pull``.
    step: str
    #: None where it was not asked, or cannot be known.
    ok: bool | None
    #: What was seen.
    detail: str
    #: What to do next.
    hint: str | None


@dataclass(frozen=True)
class Check:
    """What works between here and a registry."""

    registry: str
    kind: str
    steps: list[Step]

    @property
    def ok(self) -> bool:
        """Whether all asked steps hold. With a repository the list is told but does not decide: the pull was asked then."""
        asked_pull = any(step.step == "pull" and step.ok is not None for step in self.steps)
        return all(step.ok is not False for step in self.steps if not (asked_pull and step.step == "list"))

    def __str__(self) -> str:
        marks = {True: "ok", False: "no", None: "-"}
        lines = []
        for step in self.steps:
            lines.append(f"{marks[step.ok]:<4}{step.step:<14}{step.detail}")
            if step.hint is not None:
                lines.append(f"{'':<18}{step.hint}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Imported:
    """What an import or an update brought."""

    #: ``{name: {"records": int, "newest": str}}``
    ecosystems: dict[str, dict[str, Any]]
    #: How many records could not be used.
    skipped: int
    #: The first of them: ``{"file": str, "reason": str}``.
    reasons: list[dict[str, str]]


@dataclass(frozen=True)
class AdvisoryStatus:
    """The advisory database."""

    #: Where it is.
    file: str | None
    #: When it was built (RFC 3339); None where there is none yet.
    built: str | None
    #: ``{name: {"records": int, "newest": str}}``
    ecosystems: dict[str, dict[str, Any]]


class Scanner(StoredOperations):
    """Scans images. Use it as a context manager, from any thread, for as many calls as you like.

    ``advisories`` is the database (default: in the user's data folder); it need not exist yet. Unless ``offline``, a scan
    fetches the advisories that it lacks. ``cache`` is the folder that keeps the results of layers; True is one in the
    user's cache folder, False keeps none. ``memory_mib`` is the ceiling of memory, 64 by default and at least. ``registries`` is
    a file with definitions of registries under names (TOML or JSON), for :meth:`Registry.named`. ``store`` is where registries, jobs and
    what they found are kept: a file, or ``postgres://...`` (default: ``$TIDEWAITER_STORE``, else in the user's data folder); it is opened
    when it is needed. ``limits`` changes limits by name.
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
        config = _given(
            advisories=None if advisories is None else os.fspath(advisories),
            offline=offline,
            base_url=base_url,
            memory_mib=memory_mib,
            concurrency=concurrency,
            registries=None if registries is None else os.fspath(registries),
            store=None if store is None else os.fspath(store),
            limits=limits,
        )
        if cache is False:
            config["cache"] = None
        elif cache is not True:
            config["cache"] = os.fspath(cache)
        self._native = NativeScanner(json.dumps(config))

    def scan(
        self,
        reference: str,
        *,
        credential: Credential | None = None,
        registry: Registry | None = None,
        plain_http: bool = False,
        platform: str | None = None,
        foreign_layers: bool = False,
        include_owned: bool = False,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Report:
        """Scans one image of one platform (default: this machine's).

        ``reference`` is an image reference, ``oci:DIR``, ``oci-archive:FILE``, ``docker-archive:FILE`` or ``sbom:FILE``. What is wrong inside of the
        image is in ``report.problems``; what keeps it from being read is raised. ``foreign_layers`` fetches those from where the
        manifest says, in the way in which the registry is reached (proxy, authorities, time-outs), without its credential and its
        client certificate.
        """
        (report,) = self.scan_platforms(
            reference,
            None if platform is None else [platform],
            credential=credential,
            registry=registry,
            plain_http=plain_http,
            foreign_layers=foreign_layers,
            include_owned=include_owned,
            timeout=timeout,
            on_event=on_event,
            cancel=cancel,
        )
        return report

    def scan_platforms(
        self,
        reference: str,
        platforms: Sequence[str] | str | None = "all",
        *,
        credential: Credential | None = None,
        registry: Registry | None = None,
        plain_http: bool = False,
        foreign_layers: bool = False,
        include_owned: bool = False,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> list[Report]:
        """Scans one image of several platforms: a list of them, or ``"all"`` that it has. One report a platform."""
        options = _given(
            platforms=platforms if platforms is None or isinstance(platforms, str) else list(platforms),
            credential=None if credential is None else credential._shape,
            registry=None if registry is None else registry._shape,
            plain_http=plain_http,
            foreign_layers=foreign_layers,
            include_owned=include_owned,
            timeout=timeout,
        )
        return self._native.scan(reference, json.dumps(options), on_event, cancel)

    def check(
        self,
        registry: Registry | str,
        repository: str | None = None,
        *,
        timeout: float | None = None,
        cancel: Cancel | None = None,
    ) -> Check:
        """Tells what works between here and a registry, step by step; with a repository also whether it may be pulled.

        A registry as a text is an address, where it has a dot or a colon or is ``localhost``, else the name of a saved one.
        """
        options = _given(repository=repository, timeout=timeout)
        checked = self._native.check(json.dumps(_meant(registry)), json.dumps(options), cancel)
        steps = [Step(step["step"], step["ok"], step["detail"], step["hint"]) for step in checked["steps"]]
        return Check(checked["registry"], checked["kind"], steps)

    def repositories(
        self,
        registry: Registry | str,
        selection: Selection | None = None,
        *,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[str]:
        """Lists the repositories of a registry that the selection names, page by page as they come. A selection that chooses among
        images is refused.
        """
        return listing.repositories(self._list("repositories", registry, selection, timeout, on_event, cancel))

    def images(
        self,
        registry: Registry | str,
        selection: Selection | None = None,
        *,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Image]:
        """Lists the images that the selection chooses, repository by repository as each is complete.

        A repository that cannot be listed is told to ``on_event`` (``repository-failed``); the others go on, and the error is raised at the end.
        """
        return listing.images(self._list("images", registry, selection, timeout, on_event, cancel))

    def explain(
        self,
        registry: Registry | str,
        selection: Selection | None = None,
        *,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Image]:
        """Lists all images of the repositories that the selection names, also those that it leaves out, each with the reason."""
        return listing.images(self._list("explain", registry, selection, timeout, on_event, cancel))

    def _list(
        self,
        what: str,
        registry: Registry | str,
        selection: Selection | None,
        timeout: float | None,
        on_event: OnEvent | None,
        cancel: Cancel | None,
    ) -> NativeListing:
        shape = {} if selection is None else selection._shape
        return self._native.list(what, json.dumps(_meant(registry)), json.dumps(shape), timeout, on_event, cancel)

    def import_advisories(
        self,
        *paths: str | os.PathLike[str],
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Imported:
        """Imports OSV advisories: an ``all.zip`` of an export, a record as ``.json``, or a folder of them.

        The ecosystems that they bring are replaced, the others in the database are kept.
        """
        options = {"paths": [os.fspath(path) for path in paths]}
        return Imported(**self._native.import_advisories(json.dumps(options), on_event, cancel))

    def update_advisories(
        self,
        *ecosystems: str,
        base_url: str | None = None,
        timeout: float | None = None,
        on_event: OnEvent | None = None,
        cancel: Cancel | None = None,
    ) -> Imported:
        """Fetches the advisories of ecosystems, such as ``Debian`` or ``PyPI``; without any, of those that the database has."""
        options = _given(ecosystems=list(ecosystems), base_url=base_url, timeout=timeout)
        return Imported(**self._native.update_advisories(json.dumps(options), on_event, cancel))

    def advisories_status(self) -> AdvisoryStatus:
        """Describes the advisory database."""
        return AdvisoryStatus(**self._native.advisories_status())

    def close(self) -> None:
        """Ends what still runs. Can be called again without effect."""
        self._native.close()

    def __enter__(self) -> Scanner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _meant(registry: Registry | str) -> Any:
    """The JSON that every language has for a registry, an address or a name."""
    return registry if isinstance(registry, str) else registry._shape


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
