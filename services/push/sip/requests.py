"""Sends requests to the PBX: builds them, answers its challenges, chooses the connection."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from threading import Lock

from services.core.errors import Kind, PushError
from services.http.deadline import DeadlineExceeded, deadline
from services.push.sip import digest
from services.push.sip.account import SipAccount, SipTimes, Transport
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.client_transactions import ClientTransactions, new_branch
from services.push.sip.connection import Connection, OnMessage
from services.push.sip.connector import Connector
from services.push.sip.errors import NoAnswer, NotConnected, TooLongForUdp, WrongPassword
from services.push.sip.sip_message import Headers, Request, Response, Via

UDP_BYTES = 1300  # RFC 3261 §18.1.1: a longer request must not go by UDP
CHALLENGES = 4  # answered in one exchange: a proxy, a server, and an expired nonce of each


@dataclass
class Draft:
    """A request without what changes when it is sent again: Via, CSeq and credentials.

    ``sender`` and ``to`` are the addresses in From and To. The same draft, sent again, has the
    next CSeq.
    """

    method: str
    uri: Uri
    sender: NameAddress
    to: NameAddress
    headers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    body: bytes = field(default=b"", repr=False)
    call_id: str = field(default_factory=lambda: token_hex(16))
    cseq: int = 0


class Requester:
    """Sends requests on one connection, which it opens when it is needed.

    ``routes`` are addresses through which requests go after the outbound proxy (RFC 3608).
    """

    def __init__(
        self,
        account: SipAccount,
        times: SipTimes,
        product: str,
        transactions: ClientTransactions,
        on_message: OnMessage,
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.routes: list[str] = []
        self._account = account
        self._product = product
        self._transactions = transactions
        self._report_lost = on_lost
        self._connector = Connector(account, times, on_message, self._on_lost)
        self._credentials = digest.Credentials(
            account.auth_username or account.username, account.password
        )
        self._opening = Lock()
        self._connections: dict[Transport, Connection] = {}  # by transport
        self._closed = False

    @property
    def place(self) -> str:
        """Host and port of the PBX, for messages to the operator."""
        return self._connector.place

    def connection(self) -> Connection:
        """The connection of the account's transport. Raises ``PushError``."""
        return self._open(self._account.transport)

    def exchange(self, draft: Draft, seconds: float) -> tuple[Response, Connection]:
        """Send a request, with the password where it is asked for.

        Returns the final response and the connection on which it came. Raises ``NotConnected``,
        ``NoAnswer``, ``TooLongForUdp``, ``WrongPassword``, and ``PushError`` for a challenge that
        cannot be answered.
        """
        try:
            with deadline(seconds + 1):  # for a connection that takes no bytes
                return self._exchange(draft, time.monotonic() + seconds)
        except DeadlineExceeded:
            raise NoAnswer(f"The PBX at {self.place} did not answer in time.") from None

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            self._closed = True
            for connection in self._connections.values():
                connection.close()

    def drop(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._opening:
            for connection in self._connections.values():
                connection.close()

    def _exchange(self, draft: Draft, end: float) -> tuple[Response, Connection]:
        answered: dict[tuple[int, str], digest.Challenge] = {}
        for _ in range(CHALLENGES + 1):
            response, connection = self._send(draft, answered, end)
            if response.status not in digest.HEADERS:
                return response, connection
            challenge = digest.strongest(response)
            place = (response.status, challenge.realm)
            if place in answered and not challenge.stale:
                raise WrongPassword(self._refused(draft), response.status)
            answered[place] = challenge
        raise PushError(
            f"The PBX at {self.place} asks for the password again and again.", Kind.RETRY
        )

    def _refused(self, draft: Draft) -> str:
        """Why the password may not have been enough for a request."""
        reason = (
            f"The PBX at {self.place} refuses the user name or the password. Correct SIP_USERNAME "
            "and SIP_PASSWORD."
        )
        if draft.sender.uri.user == self._account.username:
            return reason
        return (
            f"{reason} If the account is registered, they are right: the PBX must allow it to "
            "write in the name of outside numbers."
        )

    def _send(
        self, draft: Draft, answered: dict[tuple[int, str], digest.Challenge], end: float
    ) -> tuple[Response, Connection]:
        proofs = [
            (
                digest.HEADERS[status][1],
                self._credentials.answer(each, draft.method, str(draft.uri)),
            )
            for (status, _), each in answered.items()
        ]
        for is_last in (False, True):
            draft.cseq += 1
            connection = self._connection_for(draft, proofs)
            request = self._request(draft, proofs, connection)
            left = end - time.monotonic()
            if left <= 0:
                raise NotConnected(f"The PBX at {self.place} is too slow.")
            try:
                return self._transactions.run(request, connection, left), connection
            except NotConnected:  # the PBX had closed the connection, or another address may work
                if is_last:
                    raise
        raise AssertionError("unreachable")

    def _connection_for(self, draft: Draft, proofs: list[tuple[str, str]]) -> Connection:
        """The connection for a request: TCP where it is too long for UDP."""
        connection = self.connection()
        size = len(self._request(draft, proofs, connection).encode())
        if connection.reliable or size <= UDP_BYTES:
            return connection
        try:
            return self._open("tcp")
        except NotConnected:
            reason = (
                f"A text of {size} bytes is too long for UDP, and the PBX at {self.place} takes no "
                "TCP connection. Let it listen for TCP and set SIP_TRANSPORT=tcp."
            )
            raise TooLongForUdp(reason) from None

    def _request(
        self, draft: Draft, proofs: list[tuple[str, str]], connection: Connection
    ) -> Request:
        host, port = connection.local
        params = (("branch", new_branch()), ("rport", None))
        pairs = [("via", str(Via(connection.transport.upper(), host, port, params)))]
        pairs += [("route", route) for route in self._routes()]
        pairs += [
            ("max-forwards", "70"),
            ("from", str(draft.sender)),
            ("to", str(draft.to)),
            ("call-id", draft.call_id),
            ("cseq", f"{draft.cseq} {draft.method}"),
            ("user-agent", self._product),
        ]
        return Request(
            Headers([*pairs, *draft.headers, *proofs]), draft.body, draft.method, str(draft.uri)
        )

    def _routes(self) -> list[str]:
        if not self._account.proxy:
            return self.routes
        host, port = self._account.next_hop
        transport = (
            () if self._account.transport == "udp" else (("transport", self._account.transport),)
        )
        proxy = Uri(host=uri_host(host), port=port, params=(*transport, ("lr", None)))
        return [f"<{proxy}>", *self.routes]

    def _open(self, transport: Transport) -> Connection:
        with self._opening:
            if self._closed:
                raise NotConnected("The SIP connection was closed.")
            known = self._connections.get(transport)
            if known is None or known.lost:
                known = self._connections[transport] = self._connector.open(transport)
            return known

    def _on_lost(self, connection: Connection) -> None:
        if not connection.reliable and not connection.heard:
            self._connector.try_another_address()
        self._transactions.on_lost(connection)
        self._report_lost(connection)


def uri_host(host: str) -> str:
    """A host as it stands in a URI: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
