"""Mails, refusals and notifications in the language of ``MAIL_LANGUAGE``."""

import re
from datetime import UTC, datetime
from email.headerregistry import Address

import pytest

from services.config.parsers import language
from services.core.emergency_numbers import require_no_emergency
from services.core.error_words import reason_in
from services.core.errors import RequestRefused
from services.core.language import LANGUAGES, Language
from services.core.local_time import UTC_TIME
from services.core.messages import Attachment, Device, Message
from services.delivery.notification_text import NotificationText
from services.mail.details import MailDetails
from services.mail.message import build_mail
from services.mail.reply_text import new_part
from services.mail.words import MailWords, answer_above

PEER, NUMBER = "+13035550177", "+12025550100"
OWN = re.compile(r"texts@example\.com")
DESK = Address("Desk", addr_spec="desk@example.com")


def message(**more: object) -> Message:
    return Message(direction="in", number=NUMBER, peer=PEER, provider="sandbox", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("tag", LANGUAGES)
@pytest.mark.parametrize("quote", ["> ", "| ", ""])
def test_an_answer_is_cut_at_our_line_in_every_language(tag: str, quote: str) -> None:
    above = answer_above(Language(tag))
    mail = f"Yes, until 4.\n\n{quote}{above}\n{quote}\n{quote}Is the shop open?\n"
    assert new_part(mail, OWN) == "Yes, until 4."


def test_a_mail_in_german() -> None:
    told = message(media=(Attachment(content_type="image/png"),) * 2, created_at=1_780_000_000.0)
    words = MailWords(Language("de"))
    mail = build_mail(told, MailDetails(), DESK, DESK, "e.com", UTC_TIME, words)
    assert "hat 2 Bilder gesendet" in str(mail["Subject"])
    body = mail.get_body(("html",))
    assert body is not None
    page = body.get_content()
    assert '<html lang="de">' in page
    assert "Von: " in page
    assert "Donnerstag, 28. Mai 2026" in page
    assert "Received" not in page


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("en", "Thursday, 28 May 2026, 16:26 UTC"),
        ("es", "jueves, 28 de mayo de 2026, 16:26 UTC"),
        ("fr-CA", "jeudi 28 mai 2026, 16:26 UTC"),
        ("de", "Donnerstag, 28. Mai 2026, 16:26 UTC"),
    ],
)
def test_times(tag: str, shown: str) -> None:
    at = datetime(2026, 5, 28, 16, 26, tzinfo=UTC)
    assert MailWords(Language(tag)).moment(at) == shown


def test_reasons_by_their_code_and_others_as_they_are() -> None:
    german = Language("de")
    assert "abgemeldet" in reason_in(german, "opted_out", "+1 has opted out.")
    assert reason_in(Language(), "opted_out", "+1 has opted out.") == "+1 has opted out."
    assert reason_in(german, "30007", "Taken for spam.") == "Taken for spam."


@pytest.mark.parametrize("tag", LANGUAGES)
def test_the_test_mail_names_the_installation(tag: str) -> None:
    assert "Harbour Texts" in MailWords(Language(tag), "Harbour Texts").test_arrived


@pytest.mark.parametrize("tag", sorted(set(LANGUAGES) - {"en"}))
def test_a_refused_emergency_number_is_named_in_every_language(tag: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        require_no_emergency("1-911", [], "US", "to")
    words = reason_in(Language(tag), refused.value.code, refused.value.reason)
    assert words != refused.value.reason
    assert "911" in words


@pytest.mark.parametrize(
    ("preview", "title", "body"),
    [("full", PEER, "Photo"), ("sender", PEER, "Nouveau message"), ("none", "Nouveau message", "")],
)
def test_a_notification_in_french(preview: str, title: str, body: str) -> None:
    device = Device("d", "201", preview=preview)  # type: ignore[arg-type]
    told = message(media=(Attachment(content_type="image/gif"),))
    notice = NotificationText(Language("fr-CA")).of_message(told, device, "received", lambda _: {})
    assert (notice.title, notice.body) == (title, body)
    assert (preview == "none") is (notice.parts == {})


def test_the_variable_is_forgiving_and_names_the_languages() -> None:
    assert [language(one) for one in ("DE", "fr_ca", "es", "de-DE")] == ["de", "fr-CA", "es", "de"]
    with pytest.raises(ValueError, match="en, es, fr-CA, de"):
        language("it")
