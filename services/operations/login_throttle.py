"""Login throttle: limits the wrong attempts at a password, pairing code or token.

The spans are nested, so that the wait grows: first a minute, then an hour, then a day. The counters
are in the database: they are shared by all nodes and survive a restart. A refused attempt costs no
write.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

import structlog
from sqlalchemy import Connection

from services.core.durations import DAY, HOUR, MINUTE, in_words
from services.core.errors import RequestRefused
from services.core.ip_addresses import parse_address
from services.store import quotas
from services.store.database.store import Store
from services.store.quotas import Quota, UsedUp

log = structlog.get_logger()
KNOWN_SECONDS = 30 * DAY
NETWORK_BITS = 64  # of an IPv6 address: the usual size of one customer's network


@dataclass(frozen=True, slots=True)
class Attempts:
    """How many attempts at a secret each address has, and all together: (most, seconds)."""

    secret: str
    each: tuple[tuple[int, float], ...]
    all: tuple[tuple[int, float], ...]


# A token has 256 bits; this only keeps attempts cheap.
TOKENS = Attempts("token", each=((60, MINUTE), (600, HOUR)), all=((600, MINUTE),))
# A code has 39 bits and ten minutes.
PAIRING = Attempts("pairing code", each=((5, MINUTE), (20, HOUR)), all=((300, MINUTE),))
PASSWORD = Attempts(
    "password", each=((5, MINUTE), (10, HOUR), (20, DAY)), all=((10, MINUTE), (60, HOUR))
)


class LoginThrottle:
    """Counts the attempts at one secret in the database.

    An address from which the secret was given rightly is known for 30 days: what others try never
    makes it wait.
    """

    def __init__(self, store: Store, attempts: Attempts) -> None:
        self._store = store
        self._attempts = attempts

    def spend(self, address: str, *, alone: bool = False, part: str = "") -> None:
        """Count an attempt from an address, before it is known whether it is right.

        ``alone``: without the limits of all addresses together. ``part``: counted apart from the
        other attempts of the address. An empty ``address`` is that of callers who cannot be told
        apart: their attempts count among those of all addresses only. Raises ``RequestRefused``
        (429) where none is left, and ``StorageUnwell``.
        """
        of_address = self._of(address, part)

        def wanted(tx: Connection) -> list[Quota]:
            if alone or (address and quotas.used_up(tx, [self._known(address)]) is not None):
                return of_address
            return [*of_address, *self._of_all()]

        try:
            _refuse_if(self._store.read(lambda tx: quotas.used_up(tx, wanted(tx))))
            self._store.write(lambda tx: _refuse_if(quotas.take(tx, wanted(tx))))
        except RequestRefused:
            log.warning("too many attempts", secret=self._attempts.secret, address=address)
            raise

    def note_success(self, address: str, *, part: str = "") -> None:
        """Reset the counters of an address after a right attempt, and remember it as known.

        Raises ``StorageUnwell``.
        """
        if not address:
            return
        known = self._known(address)

        def work(tx: Connection) -> None:
            quotas.reset(tx, [*self._of(address, part), known])
            quotas.take(tx, [known])

        self._store.write(work)

    def _of(self, address: str, part: str = "") -> list[Quota]:
        if not address:
            return []
        name = f"guess:{self._attempts.secret}:{_network(address)}"
        if part:
            name = f"{name}:{part}"
        return [Quota(name, most, seconds) for most, seconds in self._attempts.each]

    def _of_all(self) -> list[Quota]:
        name = f"guess:{self._attempts.secret}"
        return [Quota(name, most, seconds) for most, seconds in self._attempts.all]

    def _known(self, address: str) -> Quota:
        """A row that is there while the address is known."""
        return Quota(f"known:{self._attempts.secret}:{_network(address)}", 1, KNOWN_SECONDS)


def _refuse_if(spent: UsedUp | None) -> None:
    if spent is not None:
        raise RequestRefused(
            "too_many_guesses",
            f"This was wrong too often. Try again in {in_words(spent.seconds)}.",
            status=429,
            retry_after=spent.seconds,
        )


def _network(address: str) -> str:
    """The address or IPv6 network that is counted; all unreadable addresses are one."""
    parsed = parse_address(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(ip_network((int(parsed), NETWORK_BITS), strict=False))
    return str(parsed)
