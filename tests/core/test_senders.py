"""Senders as carriers write them: numbers become E.164, all else is kept as it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import NumberError
from services.core.phone_numbers import (
    MOST_ADDRESS,
    channel_of,
    e164,
    international,
    is_dialable,
    own_number,
    sender,
    without_channel,
)

KEPT = [
    *("O'Reilly", "Müller", "Info/SMS", "365Bank", "1800555CALL", "Почта", "بنك الراجحي", "快递"),
    *("A" * 28, "someone@example.com", "+72404", "900123456", "+12025550143;ext=5", "#123", "*"),
    *("12025550143 ext. 5", "+1", "0", "72404", "messenger:1234567", "whatsapp:Shop", "a, b; c"),
    *('"quoted" <angle@example.com>', '=cmd("x")', "<b>bold</b>", "\u200fעברית"),
]  # fmt: skip


@pytest.mark.parametrize("written", KEPT)
def test_what_is_no_number_is_kept_as_it_came(written: str) -> None:
    assert sender(written, "US") == written
    assert sender(f" {written}\n", "US") == written, "only the ends are trimmed"


@pytest.mark.parametrize(
    ("written", "country", "kept"),
    [
        ("+13035550177", "US", "+13035550177"),
        ("13035550177", "DE", "+13035550177"),
        ("3035550177", "US", "+13035550177"),
        ("(303) 555-0177", "US", "+13035550177"),
        ("0044 20 7946 0958", "US", "+442079460958"),
        ("91234568", "SG", "+6591234568"),
        ("91234568", "US", "91234568"),
        ("+5215512345678", "US", "+525512345678"),
        ("whatsapp:+13035550177", "US", "whatsapp:+13035550177"),
        ("RCS:13035550177", "US", "rcs:+13035550177"),
        ("whatsapp:+5215512345678", "US", "whatsapp:+5215512345678"),
    ],
)
def test_a_number_is_one_however_it_is_written(written: str, country: str, kept: str) -> None:
    assert sender(written, country) == kept
    assert is_dialable(kept)


@pytest.mark.parametrize(
    "written", ["365Bank", "+72404", "+13652265", "900123456", "x", "whatsapp:x"]
)
def test_nobody_can_answer_what_is_no_number(written: str) -> None:
    assert not is_dialable(sender(written, "US"))


def test_control_characters_become_harmless_and_leave_the_senders_apart() -> None:
    assert sender("a\r\nBcc: x@example.com", "US") == "a Bcc: x@example.com"
    assert sender("a\x00b", "US") == "a\ufffdb"
    assert sender("\u202egnp.exe", "US") == "\ufffdgnp.exe"
    assert sender("\ud800", "US") == "\ufffd"
    assert sender(" \t\n", "US") == "unknown"


def test_a_long_sender_is_cut_and_stays_different_from_another() -> None:
    first, second = sender("x" * 5000 + "1", "US"), sender("x" * 5000 + "2", "US")
    assert first != second
    assert len(first) == len(second) == MOST_ADDRESS
    assert sender("x" * MOST_ADDRESS, "US") == "x" * MOST_ADDRESS


@given(st.text(), st.sampled_from(["US", "DE", "BR", "SG"]))
def test_any_sender_becomes_one_line_that_a_database_can_keep(written: str, country: str) -> None:
    kept = sender(written, country)
    assert 0 < len(kept) <= MOST_ADDRESS
    assert "\x00" not in kept
    assert len(kept.splitlines()) == 1
    kept.encode()
    assert sender(kept, country) == kept, "to read it again changes nothing"
    if any(character.isalpha() for character in kept):
        assert without_channel(kept).startswith("+") or not is_dialable(kept)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2025550143", "+12025550143"),
        ("12025550143", "+12025550143"),
        ("whatsapp:+12025550143", "+12025550143"),
        ("rcs:+12025550143", "+12025550143"),
        ("rcs:harbour_cafe_agent", "rcs:harbour_cafe_agent"),
        ("72404", "72404"),
    ],
)
def test_our_own_number_is_read_behind_its_channel(written: str, kept: str) -> None:
    assert own_number(written, "US") == kept


@pytest.mark.parametrize("written", ["", "+++", "Shop", "+72404", "1"])
def test_what_is_no_number_of_ours_is_refused(written: str) -> None:
    with pytest.raises(NumberError):
        own_number(written, "US")


def test_channels_are_named() -> None:
    assert [channel_of(a) for a in ("+13035550177", "rcs:+13035550177", "rcs:agent", "MTN")] == [
        "sms",
        "rcs",
        "sms",
        "sms",
    ]
    assert international("whatsapp:+13035550177") == "+1 303-555-0177 (WhatsApp)"
    assert international("MTN") == "MTN"
    with pytest.raises(NumberError):
        e164("rcs:+13035550177", "US")
