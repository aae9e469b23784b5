"""Client transactions of requests that are not INVITE (RFC 3261 §17.1.2)."""

import time
from queue import Empty, Queue
from secrets import token_hex

from services.push.sip.account import SipTimes
from services.push.sip.connection import Connection
from services.push.sip.errors import NoAnswer, NotConnected
from services.push.sip.grammar import Unreadable
from services.push.sip.sip_message import Request, Response

BRANCH = "z9hG4bK"  # begins every branch since RFC 3261


def new_branch() -> str:
    """The branch of a new transaction."""
    return BRANCH + token_hex(12)


class ClientTransactions:
    """The requests that wait for their final response."""

    def __init__(self, times: SipTimes) -> None:
        self._times = times
        self._waiting: dict[tuple[str, str], tuple[Connection, Queue[Response | None]]] = {}

    def run(self, request: Request, connection: Connection, seconds: float) -> Response:
        """Send a request and return its final response.

        Over UDP it is sent again after ``t1``, then in growing pauses up to ``t2``. Raises
        ``NotConnected`` if it could not be sent, and ``NoAnswer``.
        """
        key = (request.vias[0].branch, request.method)
        answers: Queue[Response | None] = Queue()
        self._waiting[key] = connection, answers
        try:
            return self._run(request.encode(), connection, seconds, answers)
        finally:
            del self._waiting[key]

    def on_response(self, response: Response, connection: Connection) -> None:
        """Give a response to the request that waits for it; ignore one that nobody waits for."""
        try:
            (via,) = response.vias
            key = (via.branch, response.cseq.method)
        except (Unreadable, ValueError):
            return  # a response that went astray has the Via of another sender
        sent_on, answers = self._waiting.get(key, (None, None))
        if answers is not None and sent_on is connection:
            answers.put(response)

    def on_lost(self, connection: Connection) -> None:
        """End the requests that were sent on a connection which is lost."""
        for sent_on, answers in list(self._waiting.values()):
            if sent_on is connection:
                answers.put(None)

    def _run(
        self, data: bytes, connection: Connection, seconds: float, answers: Queue[Response | None]
    ) -> Response:
        end = time.monotonic() + min(seconds, self._times.transaction)
        pause = self._times.t1
        place = "{}:{}".format(*connection.remote)
        try:
            connection.send(data)
        except OSError:
            raise NotConnected(f"The connection to the PBX at {place} is lost.") from None
        if connection.lost:  # before the request was in the list
            answers.put(None)
        while (left := end - time.monotonic()) > 0:
            try:
                response = answers.get(timeout=left if connection.reliable else min(pause, left))
            except Empty:
                self._send_again(data, connection)
                pause = min(2 * pause, self._times.t2)
                continue
            if response is None and not connection.reliable and not connection.heard:
                raise NotConnected(f"Nothing answers at the address {place} of the PBX.")
            if response is None:
                raise NoAnswer(f"The connection to the PBX at {place} broke meanwhile.")
            if response.status >= 200:
                return response
            pause = self._times.t2
        raise NoAnswer(f"The PBX at {place} did not answer in time.")

    def _send_again(self, data: bytes, connection: Connection) -> None:
        if not connection.reliable:
            try:
                connection.send(data)
            except OSError:
                self.on_lost(connection)
