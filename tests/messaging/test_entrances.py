"""One rule for what people type: every entrance reads a number by its country first."""

from collections.abc import Callable

import pytest

from services.core.errors import EntryRefused, RequestRefused, SettingsError
from services.core.phone_numbers import search_words
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import conversations
from tests.conftest import NUMBER, NUMBER_ENTRY
from tests.message_steps import PHONE, receive_text, stored_messages

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


@pytest.mark.parametrize(("country", "written", "number"), WRITTEN)
def test_every_search_finds_a_number_as_its_country_writes_it(
    make_gateway: Make, country: str, written: str, number: str
) -> None:
    gateway = make_gateway(NUMBER_ENTRY | {"number": number}, DEFAULT_COUNTRY=country)
    gateway.contact_book.put(gateway.contact_book.contact(written, "Ann"))
    assert [one.number for one in gateway.contact_book.find(written)] == [number]
    assert [one.extension for one in gateway.directory.find(written)] == ["201"]


def test_a_trial_of_the_rules_reads_the_sender_by_its_country(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DEFAULT_COUNTRY="CN")

    def tried(written: str) -> str:
        return gateway.rule_trial.run(written_sender=written, to=NUMBER, text="x").text.peer

    assert tried("13035550177") == "+8613035550177", "also a number of the United States"
    assert [tried(one) for one in ("365Bank", "+72404", "72404")] == ["365Bank", "+72404", "72404"]
    with pytest.raises(SettingsError, match="area code is missing") as caught:
        make_gateway(NUMBER_ENTRY).rule_trial.run(written_sender="555-0143", to=NUMBER, text="x")
    assert caught.value.field == "from"


def test_a_sender_in_a_carriers_list_is_read_as_in_its_webhook(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY, DEFAULT_COUNTRY="CN")
    for written, kept in (("13035550177", "+13035550177"), ("1234", "1234"), ("MTN", "MTN")):
        receive_text(gateway, peer=written)
        assert stored_messages(gateway)[0].peer == kept
        assert gateway.message_query.same_person(written, kept)
