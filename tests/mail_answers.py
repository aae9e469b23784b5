"""Steps of tests about answers by e-mail: a text is mailed, and its mail is answered."""

from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from typing import Any

from services.core.language import Language
from services.gateway import Gateway
from services.mail.words import answer_above
from tests.conftest import NUMBER
from tests.fakes.mailbox import Mailbox
from tests.message_steps import receive_text, run_due_jobs

ANSWER_ABOVE = answer_above(Language())
DESK = "desk@example.com"
ENTRY: Mapping[str, Any] = {"number": NUMBER, "carrier": "sandbox", "emails": [DESK]}
# A listener that nobody starts: what takes the answers in, the test calls itself.
ENV = {"MAIL_ANSWERS_ADDRESS": "texts@example.com", "MAIL_ANSWERS_LISTEN": "127.0.0.1:2525"}


def mailed(
    gateway: Gateway, mailbox: Mailbox, text: str = "Is the shop open?", **changes: Any
) -> EmailMessage:
    """The mail about a text that comes in."""
    before = len(mailbox.mails)
    receive_text(gateway, text, **changes)
    run_due_jobs(gateway)
    return mailbox.wait_for(before + 1)[before]


def answer(mail: EmailMessage, text: str = "Yes, until 4.", **headers: str) -> EmailMessage:
    """The answer that somebody writes above a mail; ``headers`` replace or add some."""
    written = EmailMessage(policy=SMTP)
    usual = {
        "From": DESK,
        "To": str(mail["Reply-To"]),
        "Subject": f"Re: {mail['Subject']}",
        "Message-ID": "<1@mail.example.com>",
    }
    for name, value in (usual | {n.replace("_", "-"): v for n, v in headers.items()}).items():
        if value:
            written[name] = value
    quoted = "\n".join(f"> {line}" for line in words_of(mail).splitlines())
    assert quoted.startswith(f"> {ANSWER_ABOVE}")
    written.set_content(f"{text}\n\nOn Monday, Textbridge wrote:\n{quoted}\n")
    return written


def answer_address(mail: EmailMessage) -> str:
    """The signed address of a mail."""
    return parseaddr(str(mail["Reply-To"]))[1]


def take(gateway: Gateway, mail: EmailMessage | bytes) -> str:
    """Have a mail taken in; returns what became of it."""
    raw = mail if isinstance(mail, bytes) else mail.as_bytes()
    assert gateway.mail_replies is not None
    return str(gateway.mail_replies.take(raw, lambda: raw))


def words_of(mail: EmailMessage) -> str:
    """The plain text of a mail."""
    body = mail.get_body(("plain",))
    assert isinstance(body, EmailMessage)
    return str(body.get_content()).replace("\r\n", "\n")
