"""Mails as programs write them: their new text and files. Made up by their shape.

Each ``tests/data/mails/NAME.eml`` has a ``NAME.json`` with what must go out, or why nothing does.
"""

import json
import random
import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from pathlib import Path

import pytest

from services.core.language import Language
from services.mail.inbound_mail import MOST_BYTES, read_content, read_head
from services.mail.reply_text import MOST_TEXT, new_part
from services.mail.words import PREVIEW_CLASS, PREVIEW_MARK, answer_above

MAILS = sorted((Path(__file__).resolve().parents[1] / "data" / "mails").glob("*.eml"))
ANSWER_ABOVE = answer_above(Language())
OWN = re.compile(r"texts(?:\+[a-z2-7]{45})?@example\.com", re.IGNORECASE)
SIGNED = "texts+agrct4t6lnylhkhi7ulrjtjmrvix7yzi2v2hwb25runpy@example.com"


def test_there_are_mails_of_many_programs_and_languages() -> None:
    names = " ".join(path.stem for path in MAILS)
    assert len(MAILS) >= 50
    for word in ("gmail", "outlook", "apple-mail", "iphone", "android", "thunderbird", "yahoo"):
        assert word in names
    for language in ("en", "de", "fr", "es"):
        assert sum(f"-{language}" in path.stem for path in MAILS) >= 7


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_the_new_text_goes_out_and_nothing_else(path: Path) -> None:
    wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    content = read_content(path.read_bytes(), OWN)
    assert content.text == wanted["text"]
    assert [file.name for file in content.files] == wanted.get("files", [])
    if "trouble" in wanted:
        assert wanted["trouble"] in content.trouble
    else:
        assert content.trouble == ""


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_its_head_is_that_of_a_person(path: Path) -> None:
    head = read_head(path.read_bytes())
    assert (head.sender, head.automatic) == ("desk@example.com", "")
    assert SIGNED in head.recipients
    assert head.message_id == f"<{path.stem}@mail.example.com>"


@pytest.mark.parametrize(
    ("header", "sign"),
    [
        ("Auto-Submitted: auto-replied", "Auto-Submitted"),
        ("Auto-Submitted: auto-generated; type=x", "Auto-Submitted"),
        ("Auto-Submitted: AUTO-NOTIFIED", "Auto-Submitted"),
        ("Auto-Submitted: no", ""),
        ("Auto-Submitted: No (by hand); x=y", ""),
        ("Subject: Automatic reply: Ann", "Subject"),
        ("Subject: =?utf-8?q?R=C3=A9ponse_automatique?= : Ann", "Subject"),
        ("Subject: =?utf-8?b?!!?= =?x?q?a?=", ""),
        ("Subject: a =?utdä8?b?!?= b", ""),  # a character set that is no word
        ("Subject: Re: Out of office", ""),
        ("Precedence: bulk", "Precedence"),
        ("Precedence: List", "Precedence"),
        ("Precedence: junk", "Precedence"),
        ("Precedence: auto_reply", "Precedence"),
        ("Precedence: first-class", ""),
        ("List-Id: <list.example.com>", "List-Id"),
        ("X-Autoreply: yes", "X-Autoreply"),
        ("X-Autorespond: Re: x", "X-Autorespond"),
        ("X-MS-Exchange-Inbox-Rules-Loop: a@example.com", "X-MS-Exchange-Inbox-Rules-Loop"),
        ("Return-Path: <>", "Return-Path"),
        ("Return-Path: ", "Return-Path"),
        ("Return-Path: <desk@example.com>", ""),
        ("Content-Type: multipart/report; report-type=delivery-status", "multipart/report"),
        ("From: MAILER-DAEMON@example.com", "From"),
    ],
)
def test_automatic_mails_are_known_by_their_head(header: str, sign: str) -> None:
    sender = "" if header.startswith("From") else "From: desk@example.com\r\n"
    assert read_head(f"{header}\r\n{sender}\r\nText".encode()).automatic == sign


def test_the_recipients_are_those_of_all_headers_and_of_smtp() -> None:
    raw = b"To: a@x.example\r\nCc: B <b@x.example>\r\nDelivered-To: c@x.example\r\n\r\n"
    assert sorted(read_head(raw, ("d@x.example",)).recipients) == [
        f"{letter}@x.example" for letter in "abcd"
    ]


def test_a_mail_of_several_versions_is_read_once() -> None:
    mail = EmailMessage(policy=SMTP)
    mail.set_content("Plain")
    mail.add_alternative("<p>Rich</p>", subtype="html")
    assert read_content(mail.as_bytes(), OWN).text == "Plain"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        (f"Yes\n\nOn 1 Jun, X wrote:\n{ANSWER_ABOVE}\n\nOld", "Yes"),
        (f"Yes\n> {ANSWER_ABOVE}\n> Old", "Yes"),
        (f"Yes\n>>> {ANSWER_ABOVE.lower()}", "Yes"),
        (f"Yes\n\nVoi 1.6. klo 10.00 {SIGNED} kirjoitti:\n> {ANSWER_ABOVE}", "Yes"),
        (f"> {ANSWER_ABOVE}\n> Old\n\nBelow", ""),
        ("Yes", "Yes"),
        ("", ""),
        ("First\n\nSecond", "First\n\nSecond"),
        ("Thanks", "Thanks"),
        ("Yes\n\nThanks\nBob", "Yes"),
        ("Yes\nThanks\nWill you bring the key?", "Yes\nThanks\nWill you bring the key?"),
        ("At 10:30:\n- one\n- two", "At 10:30:\n- one\n- two"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("Write to me@example.org.", "Write to me@example.org."),
    ],
)
def test_what_stands_above_the_line_is_new(text: str, new: str) -> None:
    assert new_part(text, OWN) == new


