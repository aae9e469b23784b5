"""The SIP account of Textbridge at a PBX, and the times that the user agent keeps."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Transport = Literal["udp", "tcp", "tls"]
DEFAULT_PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}


@dataclass(frozen=True, slots=True)
class SipAccount:
    """One account at one PBX.

    Attributes:
        server: host name or IP address of the PBX, without a port. Only A and AAAA records are
            looked up, no SRV or NAPTR records.
        domain: domain of the SIP addresses, such as ``pbx.example.com``.
        username: name in the address of the account.
        password: its password, for digest authentication.
        transport: ``udp``, ``tcp`` or ``tls``.
        port: port of the PBX; ``None`` is 5060, or 5061 with TLS.
        auth_username: name for digest authentication if it is not ``username``.
        proxy: host of an outbound proxy, to which everything is sent instead of ``server``.
        proxy_port: its port, default as ``port``.
        ca_file: PEM file with the authorities that sign the certificate of the PBX; ``None``
            means those of the system.
    """

    server: str
    domain: str
    username: str
    password: str = field(repr=False)
    transport: Transport = "udp"
    port: int | None = None
    auth_username: str = ""
    proxy: str = ""
    proxy_port: int | None = None
    ca_file: Path | None = None

    @property
    def next_hop(self) -> tuple[str, int]:
        """Host and port to which the requests are sent."""
        host, port = (self.proxy, self.proxy_port) if self.proxy else (self.server, self.port)
        return host, port or DEFAULT_PORTS[self.transport]


@dataclass(frozen=True, slots=True)
class SipTimes:
    """Times of the user agent, in seconds; tests shorten them.

    Attributes:
        t1, t2: timers of RFC 3261 §17: the first and the longest pause between retransmissions.
        transaction: how long a request waits for its answer, and how long an answer is kept for
            retransmissions of the request (timers F and J).
        connect: the longest wait for a connection, TLS included.
        register: total deadline of one REGISTER or SUBSCRIBE.
        answer: an incoming request whose text nobody has begun to store by then is answered 503.
            So much before ``transaction`` that storing can still end in time.
        expires: registration time that is asked for.
        refresh: the registration is renewed at least this often. A PBX that has restarted may have
            forgotten it, and over UDP nothing says so.
        stable: when the connection is lost so soon after the registration, it is not made anew at
            once: a PBX that closes every connection would be asked without a pause.
        keep_alive: pause after which an idle connection gets a keep-alive.
        pong: how long a PBX that answers keep-alives has to do so.
    """

    t1: float = 0.5
    t2: float = 4.0
    transaction: float = 32.0
    connect: float = 5.0
    register: float = 8.0
    answer: float = 20.0
    expires: int = 600
    refresh: float = 60.0
    stable: float = 5.0
    keep_alive: float = 25.0
    pong: float = 10.0


DEFAULT_TIMES = SipTimes()
