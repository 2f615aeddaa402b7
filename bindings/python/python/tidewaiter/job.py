"""Jobs: which images of a registry are looked after, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .listing import Selection
from .registry import Registry
from .schedule import Schedule


@dataclass(frozen=True)
class Job:
    """Which images of a registry are looked after, and when.

    ``registry`` is the name of a saved one (see :meth:`Scanner.put_registry`), or a registry, which is saved with the job and under
    its name. ``scan_all`` lets scheduled runs take all selected images again, not only new ones. A ``paused`` job is never due; None
    leaves it as it is saved.

    >>> from datetime import time
    >>> Job("nightly", "prod", Selection(tags=["v*"]), schedule=Schedule.daily(at=time(2, 30)))
    Job(name='nightly', registry='prod', selection=Selection(tags=['v*']), schedule=Schedule(every=1, at='02:30'), scan_all=False, paused=None)
    """

    name: str
    registry: Registry | str
    selection: Selection = field(default_factory=Selection)
    schedule: Schedule = field(default_factory=Schedule.on_demand)
    scan_all: bool = False
    paused: bool | None = None

    @property
    def _definition(self) -> Registry | None:
        """The registry that is saved with the job."""
        saved = isinstance(self.registry, str) or isinstance(self.registry._shape, str)
        return None if saved else self.registry  # type: ignore[return-value]

    @property
    def _shape(self) -> dict[str, Any]:
        """The JSON object that every language has for it."""
        registry = self.registry if isinstance(self.registry, str) else self.registry._shape
        shape = {
            "name": self.name,
            "registry": registry if isinstance(registry, str) else self.name,
            "selection": self.selection._shape,
            "schedule": self.schedule._shape,
            "scan_all": self.scan_all,
        }
        return shape if self.paused is None else {**shape, "paused": self.paused}
