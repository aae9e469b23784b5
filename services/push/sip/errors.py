"""Errors of the SIP user agent. Each is a ``PushError`` and carries what follows from it."""

from services.core.errors import Kind, PushError

PAUSE_SECONDS = 10.0  # of the whole channel when the PBX is not reachable


class NotConnected(PushError):
    """There is no connection to the PBX; nothing was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, Kind.RETRY, code="not_connected", retry_after=PAUSE_SECONDS)


class NoAnswer(PushError):
    """The PBX did not answer in time, or the connection broke: the request may have been done."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, Kind.RETRY, code="no_answer")


class TooLongForUdp(PushError):
    """A request is too long for UDP, and the PBX takes no TCP connection; nothing was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, Kind.CONFIG, code="too_long_for_udp")


class WrongPassword(PushError):
    """The PBX refuses user name or password."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason, Kind.CONFIG, code=str(status))


class NotRegistered(PushError):
    """The PBX refuses the registration; ``code`` is its SIP status."""
