"""Answers by e-mail: who may answer, what is texted, what is refused and what is left alone."""

import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from services.core.durations import DAY
from services.core.errors import Kind, MailError, RequestRefused, SendError, StorageUnwell
from services.core.messages import Device, Message, Status
from services.gateway import Gateway
from services.mail.reply_address import ReplyAddresses
from services.messaging import mail_replies
from services.messaging.compose import Reply
from services.operations import timeline
from services.store import assignments, quotas
from services.store import messages as message_store
from tests import mail_answers
from tests.conftest import NUMBER, PEER
from tests.fakes.mailbox import Mailbox
from tests.mail_answers import DESK, ENTRY, answer, answer_address, mailed, take, words_of
from tests.message_steps import failing, make_due, receive_text, run_due_jobs, stored_messages
from tests.pictures import jpeg

Make = Callable[..., Gateway]
OTHER = "bob@example.com"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def gateway(make_gateway: Make, mailbox: Mailbox) -> Gateway:
    return make_gateway(ENTRY, **mail_answers.ENV, **mailbox.env)


def sent(gateway: Gateway) -> list[Message]:
    """Our texts, the oldest first."""
    found = [one for one in stored_messages(gateway) if one.direction == "out"]
    return sorted(found, key=lambda one: one.seq)


def refusal(gateway: Gateway, mailbox: Mailbox, mail: EmailMessage) -> EmailMessage:
    """The mail with which an answer is refused."""
    before = len(mailbox.mails)
    assert take(gateway, mail) == "refused"
    return mailbox.wait_for(before + 1)[before]


def test_a_conversation_by_mail_alone(make_gateway: Make, mailbox: Mailbox, database: str) -> None:
    env = {"DATABASE_URL": database} if database else {}
    gateway = make_gateway(ENTRY, **mail_answers.ENV, **mailbox.env, **env)
    first = mailed(gateway, mailbox, "Is the shop open?")
    assert take(gateway, answer(first, "Yes, until 4.")) == "taken"
    second = mailed(gateway, mailbox, "And on Monday?")
    assert take(gateway, answer(second, "No.", Message_ID="<2@mail.example.com>")) == "taken"
    run_due_jobs(gateway)
    assert [(one.text, one.number, one.peer, one.extension) for one in sent(gateway)] == [
        ("Yes, until 4.", NUMBER, PEER, DESK),
        ("No.", NUMBER, PEER, DESK),
    ]
    assert {one.status for one in sent(gateway)} <= {Status.SENT, Status.DELIVERED}
    assert len({one.conversation_id for one in stored_messages(gateway)}) == 1
    history = timeline.load(gateway.store, sent(gateway)[0].id)
    steps = timeline.steps(gateway.settings, history)
    assert steps[0].title == f"Written by {DESK}, kept, and queued for sending"


