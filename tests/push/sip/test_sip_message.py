"""SIP parser and writer: what is written is read the same, and rubbish raises one error only."""

import random
import string
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.push.sip.addresses import (
    NameAddress,
    Uri,
    parse_name_address,
    parse_name_addresses,
    parse_uri,
)
from services.push.sip.bodies import read_text
from services.push.sip.framing import Framer
from services.push.sip.grammar import Unreadable, split
from services.push.sip.message_parser import (
    MAX_BODY,
    MAX_HEADERS,
    MAX_LINE,
    InvalidRequest,
    parse_datagram,
)
from services.push.sip.reg_info import read_reginfo
from services.push.sip.sip_message import Headers, Request, Response, Via
from tests.push.sip.test_torture import FILES, load

FEW, MANY = 2_000, 1_000_000  # inputs
WORD = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
ANY_TEXT = st.text(max_size=20)
LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40)
HOSTS = st.sampled_from(["pbx.test", "192.0.2.1", "[2001:db8::1]", "a_b-c.example"])
PORTS = st.none() | st.integers(1, 65535)
URI_VALUE = st.none() | st.text(
    string.ascii_letters + string.digits + "-_.!~*'()[]/:&+$", min_size=1
)
URI_PARAMS = st.lists(st.tuples(st.from_regex(r"\A[a-z][a-z0-9-]{0,8}\Z"), URI_VALUE), max_size=3)
URIS = st.builds(
    Uri,
    user=ANY_TEXT.map(lambda text: text or "201"),
    host=HOSTS,
    port=PORTS,
    params=URI_PARAMS.map(tuple),
    scheme=st.sampled_from(["sip", "sips"]),
    password=st.none() | ANY_TEXT,
)
# A quoted string holds no control characters, and names of parameters are in lower case.
QUOTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
PARAMS = st.lists(st.tuples(WORD.map(str.lower), st.none() | QUOTABLE), max_size=3).map(tuple)
ADDRESSES = st.builds(NameAddress, uri=URIS, display=QUOTABLE, params=PARAMS)


def head(**changes: str) -> list[tuple[str, str]]:
    usual = {
        "via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx",
        "from": "<sip:a@b.c>;tag=1",
        "to": "<sip:201@pbx.test>",
        "call-id": "1@x",
        "cseq": "1 MESSAGE",
    }
    return list((usual | changes).items())


@settings(deadline=None)
@given(URIS)
def test_a_uri_that_is_written_is_read_the_same(uri: Uri) -> None:
    assert parse_uri(str(uri)) == uri


@settings(deadline=None)
@given(st.lists(ADDRESSES, min_size=1, max_size=3))
def test_addresses_that_are_written_are_read_the_same(addresses: list[NameAddress]) -> None:
    assert parse_name_addresses(", ".join(map(str, addresses))) == addresses


@settings(deadline=None)
@given(
    st.lists(st.tuples(WORD, LINE.map(lambda text: text.strip(" \t"))), max_size=5),
    st.binary(max_size=200),
    ADDRESSES,
    st.lists(st.builds(Via, st.sampled_from(["UDP", "TLS"]), HOSTS, PORTS, PARAMS), min_size=1),
    st.integers(0, 2**31 - 1),
)
def test_a_message_that_is_written_is_read_the_same(
    others: list[tuple[str, str]],
    body: bytes,
    address: NameAddress,
    vias: list[Via],
    number: int,
) -> None:
    known = {name for name, _ in head()} | {"content-length", "contact", "route", "record-route"}
    known |= {"max-forwards", "content-type", "expires", "event"}
    named = [("x-" + name, value) for name, value in others]
    parts = {"via": ", ".join(map(str, vias)), "from": str(address), "cseq": f"{number} MESSAGE"}
    headers = Headers([*head(**parts), *named])
    request = Request(headers, body, "MESSAGE", "sip:201@pbx.test")
    response = Response(headers, body, 200, "OK")
    for message in (request, response):
        data = message.encode()
        read = parse_datagram(data)
        assert read.encode() == data
        assert (read.body, read.vias, read.sender) == (body, vias, address)
        assert read.headers.all("content-length") == [str(len(body))]
        (framed,) = Framer().feed(data)
        assert framed == read


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_raise_one_error_only(data: bytes) -> None:
    for start in (b"", b"MESSAGE sip:a@b SIP/2.0\r\n", b"SIP/2.0 200 OK\r\nVia: "):
        read_anything(start + data)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_random_texts_are_addresses_or_an_error(text: str) -> None:
    for read in (parse_uri, parse_name_address, parse_name_addresses):
        with suppress(Unreadable):
            read(text)


def read_anything(data: bytes) -> None:
    """Put bytes into every parser; only ``Unreadable`` may come out."""
    try:
        message = parse_datagram(data)
        again = parse_datagram(message.encode())
        assert again.body == message.body
        if isinstance(message, Request):
            read_text(message)
    except Unreadable:
        pass
    for read in (lambda: list(Framer().feed(data)), lambda: read_reginfo(data)):
        with suppress(Unreadable):
            read()


