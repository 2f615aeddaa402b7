"""Scan container images straight from a registry: packages and advisories, without a container runtime.

>>> import tidewaiter as tw
>>> with tw.Scanner(advisories="advisories.db") as scanner:            # doctest: +SKIP
...     report = scanner.scan("debian:12")
...     print(len(report.packages), len(report.findings))
"""

from ._tidewaiter import Cancel, Finding, Package, Problem, Report, Severity, __version__
from .credentials import Anonymous, Aws, Azure, Basic, Credential, DockerConfig, DockerHub, Gar, Gcr, Quay, Token
from .errors import (
    Busy,
    Canceled,
    Corrupt,
    Error,
    Internal,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    RateLimited,
    Storage,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from .listing import Image, ImageDate, Selection
from .registry import Registry
from .scanner import AdvisoryStatus, Check, Imported, Scanner, Step
from .schedule import Schedule

__all__ = [
    "AdvisoryStatus",
    "Anonymous",
    "Aws",
    "Azure",
    "Basic",
    "Busy",
    "Cancel",
    "Canceled",
    "Check",
    "Corrupt",
    "Credential",
    "DockerConfig",
    "DockerHub",
    "Error",
    "Finding",
    "Gar",
    "Gcr",
    "Image",
    "ImageDate",
    "Imported",
    "Internal",
    "InvalidInput",
    "InvalidState",
    "LimitExceeded",
    "NotFound",
    "Package",
    "PermissionDenied",
    "Problem",
    "Quay",
    "RateLimited",
    "Registry",
    "Report",
    "Scanner",
    "Schedule",
    "Selection",
    "Severity",
    "Step",
    "Storage",
    "Token",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "__version__",
]
