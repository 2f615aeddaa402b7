"""Times as the library writes and reads them: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

from .errors import InvalidInput


def read(text: str) -> datetime:
    """A time that the library wrote. Python 3.10 reads no fractions of other lengths than its own."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction:0<6.6}+00:00")


def write(field: str, time: datetime) -> str:
    """A time for the library; ``field`` says in an error what it was for."""
    if time.tzinfo is None:
        raise InvalidInput(f"a time needs a time zone (field: {field}, time: {time})")
    return time.astimezone(timezone.utc).isoformat()
