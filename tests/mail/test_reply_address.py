"""Signed addresses for answers: what is in them, and that nothing can be changed."""

import random
import string

import pytest

from services.core.durations import DAY
from services.core.messages import uuid7
from services.mail.reply_address import SIGNED_LENGTH, ReplyAddresses

NOW = 1_800_000_000.0
DESK = "desk@example.com"


@pytest.fixture
def addresses() -> ReplyAddresses:
    return ReplyAddresses(b"k" * 32, "Texts@Example.com", 30)


def test_an_address_names_its_conversation_and_ends(addresses: ReplyAddresses) -> None:
    conversation = uuid7()
    made = addresses.address_for(conversation, DESK, NOW)
    [signed] = addresses.find(["somebody@example.com", made.address])
    assert signed.conversation_id == conversation
    assert made.days == 30
    assert not signed.has_ended(NOW + 30 * DAY)
    assert signed.has_ended(NOW + 31 * DAY)


def test_it_is_for_the_recipient_alone_in_any_case(addresses: ReplyAddresses) -> None:
    made = addresses.address_for(uuid7(), "Desk@Example.com", NOW).address
    [signed] = addresses.find([made.upper()])
    assert addresses.is_for(signed, "DESK@example.COM")
    for other in ("", "desk@example.org", "desk@example.com.", "bob@example.com"):
        assert not addresses.is_for(signed, other)


def test_another_key_proves_nothing(addresses: ReplyAddresses) -> None:
    made = ReplyAddresses(b"o" * 32, "texts@example.com", 30).address_for(uuid7(), DESK, NOW)
    [signed] = addresses.find([made.address])
    assert not addresses.is_for(signed, DESK)


def test_a_longest_address_fits_a_mail_server() -> None:
    long = ReplyAddresses(b"k" * 32, f"{'a' * 18}@example.com", 3650)
    made = long.address_for(uuid7(), DESK, NOW).address
    assert len(made.partition("@")[0]) == 64  # RFC 5321 §4.5.3.1.1


def test_every_changed_character_ends_its_validity(addresses: ReplyAddresses) -> None:
    made = addresses.address_for(uuid7(), DESK, NOW).address
    begin = len("texts+")
    for position in range(begin, begin + SIGNED_LENGTH - 1):  # the last one has a spare bit
        for letter in "abcdefghijklmnopqrstuvwxyz234567".replace(made[position], ""):
            [signed] = addresses.find([made[:position] + letter + made[position + 1 :]])
            assert not addresses.is_for(signed, DESK)


@pytest.mark.parametrize(
    "address",
    ["", "@", "texts@example.com", "texts+@example.com", "texts+abc@example.com", "x+y", "texts+"],
)
def test_other_addresses_are_none_of_ours(addresses: ReplyAddresses, address: str) -> None:
    assert addresses.find([address, f"{address}x"]) == []


def test_whatever_is_written_can_be_looked_at(addresses: ReplyAddresses) -> None:
    numbers = random.Random(1)
    for _ in range(2_000):
        local = "".join(numbers.choices(string.printable + "äß\udcff", k=SIGNED_LENGTH))
        for signed in addresses.find([f"texts+{local}@example.com"]):
            assert not addresses.is_for(signed, DESK)
