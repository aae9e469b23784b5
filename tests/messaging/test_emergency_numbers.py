"""Emergency numbers are refused at once, however they are written, in twenty countries."""

import time
from collections.abc import Callable, Iterator

import pytest

from services.core.emergency_numbers import emergency_call
from services.core.errors import RequestRefused
from services.core.messages import Status
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.store import scheduled
from tests import mail_answers
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.mailbox import Mailbox
from tests.mail_answers import answer, mailed, take, words_of
from tests.message_steps import PHONE, receive_text, run_due_jobs, stored_messages

Make = Callable[..., Gateway]
WORDS = "Textbridge cannot send texts to emergency services. Call {}."
# Country: its emergency numbers, and short codes that are none.
COUNTRIES = {
    "US": ("911 112", "91100 988 72404 110 9999 8110 911911"),
    "CA": ("911 112", "91100 988 72404"),
    "GB": ("999 112", "61119 60006 9990"),
    "IE": ("999 112", "50123"),
    "DE": ("112 110", "11880 22022"),
    "FR": ("112 15 17 18", "38015"),
    "ES": ("112 085", "25600"),
    "IT": ("112 113 115 118", "48382"),
    "NL": ("112", "4411"),
    "NO": ("112 110 113", "2440"),
    "CH": ("112 117 118 144", "9292"),
    "AU": ("000 112 106", "0430"),
    "NZ": ("111", "4545"),
    "JP": ("110 119", "77777"),
    "CN": ("110 119 120", "10086"),
    "HK": ("999 112 992", "50505"),
    "IN": ("112 100 101 108", "56767"),
    "BR": ("190 192 193 112", "27182"),
    "MX": ("911", "77500"),
    "ZA": ("112 10111", "31022"),
}  # fmt: skip


@pytest.mark.parametrize("country", COUNTRIES)
def test_the_emergency_numbers_of_a_country(country: str) -> None:
    emergency, others = (numbers.split() for numbers in COUNTRIES[country])
    assert [emergency_call(number, [country]) for number in emergency] == emergency
    assert [emergency_call(number, [country]) for number in others] == [None] * len(others)
    # These are known everywhere; the answer names a number that works there.
    for number in ("112", "911", "999"):
        call = emergency_call(number, [country])
        assert call is not None
        assert emergency_call(call, [country]) == call


@pytest.mark.parametrize(
    "written",
    ["911", " 911 ", "9-1-1", "+911", "+1911", "1911", "1-911", "1 (911)", "+1 911", "９１１",
     "9\u200b11", "\u202a911\u202c", "112", "+1112", "999", "9911", "8911", "9 911", "0911",
     "00911", "001911", "011911", "91911", "9112", "0112", "tel:911", "sip:911@pbx.example",
     "TEL://+1911", "whatsapp:911", "911#", "*911", "911,5", "911 ext 1", "911x", "＋1911", "⑨①①"],
)  # fmt: skip
def test_a_text_to_an_emergency_number_is_refused_at_once(make_gateway: Make, written: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    for reply in (
        Reply(text="Help", to=(written,)),
        Reply(text="Help", to=(written,), sender=NUMBER),
        Reply(text="Help", to=(PEER, written)),
        Reply(text="Help", to=(written,), send_at=4e9),
    ):
        with pytest.raises(RequestRefused) as caught:
            gateway.composer.submit(PHONE, reply)
        assert (caught.value.code, caught.value.field) == ("emergency_number", "to")
        assert caught.value.reason == WORDS.format("112" if "112" in written else "911")
    assert stored_messages(gateway) == []


@pytest.mark.parametrize("address", ["91100", "988", "72404", "+13035550911", "+19115550100"])
def test_short_codes_and_numbers_that_look_alike_are_sent(make_gateway: Make, address: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    message, _ = gateway.composer.submit(PHONE, Reply(text="x", to=(address,)))
    assert message.peer == address


def test_the_country_of_the_sending_number_counts_and_the_default_one(make_gateway: Make) -> None:
    london = NUMBER_ENTRY | {"number": "+442079460958"}
    gateway = make_gateway(london, DEFAULT_COUNTRY="DE", SEND_COUNTRIES="*")
    for written, call in (
        ("999", "999"), ("+44999", "999"), ("110", "110"), ("+49110", "110"), ("911", "112"),
    ):  # fmt: skip
        with pytest.raises(RequestRefused, match=WORDS.format(call)):
            gateway.composer.submit(PHONE, Reply(text="x", to=(written,)))
    with pytest.raises(RequestRefused) as caught:  # of a country that is neither
        gateway.composer.submit(PHONE, Reply(text="x", to=("+1911",)))
    assert caught.value.code == "invalid_number"


def test_a_conversation_with_an_emergency_number_cannot_be_answered(make_gateway: Make) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, "Do not text 911, call it.", peer="911")
    (message,) = stored_messages(gateway)
    for reply in (
        Reply(text="x", to=("911",)),
        Reply(text="x", conversation_id=message.conversation_id),
    ):
        with pytest.raises(RequestRefused, match=WORDS.format("911")):
            gateway.composer.submit(PHONE, reply)


@pytest.mark.parametrize("peer", ["+1911", "9911", "0911"])
def test_nor_one_with_a_prefix(make_gateway: Make, peer: str) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    receive_text(gateway, "Call it.", peer=peer)
    (message,) = stored_messages(gateway)
    with pytest.raises(RequestRefused, match=WORDS.format("911")) as caught:
        gateway.composer.submit(PHONE, Reply(text="x", conversation_id=message.conversation_id))
    assert caught.value.code == "emergency_number"


@pytest.mark.parametrize(
    ("country", "number", "call"),
    [
        ("GB", "9999", "999"), ("GB", "0112", "112"), ("GB", "0044999", "999"),
        ("DE", "0110", "110"), ("DE", "0049112", "112"), ("AU", "0000", "000"),
        ("GB", "9990", None), ("NZ", "9111", None), ("GB", "8999", "999"), ("NO", "8110", None),
    ],
)  # fmt: skip
def test_prefixes_before_the_numbers_of_a_country(
    country: str, number: str, call: str | None
) -> None:
    assert emergency_call(number, [country]) == call


def test_a_scheduled_text_of_before_is_not_released(
    make_gateway: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    with monkeypatch.context() as before:
        for module in ("addressing", "message_checks"):
            place = f"services.messaging.{module}.require_no_emergency"
            before.setattr(place, lambda *_: None)
        later = Reply(text="x", to=("911",), send_at=time.time() + 3600)
        known, _ = gateway.composer.submit(PHONE, later)
    with pytest.raises(RequestRefused, match=WORDS.format("911")):
        gateway.scheduling.send_now(PHONE, known.id)
    gateway.store.write(lambda tx: scheduled.set_send_at(tx, known, time.time() - 1, None))
    gateway.scheduling.release_due()
    (message,) = stored_messages(gateway)
    assert (message.status, message.error_code) == (Status.FAILED, "emergency_number")
    assert run_due_jobs(gateway) == []


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


def test_an_answer_by_mail_to_an_emergency_number_is_refused(
    make_gateway: Make, mailbox: Mailbox
) -> None:
    gateway = make_gateway(mail_answers.ENTRY, **mail_answers.ENV, **mailbox.env)
    mail = mailed(gateway, mailbox, "Call us", peer="911")
    assert take(gateway, answer(mail)) == "refused"
    assert WORDS.format("911") in " ".join(words_of(mailbox.wait_for(2)[1]).split())
