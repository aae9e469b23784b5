"""What mails say, and that hostile texts add nothing to them; sent through a real SMTP server."""

import re
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from services.core.errors import Kind
from services.core.local_time import LocalTime
from services.core.messages import Attachment
from services.mail.details import MailDetails
from tests.mail.smtp_server import MESSAGE, Server, failed, mailer, sent

KNOWN = MailDetails(
    names={MESSAGE.peer: "Ann Example"},
    description="Front desk",
    link=f"https://sms.example.com/phone/#/c/{MESSAGE.conversation_id}",
)
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 5 + b"\r\n.\r\n\n.\n\xff\xd9"


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def types_of(mail: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in mail.walk()]


def test_a_text_arrives_as_plain_text_and_html(server: Server) -> None:
    mail = sent(server, MESSAGE, details=KNOWN)
    [(sender, recipients, _)] = server.taken
    assert (sender, recipients) == ("texts@example.com", ["desk@example.com"])
    assert mail["Subject"] == 'Ann Example → Front desk: "Is the shop open on Sunday?"'
    assert mail["From"] == "Textbridge <texts@example.com>"
    assert mail["To"] == "desk@example.com"
    assert mail["Date"] == "Thu, 28 May 2026 20:26:40 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Reply-To"] is None
    assert types_of(mail) == ["multipart/alternative", "text/plain", "text/html"]
    lines = [
        "Is the shop open on Sunday?",
        "From: Ann Example (+1 303-555-0177)",
        "To: Front desk (+1 202-555-0143)",
        "Received: Thursday, 28 May 2026, 20:26 UTC",
        f"Open the conversation: {KNOWN.link}",
    ]
    assert [line for line in text_of(mail).splitlines() if line][:5] == lines
    html = html_of(mail)
    assert all(line in html for line in lines[:4])
    assert f'<a href="{KNOWN.link}"' in html


def test_what_is_not_known_is_written_as_a_number(server: Server) -> None:
    mail = sent(server, MESSAGE)
    assert mail["Subject"] == ('+1 303-555-0177 → +1 202-555-0143: "Is the shop open on Sunday?"')
    assert "Open the conversation" not in text_of(mail) + html_of(mail)


def test_the_time_is_local(server: Server) -> None:
    local = LocalTime("America/New_York")
    mailer(port=server.port, local_time=local).send(MESSAGE, "desk@example.com", KNOWN)
    mail = server.taken[0][2]
    assert mail["Date"] == "Thu, 28 May 2026 16:26:40 -0400"
    assert "Received: Thursday, 28 May 2026, 16:26 EDT" in text_of(mail)
    assert "Received: Thursday, 28 May 2026, 16:26 EDT" in html_of(mail)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("One more thing…", "One more thing…"),
        ("two\r\nlines\u2028or three", "two lines or three"),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 100, "x" * 60 + "…"),
        ("x" * 60, "x" * 60),
        ("x" * 59 + "👨‍👩‍👧🏽", "x" * 59 + "…"),
        ("👨‍👩‍👧🏽 می‌خواهم", "👨‍👩‍👧🏽 می‌خواهم"),
        ('"quoted"', '"quoted"'),
    ],
)
def test_the_subject_has_the_first_words(server: Server, text: str, quoted: str) -> None:
    mail = sent(server, replace(MESSAGE, text=text), details=KNOWN)
    assert mail["Subject"] == f'Ann Example → Front desk: "{quoted}"'


def test_a_group_names_its_members_and_first_those_with_a_name(server: Server) -> None:
    others = [f"+1303555018{n}" for n in range(9)]
    group = replace(MESSAGE, participants=(*others, MESSAGE.peer))
    details = replace(KNOWN, names={**KNOWN.names, others[7]: "Bob Example"})
    mail = sent(server, group, details=details)
    assert mail["Subject"] == (
        "Ann Example → Front desk, Bob Example, +1 303-555-0180, +1 303-555-0181 and 6 more: "
        '"Is the shop open on Sunday?"'
    )
    members = [f"+1 303-555-018{n}" for n in (0, 1, 2, 3, 4, 5, 6, 8)]
    line = f"With: {', '.join(['Bob Example (+1 303-555-0187)', *members])}"
    assert line in text_of(mail).splitlines()
    assert line in html_of(mail)


def test_a_name_from_right_to_left_does_not_reverse_the_number(server: Server) -> None:
    mail = sent(server, MESSAGE, details=replace(KNOWN, names={MESSAGE.peer: "דנה לוי"}))
    assert "From: \u200eדנה לוי\u200e (+1 303-555-0177)" in text_of(mail)
    assert '<div dir="auto"' in html_of(mail)