@pytest.mark.parametrize(
    ("written", "is_refused"),
    [
        ("Hi Ann,\nplease see my answers below.", True),
        ("See below", True),
        ("My comments inline", True),
        ("Answers are in red.", True),
        ("Siehe unten", True),
        ("Meine Antworten stehen unten.", True),
        ("Voir ci-dessous", True),
        ("Ver abajo", True),
        ("See you below the bridge", False),
        ("The red one, please", False),
        ("Yes, the answer is blue", False),
        ("We are open.", False),
    ],
)
def test_an_answer_within_a_quote_without_marks_is_refused(written: str, is_refused: bool) -> None:
    """As Outlook quotes: what stands below cannot be told from the quote."""
    head = "From: Textbridge <texts@example.com>\nSent: Monday\nTo: Desk\nSubject: Text"
    mail = EmailMessage(policy=SMTP)
    mail.set_content(f"{written}\n\n{head}\n\n{ANSWER_ABOVE}\n\nOpen?\n\nYes, until 4.\n")
    read = read_content(mail.as_bytes(), OWN)
    assert ("top of the mail" in read.trouble) == is_refused
    assert read.text == ("" if is_refused else written)
    quoted = EmailMessage(policy=SMTP)
    quoted.set_content(f"{written}\n\n> {ANSWER_ABOVE}\n> Open?\n")
    assert read_content(quoted.as_bytes(), OWN).text == written


OUTLOOK_HEAD = "From: Textbridge <texts@example.com>\nSent: Monday\nTo: Desk\nSubject: Text"
MARKED = f"On Monday X wrote:\n> {ANSWER_ABOVE}\n> Open?\n"


