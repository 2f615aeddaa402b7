"""Lines of listings as objects."""

from datetime import datetime, timezone

import pytest
from tidewaiter import listing


class Lines:
    """A listing with these dates."""

    def __init__(self, *dates):
        self._dates = list(dates)

    def next(self):
        if not self._dates:
            return None
        date = {"time": self._dates.pop(0), "source": "built"}
        image = {"repository": "app", "digest": "sha256:0", "tags": [], "media_type": "", "size": None, "date": date}
        return {**image, "verdict": "scan", "reason": "new", "reference": "r.io/app@sha256:0"}


@pytest.mark.parametrize(
    ("written", "microsecond"),
    [("", 0), (".5", 500_000), (".123", 123_000), (".123456", 123_456), (".1234567", 123_456), (".123456789", 123_456)],
)
def test_dates_have_fractions_of_any_length(written, microsecond):
    (image,) = listing.images(Lines(f"2026-11-20T08:12:00{written}Z"))
    assert image.date.time == datetime(2026, 11, 20, 8, 12, 0, microsecond, timezone.utc)


def test_an_image_may_have_no_date():
    (image,) = listing.images(Lines(None))
    assert image.date.time is None