def test_mails_of_one_conversation_to_one_address_are_one_thread(server: Server) -> None:
    other = replace(MESSAGE, conversation_id="0190f3a2-0000-7000-8000-000000000002")
    mails = [
        sent(server, replace(message, id=f"0190f3a2-0000-7000-8000-00000000001{n}"), to)
        for n, (message, to) in enumerate(
            [
                (MESSAGE, "desk@example.com"),
                (replace(MESSAGE, text="And on Monday?"), "Desk@Example.com"),
                (MESSAGE, "boss@example.com"),
                (other, "desk@example.com"),
            ]
        )
    ]
    threads = [str(mail["References"]) for mail in mails]
    assert threads == [str(mail["In-Reply-To"]) for mail in mails]
    assert threads[0] == threads[1]
    assert len(set(threads)) == 3
    assert re.fullmatch(r"<thread\.[0-9a-f]{12}@sms\.example\.com>", threads[0])
    assert len({str(mail["Message-ID"]) for mail in mails} | set(threads)) == 7


def test_the_name_of_the_sender_may_hold_anything(server: Server) -> None:
    name = 'Müller, Söhne "x" <y@example.net>'
    mailer(port=server.port, from_name=name).send(MESSAGE, "desk@example.com", MailDetails())
    [address] = server.taken[0][2]["From"].addresses
    assert (address.display_name, address.addr_spec) == (name, "texts@example.com")


def test_repeats_have_one_message_id_and_every_address_its_own(server: Server) -> None:
    ids = [
        str(sent(server, message, to)["Message-ID"]).strip()
        for message, to in [
            (MESSAGE, "desk@example.com"),
            (replace(MESSAGE, updated_at=1.0), "Desk@Example.com"),
            (MESSAGE, "boss@example.com"),
            (replace(MESSAGE, id="0190f3a2-0000-7000-8000-000000000000"), "desk@example.com"),
        ]
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert ids[0].startswith(f"<{MESSAGE.id}.")
    assert ids[0].endswith("@sms.example.com>")


@pytest.mark.parametrize(
    "text",
    [
        "one\ntwo\n\nthree",
        ".\n.\n..\n.leading\n.",
        "Subject: x\nBcc: someone@example.net\n\nbody",
        "From here on\n>From",
        "Grüße, Å…\u0085 and 😀👨‍👩‍👧🏽",
        "שלום \u200f(עולם)\u200e مرحبا \u202eevil\u202c",
        "line\u2028separator\u2029",
        "=20 =3D soft=\nbreak \t",
        "x" * 1600,
        "é" * 1600,
    ],
)
def test_a_text_is_read_as_it_was_written(server: Server, text: str) -> None:
    read = text_of(sent(server, replace(MESSAGE, text=text))).replace("\r\n", "\n")
    expected = text.replace("\u0085", "")
    assert read.startswith(expected + "\n\nFrom: +1 303-555-0177\n")
    assert len(server.taken) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nBcc: x@example.net\r\n\r\nb", "a\nBcc: x@example.net\n\nb"),
        ("a\rb", "a\nb"),
        ("\r\n.\r\nMAIL FROM:<x@example.net>", "\n.\nMAIL FROM:<x@example.net>"),
        ("\0a\0b\x1b[31m\x07", "ab[31m"),
        ("\ud83d half", " half"),
    ],
)
def test_an_odd_text_makes_one_mail_to_one_address(server: Server, text: str, shown: str) -> None:
    mail = sent(server, replace(MESSAGE, text=text))
    assert [recipients for _, recipients, _ in server.taken] == [["desk@example.com"]]
    assert mail["Bcc"] is None
    assert text_of(mail).replace("\r\n", "\n").startswith(shown + "\n\nFrom: +1 303-555-0177\n")


@pytest.mark.parametrize(
    "odd",
    [
        *(
            "\r\nBcc: x@example.net",
            "\n.\n",
            "\u2028",
            "\u2029x",
            "\0",
            "\u202egnp",
            "\ud83d",
            "😀",
        ),
        "=?utf-8?q?=0ABcc=3A_x=40example.net?=",
    ],
)
@pytest.mark.parametrize("where", ["peer", "number", "participants"])
def test_an_odd_sender_stays_on_the_line_of_the_subject(
    server: Server, where: str, odd: str
) -> None:
    value = "MTN" + odd
    changed: dict[str, Any] = {where: (value,) if where == "participants" else value}
    mail = sent(server, replace(MESSAGE, **changed))
    assert [recipients for _, recipients, _ in server.taken] == [["desk@example.com"]]
    assert mail["Bcc"] is None
    subject = str(mail["Subject"])
    assert "MTN" in subject
    assert not set(subject) & set("\r\n\0\u2028\u2029\u202e\ud83d")
    assert ("😀" in subject) == (odd == "😀")


