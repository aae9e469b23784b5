"""A scripted SIP server on UDP and TCP: answers as a test says, and remembers every request.

Without a script it accepts a registration for 600 seconds and every text. It shares the parser of
the product and nothing else: what it sends is written out here.
"""

import re
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self
from uuid import uuid4

from services.push.sip.account import SipAccount
from services.push.sip.framing import Framer
from services.push.sip.message_parser import parse_datagram
from services.push.sip.sip_message import Request, Response
from tests.sip_lab import free_sip_port
from tests.waiting import eventually

DOMAIN = "pbx.test"
USER = "textbridge"
PASSWORD = "the password of the tests"


@dataclass(frozen=True)
class Answer:
    """One answer of the server; ``status`` 0 is silence. ``drop`` closes the connection."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = "Scripted"
    body: str = ""
    first: tuple[int, ...] = ()  # provisional responses before it
    drop: bool = False


@dataclass(frozen=True)
class Received:
    """A request as the server got it."""

    request: Request
    raw: bytes
    transport: str

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.request.method

    def header(self, name: str) -> str:
        """The first value of a header, or an empty text."""
        return self.request.headers.get(name) or ""


class SipServer:
    """``script(method, answer, …)`` says what the next requests of a method get."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = free_sip_port()
        self.received: list[Received] = []
        self.responses: list[Response] = []
        self.pings = 0
        self.pongs = True  # whether it answers keep-alives
        self.tcp = True
        self.sees_client_at: tuple[str, int] | None = None  # as behind a NAT
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._udp: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._answered: dict[bytes, bytes] = {}  # a copy of a request gets the same answer
        self._peers: list[socket.socket] = []
        self._last: Callable[[bytes], object] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.bind((self.host, self.port))
        self._thread(self._serve_udp, self._udp)
        if self.tcp:
            self._listener = socket.create_server((self.host, self.port), family=family)
            self._thread(self._serve_tcp, self._listener)

    def stop(self) -> None:
        """Stop listening, and close every connection."""
        for opened in (self._udp, self._listener, *self._peers):
            if opened is not None:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)
                opened.close()
        self._peers = []

    def drop(self) -> None:
        """Close the connections that are open."""
        for peer in self._peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def account(self, transport: str = "udp", **changes: object) -> SipAccount:
        """An account at this server."""
        fields: dict[str, object] = {
            "server": self.host,
            "domain": DOMAIN,
            "username": USER,
            "password": PASSWORD,
            "transport": transport,
            "port": self.port,
        }
        return SipAccount(**(fields | changes))  # type: ignore[arg-type]

    def script(self, method: str, *answers: Answer) -> None:
        """What the next requests of a method get, in turn."""
        self._scripts[method].extend(answers)

    def of(self, method: str) -> list[Received]:
        """The requests of a method, with the copies of those that got no answer."""
        return [each for each in self.received if each.method == method]

    def wait(self, method: str, count: int = 1) -> list[Received]:
        """Wait until it has got so many requests of a method."""
        eventually(lambda: len(self.of(method)) >= count)
        return self.of(method)

    def send(self, data: bytes) -> None:
        """Send bytes to the client, over the way by which its last request came."""
        assert self._last is not None
        self._last(data)

    def send_to(self, client: tuple[str, int]) -> None:
        """Send to this address by UDP from now on."""
        assert self._udp is not None
        self._last = partial(_send_to, self._udp, client)

    def ask(self, method: str, body: str = "", branch: str = "", **headers: str) -> bytes:
        """Send a request to the client; ``headers`` replace those of a usual one.

        Returns what was sent.
        """
        usual = {
            "Via": f"SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch or f'z9hG4bK{uuid4().hex}'}",
            "From": "<sip:201@pbx.test>;tag=abc",
            "To": "<sip:+13035550177@pbx.test>",
            "Call-ID": uuid4().hex,
            "CSeq": f"1 {method}",
            "Max-Forwards": "70",
        }
        if body:
            usual["Content-Type"] = "text/plain"
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        fields = {name.lower(): value for name, value in usual.items()} | given
        data = message(f"{method} sip:{USER}@127.0.0.1 SIP/2.0", fields, body)
        self.send(data)
        return data

    def answer_to(self, asked: bytes) -> Response:
        """Wait for the client's response to a request of ``ask``."""
        wanted = re.findall(rb"(?i)\r\ncall-id: ([^\r]+)", asked)[0].decode()
        found: Response = eventually(
            lambda: next((each for each in self.responses if each.call_id == wanted), None)
        )
        return found

    def _thread(self, work: Callable[[socket.socket], None], opened: socket.socket) -> None:
        threading.Thread(target=work, args=(opened,), daemon=True).start()

    def _serve_udp(self, opened: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data, peer = opened.recvfrom(65_535)
                if not peer:
                    return
                if data.strip():
                    self._take(data, "UDP", partial(_send_to, opened, peer), peer)
                else:
                    self.pings += 1

    def _serve_tcp(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                self._peers.append(peer)
                self._thread(self._serve_stream, peer)

    def _serve_stream(self, peer: socket.socket) -> None:
        framer = Framer()
        with suppress(OSError), peer:
            while data := peer.recv(65_535):
                before = framer.pings
                for message_ in framer.feed(data):
                    assert not isinstance(message_, Exception), message_
                    self._take(message_.encode(), "TCP", peer.sendall, peer.getpeername())
                if framer.pings > before:
                    self.pings += 1
                    if self.pongs:
                        peer.sendall(b"\r\n")

    def _take(
        self,
        data: bytes,
        transport: str,
        send: Callable[[bytes], object],
        peer: tuple[str, int],
    ) -> None:
        self._last = send
        read = parse_datagram(data)
        if isinstance(read, Response):
            self.responses.append(read)
            return
        if data in self._answered:
            send(self._answered[data])
            return
        self.received.append(Received(read, data, transport))
        answers = self._scripts[read.method]
        answer = answers.popleft() if answers else usual_answer(read)
        seen = self.sees_client_at or peer
        for status in answer.first:
            send(response(read, Answer(status), seen))
        if answer.drop:
            self.drop()
        elif answer.status:
            self._answered[data] = response(read, answer, seen)
            send(self._answered[data])


def _send_to(opened: socket.socket, peer: tuple[str, int], data: bytes) -> None:
    opened.sendto(data, peer)


def usual_answer(request: Request) -> Answer:
    """What a request without a script gets."""
    if request.method == "REGISTER":
        return Answer(200, {"Contact": request.headers.get("contact") or "", "Expires": "600"})
    return Answer(200)


def response(request: Request, answer: Answer, peer: tuple[str, int]) -> bytes:
    """The bytes of an answer to a request."""
    via = (request.headers.get("via") or "").replace(";rport", f";rport={peer[1]}")
    fields = {
        "Via": f"{via};received={peer[0]}",
        "From": request.headers.get("from") or "",
        "To": f"{request.headers.get('to')};tag=server",
        "Call-ID": request.call_id,
        "CSeq": str(request.cseq),
        **answer.headers,
    }
    return message(f"SIP/2.0 {answer.status} {answer.reason}", fields, answer.body)


def message(first: str, headers: Mapping[str, str], body: str = "") -> bytes:
    """The bytes of a message."""
    content = body.encode()
    fields = dict(headers) | {"Content-Length": str(len(content))}
    lines = [first, *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + content


def challenge(kind: str = "401", nonce: str = "abc", **fields: str) -> Answer:
    """A 401 or 407 that asks for the password."""
    name = {"401": "WWW-Authenticate", "407": "Proxy-Authenticate"}[kind]
    more = "".join(f', {key}="{value}"' for key, value in fields.items())
    return Answer(int(kind), {name: f'Digest realm="{DOMAIN}", nonce="{nonce}"{more}'})


def settled(look: Callable[[], int], seconds: float = 0.5) -> int:
    """The count when it has stopped to grow for a while."""
    count, since = look(), time.monotonic()
    while time.monotonic() - since < seconds:
        if look() != count:
            count, since = look(), time.monotonic()
        time.sleep(0.02)
    return count
