"""The exceptions: one class a kind, all under :class:`Error`."""

from __future__ import annotations


class Error(Exception):
    """What a call raises. The text is one line that holds no secret."""

    #: What the caller can do, as the word that reports use, such as ``not-found``.
    kind: str = "internal"
    #: What to do next; None where nobody knows.
    hint: str | None = None
    #: How many seconds the registry asked to wait.
    retry_after: float | None = None


class InvalidInput(Error):
    """A value that the caller gave cannot be right: correct it."""

    kind = "invalid-input"


class Unauthenticated(Error):
    """The registry wants other credentials, or any."""

    kind = "unauthenticated"


class PermissionDenied(Error):
    """The credentials are good, but not for this."""

    kind = "permission-denied"


class NotFound(Error):
    """There is no such thing."""

    kind = "not-found"


class RateLimited(Error):
    """Too many requests: come back after ``retry_after`` seconds."""

    kind = "rate-limited"


class Unavailable(Error):
    """Out of reach now; the same call may go through later."""

    kind = "unavailable"


class Corrupt(Error):
    """What was read is not what it claims to be."""

    kind = "corrupt"


class LimitExceeded(Error):
    """Larger than a limit that can be changed."""

    kind = "limit-exceeded"


class Unsupported(Error):
    """Understood, and not done here."""

    kind = "unsupported"


class Canceled(Error):
    """The caller canceled, or the time was up."""

    kind = "canceled"


class Storage(Error):
    """The disk or the database below a store failed."""

    kind = "storage"


class Busy(Error):
    """Something else is doing this already."""

    kind = "busy"


class InvalidState(Error):
    """Not possible in the state that the object is in, such as closed."""

    kind = "invalid-state"


class Internal(Error):
    """A defect of this library: please report it."""

    kind = "internal"


_CLASSES = {
    cls.kind: cls
    for cls in (
        InvalidInput,
        Unauthenticated,
        PermissionDenied,
        NotFound,
        RateLimited,
        Unavailable,
        Corrupt,
        LimitExceeded,
        Unsupported,
        Canceled,
        Storage,
        Busy,
        InvalidState,
        Internal,
    )
}


def of_kind(kind: str, message: str, hint: str | None, retry_after: float | None) -> Error:
    """The exception of one kind; the native half calls it."""
    error = _CLASSES.get(kind, Internal)(message)
    error.kind, error.hint, error.retry_after = kind, hint, retry_after
    return error