CPIM = (
    b"MESSAGE sip:201@pbx.test SIP/2.0\r\nVia: SIP/2.0/TCP [2001:db8::1]:5060;rport;branch=z9hG4bK1"
    b'\r\nf: "A \\"B\\"" <sip:a%40b@pbx.test;transport=tcp>;tag=1\r\nt: <tel:+12025550143>\r\n'
    b"i: 1@x\r\nCSeq: 1 MESSAGE\r\nm: <sip:a@b>;q=0.5, <sips:c@d>;expires=9\r\n"
    b"c: message/cpim\r\nl: 119\r\n\r\n"
    b"From: <sip:a@b>\r\nNS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: abc\r\n\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nHi \xf0\x9f\x99\x82"
)
REGINFO = (
    b'<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo"><registration aor='
    b'"sip:201@pbx.test" state="active"><contact state="active"><uri>sip:x</uri></contact>'
    b"</registration></reginfo>"
)


@pytest.mark.parametrize(
    "inputs", [FEW, pytest.param(MANY, marks=[pytest.mark.release, pytest.mark.timeout(7200)])]
)
def test_altered_messages_raise_one_error_only(inputs: int) -> None:
    chance = random.Random(3261)
    seeds = [load(path)[1] for path in FILES if path.stem != "longreq"] + [CPIM, REGINFO] * 10
    for _ in range(inputs):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data) + 1)
            kind = chance.randrange(4)
            if kind == 0:
                data[at:at] = chance.choice(PIECES)
            elif kind == 1:
                del data[at : at + chance.randint(1, 9)]
            elif kind == 2 and at < len(data):
                data[at] = chance.randrange(256)
            else:
                data[at:at] = data[at : at + chance.randint(1, 60)]
        read_anything(bytes(data))


PIECES = [
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b'"',
    b"\\",
    b"<",
    b">",
    b";",
    b",",
    b"@",
    b":",
    b"=",
    b"%",
]
PIECES += [
    b"%00",
    b"\x00",
    b"\xff",
    b"\xc3",
    b" ",
    b"\t",
    b"-1",
    b"99999999999999",
    b"[",
    b"]",
    b"?",
]


@pytest.mark.parametrize(
    "data",
    [
        b"a" * 70_000 + b"\r\n\r\n",
        b"MESSAGE sip:a@b SIP/2.0\r\n" + b"X: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"MESSAGE sip:a@b SIP/2.0\r\nX: " + b"1" * MAX_LINE + b"\r\n\r\n",
        b"MESSAGE sip:a@b SIP/2.0\r\nX: " + b"1\r\n " * MAX_LINE + b"\r\n\r\n",
    ],
)
def test_sizes_are_limited(data: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_datagram(data)
    assert caught.value.status == 513
    with pytest.raises(Unreadable):
        list(Framer().feed(data))


def test_headers_without_an_end_are_limited() -> None:
    framer = Framer()
    for _ in range(65):
        assert list(framer.feed(b"X" * 1000)) == []
    with pytest.raises(Unreadable):
        list(framer.feed(b"X" * 1000))


def test_a_body_that_is_too_long_is_left_out_and_the_next_message_read() -> None:
    request = Request(Headers(head()), b"x" * (MAX_BODY + 1), "MESSAGE", "sip:a@b")
    small = Request(Headers(head()), b"small", "MESSAGE", "sip:a@b")
    stream = request.encode() + small.encode()
    framer = Framer()
    pieces = [stream[at : at + 9999] for at in range(0, len(stream), 9999)]
    found = [message for piece in pieces for message in framer.feed(piece)]
    assert [message.body for message in found if isinstance(message, Request)] == [b"", b"small"]
    assert isinstance(found[0], Request)
    with pytest.raises(Unreadable) as caught:
        read_text(found[0])
    assert caught.value.status == 413


def test_an_invalid_message_on_a_connection_costs_only_itself() -> None:
    bad = Request(Headers(head(cseq="x")), b"", "MESSAGE", "sip:a@b").encode()
    good = Request(Headers(head()), b"", "MESSAGE", "sip:a@b").encode()
    first, second = Framer().feed(bad + good)
    assert isinstance(first, InvalidRequest)
    assert isinstance(second, Request)


def test_keep_alives_are_counted() -> None:
    framer = Framer()
    good = Request(Headers(head()), b"", "MESSAGE", "sip:a@b").encode()
    assert len(list(framer.feed(b"\r\n\r\n" + good + b"\r\n" + good))) == 2
    assert (framer.pings, framer.pongs) == (1, 1)


def test_what_is_not_closed_is_not_split() -> None:
    for text in ('"a, b', "<a, b", '"a\\"'):
        with pytest.raises(Unreadable):
            split(text, ",")


def test_a_header_cannot_begin_another_line() -> None:
    for pair in (("x", "a\r\nVia: b"), ("x\r\ny", "a"), ("x", "a\nb"), ("x y", "a")):
        with pytest.raises(ValueError, match="cannot be written"):
            Headers([pair])
    assert "\n" not in str(NameAddress(Uri(user="a\r\nb", host="c"), "x\r\ny", (("p", "\r\nq"),)))


@pytest.mark.timeout(100)
def test_values_of_any_pattern_take_no_long_time() -> None:
    pieces = ['"', "\\", " ", "\t", "<", ";", "a ", "a,", ";a=", "<a>", '"\\', "%", "@", ":", "1."]
    starts, ends = ["", "sip:", "SIP/2.0/UDP a", "1 "], ["", "\x01", "<sip:a@b>"]
    for path, piece, start, end in product(
        ("from", "contact", "via", "cseq"), pieces, starts, ends
    ):
        value = start + piece * ((MAX_LINE - 40) // len(piece)) + end
        with suppress(Unreadable):
            parse_datagram(Request(Headers(head(**{path: value})), b"", "X", "sip:a@b").encode())
