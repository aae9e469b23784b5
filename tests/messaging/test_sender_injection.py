"""Odd senders as text only: in mail headers, SIP headers, CSV, pages, logs and pushes."""

import csv
import io
import json
from collections.abc import Callable
from email import message_from_bytes, policy
from email.headerregistry import Address
from typing import Any

import pytest
from markupsafe import escape

from services.core.language import Language
from services.core.local_time import LocalTime
from services.core.messages import Device, Message, Notice, message_object
from services.core.phone_numbers import sender
from services.delivery.notification_text import MOST_TITLE, NotificationText
from services.gateway import Gateway
from services.mail.details import MailDetails
from services.mail.message import build_mail
from services.mail.words import MailWords
from services.operations.export import as_csv, as_json
from services.push.base import ChannelContext
from services.push.freeswitch.channel import FreeSwitch, FreeSwitchSettings
from tests.conftest import NUMBER, NUMBER_ENTRY
from tests.message_steps import receive_text, stored_messages

Make = Callable[..., Gateway]
HOSTILE = [
    "x\r\nBcc: victim@example.com",
    "x\r\n\r\nbody",
    "x\x00y",
    '"quoted" <angle@example.com>, other@example.com',
    "=?utf-8?q?=0D=0ABcc:_victim@example.com?=",
    '=cmd|"/C calc"!A0',
    "@SUM(1+1)",
    "-2+3",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} ${7*7} %s %(x)s {0}",
    "\u202eevil\u202c",
    "sip:201@evil.example;transport=tcp>",
    "a\u2028b\u0085c",
    "../../etc/passwd",
    "'; DROP TABLE messages; --",
    "\x1b[31mred",
    "x" * 2000,
]


@pytest.fixture(params=HOSTILE, ids=range(len(HOSTILE)))
def message(request: pytest.FixtureRequest) -> Message:
    """A message of a hostile sender, as it is kept."""
    return Message("in", NUMBER, sender(request.param, "US"), text="hi")


def test_a_mail_has_no_header_more(message: Message) -> None:
    recipient = Address("", addr_spec="desk@example.com")
    ours = Address("Textbridge", addr_spec="x@example.com")
    mail = build_mail(
        message, MailDetails(), ours, recipient, "e.com", LocalTime(), MailWords(Language())
    )
    read = message_from_bytes(mail.as_bytes(), policy=policy.default)
    assert read["To"] == "desk@example.com"
    assert read["Bcc"] is None
    plain = Message("in", NUMBER, "+13035550177", text="hi")
    usual = build_mail(
        plain, MailDetails(), ours, recipient, "e.com", LocalTime(), MailWords(Language())
    )
    assert sorted(read.keys()) == sorted(usual.keys())
    assert str(read["Subject"]).endswith(' → +1 202-555-0100: "hi"')


def test_sip_headers_have_one_line_and_one_address(message: Message) -> None:
    settings = FreeSwitchSettings(
        esl_ip="127.0.0.1",
        esl_port=8021,
        esl_pw="x",
        sip_domain="pbx.example.com",
        sip_profile="internal",
    )
    context: Any = ChannelContext.__new__(ChannelContext)
    headers = FreeSwitch(settings, context)._headers("201", message.peer)
    for value in headers.values():
        assert value.isascii()
        assert value.isprintable()
    user = headers["from"].removeprefix("sip:").removesuffix("@pbx.example.com")
    assert not set(user) & set(' @<>;,"\\:\r\n')


def test_an_export_has_one_cell_that_runs_nothing(message: Message) -> None:
    [titles, row] = csv.reader(io.StringIO("".join(as_csv([message], {})), newline=""))
    assert len(row) == len(titles)
    assert row[3][:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert row[3] in (message.peer, f"'{message.peer}")
    [item] = json.loads("".join(as_json([message], lambda _: "", {})))
    assert item["from"] == message.peer


def test_a_notification_has_its_title_in_one_line(message: Message) -> None:
    device = Device(id="d", extension="201")
    notice: Notice = NotificationText(Language()).of_message(
        message, device, "received", lambda one: message_object(one, lambda _: "")
    )
    assert len(notice.title.splitlines()) == 1
    assert len(notice.title) <= MOST_TITLE
    assert "\x00" not in json.dumps(notice.message)


def test_a_page_and_a_log_line_have_it_as_text(
    make_gateway: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = make_gateway(NUMBER_ENTRY)
    for number, hostile in enumerate(HOSTILE):
        receive_text(gateway, f"text {number}", peer=hostile)
    assert len(stored_messages(gateway)) == len(HOSTILE)
    logged = capsys.readouterr().out
    assert "\x1b[31mred" not in logged
    assert "\nBcc" not in logged
    assert "<script>" not in str(escape(stored_messages(gateway)[-9].peer))
