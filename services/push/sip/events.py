"""What the SIP user agent yields while it serves: texts, registrations, states of extensions."""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.push.sip.addresses import NameAddress
from services.push.sip.sip_message import Request


@dataclass(frozen=True, slots=True)
class Registered:
    """The account is registered; ``again`` after a loss, such as a restart of the PBX.

    ``seconds`` is the time that the PBX granted.
    """

    seconds: int
    again: bool


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A MESSAGE with a text, which waits for ``answer``.

    Attributes:
        request: the whole request, for headers such as P-Asserted-Identity.
        to: the address in To.
        text: the text, also from a CPIM body.
        id: Call-ID and CSeq number: the same for every copy of the request.
    """

    request: Request
    to: NameAddress
    text: str = field(repr=False)
    id: str
    _answer: Callable[[int, str], None] = field(repr=False)
    _is_answered: Callable[[], bool] = field(repr=False)
    _hold: Callable[[], bool] = field(repr=False)

    @property
    def is_answered(self) -> bool:
        """Whether the final response is sent: 503 where nobody has decided in time."""
        return self._is_answered()

    def hold(self) -> bool:
        """Take the decision over from the time-out; ``False`` where that has answered already."""
        return self._hold()

    def answer(self, status: int, reason: str = "") -> None:
        """Send the final response. The second and later calls do nothing."""
        self._answer(status, reason)


@dataclass(frozen=True, slots=True)
class ExtensionState:
    """From the reg event package (RFC 3680): whether an address has a phone that is registered."""

    address: str
    registered: bool


@dataclass(frozen=True, slots=True)
class WatchRefused:
    """The PBX offers no reg event for an address; ``status`` is its answer, 0 for none."""

    address: str
    status: int


SipEvent = Registered | IncomingMessage | ExtensionState | WatchRefused