def test_a_mail_with_the_message_id_of_another_is_refused_with_words(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    first = mailed(gateway, mailbox)
    assert take(gateway, answer(first, "Yes")) == "taken"
    assert take(gateway, answer(first, "Yes")) == "repeated"
    told = refusal(gateway, mailbox, answer(first, "No, we are closed"))
    assert "has the Message-ID of an earlier mail" in " ".join(words_of(told).split())
    assert [one.text for one in sent(gateway)] == ["Yes"]


def test_which_addresses_are_issued(gateway: Gateway, mailbox: Mailbox) -> None:
    assert gateway.mail_replies is not None
    address = answer_address(mailed(gateway, mailbox))
    local, _, domain = address.partition("@")
    changed = local[:-1] + ("a" if local[-1] != "a" else "b")
    for one, sender, is_issued in (
        (address, DESK, True),
        (address.upper(), DESK.upper(), True),
        (address, "bounces@relay.example.net", True),  # a server on the way has rewritten it
        (f"{changed}@{domain}", DESK, False),
        (f"texts+{'a' * 45}@{domain}", DESK, False),
        (f"texts@{domain}", DESK, False),
        ("", "", False),
    ):
        assert gateway.mail_replies.is_issued(one, sender) is is_issued, (one, sender)


def test_refusals_are_counted_before_they_are_mailed(
    gateway: Gateway, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at the same moment are both counted; one that cannot be mailed yet is not."""
    monkeypatch.setattr(mail_replies, "REFUSALS_AN_HOUR", 1)
    wrong = answer(mailed(gateway, mailbox), From=OTHER)

    def meanwhile(*_: object, **__: object) -> None:
        assert take(gateway, wrong) == "ignored"  # the other one, by another worker

    assert gateway.mail_replies is not None
    mailer = gateway.mail_replies.mailer
    with monkeypatch.context() as failing_mailer:
        error = MailError("away", Kind.RETRY)

        def away(*_: object, **__: object) -> None:
            raise error

        failing_mailer.setattr(mailer, "send_refusal", away)
        with pytest.raises(MailError):
            take(gateway, wrong)
    monkeypatch.setattr(mailer, "send_refusal", meanwhile)
    assert take(gateway, wrong) == "refused"


def test_the_mail_says_how_it_is_answered(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = mailed(gateway, mailbox)
    words = words_of(mail)
    assert words.startswith("=== Answer above this line ===\n\nIs the shop open?")
    assert "Answer this mail to send a text to +1 303-555-0177" in words
    assert "for 30 days" in words
    local, _, domain = answer_address(mail).rpartition("@")
    assert (len(local) <= 64, domain) == (True, "example.com")
    assert mail["From"] == "Textbridge <texts@example.com>"


def test_without_an_address_for_answers_nothing_is_said_of_them(
    make_gateway: Make, mailbox: Mailbox
) -> None:
    gateway = make_gateway(ENTRY, **mailbox.env)
    mail = mailed(gateway, mailbox)
    assert mail["Reply-To"] is None
    assert "do not answer this mail" in words_of(mail)


def test_a_mail_that_is_delivered_twice_is_texted_once(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = answer(mailed(gateway, mailbox))
    assert take(gateway, mail) == "taken"
    again = b"Received: from another.example.com; Mon, 30 Nov 2026 14:20:03 +0000\r\n"
    assert take(gateway, again + mail.as_bytes()) == "repeated"
    assert len(sent(gateway)) == 1


def test_without_a_message_id_its_content_tells_a_repeat(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    first = mailed(gateway, mailbox)
    assert take(gateway, answer(first, "One", Message_ID="")) == "taken"
    assert take(gateway, answer(first, "One", Message_ID="")) == "repeated"
    assert take(gateway, answer(first, "Two", Message_ID="")) == "taken"
    assert [one.text for one in sent(gateway)] == ["One", "Two"]


def test_without_a_message_id_the_way_of_a_mail_does_not_matter(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    raw = answer(mailed(gateway, mailbox), Message_ID="").as_bytes()
    assert take(gateway, raw) == "taken"
    by_smtp = b"Return-Path: <desk@example.com>\r\nReceived: from mx.example.com; Monday\r\n"
    assert take(gateway, by_smtp + raw.replace(b"\r\n", b"\n") + b"\n") == "repeated"
    assert len(sent(gateway)) == 1


def test_a_repeat_with_a_picture_at_the_same_moment_is_one_text(
    gateway: Gateway, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = answer(mailed(gateway, mailbox))
    mail.add_attachment(jpeg(), "image", "jpeg", filename="menu.jpg")
    assert take(gateway, mail) == "taken"
    known, looks = message_store.by_client_id, iter([None])  # the first look finds nothing
    monkeypatch.setattr(message_store, "by_client_id", lambda *wanted: next(looks, known(*wanted)))
    assert take(gateway, mail) == "repeated"
    assert [len(one.media) for one in sent(gateway)] == [1]


def broken_parts(raw: bytes) -> bytes:
    return raw.replace(b"Content-Type: text/plain", b"Content-Type: multipart/mixed", 1)


def no_base64(raw: bytes) -> bytes:
    known = b"Content-Transfer-Encoding: quoted-printable"
    coded = raw.replace(known, b"Content-Transfer-Encoding: base64", 1)
    return coded.replace(b"Yes, until 4.", b"Yes!until 4%%%")


def quote_within(raw: bytes) -> bytes:
    return raw.replace(b"Yes, until 4.", b"Yes.\r\n> On Monday?\r\nNo.")


def answer_within(raw: bytes) -> bytes:
    return raw.replace(b"\r\n> Is the shop open?", b"\r\n> Is it?\r\n\r\nNo!\r\n\r\n> And then?")


def answer_within_an_unmarked_quote(raw: bytes) -> bytes:
    """As Outlook quotes, below a greeting."""
    unmarked = raw.replace(b"\r\n> ", b"\r\n").replace(b"\r\n>", b"\r\n")
    greeting = unmarked.replace(b"Yes, until 4.", b"Hi Ann,")
    return greeting.replace(b"Is the shop open?", b"Is the shop open?\r\nYes, until 4.")


def winmail(raw: bytes) -> bytes:
    mail = message_from_bytes(raw, policy=SMTP)
    assert isinstance(mail, EmailMessage)
    mail.add_attachment(b"x\x9f>\x22", "application", "ms-tnef", filename="winmail.dat")
    return mail.as_bytes()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (winmail, "packed it, or its files, as winmail.dat"),
        (answer_within_an_unmarked_quote, "Above the quote it has only a greeting"),
        (answer_within, "Some of it stands within the quote"),
        (broken_parts, "It cannot be read"),
        (no_base64, "It cannot be read"),
        (quote_within, "begins with “>”"),
    ],
)
def test_what_would_text_a_quote_or_nonsense_is_refused(
    gateway: Gateway, mailbox: Mailbox, spoil: Callable[[bytes], bytes], said: str
) -> None:
    first = mailed(gateway, mailbox)
    assert take(gateway, spoil(answer(first).as_bytes())) == "refused"
    assert said in words_of(mailbox.wait_for(2)[1]).replace("\n", " ")
    assert sent(gateway) == []


def test_any_case_of_the_addresses_will_do(make_gateway: Make, mailbox: Mailbox) -> None:
    entry = {**ENTRY, "emails": ["Desk@Example.com"]}
    gateway = make_gateway(entry, **mail_answers.ENV, **mailbox.env)
    first = mailed(gateway, mailbox)
    mail = answer(first, From="DESK@example.COM", To=answer_address(first).upper())
    assert take(gateway, mail) == "taken"
    assert sent(gateway)[0].extension == DESK


@pytest.mark.parametrize(
    "sender",
    [
        OTHER,
        f'"{DESK}" <{OTHER}>',
        f"{DESK} <{OTHER}>",
        f"{DESK}.evil.example",
        f"x{DESK}",
    ],
)
def test_another_sender_is_told_nothing_of_the_conversation(
    gateway: Gateway, mailbox: Mailbox, sender: str
) -> None:
    told = refusal(gateway, mailbox, answer(mailed(gateway, mailbox), From=sender))
    assert "belongs to another recipient" in words_of(told)
    for secret in (PEER, "303-555", "Is the shop open", f"{DESK}>", f" {DESK}\n"):
        assert secret not in told.as_string()
    assert sent(gateway) == []


@pytest.mark.parametrize("sender", [f"{DESK}, {OTHER}", f"<{DESK}> <{OTHER}>", "", "Desk"])
def test_a_mail_without_one_sender_is_left_alone(
    gateway: Gateway, mailbox: Mailbox, sender: str
) -> None:
    first = mailed(gateway, mailbox)
    raw = answer(first, From="").as_bytes()
    header = f"From: {sender}\r\n".encode() if sender else b""
    assert take(gateway, header + raw) == "ignored"
    assert len(mailbox.mails) == 1
    assert sent(gateway) == []


def test_an_address_that_was_not_made_here_is_left_alone(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    first = mailed(gateway, mailbox)
    conversation = stored_messages(gateway)[0].conversation_id
    forged = ReplyAddresses(b"another key", "texts@example.com", 30)
    address = forged.address_for(conversation, DESK, time.time()).address
    assert take(gateway, answer(first, To=address)) == "ignored"
    right = answer_address(first)
    for position in (6, 30, 45):
        other = "b" if right[position] != "b" else "c"
        altered = right[:position] + other + right[position + 1 :]
        assert take(gateway, answer(first, To=altered)) == "ignored"
    assert len(mailbox.mails) == 1
    assert sent(gateway) == []


def test_a_mail_to_nobody_of_ours_is_foreign(gateway: Gateway, mailbox: Mailbox) -> None:
    first = mailed(gateway, mailbox)
    for to in ("texts@example.com", "texts+hello@example.com", "desk@example.com"):
        assert take(gateway, answer(first, To=to)) == "foreign"


def test_an_old_mail_is_refused(
    gateway: Gateway, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = answer(mailed(gateway, mailbox))
    now = time.time()
    monkeypatch.setattr(mail_replies.time, "time", lambda: now + 31 * DAY)
    assert "too old" in words_of(refusal(gateway, mailbox, mail))
    monkeypatch.setattr(mail_replies.time, "time", lambda: now + 29 * DAY)
    assert take(gateway, mail) == "taken"


def test_a_copy_of_what_was_texted_is_not_refused_afterwards(
    gateway: Gateway, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = answer(mailed(gateway, mailbox))
    assert take(gateway, mail) == "taken"
    gateway.settings.put({**ENTRY, "emails": [OTHER]})
    assert take(gateway, mail) == "repeated"
    now = time.time()
    monkeypatch.setattr(mail_replies.time, "time", lambda: now + 31 * DAY)
    assert take(gateway, mail) == "repeated"
    assert len(mailbox.mails) == 1


def test_an_address_that_has_lost_the_number_is_refused(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = answer(mailed(gateway, mailbox))
    gateway.settings.put({**ENTRY, "emails": [OTHER]})
    told = words_of(refusal(gateway, mailbox, mail))
    assert f"{DESK} no longer gets the messages of" in told
    assert sent(gateway) == []


def test_who_gets_the_number_by_a_rule_may_answer(make_gateway: Make, mailbox: Mailbox) -> None:
    gateway = make_gateway({**ENTRY, "emails": []}, **mail_answers.ENV, **mailbox.env)
    rule = {"name": "All", "to": [NUMBER], "deliver": {"emails": ["Desk@example.com"]}}
    gateway.settings.put_sections({"inbound": [rule]})
    assert take(gateway, answer(mailed(gateway, mailbox))) == "taken"
    assert [one.extension for one in sent(gateway)] == [DESK]


def test_two_addresses_in_one_mail_are_refused(gateway: Gateway, mailbox: Mailbox) -> None:
    first = mailed(gateway, mailbox)
    receive_text(gateway, "Hello", peer="+13035550188")
    run_due_jobs(gateway)
    second = mailbox.wait_for(2)[1]
    both = answer(first, To=f"{first['Reply-To']}, {second['Reply-To']}")
    assert "several conversations" in words_of(refusal(gateway, mailbox, both))


def test_stop_holds_for_answers_by_mail(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = answer(mailed(gateway, mailbox))
    receive_text(gateway, "STOP")
    before = len(sent(gateway))
    run_due_jobs(gateway)
    count = len(mailbox.mails)
    assert take(gateway, mail) == "refused"
    assert "opted out" in words_of(mailbox.wait_for(count + 1)[count])
    assert len(sent(gateway)) == before


def test_the_line_above_the_quote_may_name_the_sender_of_our_mails(
    make_gateway: Make, mailbox: Mailbox
) -> None:
    env = {**mail_answers.ENV, **mailbox.env, "MAIL_FROM_ADDRESS": "sms@mail.example.com"}
    gateway = make_gateway(ENTRY, **env)
    first = mailed(gateway, mailbox)
    mail = answer(first, "Joo.\n\nSMS <sms@mail.example.com> kirjoitti ma 30.11.2026:")
    raw = mail.as_bytes().replace(b"On Monday, Textbridge wrote:\r\n", b"")
    assert take(gateway, raw) == "taken"
    assert [one.text for one in sent(gateway)] == ["Joo."]


def test_the_limits_of_an_extension_hold_for_an_address(
    make_gateway: Make, mailbox: Mailbox
) -> None:
    gateway = make_gateway(ENTRY, SEND_PER_MINUTE="2", **mail_answers.ENV, **mailbox.env)
    first = mailed(gateway, mailbox)
    for count in range(2):
        assert take(gateway, answer(first, f"{count}", Message_ID=f"<{count}@x>")) == "taken"
    told = words_of(refusal(gateway, mailbox, answer(first, Message_ID="<3@x>")))
    assert "desk@example.com may send 2 messages a minute. Try again in" in told


def test_a_refusal_answers_the_mail_and_can_start_no_loop(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    told = refusal(gateway, mailbox, answer(mailed(gateway, mailbox), ""))
    assert told["In-Reply-To"] == told["References"] == "<1@mail.example.com>"
    assert told["Auto-Submitted"] == "auto-replied"
    assert told["To"] == DESK
    assert told["Reply-To"] is None
    assert "Write your answer above that line" in words_of(told)
    back = answer(mailed(gateway, mailbox), Auto_Submitted="auto-replied")
    assert take(gateway, back) == "ignored"


def test_refusals_to_one_address_are_few(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = answer(mailed(gateway, mailbox), "")
    became = [take(gateway, mail) for _ in range(mail_replies.REFUSALS_AN_HOUR + 2)]
    assert became == ["refused"] * mail_replies.REFUSALS_AN_HOUR + ["ignored"] * 2


def test_a_refusal_that_cannot_be_mailed_now_is_mailed_later(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    mail = answer(mailed(gateway, mailbox), "")
    mailbox.refusals.append(b"451 later\r\n")
    with pytest.raises(MailError) as caught:
        take(gateway, mail)
    assert caught.value.kind is Kind.RETRY
    assert take(gateway, mail) == "refused"


def test_a_sender_whose_server_takes_no_refusal_is_left_alone(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    mail = answer(mailed(gateway, mailbox), "")
    mailbox.refusals.append(b"554 never\r\n")
    assert take(gateway, mail) == "refused"


def test_the_database_decides_whether_a_mail_is_kept(
    gateway: Gateway, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = answer(mailed(gateway, mailbox))
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise StorageUnwell("The disk is full.")

        broken.setattr(message_store, "add_outbound", fail)
        with pytest.raises(StorageUnwell):
            take(gateway, mail)
    assert take(gateway, mail) == "taken"


def test_pictures_go_along(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = answer(mailed(gateway, mailbox), "The menu")
    mail.add_attachment(jpeg(), "image", "jpeg", filename="menu.jpg")
    assert take(gateway, mail) == "taken"
    [text] = sent(gateway)
    assert (text.text, [(one.name, one.content_type) for one in text.media]) == (
        "The menu",
        [("menu.jpg", "image/jpeg")],
    )


def test_files_that_no_carrier_takes_are_refused(gateway: Gateway, mailbox: Mailbox) -> None:
    mail = answer(mailed(gateway, mailbox))
    for count in range(30):
        mail.add_attachment(b"text", "application", "x-unknown", filename=f"{count}.bin")
    assert "files" in words_of(refusal(gateway, mailbox, mail))
    assert sent(gateway) == []


def test_a_mail_that_is_too_large_is_refused_and_not_read(
    gateway: Gateway, mailbox: Mailbox
) -> None:
    raw = answer(mailed(gateway, mailbox)).as_bytes()
    assert gateway.mail_replies is not None
    assert gateway.mail_replies.take(raw, lambda: None) == "refused"
    assert "larger than 30 MB" in words_of(mailbox.wait_for(2)[1])


def result_of(mail: EmailMessage, *headers: str) -> bytes:
    """An answer with headers above and below what its server has written."""
    return "".join(f"{header}\r\n" for header in headers).encode() + mail.as_bytes()


def test_only_what_the_named_server_has_proved_is_texted(
    make_gateway: Make, mailbox: Mailbox
) -> None:
    gateway = make_gateway(
        ENTRY,
        MAIL_ANSWERS_REQUIRE="dmarc",
        MAIL_ANSWERS_SERVER="mx.example.com",
        **mail_answers.ENV,
        **mailbox.env,
    )
    mail = answer(mailed(gateway, mailbox))
    good = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.com"
    bad = "Authentication-Results: mx.example.com; dmarc=fail header.from=example.com"
    other = "Authentication-Results: mx.evil.example; dmarc=pass header.from=example.com"
    for headers in ((), (other,), (bad, good), (other, bad, good)):
        assert take(gateway, result_of(mail, *headers)) == "refused"
    for told in mailbox.mails[1:]:
        assert "could not confirm" in words_of(told)
        assert PEER not in told.as_string()
        assert "dmarc" not in told.as_string()
    assert take(gateway, result_of(mail, other, good, bad)) == "taken"


def test_the_first_to_answer_by_mail_owns_the_conversation(
    make_gateway: Make, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(ENTRY, **mail_answers.ENV, **mailbox.env)
    deliver = {"group": "sales", "emails": [DESK]}
    gateway.settings.put_sections(
        {
            "groups": {"sales": {"extensions": ["201", "202"], "assign": "first-to-answer"}},
            "inbound": [{"name": "Sales", "to": [NUMBER], "deliver": deliver}],
        }
    )
    assert take(gateway, answer(mailed(gateway, mailbox))) == "taken"
    conversation = stored_messages(gateway)[0].conversation_id
    owned = gateway.store.read(lambda tx: assignments.by_id(tx, conversation))
    assert owned is not None
    assert owned.owner == DESK
    assert gateway.assignments.release(gateway.router.give) == 0
    pushed: list[object] = []
    monkeypatch.setattr(
        gateway.router, "_look_up_targets", lambda _, who, *rest: pushed.append(who) or []
    )
    mailed(gateway, mailbox, "And on Monday?")
    assert pushed == [()]


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (SendError("The carrier says: no such number.", Kind.REFUSED), "was not delivered"),
        (SendError("The answer was lost.", Kind.UNKNOWN), "perhaps not sent"),
    ],
)
def test_who_wrote_by_mail_is_mailed_what_was_not_sent(
    gateway: Gateway, mailbox: Mailbox, error: SendError, title: str
) -> None:
    first = mailed(gateway, mailbox)
    failing(gateway, error)
    assert take(gateway, answer(first)) == "taken"
    run_due_jobs(gateway)
    told = mailbox.wait_for(2)[1]
    assert told["To"] == DESK
    assert title in str(told["Subject"])
    assert error.reason in words_of(told)
    assert '"Yes, until 4."' in words_of(told)
    assert "+1 303-555-0177" in words_of(told)


def test_who_wrote_by_mail_is_not_mailed_what_was_sent(gateway: Gateway, mailbox: Mailbox) -> None:
    first = mailed(gateway, mailbox)
    failing(gateway, SendError("Busy.", Kind.RETRY))
    take(gateway, answer(first))
    run_due_jobs(gateway)
    make_due(gateway)
    run_due_jobs(gateway)
    assert sent(gateway)[0].status is Status.SENT
    assert len(mailbox.mails) == 1


def test_an_address_is_no_extension_of_another_channel(gateway: Gateway) -> None:
    receive_text(gateway)
    with pytest.raises(RequestRefused):
        gateway.composer.submit(Device("sip:x", DESK), Reply(text="x", to=(PEER,)))


def test_what_was_used_up_is_counted_by_address(gateway: Gateway, mailbox: Mailbox) -> None:
    take(gateway, answer(mailed(gateway, mailbox)))
    limit = quotas.Quota(f"send:{DESK}", 1, 60.0)
    assert gateway.store.read(lambda tx: quotas.used_up(tx, [limit])) is not None
