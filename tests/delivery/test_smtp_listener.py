"""The SMTP listener for answers: what it accepts, and when it lets the mail server try again."""

import asyncio
import smtplib
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from services.core.errors import Kind, MailError, StorageUnwell
from services.delivery import smtp_listener
from services.delivery.smtp_listener import serve
from services.messaging.mail_replies import MailOutcome, MailReplies
from tests.postgres import free_port
from tests.waiting import PATIENCE, eventually

OURS = "texts+signed@example.com"
MAIL = b"From: desk@example.com\r\nSubject: Re\r\n\r\nYes\r\n"


class Replies:
    """Takes mails, or fails as it is told."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, tuple[str, ...]]] = []
        self.fails: Exception | None = None
        self.outcome = MailOutcome.TAKEN

    def is_issued(self, address: str, sender: str) -> bool:
        return address == OURS

    def take(
        self, head: bytes, content: Callable[[], bytes | None], envelope: tuple[str, ...]
    ) -> MailOutcome:
        if self.fails is not None:
            raise self.fails
        assert content() == head
        self.taken.append((head, envelope))
        return self.outcome


class Listener:
    """A listener in a thread of its own."""

    def __init__(self) -> None:
        self.replies = Replies()
        self.port = free_port()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        async def stopped() -> None:
            while not self._stop.is_set():
                await asyncio.sleep(0.02)

        replies = cast(MailReplies, self.replies)
        asyncio.run(serve(replies, f"127.0.0.1:{self.port}", stopped))

    def __enter__(self) -> "Listener":
        self._thread.start()
        eventually(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def _answers(self) -> bool:
        try:
            self.client().quit()
        except OSError:
            return False
        return True

    def client(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as running:
        yield running


def code(listener: Listener, sender: str = "desk@example.com", mail: bytes = MAIL) -> int:
    """The answer to the content of a mail."""
    with listener.client() as client:
        client.ehlo()
        client.mail(sender)
        client.rcpt(OURS)
        return int(client.data(mail)[0])


def test_a_mail_is_taken_with_its_envelope(listener: Listener) -> None:
    assert code(listener) == 250
    [(raw, envelope)] = listener.replies.taken
    assert raw == b"Return-Path: <desk@example.com>\r\n" + MAIL
    assert envelope == (OURS,)


def test_the_empty_sender_of_reports_is_noted(listener: Listener) -> None:
    assert code(listener, sender="") == 250
    assert listener.replies.taken[0][0].startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize(
    "fault",
    [
        StorageUnwell("The disk is full."),
        MailError("The mail server is away.", Kind.RETRY),
        ZeroDivisionError(),
    ],
)
def test_what_cannot_be_kept_now_is_tried_again(listener: Listener, fault: Exception) -> None:
    listener.replies.fails = fault
    assert code(listener) == 451
    listener.replies.fails = None
    assert code(listener) == 250


def test_other_recipients_are_refused(listener: Listener) -> None:
    with listener.client() as client:
        client.ehlo()
        client.mail("desk@example.com")
        for address in ("texts@example.com", "root", "texts+other@example.com"):
            assert client.rcpt(address)[0] in (550, 553, 501)
    assert listener.replies.taken == []


def test_a_mail_to_nobody_of_ours_is_refused(listener: Listener) -> None:
    listener.replies.outcome = MailOutcome.FOREIGN
    assert code(listener) == 550


def test_a_mail_that_is_too_large_is_refused(listener: Listener) -> None:
    with listener.client() as client:
        client.ehlo()
        assert client.mail("desk@example.com", ["SIZE=99000000"])[0] == 552


def test_connections_recipients_and_times_are_bounded(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_listener, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(smtp_listener, "MOST_RECIPIENTS", 1)
    held = [listener.client(), listener.client()]
    with pytest.raises(smtplib.SMTPConnectError) as caught:
        listener.client()
    assert caught.value.smtp_code == 421
    held[0].ehlo()
    held[0].mail("desk@example.com")
    assert [held[0].rcpt(OURS)[0] for _ in range(2)] == [250, 452]
    for one in held:
        one.quit()
    monkeypatch.setattr(smtp_listener, "WHOLE_SECONDS", 0.2)

    def ends() -> bool:
        try:
            while True:  # however busy it is
                client.noop()
        except (smtplib.SMTPServerDisconnected, OSError):
            return True

    client = eventually(listener.client)
    assert ends()
    assert code(listener) in (250, 421)


def test_a_port_that_is_taken_is_an_error(listener: Listener) -> None:
    async def stopped() -> None:
        return None

    replies: Any = listener.replies
    with pytest.raises(OSError, match=str(listener.port)):
        asyncio.run(serve(replies, f"127.0.0.1:{listener.port}", stopped))
