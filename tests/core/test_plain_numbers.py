"""Numbers of +1 that are written in E.164 already: the library is not needed, and agrees."""

import random

import phonenumbers
import pytest

from services.core.errors import NumberError
from services.core.phone_numbers import e164

E164 = phonenumbers.PhoneNumberFormat.E164


def test_a_plain_number_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(*_: object) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(phonenumbers, "parse", unexpected)
    assert e164("+12025550143", "DE") == "+12025550143"


def test_it_says_what_the_library_says() -> None:
    lot = random.Random(15)
    for _ in range(2000):
        written = "+1" + "".join(
            lot.choice("0123456789") for _ in range(lot.choice((9, 10, 10, 11)))
        )
        parsed = phonenumbers.parse(written, "US")
        if phonenumbers.is_possible_number(parsed):
            assert e164(written, "US") == phonenumbers.format_number(parsed, E164)
        else:
            with pytest.raises(NumberError):
                e164(written, "US")
