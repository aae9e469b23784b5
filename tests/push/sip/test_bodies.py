"""The text of an incoming MESSAGE: plain and CPIM bodies, character sets, refusals; reginfo."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.push.sip.bodies import MAX_TEXT, read_text
from services.push.sip.events import ExtensionState
from services.push.sip.grammar import Unreadable
from services.push.sip.reg_info import MAX_DOCUMENT, MAX_ELEMENTS, read_reginfo
from services.push.sip.sip_message import Headers, Request

CPIM_HEAD = "From: <sip:201@pbx.test>\r\nTo: <sip:x@pbx.test>\r\nNS: imdn <urn:ietf:params:imdn>"
IMDN = '<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"/>'


def message(kind: str | None, body: bytes, **headers: str) -> Request:
    pairs = [("content-type", kind)] if kind else []
    return Request(Headers([*pairs, *headers.items()]), body, "MESSAGE", "sip:a@b")


def cpim(content: str, kind: str = "text/plain;charset=utf-8", head: str = CPIM_HEAD) -> bytes:
    return f"{head}\r\n\r\nContent-Type: {kind}\r\n\r\n{content}".encode()


TEXTS = [
    ("text/plain", "Grüße 🙂".encode(), "Grüße 🙂"),
    (None, b"no type", "no type"),
    ("text/plain; charset=ISO-8859-1", b"Gr\xfc\xdfe", "Grüße"),
    ('Text/Plain;format=flowed;charset="Windows-1252"', b"\x80 5", "€ 5"),
    ("text/plain;charset=utf-16", "é".encode("utf-16"), "é"),
    ("text/plain", b"caf\xe9", "caf\ufffd"),
    ("text/plain", b"one\r\ntwo\nthree", "one\ntwo\nthree"),
    ("message/cpim", cpim("in an envelope 🙂"), "in an envelope 🙂"),
    ("Message/CPIM", cpim("a\r\n\r\nb"), "a\n\nb"),
    ("message/cpim", cpim("Grüße").replace(b"\r\n", b"\n"), "Grüße"),
]


@pytest.mark.parametrize(("kind", "body", "text"), TEXTS)
def test_a_text_is_read(kind: str | None, body: bytes, text: str) -> None:
    assert read_text(message(kind, body)) == text
    packed = message(kind, zlib.compress(body), **{"content-encoding": "Deflate"})
    assert read_text(packed) == text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/im-iscomposing+xml", b"<isComposing/>"),
        ("message/imdn+xml", IMDN.encode()),
        ("message/cpim", cpim(IMDN, "message/imdn+xml")),
        ("text/plain", b""),
        ("text/plain", b" \r\n"),
    ],
)
def test_what_is_no_text_of_a_person_is_dropped(kind: str, body: bytes) -> None:
    assert read_text(message(kind, body)) is None


REFUSED = [
    (415, message("text/html", b"<b>x</b>")),
    (415, message("multipart/mixed;boundary=x", b"--x\r\n\r\ny\r\n--x--")),
    (415, message("application/vnd.gsma.rcs-ft-http+xml", b"<file/>")),
    (415, message("text/plain;charset=utf-7", b"x")),
    (415, message("text/plain;charset=rot13", b"x")),
    (415, message("text/plain;charset=iso-8859-99", b"x")),
    (415, message("text/plain", b"x", **{"content-encoding": "gzip"})),
    (415, message("message/cpim", cpim("x", "text/html"))),
    (415, message("message/cpim", cpim("x", head=CPIM_HEAD + "\r\nRequire: Subject"))),
    (415, message("message/cpim", cpim("x", "text/plain\r\nContent-Transfer-Encoding: base64"))),
    (400, message("message/cpim", b"no header at all")),
    (400, message("message/cpim", b"no header\r\n\r\nat all\r\n\r\nhere")),
    (400, message("text", b"x")),
    (400, message('text/plain;charset="', b"x")),
    (400, message("text/plain", b"not compressed", **{"content-encoding": "deflate"})),
    (413, message("text/plain", b"x" * (MAX_TEXT + 1))),
    (413, message("text/plain", b"", **{"content-length": str(MAX_TEXT + 1)})),
    (
        413,
        message("text/plain", zlib.compress(b"x" * 9_000_000), **{"content-encoding": "deflate"}),
    ),
]


@pytest.mark.parametrize(("status", "request_"), REFUSED)
def test_other_bodies_are_refused(status: int, request_: Request) -> None:
    with pytest.raises(Unreadable) as caught:
        read_text(request_)
    assert caught.value.status == status


@settings(deadline=None)
@given(
    st.sampled_from(["text/plain", "message/cpim", "text/plain;charset=utf-16"]),
    st.binary(max_size=200) | st.text(max_size=100).map(lambda text: cpim(text, text)),
    st.sampled_from(["", "deflate"]),
)
def test_any_body_is_read_or_refused(kind: str, body: bytes, coding: str) -> None:
    with suppress(Unreadable):
        read_text(message(kind, body, **{"content-encoding": coding}))


# The documents of the reg event package

SPACE = 'xmlns="urn:ietf:params:xml:ns:reginfo"'


def registration(user: str, state: str, *contacts: str) -> str:
    inner = "".join(
        f'<contact id="x" state="{each}"><uri>sip:x</uri></contact>' for each in contacts
    )
    return f'<registration aor="sip:{user}@pbx.test" state="{state}">{inner}</registration>'


def test_states_of_extensions_are_read() -> None:
    entries = [
        registration("201", "active", "terminated", "active"),
        registration("202", "active", "terminated"),
        registration("203", "terminated"),
        registration("204", "init"),
        registration("205", "active"),
    ]
    found = read_reginfo(
        f'<?xml version="1.0"?><reginfo {SPACE}>{"".join(entries)}</reginfo>'.encode()
    )
    assert [state.registered for state in found] == [True, False, False, False, True]
    assert found[0] == ExtensionState("sip:201@pbx.test", True)


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
UNREADABLE = [
    b"",
    b"<reginfo",
    b"no xml",
    b"\xff\xfe\x00",
    b"<reginfo/>",
    b'<other xmlns="urn:ietf:params:xml:ns:reginfo"/>',
    f'<!DOCTYPE r [<!ENTITY a0 "x">{BOMB}]><reginfo {SPACE}>&a8;</reginfo>'.encode(),
    f'<!DOCTYPE r SYSTEM "http://192.0.2.1/"><reginfo {SPACE}/>'.encode(),
    f'<?xml version="1.0" encoding="nothing"?><reginfo {SPACE}/>'.encode(),
    f"<reginfo {SPACE}>{'<a/>' * (MAX_ELEMENTS + 1)}</reginfo>".encode(),
    f"<reginfo {SPACE}>{' ' * MAX_DOCUMENT}</reginfo>".encode(),
]


@pytest.mark.parametrize("document", UNREADABLE, ids=range(len(UNREADABLE)))
def test_other_documents_are_refused(document: bytes) -> None:
    with pytest.raises(Unreadable):
        read_reginfo(document)
