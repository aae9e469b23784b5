"""SIP user agent for MESSAGE (RFC 3428): registers one account, sends texts and takes them in."""

from collections.abc import Generator, Mapping, Sequence

from services.push.sip.account import DEFAULT_TIMES, SipAccount, SipTimes
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.events import SipEvent
from services.push.sip.sip_message import Response


class UserAgent:
    """One account at one PBX. Several greenlets may send at the same time; one may serve.

    Sending needs no registration. Nothing is connected before the first call.
    """

    def __init__(
        self, account: SipAccount, times: SipTimes = DEFAULT_TIMES, product: str = "Textbridge"
    ) -> None:
        """``product`` is the value of User-Agent."""

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
        raise NotImplementedError

    def register(self) -> int:
        """Register once; returns the seconds that the PBX granted. For a check of the account.

        Raises ``NotRegistered``, ``WrongPassword``, ``NotConnected`` or ``NoAnswer``.
        """
        raise NotImplementedError

    def serve(self, watch: Sequence[Uri] = ()) -> Generator[SipEvent | None, None, None]:
        """Register, keep registered, and yield events; ends the registration when it is closed.

        Yields ``Registered`` first, and ``None`` about every second without an event, so that the
        caller can stop. ``watch`` are addresses whose registrations are reported where the PBX
        offers the reg event package. When the registration or the connection is lost it registers
        again at once. If that fails it raises ``PushError``, and the caller decides when to try
        again.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End the registration, if there is one, and close the connection."""
        raise NotImplementedError