@pytest.mark.parametrize(
    "to",
    [
        "",
        "desk",
        "desk@",
        "@example.com",
        "desk@example.com\r\nBcc: x@example.net",
        "desk@example.com, x@example.net",
        "<desk@example.com>",
        "desk@example.com>",
        "de\0sk@example.com",
        "kärcher@example.com",
        "desk@example..com",
        "\u202edesk@example.com",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_sent(server: Server, to: str) -> None:
    error = failed(mailer(port=server.port), to=to)
    assert error.kind is Kind.REFUSED
    assert "Correct it in Message Settings" in error.reason
    assert "\n" not in error.reason
    assert server.taken == []


def test_a_domain_in_any_script_is_written_to(server: Server) -> None:
    sent(server, MESSAGE, "desk@müller.example")
    assert server.taken[0][1] == ["desk@xn--mller-kva.example"]


def attachment_file(folder: Path, name: str, content_type: str, content: bytes) -> Attachment:
    attachment = Attachment(name=name, content_type=content_type, size=len(content), state="kept")
    path = folder / attachment.id
    path.write_bytes(content)
    return replace(attachment, path=path)


def attachments(mail: EmailMessage) -> list[tuple[str | None, str, bytes]]:
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in mail.iter_attachments()
    ]


@pytest.mark.parametrize(
    ("name", "content_type", "shown", "typed"),
    [
        ("beach.jpg", "image/jpeg", "beach.jpg", "image/jpeg"),
        ("", "image/png", "attachment.png", "image/png"),
        ("list", "text/csv", "list.csv", "text/csv"),
        ("Grüße 😀.pdf", "application/pdf", "Grüße 😀.pdf", "application/pdf"),
        ("../../etc/x\r\nBcc: a.gif", "image/gif", ".._.._etc_x Bcc_ a.gif", "image/gif"),
        ("x\u202egpj.exe", "application/octet-stream", "xgpj.exe", "application/octet-stream"),
        ("x", "message/rfc822", "x.bin", "application/octet-stream"),
        ("x", "image/jpeg\r\nBcc: a@example.net", "x.bin", "application/octet-stream"),
    ],
)
def test_a_picture_is_attached_byte_for_byte(
    server: Server, tmp_path: Path, name: str, content_type: str, shown: str, typed: str
) -> None:
    mail = sent(
        server, replace(MESSAGE, media=(attachment_file(tmp_path, name, content_type, JPEG),))
    )
    assert attachments(mail) == [(shown, typed, JPEG)]
    assert text_of(mail).startswith(MESSAGE.text)
    assert server.taken[0][1] == ["desk@example.com"]


def test_a_file_name_makes_no_header(server: Server, tmp_path: Path) -> None:
    """Python's email package reads encoded words in it, with the end of a line in them."""
    name = "=?utf-8?q?=0AContent-Type=3A_text/html?=.jpg"
    mail = sent(
        server, replace(MESSAGE, media=(attachment_file(tmp_path, name, "image/jpeg", JPEG),))
    )
    assert types_of(mail) == [
        *("multipart/related", "multipart/alternative", "text/plain", "text/html", "image/jpeg"),
    ]
    assert "= ?utf-8" in str(next(iter(mail.iter_attachments())).get_filename())


@pytest.mark.parametrize(
    ("content_types", "said"),
    [
        (["image/jpeg"], "sent a picture"),
        (["image/jpeg"] * 5, "sent 5 pictures"),
        (["image/heic", "text/vcard"], "sent 2 attachments"),
        (["video/mp4"], "sent an attachment"),
        ([], "sent no text"),
    ],
)
def test_files_without_a_text_are_said_in_words(
    server: Server, content_types: list[str], said: str
) -> None:
    media = tuple(Attachment(content_type=each) for each in content_types)
    mail = sent(server, replace(MESSAGE, text=" \n", media=media), details=KNOWN)
    assert mail["Subject"] == f"Ann Example → Front desk: {said}"
    assert text_of(mail).startswith(f"Ann Example {said}.")
    assert f"Ann Example {said}.</div>" in html_of(mail)


def test_pictures_are_shown_in_the_text_and_sent_once(server: Server, tmp_path: Path) -> None:
    """Other files, and pictures that mail programs do not show, are attached."""
    media = (
        attachment_file(tmp_path, "one.jpg", "image/jpeg", JPEG),
        attachment_file(tmp_path, "list.csv", "text/csv", b"a,b\r\n"),
        attachment_file(tmp_path, "two.png", "image/png", JPEG + b"2"),
        attachment_file(tmp_path, "three.svg", "image/svg+xml", b"<svg onload='alert(1)'/>"),
    )
    mail = sent(server, replace(MESSAGE, media=media))
    assert types_of(mail) == [
        *("multipart/mixed", "multipart/related", "multipart/alternative"),
        *("text/plain", "text/html", "image/jpeg", "image/png", "text/csv", "image/svg+xml"),
    ]
    parts = {part.get_filename(): part for part in mail.walk() if part.get_filename()}
    dispositions = {name: part.get_content_disposition() for name, part in parts.items()}
    assert dispositions == {
        **{"one.jpg": "inline", "two.png": "inline"},
        **{"list.csv": "attachment", "three.svg": "attachment"},
    }
    shown = [str(parts[name]["Content-ID"]).strip("<>") for name in ("one.jpg", "two.png")]
    assert re.findall('<img src="cid:(.*?)" alt="(.*?)"', html_of(mail)) == [
        (shown[0], "one.jpg"),
        (shown[1], "two.png"),
    ]
    assert parts["two.png"].get_payload(decode=True) == JPEG + b"2"


HOSTILE = [
    "\r\nBcc: x@example.net\r\n\r\nbody",
    "\n.\nMAIL FROM:<x@example.net>",
    "=?utf-8?q?=0D=0ABcc=3A_x=40example.net?=",
    "=?utf-8?b?DQpCY2M6IHhAZXhhbXBsZS5uZXQ=?=",
    "\u2028Bcc: x@example.net\u2029\x85\x0b\x0c\x1c\0",
    '"><script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>',
    "'\"</p></div></body></html>--><!-- <style>*{display:none}</style>",
    "<a href='https://evil.example/'>Open the conversation</a>",
    "%s %(x)s {0} {{7*7}} &lt;b&gt;",
    "\ud83d\u202egnp",
    "x" * 5000,
    "é😀" * 2000,
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_adds_no_header_no_part_and_no_element(
    server: Server, tmp_path: Path, hostile: str
) -> None:
    """In the text, the address and name of its sender, our description, a file's name and type."""

    def mail_with(written: str, content_type: str) -> EmailMessage:
        media = (
            attachment_file(tmp_path, written, "image/gif", b"GIF89a"),
            attachment_file(tmp_path, written, content_type, b"x"),
            Attachment(name=written, state="failed", reason=written),
        )
        message = replace(
            MESSAGE, peer=written, text=written, participants=(written, "+13035550180"), media=media
        )
        names = {written: written, "+13035550180": written}
        return sent(server, message, details=MailDetails(names, written, KNOWN.link))

    mail, usual = mail_with(hostile, hostile), mail_with("plain", "application/octet-stream")
    assert [taken[1] for taken in server.taken] == [["desk@example.com"]] * 2
    assert types_of(mail) == types_of(usual)
    for part, like in zip(mail.walk(), usual.walk(), strict=True):
        assert sorted(part.keys()) == sorted(like.keys())
    assert len(str(mail["Subject"])) < 400
    assert Elements(html_of(mail)).found == Elements(html_of(usual)).found


class Elements(HTMLParser):
    """The elements of a page, with their attributes; line breaks are left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            given = {name: value or "" for name, value in attrs}
            if tag == "img" and given["src"].startswith("cid:"):
                given |= {"alt": "", "src": ""}
            self.found.append((tag, given))

    def handle_comment(self, data: str) -> None:
        self.found.append((f"comment {data}", {}))


def test_what_cannot_be_attached_is_named_with_its_reason(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.mail.attachments.MAX_ATTACHED_BYTES", 2000)
    half = bytes(1000)
    media = (
        Attachment(name="late.jpg", content_type="image/jpeg"),
        Attachment(name="gone.jpg", state="failed", reason="The carrier has it no longer.\r\n"),
        attachment_file(tmp_path, "half.mp4", "video/mp4", half),
        attachment_file(tmp_path, "more.mp4", "video/mp4", half + b"!"),
        attachment_file(tmp_path, "fits.mp4", "video/mp4", half),
        Attachment(name="lost.gif", state="kept", path=tmp_path / "lost"),
    )
    mail = sent(server, replace(MESSAGE, media=media))
    assert [name for name, _, _ in attachments(mail)] == ["half.mp4", "fits.mp4"]
    assert [line for line in text_of(mail).splitlines() if line.startswith("[")] == [
        "[late.jpg: this attachment had not arrived yet when the mail was written.]",
        "[gone.jpg: this attachment could not be fetched. The carrier has it no longer.]",
        "[more.mp4: this attachment is too large for a mail.]",
        "[lost.gif: this attachment is no longer kept.]",
    ]


def test_a_disk_that_cannot_be_read_now_sends_nothing(server: Server, tmp_path: Path) -> None:
    unreadable = Attachment(name="beach.jpg", state="kept", path=tmp_path)
    error = failed(mailer(port=server.port), replace(MESSAGE, media=(unreadable,)))
    assert error.kind is Kind.RETRY
    assert server.taken == []
