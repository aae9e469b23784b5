"""Splitting long texts: nothing is lost, every part fits, no visible character is cut."""

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.segments import count, split

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}\u200d\N{BOY}"
WHOLE = {
    "flag": "\U0001f1e9\U0001f1ea",
    "family": FAMILY,
    "skin tone": "\N{THUMBS UP SIGN}\U0001f3fd",
    "keycap": "1\ufe0f\u20e3",
    "accent": "e\u0301",
    "two accents": "o\u0302\u0323",
    "Hindi": "क्षि",
    "Tamil": "நி",
    "Thai": "ก็",
    "Hangul": "\u1112\u1161\u11ab",
    "line break": "\r\n",
    "flag of Wales": "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",
}


@pytest.mark.parametrize("seen", WHOLE.values(), ids=WHOLE)
def test_no_part_ends_within_what_a_reader_sees_as_one_character(seen: str) -> None:
    for before in range(20):
        parts = split("x" * before + seen * 12, 20)
        assert "".join(parts) == "x" * before + seen * 12
        assert all(part.lstrip("x").replace(seen, "") == "" for part in parts)


@pytest.mark.parametrize("text", ["€" * 200, "[x]{y}" * 50, "a" * 159 + "€€", "~" * 80 + "b" * 90])
def test_a_character_of_the_extension_table_takes_two_places(text: str) -> None:
    parts = split(text, 160)
    assert "".join(parts) == text
    assert {count(part).count for part in parts} == {1}


def test_a_text_outside_of_gsm_7_has_a_limit_of_its_own() -> None:
    parts = split("\N{GRINNING FACE}" * 100, 160, 70)
    assert [len(part) for part in parts] == [35, 35, 30]
    plain, *rest = split("x" * 150 + "ж" * 150, 160, 70)
    assert (plain, [len(part) for part in rest]) == ("x" * 150, [70, 70, 10])


LETTERS = st.one_of(
    st.sampled_from([*WHOLE.values(), " ", "\n", "€", "a", "ж", "\N{GRINNING FACE}"]),
    st.text(max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LETTERS, max_size=80).map("".join), st.integers(30, 200))
def test_any_text_comes_out_whole_in_parts_that_fit(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert "".join(parts) == text
    for part in parts:
        assert sum(2 if ord(c) > 0xFFFF else 1 for c in part) <= limit
    if all(len(seen) < 10 for seen in regex.findall(r"\X", text)):
        cuts, at = set(), 0
        for seen in regex.findall(r"\X", text):
            at += len(seen)
            cuts.add(at)
        ends = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
        assert all(end in cuts for end in ends if text)


def test_a_character_that_is_over_the_limit_alone_is_cut_by_its_code_points() -> None:
    text = "a" + "\u0301" * 100
    assert "".join(split(text, 30)) == text
    assert max(map(len, split(text, 30))) <= 30
