"""A PBX by UDP and TCP whose answers a test makes: it registers, takes texts, and sends some."""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Queue
from secrets import token_hex

from services.push.sip.framing import Framer
from services.push.sip.sip_message import Headers, Request, Response, parse_datagram
from tests.sip_lab import free_sip_port
from tests.waiting import PATIENCE, eventually

DOMAIN = "pbx.example.com"
Send = Callable[[bytes], object]
Answer = tuple[int, Mapping[str, str]]


class SipPbx:
    """``answers`` are those to the next MESSAGE requests: a status, or ``None`` for silence.

    ``register_answer`` and ``subscribe_answer`` are the answers to all requests of these kinds.
    """

    def __init__(self) -> None:
        self.port = free_sip_port()
        self.answers: deque[int | Answer | None] = deque()
        self.register_answer: Answer = (200, {})
        self.subscribe_answer: Answer = (489, {})
        self.requests: list[Request] = []
        self._responses: dict[str, Queue[Response]] = {}  # by branch
        self._contact = ""
        self._to_contact: Send | None = None
        self._subscribed: dict[str, tuple[Request, Send]] = {}  # by address
        self._sockets: list[socket.socket] = []
        self._open = True

    def __enter__(self) -> "SipPbx":
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        tcp = socket.create_server(("127.0.0.1", self.port))
        self._sockets += [udp, tcp]
        self._start(self._serve_udp, udp)
        self._start(self._serve_tcp, tcp)
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def env(self, transport: str = "udp", **changes: str) -> dict[str, str]:
        """The variables that lead here."""
        return {
            "SIP_SERVER": f"127.0.0.1:{self.port}",
            "SIP_TRANSPORT": transport,
            "SIP_DOMAIN": DOMAIN,
            "SIP_USERNAME": "textbridge",
            "SIP_PASSWORD": "a password of the tests",
            "SIP_EXTENSION_HEADER": "X-SMS-From",
            **changes,
        }

    @property
    def texts(self) -> list[Request]:
        """Every MESSAGE that was sent here; a retransmission counts as well."""
        return [request for request in self.requests if request.method == "MESSAGE"]

    @property
    def is_registered(self) -> bool:
        """Whether the account is registered."""
        return self._to_contact is not None

    def text(
        self,
        text: str | bytes = "Until six",
        *,
        to: str = "+13035550177",
        call_id: str = "",
        sender: str = "201",
        headers: Mapping[str, str] | None = None,
        seconds: float = PATIENCE,
    ) -> Response:
        """Send a MESSAGE to the account and return its answer; ``headers`` replace others.

        Raises ``queue.Empty`` if none comes in so many seconds.
        """
        eventually(lambda: self.is_registered)
        branch = f"z9hG4bK{token_hex(8)}"
        written = {
            "via": f"SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch};rport",
            "max-forwards": "70",
            "from": f"<sip:{sender}@{DOMAIN}>;tag={token_hex(4)}",
            "to": f"<sip:{to}@{DOMAIN}>",
            "call-id": call_id or token_hex(8),
            "cseq": "1 MESSAGE",
            "content-type": "text/plain;charset=UTF-8",
            "x-sms-from": sender,
            **(headers or {}),
        }
        pairs = [(name, value) for name, value in written.items() if value]
        body = text.encode() if isinstance(text, str) else text
        request = Request(Headers(pairs), body, "MESSAGE", self._contact)
        self._responses[branch] = Queue()
        assert self._to_contact is not None
        self._to_contact(request.encode())
        return self._responses[branch].get(timeout=seconds)

    def take_contact(self, other: "SipPbx") -> None:
        """Send texts by UDP to the account that is registered at another PBX."""
        self._contact = other._contact
        host, _, port = self._contact.partition("@")[2].partition(";")[0].rpartition(":")
        udp = self._sockets[0]
        self._to_contact = lambda data: udp.sendto(data, (host, int(port)))

    def wait_subscribed(self, extension: str) -> None:
        """Wait for the subscription to the registrations of an extension."""
        eventually(lambda: self._address(extension) in self._subscribed)

    def notify_registered(self, extension: str) -> None:
        """Tell a subscriber that an extension has a phone now."""
        address = self._address(extension)
        subscription, send = self._subscribed[address]
        branch = f"z9hG4bK{token_hex(8)}"
        contact = subscription.addresses("contact")[0].uri
        body = (
            '<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" '
            f'state="full"><registration aor="{address}" id="a" state="active"><contact id="c" '
            f'state="active" event="registered"><uri>{address}</uri></contact></registration>'
            "</reginfo>"
        )
        headers = [
            ("via", f"SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch}"),
            ("max-forwards", "70"),
            ("from", f"{subscription.to.with_tag('here')}"),
            ("to", subscription.headers.get("from") or ""),
            ("call-id", subscription.call_id),
            ("cseq", "1 NOTIFY"),
            ("event", "reg"),
            ("subscription-state", "active"),
            ("content-type", "application/reginfo+xml"),
        ]
        self._responses[branch] = Queue()
        send(Request(Headers(headers), body.encode(), "NOTIFY", str(contact)).encode())
        assert self._responses[branch].get(timeout=PATIENCE).status == 200

    def _address(self, extension: str) -> str:
        return f"sip:{extension}@{DOMAIN}"

    # What it does with requests

    def _on_message(self, message: Request | Response, send: Send) -> None:
        if isinstance(message, Response):
            waiting = self._responses.get(message.vias[0].branch)
            if waiting is not None:
                waiting.put(message)
            return
        self.requests.append(message)
        answer = self._answer(message, send)
        if answer is not None:
            status, headers = answer
            copied = [(n, v) for n, v in message.headers if n in ("via", "from", "call-id", "cseq")]
            to = message.to if message.to.tag else message.to.with_tag("here")
            pairs = [*copied, ("to", str(to)), *headers.items()]
            send(Response(Headers(pairs), b"", status, "Whatever").encode())

    def _answer(self, request: Request, send: Send) -> Answer | None:
        if request.method == "MESSAGE":
            answer = self.answers.popleft() if self.answers else 200
            return (answer, {}) if isinstance(answer, int) else answer
        if request.method == "SUBSCRIBE":
            if self.subscribe_answer[0] < 300:
                self._subscribed[request.uri] = (request, send)
            return self.subscribe_answer
        assert request.method == "REGISTER", request.method
        if self.register_answer[0] < 300:
            contact = request.headers.get("contact") or ""
            ends = request.headers.get("expires") == "0"
            self._contact = contact.partition("<")[2].partition(">")[0]
            self._to_contact = None if ends else send
            return 200, {"contact": contact}
        return self.register_answer

    # Connections

    def _start(self, serve: Callable[[socket.socket], None], sock: socket.socket) -> None:
        threading.Thread(target=serve, args=(sock,), daemon=True).start()

    def _serve_udp(self, udp: socket.socket) -> None:
        for data, address in _datagrams(udp):
            self._on_message(parse_datagram(data), lambda out, to=address: udp.sendto(out, to))

    def _serve_tcp(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while self._open:
                connection, _ = listener.accept()
                self._sockets.append(connection)
                self._start(self._serve_connection, connection)

    def _serve_connection(self, connection: socket.socket) -> None:
        framer = Framer()
        with suppress(OSError):
            while data := connection.recv(65536):
                for message in framer.feed(data):
                    assert isinstance(message, Request | Response), message
                    self._on_message(message, connection.sendall)


def _datagrams(udp: socket.socket) -> Iterator[tuple[bytes, object]]:
    with suppress(OSError):
        while True:
            data, address = udp.recvfrom(65536)
            if data.strip():
                yield data, address
