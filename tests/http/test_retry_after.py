"""``Retry-After``: what cannot be read is left out and never raises."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.http.client import Answer

ODD = [
    "",
    "soon",
    "-5",
    "1e9",
    "²",
    "1, 2",
    "Sun, 32 Nov 2026 10:00:00 GMT",
    "Sun, 29 Nov 2026 10:00:00 -9999999999999999999",
    "Sun, 29 Nov " + "9" * 400 + " 10:00:00 GMT",
    "1" * 400 + " Nov 2026 10:00:00 GMT",
]


@pytest.mark.parametrize("written", ODD)
def test_what_cannot_be_read_is_no_time(written: str) -> None:
    assert Answer(429, {"retry-after": written}, b"").retry_after is None


@given(st.text(max_size=60))
@example("9" * 5000)
def test_any_text_is_a_time_of_at_most_an_hour_or_none(written: str) -> None:
    wait = Answer(429, {"retry-after": written}, b"").retry_after
    assert wait is None or 0.0 <= wait <= 3600.0
