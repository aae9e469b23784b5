"""Requests that come from the PBX: which are answered at once, and which are handed out."""

from collections.abc import Callable
from threading import Timer

import structlog

from services.push.sip.account import SipTimes
from services.push.sip.bodies import ACCEPTED, read_text
from services.push.sip.connection import Connection
from services.push.sip.events import ExtensionState, IncomingMessage, SipEvent
from services.push.sip.grammar import Unreadable
from services.push.sip.message_parser import InvalidRequest
from services.push.sip.server_transactions import ServerTransaction, ServerTransactions
from services.push.sip.sip_message import Request

log = structlog.get_logger()

ALLOWED = "MESSAGE, OPTIONS, NOTIFY"
RETRY_SECONDS = "10"  # Retry-After of a 503

Notified = Callable[[Request], tuple[int, list[ExtensionState]]]


class Incoming:
    """Answers requests, or hands them out.

    ``hand_out`` returns ``False`` if nobody takes events now, or too many wait. ``notified`` reads
    a NOTIFY and returns the status that answers it, and the states in it.
    """

    def __init__(
        self, times: SipTimes, notified: Notified, hand_out: Callable[[SipEvent], bool]
    ) -> None:
        self._times = times
        self._notified = notified
        self._hand_out = hand_out
        self._transactions = ServerTransactions(times)

    def on_request(self, received: Request | InvalidRequest, connection: Connection) -> None:
        """Deal with one request, or one that is not valid."""
        request = received.request if isinstance(received, InvalidRequest) else received
        if request.method == "ACK":
            return
        transaction = self._transactions.begin(request, connection)
        if transaction is None:
            return
        try:
            if isinstance(received, InvalidRequest):
                raise received
            self._answer(transaction)
        except Unreadable as error:
            self._refuse(transaction, error.status, error.reason)

    def _answer(self, transaction: ServerTransaction) -> None:
        """Answer a request, or hand it out. Raises ``Unreadable`` for one that is refused."""
        request = transaction.request
        if request.method not in ALLOWED.split(", "):
            transaction.answer(405, headers={"Allow": ALLOWED})
        elif request.target.scheme not in ("sip", "sips", "tel"):
            raise Unreadable("The address is of another kind.", 416)
        elif required := request.headers.tokens("require"):
            transaction.answer(420, headers={"Unsupported": ", ".join(required)})
        elif request.method == "OPTIONS":
            transaction.answer(200, headers={"Allow": ALLOWED, "Accept": ACCEPTED})
        elif request.method == "NOTIFY":
            status, states = self._notified(request)
            transaction.answer(status)
            for state in states:
                self._hand_out(state)
        else:
            self._on_message(transaction)

    def _on_message(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        text = read_text(request)
        if text is None:
            transaction.answer(200)
            return
        timer = Timer(self._times.answer, self._give_up, [transaction])
        timer.daemon = True

        def answer(status: int, reason: str) -> None:
            timer.cancel()
            transaction.answer(status, reason)

        message = IncomingMessage(
            request=request,
            to=request.to,
            text=text,
            id=f"{request.call_id} {request.cseq.number}",
            _answer=answer,
            _is_answered=lambda: transaction.response is not None,
            _hold=transaction.hold,
        )
        if self._hand_out(message):
            timer.start()
        else:
            self._give_up(transaction)

    def _give_up(self, transaction: ServerTransaction) -> None:
        transaction.time_out({"Retry-After": RETRY_SECONDS})

    def _refuse(self, transaction: ServerTransaction, status: int, reason: str) -> None:
        if status == 415:
            transaction.answer(status, headers={"Accept": ACCEPTED})
        else:
            transaction.answer(status)
        log.info(
            "SIP request refused", method=transaction.request.method, status=status, reason=reason
        )
