"""One rule for what people type: every entrance reads a number by its country first."""

from collections.abc import Callable

import pytest

from services.core.errors import EntryRefused, RequestRefused, SettingsError
from services.core.phone_numbers import search_words
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import conversations
from tests.conftest import NUMBER, NUMBER_ENTRY
from tests.message_steps import PHONE, receive_text

Make = Callable[..., Gateway]
WRITTEN = [
    ("BR", "11987654322", "+5511987654322"),
    ("CN", "13812345679", "+8613812345679"),
    ("SG", "91234568", "+6591234568"),
    ("DE", "4915112345679", "+4915112345679"),
    ("DE", "0151 12345679", "+4915112345679"),
]


@pytest.mark.parametrize(("country", "written", "number"), WRITTEN)
def test_every_entrance_reads_a_number_by_its_country(
    make_gateway: Make, country: str, written: str, number: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DEFAULT_COUNTRY=country, SEND_COUNTRIES="*")
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(written,)))
    assert message.peer == number
    wanted = gateway.message_query.parse({"number": written, "peer": written, "either": written})
    assert (wanted.number, wanted.peer, wanted.either) == (number, number, number)
    words = search_words(written, country)
    found = gateway.store.read(
        lambda tx: conversations.page(tx, [NUMBER], limit=5, with_peer=words)
    )
    assert [one.peer for one in found] == [number]

    gateway.settings.put(NUMBER_ENTRY | {"number": written})
    assert [entry.number for entry in gateway.settings.find(written)] == [number]
    assert gateway.settings.for_number(number) is not None
    gateway.settings.remove(written)
    assert gateway.settings.find(written) == []


def test_every_entrance_refuses_a_number_without_its_area_code(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    with pytest.raises(RequestRefused, match="area code is missing"):
        gateway.composer.submit(PHONE, Reply(text="x", to=("555-0143",)))
    with pytest.raises(EntryRefused, match="area code is missing"):
        gateway.settings.put(NUMBER_ENTRY | {"number": "555-0143"})
    with pytest.raises(SettingsError, match="area code is missing"):
        gateway.settings.remove("555-0143")
    with pytest.raises(RequestRefused, match="area code is missing"):
        gateway.message_query.parse({"peer": "555-0143"})


def test_an_odd_sender_is_found_by_its_words(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, peer="Harbour Cafe (Bar)")
    for typed in ("harbour cafe", "Cafe (Bar)", "Bar"):
        words = search_words(typed, "US")
        found = gateway.store.read(
            lambda tx, words=words: conversations.page(tx, [NUMBER], limit=5, with_peer=words)
        )
        assert [one.peer for one in found] == ["Harbour Cafe (Bar)"], typed