@pytest.mark.parametrize(
    "written",
    [
        "Hi,",
        "Hi, all",
        "hi ann,",
        "Hi Ann,\n\nKind regards\nBob",
        "Sehr geehrte Frau Müller,",
        "Bonjour à tous,",
        "Buenos días, Ana:",
    ],
)
@pytest.mark.parametrize("is_html", [False, True])
def test_a_greeting_above_a_quote_that_may_hold_the_answer_is_refused(
    written: str, is_html: bool
) -> None:
    """As Outlook quotes, or with the answer below a quote: it would text the greeting alone."""
    for quote in (f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n", f"{MARKED}\nYes, until 4.\n"):
        mail = EmailMessage(policy=SMTP)
        lines = f"{written}\n\n{quote}"
        if is_html:
            mail.set_content(f"<p>{escape(lines).replace(chr(10), '<br>')}</p>", subtype="html")
        else:
            mail.set_content(lines)
        read = read_content(mail.as_bytes(), OWN)
        assert "only a greeting" in read.trouble
        assert read.text == ""


@pytest.mark.parametrize(
    ("written", "quote"),
    [
        ("Hi,", MARKED),  # all that there is: the quote is whole
        ("Hi Ann,", ""),
        ("Hi, yes", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Hello Ann, we are open", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Hi, Confirmed", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Hi Ann,\n\nDone.", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Hi Ann,\n\nPerfect!", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Bonjour,\n\nParfait", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Hallo Ann,\n\nFreitag", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
        ("Yes", f"{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n"),
    ],
)
def test_a_greeting_without_doubt_and_an_answer_after_one_go_out(written: str, quote: str) -> None:
    mail = EmailMessage(policy=SMTP)
    mail.set_content(f"{written}\n\n{quote}")
    assert read_content(mail.as_bytes(), OWN).text == written


def test_a_greeting_with_a_picture_goes_out() -> None:
    mail = EmailMessage(policy=SMTP)
    mail.set_content(f"Hi Ann,\n\n{OUTLOOK_HEAD}\n\n{ANSWER_ABOVE}\n\nOpen?\n")
    mail.add_attachment(b"x", "image", "jpeg", filename="menu.jpg")
    read = read_content(mail.as_bytes(), OWN)
    assert (read.text, len(read.files), read.trouble) == ("Hi Ann,", 1, "")


@pytest.mark.parametrize("is_html", [False, True])
def test_the_hidden_preview_of_our_mail_is_no_part_of_an_answer(is_html: bool) -> None:
    """Also where a mail program has removed what hides it."""
    mail = EmailMessage(policy=SMTP)
    ours = f"{PREVIEW_MARK}Is the shop open?"
    if is_html:
        ours = f'<div class="m_-1{PREVIEW_CLASS}">Is the shop open?</div>'
        mail.set_content(f"<p>Yes</p>{ours}<p>{ANSWER_ABOVE}</p><p>Old</p>", subtype="html")
    else:
        mail.set_content(f"Yes\n\n{ours}\n\n{ANSWER_ABOVE}\n\nOld\n")
    assert read_content(mail.as_bytes(), OWN).text == "Yes"


def test_long_lines_and_texts_that_look_like_quotes_are_read_in_time() -> None:
    begin = ("On ", "Am ", "Le ", "El ", "Den ", "From: ", "> ", "=", "-", "_", "\n", "Thanks\n")
    for words in begin:
        new_part(words * (200_000 // len(words)), OWN)  # pytest's time-out is the limit


def test_a_mail_of_very_many_parts_or_lines_is_not_read() -> None:
    boundaries = b"".join(
        b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n" % n for n in range(99)
    )
    assert "cannot be read" in read_content(boundaries, OWN).trouble
    assert "cannot be read" in read_content(b"\r\n" * 1_100_000, OWN).trouble
    assert "larger than" in read_content(b"x" * (MOST_BYTES + 1), OWN).trouble


def test_an_answer_that_is_too_long_is_refused_and_not_cut() -> None:
    mail = EmailMessage(policy=SMTP)
    mail.set_content("word " * (MOST_TEXT // 5 + 10))
    content = read_content(mail.as_bytes(), OWN)
    assert (content.text, content.files) == ("", ())
    assert "more than {characters} characters" in content.trouble


# Pieces of mails, right and wrong, of which the fuzzer makes new ones.
PIECES = [
    b"", b"\r\n", b"\n", b"\r\n\r\n", b"\0", b"\xff\xfe", b"=?utf-8?q?=C3?=", b"=?utf-8?b?!?=",
    b"Content-Type: ", b"multipart/mixed", b"multipart/alternative", b"multipart/related",
    b"multipart/signed", b"message/rfc822", b"message/delivery-status", b"message/external-body",
    b"text/plain", b"text/html", b"image/jpeg", b"application/pkcs7-mime", b"text/plain; charset=",
    b"utf-8", b"punycode", b"idna", b"zlib", b"undefined", b"utf-16", b"utf-7", b"\"", b"; ",
    b"boundary=b", b"boundary=", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"charset*0*=''%ff", b"name*1=x",
    b"filename*=utf-8''%e2%82", b"filename=\"", b"filename*0*=x''y", b"format=flowed", b"delsp=yes",
    b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"uuencode", b"x-uue", b"8bit",
    b"Content-Disposition: ", b"inline", b"attachment", b"Content-ID: <a>", b"[cid:a]",
    b"[image: a]", b"begin 644 a\r\n", b"From: ", b"To: ", b"a@b.example", b"<", b">", b"(", b")",
    b"Message-ID: ", b"Authentication-Results: ", b"<html>", b"<![", b"<!--", b"<img src='cid:a'>",
    b"<blockquote ",
    b"</div>", b"&#", b"&#xd800;", b"&#x110000;", b"<style>", b"<?", b"<!DOCTYPE", b"> quoted",
    b"\r\n-- \r\nBob", b"On Mon X wrote:\r\n", b"=== Answer above this line ===",
    b"\xee\x80\x801", b"Return-Path: <>", b"Subject: \xc3", b"Auto-Submitted: ",
    b" \t folded", b"A" * 1000,
]  # fmt: skip


def fuzzed(count: int, seed: int) -> Iterator[bytes]:
    """Mails of pieces, and the real ones with pieces, bytes and lines changed."""
    numbers = random.Random(seed)
    real = [path.read_bytes()[:4000] for path in MAILS]
    for _ in range(count):
        if numbers.random() < 0.5:
            yield b"".join(numbers.choices(PIECES, k=numbers.randrange(1, 40)))
            continue
        mail = bytearray(numbers.choice(real))
        for _ in range(numbers.randrange(1, 8)):
            at, size = numbers.randrange(len(mail) + 1), numbers.randrange(0, 40)
            match numbers.randrange(4):
                case 0:
                    mail[at : at + size] = numbers.choice(PIECES)
                case 1:
                    mail[at:at] = numbers.choice(PIECES)
                case 2:
                    mail[at : at + size] = numbers.randbytes(size)
                case _:
                    del mail[at : at + size * 10]
        yield bytes(mail)


def read(raw: bytes) -> None:
    head = read_head(raw)
    assert head.sender == "" or head.sender.count("@") == 1
    content = read_content(raw, OWN)
    assert bool(content.trouble) is not bool(content.text or content.files)
    content.text.encode()


def test_whatever_a_mail_consists_of_reading_it_raises_nothing() -> None:
    for raw in fuzzed(4_000, seed=1):
        read(raw)


@pytest.mark.release
@pytest.mark.timeout(21_600)
def test_a_million_mails_are_read_without_an_error() -> None:
    for raw in fuzzed(1_000_000, seed=2):
        read(raw)
