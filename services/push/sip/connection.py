"""One connection to the PBX: a UDP socket, or a TCP or TLS connection, read by its own thread.

A UDP socket is connected as well, so the kernel drops what another address sends.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread

import structlog

from services.push.sip.account import SipTimes, Transport
from services.push.sip.framing import Framer
from services.push.sip.grammar import Unreadable
from services.push.sip.message_parser import InvalidRequest, parse_datagram
from services.push.sip.sip_message import Request, Response

log = structlog.get_logger()

DATAGRAM_BYTES = 65_535
OnMessage = Callable[[Request | Response | InvalidRequest, "Connection"], None]
OnLost = Callable[["Connection"], None]


class Connection(ABC):
    """A connection on which SIP messages are sent and received.

    Attributes:
        transport: ``udp``, ``tcp`` or ``tls``.
        local: host, as it stands in a URI, and port of this end.
        remote: IP address and port of the PBX.
        heard: whether the PBX has ever sent something on it.
    """

    transport: Transport

    def __init__(
        self, opened: socket.socket, times: SipTimes, on_message: OnMessage, on_lost: OnLost
    ) -> None:
        self.local = _host_port(opened.getsockname())
        self.remote = _plain_host_port(opened.getpeername())
        self.heard = False
        self._socket = opened
        self._times = times
        self._on_message = on_message
        self._on_lost = on_lost
        self._write_lock = Lock()
        self._lost = Event()
        opened.settimeout(times.keep_alive)
        self._reader = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether the connection is closed, by whichever side."""
        return self._lost.is_set()

    @property
    def reliable(self) -> bool:
        """Whether nothing needs to be sent again on it."""
        return self.transport != "udp"

    def send(self, data: bytes) -> None:
        """Send one message. Raises ``OSError``; the connection is closed then."""
        try:
            with self._write_lock:
                self._write(data)
        except BaseException:  # a deadline as well: half a message may be written
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._lost.set()
        with suppress(OSError):  # the PBX may have closed it already
            self._socket.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Write all the bytes."""

    @abstractmethod
    def _read(self) -> None:
        """Read and pass on messages until the connection is lost."""

    def _run(self) -> None:
        try:
            with self._socket:
                self._read()
        except OSError:
            pass
        except Unreadable as error:
            log.warning("SIP connection closed, data not readable", reason=error.reason)
        finally:
            self._lost.set()
            self._on_lost(self)

    def _pass_on(self, message: Request | Response | Unreadable) -> None:
        """Pass a message on, or a request that can be refused."""
        if isinstance(message, Request | Response | InvalidRequest):
            self._on_message(message, self)
        else:
            log.warning("SIP message not readable", reason=message.reason)


class UdpConnection(Connection):
    """A UDP socket that is connected to the PBX.

    An ICMP message that nobody listens there ends it: the PBX is down.
    """

    transport: Transport = "udp"

    def _write(self, data: bytes) -> None:
        self._socket.send(data)

    def _read(self) -> None:
        while not self.lost:
            try:
                data = self._socket.recv(DATAGRAM_BYTES)
            except TimeoutError:
                self.send(b"\r\n")
                continue
            if not data.strip(b"\r\n\x00"):
                continue  # a keep-alive, or the end
            self.heard = True
            try:
                self._pass_on(parse_datagram(data))
            except Unreadable as error:
                self._pass_on(error)


class StreamConnection(Connection):
    """A TCP or TLS connection.

    After a pause it sends a keep-alive (RFC 5626 §4.4.1). Not every PBX answers it. So a missing
    answer ends the connection only where the PBX has answered before; else the kernel notices that
    nobody confirms the bytes.
    """

    def __init__(
        self,
        opened: socket.socket,
        times: SipTimes,
        on_message: OnMessage,
        on_lost: OnLost,
        transport: Transport,
    ) -> None:
        super().__init__(opened, times, on_message, on_lost)
        self.transport = transport
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; in milliseconds
            longest = int(times.pong * 1000)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, longest)

    def _write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _read(self) -> None:
        framer = Framer()
        waits_for_pong = False
        while not self.lost:
            try:
                data = self._socket.recv(DATAGRAM_BYTES)
            except TimeoutError:
                if waits_for_pong and framer.pongs:
                    return
                self.send(b"\r\n\r\n")
                waits_for_pong = True
                self._socket.settimeout(self._times.pong)
                continue
            if not data:
                return
            if waits_for_pong:
                waits_for_pong = False
                self._socket.settimeout(self._times.keep_alive)
            self.heard = True
            self._frame(framer, data)

    def _frame(self, framer: Framer, data: bytes) -> None:
        pings = framer.pings
        try:
            for message in framer.feed(data):
                self._pass_on(message)
        except InvalidRequest as error:
            self._pass_on(error)
            raise
        if framer.pings > pings:
            self.send(b"\r\n")


def _host_port(address: tuple[str, int]) -> tuple[str, int]:
    host, port = _plain_host_port(address)
    return (f"[{host}]" if ":" in host else host), port


def _plain_host_port(address: tuple[str, int]) -> tuple[str, int]:
    return str(address[0]).partition("%")[0], address[1]
