"""Every error code of the tables has a sentence in every language."""

import pytest

from scripts import translations
from scripts.error_pages import refusals
from services.core.error_words import CAUSES, REASONS, STATUS_CAUSES, cause_of, reason_in
from services.core.language import LANGUAGES, Language
from services.messaging.mail_replies import GONE
from services.providers import PROVIDERS
from services.providers.error_table import Cause

ENGLISH = "Words of the server, with all details."
FOREIGN = sorted(set(LANGUAGES) - {"en"})
CODES = [(one.name, code) for one in PROVIDERS for code in one.causes]
# Codes of refusals that neither the phone app nor a mail by its code shows.
ELSEWHERE = {
    "commands and the operator's pages": "ambiguous_id bulk_sending_off carrier_unreachable "
    "field_empty in_use invalid_recipients invalid_time may_have_been_sent missing newer no_backup "
    "no_recipients no_server not_empty not_mine not_unknown number_taken rules_refuse "
    "settings_broken unknown_field unknown_peer unknown_word unreadable",
    "answers to mails, whose sentences are in the catalogues themselves": "address_ended "
    "mail_too_large mail_unusable message_id_reused not_answered not_proved "
    "several_conversations wrong_sender",
    "other programs: apps of other makers, the API": "client_id_reused duplicate file files method "
    "one_only password_in_url push_token short_code",
}


def test_the_table_has_each_cause_of_the_carriers() -> None:
    assert CAUSES.keys() == set(Cause)
    assert set(STATUS_CAUSES.values()) <= CAUSES.keys()


@pytest.mark.parametrize("tag", FOREIGN)
def test_each_code_of_a_carrier_has_a_sentence(tag: str) -> None:
    words = Language(tag)
    assert len(CODES) > 300
    tables = {one.name: one.causes for one in PROVIDERS}
    for carrier, code in CODES:
        said = reason_in(words, code, ENGLISH, cause_of(tables[carrier], code))
        assert said != ENGLISH, (carrier, code)


@pytest.mark.parametrize("tag", FOREIGN)
def test_each_sentence_is_translated(tag: str) -> None:
    words = Language(tag)
    for code in REASONS:
        assert reason_in(words, code, ENGLISH) not in (ENGLISH, REASONS[code]), code
    for cause in CAUSES:
        assert reason_in(words, "-", ENGLISH, cause) not in (ENGLISH, CAUSES[cause]), cause


def test_each_code_of_a_refusal_has_a_sentence_or_is_shown_elsewhere() -> None:
    elsewhere = " ".join(ELSEWHERE.values()).split()
    assert refusals().keys() - REASONS.keys() == set(elsewhere)
    assert len(set(elsewhere)) == len(elsewhere)


@pytest.mark.parametrize("tag", FOREIGN)
def test_what_is_not_known_stays_english_and_english_has_its_details(tag: str) -> None:
    assert reason_in(Language(tag), "no such code", ENGLISH) == ENGLISH
    assert reason_in(Language(), "opted_out", ENGLISH) == ENGLISH
    assert reason_in(Language(), "30007", ENGLISH, "spam") == ENGLISH


def test_a_sentence_of_the_catalogues_is_said_as_it_is() -> None:
    """An answer by mail is refused with more than the code says."""
    words = Language("de")
    assert reason_in(words, "not_found", GONE) == words.t(GONE) != GONE
    assert reason_in(words, "not_found", ENGLISH) == words.t(REASONS["not_found"])


def test_the_phone_app_has_the_same_table() -> None:
    written = translations.REASON_WORDS.read_text("utf-8")
    assert written == translations.reason_words(), "run: make words"
