"""SIP user agent for MESSAGE (RFC 3428): registers one account, sends texts and takes them in."""

from collections.abc import Generator, Mapping, Sequence
from queue import Empty, Full, Queue
from secrets import token_hex

from services.push.sip.account import DEFAULT_TIMES, SipAccount, SipTimes
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.client_transactions import ClientTransactions
from services.push.sip.connection import Connection
from services.push.sip.events import IncomingMessage, Registered, SipEvent
from services.push.sip.incoming import Incoming
from services.push.sip.message_parser import InvalidRequest
from services.push.sip.registration import Registration
from services.push.sip.requests import Draft, Requester
from services.push.sip.sip_message import Request, Response
from services.push.sip.subscriptions import Subscriptions

MOST_WAITING = 500  # events that wait to be taken; more texts are refused for a moment
TICK_SECONDS = 1.0


class UserAgent:
    """One account at one PBX. Several greenlets may send at the same time; one may serve.

    Sending needs no registration. Nothing is connected before the first call.
    """

    def __init__(
        self, account: SipAccount, times: SipTimes = DEFAULT_TIMES, product: str = "Textbridge"
    ) -> None:
        """``product`` is the value of User-Agent."""
        self._transactions = ClientTransactions(times)
        self._requester = Requester(
            account, times, product, self._transactions, self._on_message, self._on_lost
        )
        self._registration = Registration(account, times, self._requester)
        self._subscriptions = Subscriptions(
            account, times, self._requester, lambda: self._registration.contact
        )
        self._incoming = Incoming(times, self._subscriptions.on_notify, self._hand_out)
        self._events: Queue[SipEvent | None] | None = None  # None while nobody serves

    def send_message(
        self,
        to: Uri,
        sender: NameAddress,
        text: str,
        *,
        headers: Mapping[str, str] | None = None,
        call_id: str | None = None,
        seconds: float = 32.0,
    ) -> Response:
        """Send one MESSAGE with a plain text; returns the final response, whatever its status.

        ``sender`` is the address in From; its tag is added. Line breaks in ``headers`` become
        spaces. ``call_id`` names the text: give the same for a repetition. A 401 or 407 is answered
        with the password, and no redirect is followed. ``seconds`` is the total deadline.

        Raises ``NotConnected`` (certainly not sent), ``NoAnswer`` (may have been sent),
        ``TooLongForUdp`` and ``WrongPassword``, all of them ``PushError``.
        """
        draft = Draft(
            "MESSAGE",
            to,
            sender.with_tag(token_hex(8)),
            NameAddress(to),
            [(name, " ".join(value.splitlines())) for name, value in (headers or {}).items()],
            text.encode("utf-8", "replace"),
        )
        draft.headers.append(("content-type", "text/plain;charset=UTF-8"))
        if call_id is not None:
            draft.call_id = call_id
        return self._requester.exchange(draft, seconds)[0]

    def register(self) -> int:
        """Register once; returns the seconds that the PBX granted. For a check of the account.

        Raises ``NotRegistered``, ``WrongPassword``, ``NotConnected`` or ``NoAnswer``.
        """
        return self._registration.register()

    def serve(self, watch: Sequence[Uri] = ()) -> Generator[SipEvent | None, None, None]:
        """Register, keep registered, and yield events; ends the registration when it is closed.

        Yields ``Registered`` first, and ``None`` about every second without an event, so that the
        caller can stop. ``watch`` are addresses whose registrations are reported where the PBX
        offers the reg event package. When the registration or the connection is lost it registers
        again at once. If that fails, or the loss came within seconds, it raises ``PushError``, and
        the caller decides when to try again.
        """
        events: Queue[SipEvent | None] = Queue(MOST_WAITING)
        self._events = events
        try:
            yield Registered(self._registration.register(), again=False)
            self._subscriptions.watch(watch)
            self._subscriptions.restart()
            while True:
                yield _next(events)
                if self._registration.lost:
                    yield Registered(self._registration.register_anew(), again=True)
                    self._subscriptions.restart()
                elif self._registration.is_due:
                    self._registration.renew()
                if refused := self._subscriptions.subscribe_next():
                    yield refused
        finally:
            self._events = None
            self._subscriptions.watch(())
            self._refuse_waiting(events)
            self._registration.end()

    def watch(self, targets: Sequence[Uri]) -> None:
        """Have the registrations of these addresses reported while somebody serves, no others."""
        self._subscriptions.watch(targets)

    def close(self) -> None:
        """End the registration, if there is one, and close the connection."""
        self._registration.end()
        self._requester.close()

    def _on_message(
        self, message: Request | Response | InvalidRequest, connection: Connection
    ) -> None:
        if isinstance(message, Response):
            self._transactions.on_response(message, connection)
        else:
            self._incoming.on_request(message, connection)

    def _on_lost(self, connection: Connection) -> None:
        """Wake the one who serves."""
        self._hand_out(None)

    def _hand_out(self, event: SipEvent | None) -> bool:
        events = self._events
        try:
            if events is not None:
                events.put_nowait(event)
        except Full:
            return False
        return events is not None

    def _refuse_waiting(self, events: "Queue[SipEvent | None]") -> None:
        while not events.empty():
            event = events.get_nowait()
            if isinstance(event, IncomingMessage):
                event.answer(503)


def _next(events: "Queue[SipEvent | None]") -> SipEvent | None:
    """The next event, without texts whose phones were told meanwhile that they are not taken."""
    try:
        event = events.get(timeout=TICK_SECONDS)
    except Empty:
        return None
    return None if isinstance(event, IncomingMessage) and event.is_answered else event
