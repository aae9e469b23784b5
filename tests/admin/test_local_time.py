"""APP_TIMEZONE: the time zone of pages, mails and commands, also where something is asked for."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from services.core.language import Language
from services.core.local_time import LocalTime
from services.core.messages import Message, first_uuid7
from services.gateway import Gateway
from services.mail.details import MailDetails
from services.mail.headers import parse_address
from services.mail.message import build_mail
from services.mail.words import MailWords
from services.operations.statistics import activity_of
from services.store import messages
from services.store.opt_outs import Source
from tests.admin.conftest import Operator, plain
from tests.cli.conftest import Terminal
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER

ZONE = "Asia/Kolkata"  # five and a half hours ahead, without daylight saving time
AT = datetime(2026, 1, 15, 20, 0, tzinfo=ZoneInfo("UTC")).timestamp()


def keep_text(gateway: Gateway) -> Message:
    message = Message(
        "in", NUMBER, PEER, "hello", provider="sandbox", id=first_uuid7(AT), created_at=AT
    )
    gateway.store.write(lambda tx: messages.add_inbound(tx, message))
    return message


def test_pages_show_and_understand_local_times(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator(NUMBER_ENTRY, APP_TIMEZONE=ZONE)
    message = keep_text(operator.gateway)
    assert "2026-01-16 01:30:00 IST" in plain(operator.get(f"/messages/{message.id}"))
    assert "hello" in operator.get("/messages?since=2026-01-16&until=2026-01-16")
    before = operator.get("/messages?until=2026-01-15")
    assert "hello" not in before
    assert f"Days begin at midnight in {ZONE}" in before
    assert f"Times are in {ZONE}" in operator.get("/activity")


def test_commands_show_and_understand_local_times(make_gateway: Callable[..., Gateway]) -> None:
    terminal = Terminal(make_gateway(NUMBER_ENTRY, APP_TIMEZONE=ZONE))
    message = keep_text(terminal.gateway)
    assert "2026-01-16 01:30" in terminal.flask("messages", "list").stdout
    assert "2026-01-16 01:30:00" in terminal.flask("messages", "show", message.id).stdout
    found = terminal.json("messages", "list", "--since", "2026-01-16T01:30:00")
    assert len(found) == 1
    assert "2026-01-15T20:00:00.000Z" in str(found)  # programs get UTC
    assert f"Times are in {ZONE}." in terminal.flask("activity").stdout


def test_a_mail_names_the_local_time(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(NUMBER_ENTRY, APP_TIMEZONE=ZONE)
    message = keep_text(gateway)
    sender = parse_address("", "texts@example.com")
    mail = build_mail(
        message,
        MailDetails(),
        sender,
        sender,
        "sms.example.com",
        gateway.local_time,
        MailWords(Language()),
    )
    assert "Received: Friday, 16 January 2026, 01:30 IST" in str(mail)


def test_an_opt_out_is_dated_in_local_time(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(NUMBER_ENTRY, APP_TIMEZONE=ZONE)
    opt_outs = gateway.opt_outs
    gateway.store.write(
        lambda tx: opt_outs.record(tx, NUMBER, PEER, Source.OPERATOR, "asked", at=AT)
    )
    assert "2026-01-16" in gateway.store.read(lambda tx: opt_outs.reason(tx, NUMBER, [PEER]))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland", ZONE])
def test_days_of_the_statistics_begin_at_local_midnight(
    make_gateway: Callable[..., Gateway], zone: str
) -> None:
    local = LocalTime(zone)
    found = activity_of(make_gateway().store, 3, 24, local)
    last = found.points[-1]
    now = datetime.now(local.zone)
    assert local.of(last.at).hour == 0
    assert found.begins(last).date() == now.date()
    days = [found.begins(point).date() for point in found.points]
    assert [(now.date() - day).days for day in days] == [2, 1, 0]


def test_a_time_with_an_offset_keeps_it() -> None:
    local = LocalTime("America/New_York")
    assert local.read("2026-07-01").utcoffset() == local.of(1_782_900_000.0).utcoffset()
    assert local.read("2026-07-01T08:00Z").isoformat() == "2026-07-01T08:00:00+00:00"
