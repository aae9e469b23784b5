"""Undeclared proxies: notes requests through a proxy that ``TRUSTED_PROXIES`` does not name.

Behind such a proxy all callers have one address: they cannot be told apart.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from services.config.parsers import Network
from services.core.commands import flask_command
from services.core.durations import DAY
from services.core.errors import StorageUnwell
from services.core.ip_addresses import Address, is_in, parse_address
from services.store import proxy_sightings
from services.store.database.store import Store
from services.store.proxy_sightings import ProxyKind, ProxySighting

INTERVAL_SECONDS = 300.0
SHOWN_SECONDS = DAY  # how long a proxy is named after its last request


class UndeclaredProxies:
    """Stores the last undeclared proxy of each kind, every five minutes at most."""

    def __init__(self, store: Store, trusted: Sequence[Network]) -> None:
        """``trusted`` is ``TRUSTED_PROXIES``."""
        self._store = store
        self._trusted = trusted
        self._noted: dict[ProxyKind, float] = {}

    def note(self, peer: Address) -> None:
        """Note a request of ``peer`` with a header of proxies that does not tell who calls.

        Only a warning depends on it, so a full disk is no error here.
        """
        kind = self._kind(peer)
        now = time.monotonic()
        if now - self._noted.get(kind, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            return
        self._noted[kind] = now
        with suppress(StorageUnwell):
            self._store.write(
                partial(proxy_sightings.put, kind=kind, address=str(peer)), durable=False
            )

    def about(self, peer: Address) -> str:
        """What to do about one proxy that does not tell who calls."""
        kind = self._kind(peer)
        return _warning(ProxySighting(kind, str(peer), time.time()), self._trusted)

    def _kind(self, peer: Address) -> ProxyKind:
        if is_in(peer, self._trusted):
            return ProxyKind.SILENT
        return ProxyKind.FAR if peer.is_global else ProxyKind.NEAR

    def warnings(self) -> list[str]:
        """What to do about the proxies of the last day. Raises ``StorageUnwell``."""
        return [
            _warning(sighting, self._trusted)
            for sighting in self._store.read(proxy_sightings.all_sightings)
            if sighting.at > time.time() - SHOWN_SECONDS and self._still_holds(sighting)
        ]

    def _still_holds(self, sighting: ProxySighting) -> bool:
        """Whether it is still a fault after ``TRUSTED_PROXIES`` may have been changed."""
        is_declared = is_in(parse_address(sighting.address), self._trusted)
        return is_declared == (sighting.kind is ProxyKind.SILENT)


def _warning(sighting: ProxySighting, trusted: Sequence[Network]) -> str:
    address = sighting.address
    if sighting.kind is ProxyKind.NEAR:
        wanted = ",".join([*map(str, trusted), address])
        return (
            f"Requests come through a web server at {address} that TRUSTED_PROXIES does not "
            "name. Textbridge cannot tell its callers apart, so it takes none of them for this "
            f"machine or for an address of a list. Set TRUSTED_PROXIES={wanted} in .env, "
            f"then run `{flask_command('config reload')}`."
        )
    if sighting.kind is ProxyKind.SILENT:
        return (
            f"The web server at {address}, which TRUSTED_PROXIES names, does not say in "
            "X-Forwarded-For who calls. Let it set this header, see docs/deploy.md."
        )
    return (
        f"Requests of {address} have the headers of a web server that passes requests on, "
        "and TRUSTED_PROXIES does not name this address. If it is a web server of yours, add it to "
        "TRUSTED_PROXIES in .env. If not, the caller made the headers up: there is nothing to do."
    )
