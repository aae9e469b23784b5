"""A long text to a carrier that counts segments: no part has more than it takes."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.core.segments import count, split
from services.providers.telnyx import Telnyx

MOST = 10  # segments of a message at Telnyx
WIDE = st.sampled_from(["€", "a", "ж", "\N{GRINNING FACE}", "e\u0301", "\r\n", "[", " "])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(WIDE, min_size=1, max_size=6).map("".join),
    st.integers(1, 1700),
    st.text("abж", max_size=5),
)
@example("\N{GRINNING FACE}", 400, "")
@example("€", 900, "a")
def test_no_part_has_more_segments_than_telnyx_takes(text: str, times: int, start: str) -> None:
    limits = Telnyx.limits
    parts = split(start + text * times, limits.text, limits.unicode_text)
    assert max(count(part).count for part in parts) <= MOST
