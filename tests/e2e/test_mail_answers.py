"""A whole conversation by e-mail, with a running server, a real IMAP server, and by SMTP."""

import smtplib
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import NUMBER, PEER, settings_file
from tests.dovecot import Dovecot, running_dovecot
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.mailbox import Mailbox
from tests.mail_answers import DESK, answer, answer_address, words_of
from tests.postgres import free_port
from tests.server import Server, running_server
from tests.waiting import PATIENCE, eventually

ENTRY = {"number": NUMBER, "carrier": "bandwidth", "emails": [DESK]}


class Listener(Server):
    """A running ``flask mail listen``."""

    command = ("flask", "--app", "wsgi", "mail", "listen")

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, _, port = self.env["MAIL_ANSWERS_LISTEN"].rpartition(":")
        return host, int(port)

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        """Wait until it takes mails."""
        end = time.monotonic() + seconds
        while True:
            try:
                smtplib.SMTP(*self.address, timeout=5).quit()
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> int:
        """Stop as a service manager does and return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)


class Conversation:
    """Somebody outside, and somebody who has only e-mail."""

    def __init__(self, server: Server, bandwidth: FakeBandwidth, mailbox: Mailbox) -> None:
        self.server = server
        self.bandwidth = bandwidth
        self.mailbox = mailbox

    def receive(self, text: str) -> Any:
        """A text comes in; returns the mail about it."""
        before = len(self.mailbox.mails)
        assert self.bandwidth.receive(text, sender=PEER, to=NUMBER).taken
        return self.mailbox.wait_for(before + 1)[before]

    def sent(self) -> list[str]:
        """The texts that the carrier has sent."""
        return [str(each["text"]) for each in self.bandwidth.accepted]


@contextmanager
def conversation(folder: Path, **env: str) -> Iterator[Conversation]:
    folder.mkdir(exist_ok=True)
    (folder / "message_settings.json").write_text(settings_file(ENTRY))
    with (
        FakeBandwidth() as bandwidth,
        Mailbox() as mailbox,
        running_server(folder, {**bandwidth.env, **mailbox.env, **env}) as server,
    ):
        hooks = server.flask("webhooks", "--json")
        token = hooks.stdout.partition("token=")[2].partition('"')[0]
        bandwidth.webhook = f"{server.url}/webhook/bandwidth/sms?token={token}"
        yield Conversation(server, bandwidth, mailbox)


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot() as running:
        yield running


def test_a_person_who_has_only_email_holds_a_conversation(
    tmp_path: Path, database: str, dovecot: Dovecot
) -> None:
    with conversation(tmp_path, DATABASE_URL=database, **dovecot.env) as held:
        first = held.receive("Is the shop open?")
        dovecot.deliver(answer(first, "Yes, until 4.").as_bytes())
        eventually(lambda: held.sent() == ["Yes, until 4."])
        second = held.receive("And on Monday?")
        for _ in range(2):
            dovecot.deliver(answer(second, "No.", Message_ID="<2@x>").as_bytes())
        eventually(lambda: dovecot.flags() == [{"\\Seen"}] * 3)
        eventually(lambda: held.sent() == ["Yes, until 4.", "No."])
        dovecot.deliver(answer(second, "", Message_ID="<3@x>").as_bytes())
        assert "was not sent" in words_of(held.mailbox.wait_for(3)[2])
        checked = held.server.flask("mail", "check")
        assert (checked.returncode, checked.stdout.count("  ok ")) == (0, 2)
        listed = held.server.flask("messages", "list", "--json")
        assert f'"sent_by": "{DESK}"' in listed.stdout
        ready = requests.get(f"{held.server.url}/ready", timeout=PATIENCE).json()
        assert [one for one in ready["warnings"] if one["name"] == "paused"] == []


def test_a_kill_between_text_and_mark_sends_nothing_twice(tmp_path: Path, dovecot: Dovecot) -> None:
    with conversation(tmp_path, **dovecot.env) as held:
        first = held.receive("Is the shop open?")
        for count in range(20):
            dovecot.deliver(answer(first, f"{count}", Message_ID=f"<{count}@x>").as_bytes())
        eventually(lambda: len(held.sent()) > 3)
        held.server.kill_tree()
        held.server.start()
        eventually(lambda: dovecot.flags() == [{"\\Seen"}] * 20)
        eventually(lambda: len(held.sent()) >= 20)
        assert sorted(held.sent(), key=int) == [str(count) for count in range(20)]


def test_a_mailbox_that_hangs_delays_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {
            "MAIL_ANSWERS_ADDRESS": "texts@example.com",
            "IMAP_HOST": "127.0.0.1",
            "IMAP_PORT": str(silent.getsockname()[1]),
            "IMAP_USERNAME": "texts",
            "IMAP_PASSWORD": "secret word",
        }
        with conversation(tmp_path, **env) as held:
            silent.accept()[0].close()  # the worker has tried once
            connection, _ = silent.accept()  # and waits for an answer now
            assert words_of(held.receive("Is the shop open?"))
            assert requests.get(f"{held.server.url}/ready", timeout=PATIENCE).ok
            connection.close()


def test_a_mail_server_hands_answers_over_by_smtp(tmp_path: Path) -> None:
    env = {
        "MAIL_ANSWERS_ADDRESS": "texts@example.com",
        "MAIL_ANSWERS_LISTEN": f"127.0.0.1:{free_port()}",
    }
    with conversation(tmp_path, **env) as held:
        mail = answer(held.receive("Is the shop open?"))
        to = answer_address(held.mailbox.mails[0])
        listener = Listener(tmp_path, held.server.env)
        listener.start()
        try:
            with smtplib.SMTP(*listener.address, timeout=PATIENCE) as client:
                for _ in range(2):
                    client.sendmail(DESK, [to], mail.as_bytes())
                eventually(lambda: held.sent() == ["Yes, until 4."])
                with pytest.raises(smtplib.SMTPRecipientsRefused):
                    client.sendmail(DESK, ["anybody@example.com"], mail.as_bytes())
                client.sendmail(
                    "", [to], answer(held.mailbox.mails[0], "Back on Monday").as_bytes()
                )
                held.mailbox.refusals.append(b"451 later\r\n")
                empty = answer(held.mailbox.mails[0], "", Message_ID="<2@x>")
                with pytest.raises(smtplib.SMTPDataError) as caught:
                    client.sendmail(DESK, [to], empty.as_bytes())
                assert caught.value.smtp_code == 451
                client.sendmail(DESK, [to], empty.as_bytes())
            assert "was not sent" in words_of(held.mailbox.wait_for(2)[1])
        finally:
            code = listener.stop()
        assert code == 0
        assert held.sent() == ["Yes, until 4."]
