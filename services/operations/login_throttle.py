"""Guesses: how often somebody may be wrong about a secret before they have to wait.

The spans are nested, so that the wait grows: first a minute, then an hour, then a day. They count
over all processes and nodes, and outlast a restart. While nothing is left nothing is written.
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
HOME_BITS = 64  # of an IPv6 address: what one customer of a provider usually has to itself


@dataclass(frozen=True, slots=True)
class Guesses:
    """How many guesses at a secret each address has, and all of them together: (most, seconds)."""

    secret: str
    each: tuple[tuple[int, float], ...]
    all: tuple[tuple[int, float], ...]

    def spend(self, store: Store, address: str, *, alone: bool = False) -> None:
        """Count a guess that is made from an address, before anybody says whether it is right.

        ``alone``: whatever others guess. Raises ``RequestRefused`` (429) where none is left, and
        ``StorageUnwell``.
        """
        wanted = [*self._of(address), *([] if alone else self._of_all())]
        try:
            _refuse_if(store.read(lambda tx: quotas.used_up(tx, wanted)))
            store.write(lambda tx: _refuse_if(quotas.take(tx, wanted)))
        except RequestRefused:
            log.warning("too many guesses", secret=self.secret, address=address)
            raise

    def forget(self, store: Store, address: str) -> None:
        """Let an address begin anew: it was right. Raises ``StorageUnwell``."""
        store.write(lambda tx: quotas.reset(tx, self._of(address)))

    def _of(self, address: str) -> list[Quota]:
        name = f"guess:{self.secret}:{_home(address)}"
        return [Quota(name, most, seconds) for most, seconds in self.each]

    def _of_all(self) -> list[Quota]:
        return [Quota(f"guess:{self.secret}", most, seconds) for most, seconds in self.all]


# Nobody guesses the 256 bits of a token; this keeps the trying cheap.
TOKENS = Guesses("token", each=((60, MINUTE), (600, HOUR)), all=((600, MINUTE),))
# A code has 39 bits and ten minutes.
PAIRING = Guesses("pairing code", each=((5, MINUTE), (20, HOUR)), all=((300, MINUTE),))
PASSWORD = Guesses(
    "password", each=((5, MINUTE), (10, HOUR), (20, DAY)), all=((10, MINUTE), (60, HOUR))
)


def _refuse_if(spent: UsedUp | None) -> None:
    if spent is not None:
        raise RequestRefused(
            "too_many_guesses",
            f"This was wrong too often. Try again in {in_words(spent.seconds)}.",
            status=429,
            retry_after=spent.seconds,
        )


def _home(address: str) -> str:
    """What counts as one address; whatever is none counts as one, too."""
    try:
        known = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(known, IPv6Address):
        mapped = known.ipv4_mapped
        return str(mapped or ip_network((int(known), HOME_BITS), strict=False))
    return str(known)
