"""Opens connections to the PBX: DNS, TCP, and TLS with a checked certificate."""

import socket
import ssl
from functools import cached_property

from services.core.errors import Kind, PushError
from services.http.deadline import DeadlineExceeded, deadline
from services.push.sip.account import SipAccount, SipTimes, Transport
from services.push.sip.connection import (
    Connection,
    OnLost,
    OnMessage,
    StreamConnection,
    UdpConnection,
)
from services.push.sip.errors import NotConnected


class Connector:
    """Opens connections to the next hop of an account."""

    def __init__(
        self, account: SipAccount, times: SipTimes, on_message: OnMessage, on_lost: OnLost
    ) -> None:
        self._account = account
        self._times = times
        self._on_message = on_message
        self._on_lost = on_lost
        self._turn = 0  # which of several addresses is next for UDP

    @property
    def place(self) -> str:
        """Host and port of the PBX, for messages to the operator."""
        host, port = self._account.next_hop
        return f"{host}:{port}"

    def open(self, transport: Transport) -> Connection:
        """Open a connection. Raises ``NotConnected``, and ``PushError`` for a certificate."""
        try:
            with deadline(self._times.connect):
                opened = self._connect(transport)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from None
        except (OSError, DeadlineExceeded, UnicodeError):
            raise NotConnected(
                f"The PBX at {self.place} is not reachable by {transport.upper()}."
            ) from None
        try:
            connection = self._connection(opened, transport)
        except OSError:  # it was reset meanwhile
            opened.close()
            raise NotConnected(f"The PBX at {self.place} closed the connection.") from None
        connection.start()
        return connection

    def try_another_address(self) -> None:
        """Use the next address of the host for UDP, as nobody answered at this one."""
        self._turn += 1

    def _connection(self, opened: socket.socket, transport: Transport) -> Connection:
        arguments = opened, self._times, self._on_message, self._on_lost
        if transport == "udp":
            return UdpConnection(*arguments)
        return StreamConnection(*arguments, transport)

    def _connect(self, transport: Transport) -> socket.socket:
        if transport == "udp":
            return self._connect_udp()
        host, port = self._account.next_hop
        if transport == "tls":
            plain = socket.create_connection((host, port), self._times.connect)
            try:
                return self._tls_context.wrap_socket(plain, server_hostname=host)
            except BaseException:
                plain.close()
                raise
        return socket.create_connection((host, port), self._times.connect)

    def _connect_udp(self) -> socket.socket:
        host, port = self._account.next_hop
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        start = self._turn % len(found)
        for family, kind, protocol, _, address in [*found[start:], *found[:start]]:
            opened = socket.socket(family, kind, protocol)
            try:
                opened.connect(address)
            except OSError:  # such as no route for IPv6
                opened.close()
            else:
                return opened
        raise OSError("No address can be reached.")

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._account.ca_file)
        except OSError:
            reason = "SIP_CA_FILE cannot be read as certificates in PEM format."
            raise PushError(reason, Kind.CONFIG) from None

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> PushError:
        reason = (
            f"The certificate of the PBX at {self.place} is not accepted: {error.verify_message}. "
            "Set SIP_SERVER to a name in the certificate, and SIP_CA_FILE to the authority that "
            "signed it unless it is a public one."
        )
        return PushError(reason, Kind.CONFIG)
