"""Login throttle: limits the wrong attempts at a password, pairing code or token.

The spans are nested, so that the wait grows: first a minute, then an hour, then a day. The counters
are in the database: they are shared by all nodes and survive a restart. A refused attempt costs no
write.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

import structlog

from services.core.durations import DAY, HOUR, MINUTE, in_words
from services.core.errors import RequestRefused
from services.store import quotas
from services.store.database.store import Store
from services.store.quotas import Quota, UsedUp

log = structlog.get_logger()
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
    """Counts the attempts at one secret in the database."""

    def __init__(self, store: Store, attempts: Attempts) -> None:
        self._store = store
        self._attempts = attempts

    def spend(self, address: str, *, alone: bool = False) -> None:
        """Count an attempt from an address, before it is known whether it is right.

        ``alone``: without the limits of all addresses together. Raises ``RequestRefused`` (429)
        where none is left, and ``StorageUnwell``.
        """
        wanted = [*self._of(address), *([] if alone else self._of_all())]
        try:
            _refuse_if(self._store.read(lambda tx: quotas.used_up(tx, wanted)))
            self._store.write(lambda tx: _refuse_if(quotas.take(tx, wanted)))
        except RequestRefused:
            log.warning("too many attempts", secret=self._attempts.secret, address=address)
            raise

    def forget(self, address: str) -> None:
        """Reset the counters of an address after a right attempt. Raises ``StorageUnwell``."""
        self._store.write(lambda tx: quotas.reset(tx, self._of(address)))

    def _of(self, address: str) -> list[Quota]:
        name = f"guess:{self._attempts.secret}:{_network(address)}"
        return [Quota(name, most, seconds) for most, seconds in self._attempts.each]

    def _of_all(self) -> list[Quota]:
        name = f"guess:{self._attempts.secret}"
        return [Quota(name, most, seconds) for most, seconds in self._attempts.all]


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
    try:
        known = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(known, IPv6Address):
        mapped = known.ipv4_mapped
        return str(mapped or ip_network((int(known), NETWORK_BITS), strict=False))
    return str(known)
