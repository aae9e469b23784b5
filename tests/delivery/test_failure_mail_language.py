"""A mail that a text was not sent says why in the language of ``MAIL_LANGUAGE``."""

from collections.abc import Callable, Iterator

import pytest

from services.core.errors import Kind, SendError
from services.gateway import Gateway
from tests import mail_answers
from tests.fakes.mailbox import Mailbox
from tests.mail_answers import ENTRY, answer, mailed, take, words_of
from tests.message_steps import failing, run_due_jobs

Make = Callable[..., Gateway]
ENGLISH = "All details, in English."


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SendError(ENGLISH, Kind.REFUSED, code="out-of-service"), "nicht in Betrieb"),
        (SendError(ENGLISH, Kind.REFUSED, code="opted_out"), "hat sich abgemeldet"),
        (SendError(ENGLISH, Kind.REFUSED, code="402"), "kein Guthaben"),
        (SendError(ENGLISH, Kind.UNKNOWN), "sagt nicht, ob sie angekommen ist"),
        (SendError(ENGLISH, Kind.REFUSED, code="7777"), ENGLISH),
    ],
)
def test_the_reason_is_in_the_language_of_mails(
    make_gateway: Make, mailbox: Mailbox, error: SendError, words: str
) -> None:
    env = {**mail_answers.ENV, **mailbox.env}
    first = mailed(make_gateway(ENTRY, **env), mailbox)
    gateway = make_gateway(**env, MAIL_LANGUAGE="de")
    failing(gateway, error)
    assert take(gateway, answer(first)) == "taken"
    run_due_jobs(gateway)
    told = words_of(mailbox.wait_for(2)[1])
    assert words in " ".join(told.split())
    assert (ENGLISH in told) is (words == ENGLISH)
