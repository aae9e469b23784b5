"""Mails of texts: names of contacts, description of the number, link, local time, files."""

from collections.abc import Callable

import pytest

from services.core.messages import Message
from services.gateway import Gateway
from services.store import contacts
from services.store.contacts import Contact
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.fakes.mailbox import Mailbox
from tests.message_steps import (
    receive_text,
    run_due_jobs,
    store_parts,
    stored_messages,
    webhook_call,
)

Make = Callable[..., Gateway]
DESK = NUMBER_ENTRY | {"emails": ["desk@example.com"], "description": "Front desk"}


@pytest.fixture
def gateway(make_gateway: Make, database: str, mailbox: Mailbox) -> Gateway:
    return make_gateway(
        DESK,
        DATABASE_URL=database,
        APP_URL="https://sms.example.com",
        APP_TIMEZONE="America/New_York",
        **mailbox.env,
    )


def name(gateway: Gateway, number: str, name: str) -> None:
    gateway.store.write(lambda tx: contacts.put(tx, Contact(number, name)))


def test_a_mail_names_contact_and_number_and_links_to_the_conversation(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    name(gateway, PEER, "Ann Example")
    receive_text(gateway, "One more thing…")
    run_due_jobs(gateway)
    [mail], [message] = mailbox.mails, stored_messages(gateway)
    assert mail["Subject"] == 'Ann Example → Front desk: "One more thing…"'
    body = mail.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    link = f"https://sms.example.com/phone/#/c/{message.conversation_id}"
    assert f"Open the conversation: {link}" in lines
    at = gateway.local_time.of(message.created_at)
    assert any(line.endswith(f"{at:%Y, %H:%M %Z}") for line in lines)


def test_texts_of_a_conversation_refer_to_one_mail(gateway: Gateway, mailbox: Mailbox) -> None:
    for text, peer in [("one", PEER), ("two", PEER), ("three", "+13035550178")]:
        receive_text(gateway, text, peer=peer)
    run_due_jobs(gateway)
    threads = {str(mail["Subject"]).split('"')[1]: mail["References"] for mail in mailbox.mails}
    assert threads["one"] == threads["two"] != threads["three"]


@pytest.mark.parametrize("named", ["whatsapp:+13035550177", "+13035550177"])
def test_a_name_is_found_for_whatsapp_too(gateway: Gateway, mailbox: Mailbox, named: str) -> None:
    name(gateway, named, "Ann Example")
    gateway.settings.put(DESK | {"description": ""})
    receive_text(gateway, "hi", peer="whatsapp:+13035550177")
    run_due_jobs(gateway)
    assert mailbox.mails[0]["Subject"] == 'Ann Example → +1 202-555-0100: "hi"'


def test_a_group_names_its_members(gateway: Gateway, mailbox: Mailbox) -> None:
    bob = "+13035550178"
    name(gateway, bob, "Bob Example")
    group = Message("in", NUMBER, PEER, "hi all", provider_id="m1", participants=(PEER, bob))
    store_parts(gateway, gateway.providers["sandbox"], webhook_call(gateway), [group])
    run_due_jobs(gateway)
    subject = '+1 303-555-0177 → Front desk, Bob Example: "hi all"'
    assert mailbox.mails[0]["Subject"] == subject
