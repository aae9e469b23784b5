"""Numbers and senders with characters of which nothing is seen."""

import pytest

from services.core.errors import NumberError
from services.core.phone_numbers import UNNAMED, e164, known_as, peer, search_words, sender


@pytest.mark.parametrize(
    "pasted",
    [
        "\u202a+13035550177\u202c",  # as Windows and Excel copy a number
        "\u2066(303) 555-0177\u2069",
        "\ufeff+1 303 555 0177",
        "+1\u200b303\u00ad555\u20600177\u200e",
        "\u200f 3035550177 \u200f",
    ],
)
def test_a_pasted_number_is_read_without_its_invisible_characters(pasted: str) -> None:
    assert e164(pasted, "US") == "+13035550177"
    assert peer(pasted, "US") == "+13035550177"
    assert known_as(pasted, "US") == "+13035550177"
    assert "+13035550177" in search_words(pasted, "US")


def test_a_name_keeps_its_joiners() -> None:
    assert peer("می\u200cخواهم", "US") == "می\u200cخواهم" == sender("می\u200cخواهم", "US")


@pytest.mark.parametrize("empty", ["\u200b", " \u200e ", "\u00ad", "\u2060\ufeff", "\u0301", " "])
def test_a_sender_of_which_nothing_is_seen_gets_a_name(empty: str) -> None:
    assert sender(empty, "US") == UNNAMED
    with pytest.raises(NumberError):
        e164(empty, "US")
