"""SIP parser: the cases of RFC 4475 (torture messages), each in a file with what is expected.

A line of a file ends with CR LF in the message, ``\\xNN`` is a byte, ``<<text*9>>`` is a text nine
times and ``{length}`` the length of the body. ``parsed`` is ``valid``, the status that refuses the
request, or ``unreadable``; ``answer`` is the status that the user agent sends, or ``none``.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from services.push.sip.account import DEFAULT_TIMES
from services.push.sip.framing import Framer
from services.push.sip.grammar import Unreadable
from services.push.sip.incoming import Incoming
from services.push.sip.message_parser import InvalidRequest, parse_datagram
from services.push.sip.sip_message import Request

FOLDER = Path(__file__).parents[2] / "data" / "sip" / "torture"
FILES = sorted(FOLDER.glob("*.txt"))


def load(path: Path) -> tuple[dict[str, str], bytes]:
    """What is expected of a file, and its message."""
    notes, _, text = path.read_text(encoding="utf-8").partition("\n\n")
    text = re.sub(r"<<(.+?)\*(\d+)>>", lambda found: found[1] * int(found[2]), text)
    data = re.sub(
        rb"\\(?:x([0-9a-f]{2})|\\)",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else b"\\",
        text.replace("\n", "\r\n").encode(),
    )
    body = data.partition(b"\r\n\r\n")[2]
    data = data.replace(b"{length}", str(len(body)).encode(), 1)
    return dict(line.split(": ", 1) for line in notes.splitlines()), data


class Wire:
    """A connection that keeps what is sent on it."""

    remote = ("192.0.2.9", 5060)

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)


def parsed(data: bytes) -> Any:
    try:
        return parse_datagram(data)
    except Unreadable as error:
        return error


def test_every_case_of_the_rfc_is_there() -> None:
    assert len(FILES) >= 49  # RFC 4475 has 49


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_torture_message(path: Path) -> None:
    expected, data = load(path)
    result = parsed(data)
    kinds = {InvalidRequest: "refused", Unreadable: "unreadable"}
    kind = kinds.get(type(result), "valid")
    assert (str(result.status) if kind == "refused" else kind) == expected["parsed"], result
    wire = Wire()
    if isinstance(result, Request | InvalidRequest):
        incoming = Incoming(DEFAULT_TIMES, lambda _: (481, []), lambda _: True)
        incoming.on_request(result, wire)  # type: ignore[arg-type]
    answers = [parse_datagram(sent) for sent in wire.sent] if kind == "valid" else wire.sent
    status = wire.sent[0].split(b" ")[1].decode() if wire.sent else "none"
    assert status == expected["answer"]
    assert len(answers) == len(wire.sent) <= 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_torture_message_on_a_connection(path: Path) -> None:
    """Cut anywhere, a message is read in the same way, and so is the one behind it."""
    expected, data = load(path)
    if expected["parsed"] != "valid" or path.stem == "dblreq":
        return
    if b"\r\nContent-Length" not in data and b"\nl:" not in data:
        head, _, body = data.partition(b"\r\n\r\n")
        data = head + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    whole = parse_datagram(data)
    for size in (1, 7, len(data)):
        framer = Framer()
        stream = data + b"\r\n\r\n" + data
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        found = [message for piece in pieces for message in framer.feed(piece)]
        assert found == [whole, whole]
