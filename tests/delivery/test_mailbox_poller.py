"""Answers in a mailbox, with a real IMAP server (dovecot)."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from imapclient.exceptions import IMAPClientError

from services.core.errors import Kind, MailError, StorageUnwell
from services.delivery import mailbox_poller
from services.delivery.mailbox_poller import LEASE, MailboxPoller
from services.gateway import Gateway
from services.mail.mailbox import Mailbox as ImapMailbox
from services.store import circuit_breakers, leases, workers
from services.store import messages as message_store
from services.store.database import clock
from tests.certificates import own_certificate
from tests.dovecot import Dovecot, running_dovecot
from tests.fakes.mailbox import Mailbox
from tests.mail_answers import ENTRY, answer, mailed, words_of
from tests.message_steps import stored_messages
from tests.postgres import free_port
from tests.waiting import PATIENCE, eventually

Make = Callable[..., Gateway]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot() as running:
        yield running


@pytest.fixture
def gateway(make_gateway: Make, mailbox: Mailbox, dovecot: Dovecot) -> Gateway:
    return make_gateway(ENTRY, **mailbox.env, **dovecot.env)


def new_worker(gateway: Gateway) -> str:
    """The id of a worker that lives."""
    owner = uuid4().hex
    gateway.store.write(lambda tx: workers.beat(tx, owner, clock.now(tx)))
    return owner


@contextmanager
def polling(gateway: Gateway, owner: str = "") -> Iterator[MailboxPoller]:
    """A poller that runs as in a worker."""
    poller = gateway._mailbox_poller()
    assert poller is not None
    stop = threading.Event()
    name = owner or new_worker(gateway)
    thread = threading.Thread(target=poller.run, args=(name, lambda: not stop.is_set()))
    thread.start()
    try:
        yield poller
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def texts(gateway: Gateway) -> list[str]:
    """The texts that were sent, the oldest first."""
    return [one.text for one in reversed(stored_messages(gateway)) if one.direction == "out"]


def pause(gateway: Gateway) -> Any:
    found = gateway.store.read(circuit_breakers.unwell)
    return next((one for one in found if one.name == circuit_breakers.MAILBOX), None)


def test_answers_are_texted_in_order_and_marked_as_read(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot
) -> None:
    first = mailed(gateway, mailbox)
    for count in range(3):
        dovecot.deliver(answer(first, f"{count}", Message_ID=f"<{count}@x>").as_bytes())
    with polling(gateway):
        eventually(lambda: len(texts(gateway)) == 3)
        dovecot.deliver(answer(first, "3", Message_ID="<3@x>").as_bytes())
        eventually(lambda: len(texts(gateway)) == 4)
        eventually(lambda: dovecot.flags() == [{"\\Seen"}] * 4)
    assert texts(gateway) == ["0", "1", "2", "3"]


def test_refused_and_automatic_ones_are_flagged_and_others_are_left_alone(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot
) -> None:
    first = mailed(gateway, mailbox)
    dovecot.deliver(b"From: a@example.com\r\nTo: texts@example.com\r\n\r\nA bill.\r\n")
    dovecot.deliver(answer(first, "").as_bytes())
    dovecot.deliver(answer(first, Auto_Submitted="auto-replied").as_bytes())
    dovecot.deliver(answer(first).as_bytes())
    with polling(gateway):
        eventually(lambda: texts(gateway) == ["Yes, until 4."])
        done = [set(), {"\\Seen", "\\Flagged"}, {"\\Seen", "\\Flagged"}, {"\\Seen"}]
        eventually(lambda: dovecot.flags() == done)
    assert len(mailbox.mails) == 2
    assert "Your answer was not sent" in words_of(mailbox.mails[1])


def test_a_mail_that_is_removed_meanwhile_is_no_empty_one(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot
) -> None:
    dovecot.deliver(answer(mailed(gateway, mailbox)).as_bytes())
    assert gateway.mailbox is not None
    with gateway.mailbox.session() as session:
        (there,) = session.unread(1)
        assert b"Yes, until 4." in (session.content(there) or b"")
        with pytest.raises(IMAPClientError, match="removed"):
            session.content(there + 1)


def test_one_that_was_texted_before_a_crash_is_marked_and_not_texted_again(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.deliver(answer(mailed(gateway, mailbox)).as_bytes())

    def crash(*_: object, **__: object) -> None:
        raise MailError("The connection broke.", Kind.RETRY)

    with monkeypatch.context() as broken:
        broken.setattr(mailbox_poller.MailboxSession, "mark", crash)
        with polling(gateway):
            eventually(lambda: pause(gateway))
    assert dovecot.flags() == [set()]
    with polling(gateway):
        eventually(lambda: dovecot.flags() == [{"\\Seen"}])
    assert texts(gateway) == ["Yes, until 4."]


def test_while_the_database_is_unwell_mails_wait(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot.deliver(answer(mailed(gateway, mailbox)).as_bytes())
    tried = threading.Event()
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            tried.set()
            raise StorageUnwell("The disk is full.")

        broken.setattr(message_store, "add_outbound", fail)
        with polling(gateway):
            assert tried.wait(PATIENCE)
    assert dovecot.flags() == [set()]
    with polling(gateway):
        eventually(lambda: dovecot.flags() == [{"\\Seen"}])
    assert texts(gateway) == ["Yes, until 4."]


def test_a_fault_with_one_mail_stops_no_other(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mailed(gateway, mailbox)
    dovecot.deliver(answer(first, "One").as_bytes())
    dovecot.deliver(answer(first, "Two", Message_ID="<2@x>").as_bytes())
    assert gateway.mail_replies is not None
    take = gateway.mail_replies.take

    def faulty(head: bytes, content: Callable[[], bytes | None]) -> Any:
        if b"<2@x>" not in head:
            raise ZeroDivisionError
        return take(head, content)

    monkeypatch.setattr(gateway.mail_replies, "take", faulty)
    with polling(gateway):
        eventually(lambda: texts(gateway) == ["Two"])
        eventually(lambda: dovecot.flags() == [set(), {"\\Seen"}])


def test_a_mail_that_the_server_cannot_give_out_stops_no_other(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = mailed(gateway, mailbox)
    dovecot.deliver(answer(first, "One").as_bytes())
    dovecot.deliver(answer(first, "Two", Message_ID="<2@x>").as_bytes())
    content = mailbox_poller.MailboxSession.content

    def broken(session: mailbox_poller.MailboxSession, uid: int) -> bytes | None:
        if uid == 1:
            raise ConnectionResetError(104, "Connection reset by peer")
        return content(session, uid)

    monkeypatch.setattr(mailbox_poller.MailboxSession, "content", broken)
    with polling(gateway):
        eventually(lambda: texts(gateway) == ["Two"])
        eventually(lambda: dovecot.flags() == [set(), {"\\Seen"}])


def test_a_mail_that_cannot_be_marked_stops_no_other_and_is_refused_once(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_poller, "AGAIN_SECONDS", 0.1)
    first = mailed(gateway, mailbox)
    dovecot.deliver(answer(first, "").as_bytes())
    dovecot.deliver(answer(first, "Two", Message_ID="<2@x>").as_bytes())
    mark, tries = mailbox_poller.MailboxSession.mark, []

    def broken(session: mailbox_poller.MailboxSession, uid: int, *, flagged: bool) -> None:
        if uid == 1 and len(tries) < 3:
            tries.append(uid)
            raise ConnectionResetError(104, "Connection reset by peer")
        mark(session, uid, flagged=flagged)

    monkeypatch.setattr(mailbox_poller.MailboxSession, "mark", broken)
    with polling(gateway):
        eventually(lambda: dovecot.flags() == [{"\\Seen", "\\Flagged"}, {"\\Seen"}])
    assert texts(gateway) == ["Two"]
    assert len(mailbox.mails) == 2  # the first one, and one refusal


def test_an_answer_behind_many_other_mails_is_found_at_once(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_poller, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(mailbox_poller, "LOOK_SECONDS", 10 * PATIENCE)
    first = mailed(gateway, mailbox)
    for _ in range(5):
        dovecot.deliver(b"From: a@example.com\r\nTo: texts@example.com\r\n\r\nA bill.\r\n")
    dovecot.deliver(answer(first).as_bytes())
    with polling(gateway):
        eventually(lambda: texts(gateway) == ["Yes, until 4."])


def test_a_refusal_that_cannot_be_mailed_leaves_the_mail_unread(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_poller, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(mailbox_poller, "LOOK_SECONDS", 0.2)
    first = mailed(gateway, mailbox)
    mailbox.refusals += [b"451 later\r\n"] * 2
    dovecot.deliver(answer(first, "").as_bytes())
    dovecot.deliver(answer(first, "Two", Message_ID="<2@x>").as_bytes())
    with polling(gateway):
        eventually(lambda: dovecot.flags() == [{"\\Seen", "\\Flagged"}, {"\\Seen"}])
    assert mailbox.refusals == []
    assert len(mailbox.mails) == 2


def test_of_two_workers_one_polls_and_the_other_follows(
    gateway: Gateway, mailbox: Mailbox, dovecot: Dovecot
) -> None:
    first = mailed(gateway, mailbox)
    one, other = new_worker(gateway), new_worker(gateway)

    def holder(owner: str) -> bool:
        return bool(gateway.store.write(lambda tx: leases.acquire(tx, [LEASE], owner, 60.0)))

    with polling(gateway, one):
        eventually(lambda: not holder(other))
        with polling(gateway, other):
            dovecot.deliver(answer(first).as_bytes())
            eventually(lambda: texts(gateway) == ["Yes, until 4."])
            gateway.store.write(lambda tx: workers.forget_workers(tx, [one], 0.0))
            eventually(lambda: holder(other))
    assert len(texts(gateway)) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"IMAP_PASSWORD": "wrong"}, "does not accept IMAP_USERNAME and IMAP_PASSWORD"),
        ({"IMAP_FOLDER": "Texts"}, "has no folder “Texts”"),
        ({"IMAP_ENCRYPTION": "tls"}, "offers no encryption (STARTTLS)"),
    ],
)
def test_what_the_operator_must_correct_is_shown(
    make_gateway: Make, mailbox: Mailbox, dovecot: Dovecot, changed: dict[str, str], said: str
) -> None:
    gateway = make_gateway(ENTRY, **mailbox.env, **(dovecot.env | changed))
    with polling(gateway):
        found = eventually(lambda: pause(gateway))
    assert found.config
    assert said in found.reason
    [warning] = [one for one in gateway.health.warnings() if one.name == "paused"]
    assert warning.reason.startswith("Answers to mails are not fetched now: ")
    assert "wrong" not in warning.reason
    assert gateway.mailbox is not None
    with pytest.raises(MailError, match="IMAP"):
        gateway.mailbox.check()


def test_it_goes_on_when_the_settings_are_right(
    make_gateway: Make, mailbox: Mailbox, dovecot: Dovecot
) -> None:
    wrong = make_gateway(ENTRY, **mailbox.env, **(dovecot.env | {"IMAP_PASSWORD": "wrong"}))
    with polling(wrong):
        eventually(lambda: pause(wrong))
    right = make_gateway(ENTRY, **mailbox.env, **dovecot.env)
    with polling(right):
        eventually(lambda: pause(right) is None)


def test_without_idle_it_looks_all_the_same(
    make_gateway: Make, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_poller, "LOOK_SECONDS", 0.2)
    with running_dovecot("imap_capability = IMAP4rev1 LITERAL+") as dovecot:
        gateway = make_gateway(ENTRY, **mailbox.env, **dovecot.env)
        first = mailed(gateway, mailbox)
        with polling(gateway):
            eventually(lambda: pause(gateway) is None)
            dovecot.deliver(answer(first).as_bytes())
            eventually(lambda: texts(gateway) == ["Yes, until 4."])


@pytest.mark.parametrize("encryption", ["ssl", "tls"])
def test_the_connection_is_encrypted_and_the_certificate_is_checked(
    make_gateway: Make,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    encryption: str,
) -> None:
    certificate = own_certificate(tmp_path, "localhost")
    port = free_port()
    listener = f"inet_listener imaps {{\n  port = {port}\n  ssl = yes\n}}"
    files = f"ssl_cert = <{certificate}\nssl_key = <{certificate}"
    with running_dovecot(
        f"ssl = required\n{files}\nservice imap-login {{\n{listener}\n}}"
    ) as dovecot:
        env = dovecot.env | {"IMAP_HOST": "localhost", "IMAP_ENCRYPTION": encryption}
        env |= {"IMAP_PORT": str(port)} if encryption == "ssl" else {}
        gateway = make_gateway(ENTRY, **mailbox.env, **env)
        assert gateway.mailbox is not None
        with pytest.raises(MailError, match="certificate that cannot be trusted") as caught:
            gateway.mailbox.check()
        assert caught.value.kind is Kind.CONFIG
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        gateway.mailbox.check()


@contextmanager
def hanging() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_hangs_is_given_up(
    make_gateway: Make, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, dovecot: Dovecot
) -> None:
    monkeypatch.setattr(ImapMailbox, "seconds", 0.5)
    with hanging() as port:
        gateway = make_gateway(ENTRY, **mailbox.env, **(dovecot.env | {"IMAP_PORT": str(port)}))
        with polling(gateway):
            found = eventually(lambda: pause(gateway))
    assert not found.config
    assert "was not reached" in found.reason or "in time" in found.reason


def test_encryption_at_a_port_without_it_names_the_variables(
    make_gateway: Make, mailbox: Mailbox, dovecot: Dovecot
) -> None:
    gateway = make_gateway(ENTRY, **mailbox.env, **(dovecot.env | {"IMAP_ENCRYPTION": "ssl"}))
    assert gateway.mailbox is not None
    with pytest.raises(MailError, match="check IMAP_PORT and IMAP_ENCRYPTION"):
        gateway.mailbox.check()


def test_a_closed_port_is_tried_again(make_gateway: Make, mailbox: Mailbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    env = {
        "IMAP_HOST": "127.0.0.1",
        "IMAP_PORT": port,
        "IMAP_USERNAME": "texts",
        "IMAP_PASSWORD": "secret",
        "MAIL_ANSWERS_ADDRESS": "texts@example.com",
    }
    gateway = make_gateway(ENTRY, **mailbox.env, **env)
    assert gateway.mailbox is not None
    with pytest.raises(MailError) as caught:
        gateway.mailbox.check()
    assert caught.value.kind is Kind.RETRY
    assert "was not reached" in caught.value.reason
