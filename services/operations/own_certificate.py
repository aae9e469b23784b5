"""The certificate of the web server at APP_URL: kept in the database, and a warning near its end.

The worker looks at it every minute. Warnings are made from what is kept, so that ``/ready`` and the
pages ask nobody.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import Connection

from services.core.durations import DAY
from services.http import certificates
from services.http.adapters import NotConnected
from services.http.certificates import ServedCertificate, served_certificate
from services.store import sightings
from services.store.database.store import Store
from services.store.sightings import Subject

CHECK_SECONDS = 60.0
NEAR_END_SECONDS = 14 * DAY  # or a quarter of its time, where it is made for a short one
KIND = "certificate"
RENEW = "Renew it (certbot renew) and reload the web server (systemctl reload nginx)."


class OwnCertificate:
    """Looks at the certificate of APP_URL; of an address without https there is none."""

    def __init__(
        self,
        store: Store,
        app_url: str,
        fetch: Callable[[str, int], ServedCertificate] = served_certificate,
    ) -> None:
        """``fetch`` gets the certificate of a host and port, as ``served_certificate`` does."""
        self._store = store
        self._address = urlsplit(app_url)
        self._fetch = fetch

    @property
    def is_encrypted(self) -> bool:
        """Whether APP_URL is https."""
        return self._address.scheme == "https"

    def look(self) -> ServedCertificate:
        """The certificate as it is now, which is kept. Raises ``NotConnected``, ``StorageUnwell``.

        Where no connection comes about, what was kept before stays.
        """
        found = self._fetch(self._address.hostname or "", self._address.port or 443)
        content = json.dumps(asdict(found) | {"host": self._address.netloc})
        kept = self._store.read(partial(sightings.of, subject=Subject.CERTIFICATE))
        if [each.text for each in kept] != [content]:
            put = partial(sightings.put, subject=Subject.CERTIFICATE, kind=KIND, text=content)
            self._store.write(put, durable=False)
        return found

    def check(self) -> None:
        """Look at it, for the worker. Raises ``StorageUnwell``.

        That it cannot be reached from here says nothing about the world outside.
        """
        if self.is_encrypted:
            with suppress(NotConnected):
                self.look()

    def warnings(self, tx: Connection) -> Iterator[tuple[str, str]]:
        """What is wrong with the certificate that was seen last: sentence and remedy."""
        for seen in sightings.of(tx, Subject.CERTIFICATE):
            known = json.loads(seen.text)
            if self.is_encrypted and known.pop("host") == self._address.netloc:
                found = self.trouble(ServedCertificate(**known))
                if found is not None:
                    yield found

    def trouble(self, found: ServedCertificate) -> tuple[str, str] | None:
        """What is wrong with a certificate at this moment, and the remedy; nothing if it is good.

        An end that has come since it was looked at counts, too.
        """
        host, now = self._address.hostname, time.time()
        its = f"The certificate of {host}"
        if found.not_after <= now or found.refused == certificates.EXPIRED:
            ended = _day(found.not_after)
            return f"{its} expired on {ended}: carriers and apps do not connect.", RENEW
        if found.refused:
            reason, remedy = _refused(found, str(host))
            return f"{its} {reason}", remedy
        if found.not_after - now < near_end(found):
            left = int((found.not_after - now) / DAY)
            days = "less than a day" if not left else "1 day" if left == 1 else f"{left} days"
            return f"{its} ends in {days}, on {_day(found.not_after)}.", RENEW
        return None

    def is_refused(self, found: ServedCertificate) -> bool:
        """Whether carriers do not connect because of it."""
        return bool(found.refused) or found.not_after <= time.time()

    def days_left(self, found: ServedCertificate) -> int:
        """For how many whole days a certificate is still good."""
        return int((found.not_after - time.time()) / DAY)


def near_end(found: ServedCertificate) -> float:
    """How many seconds before its end a certificate should have been renewed."""
    return min(NEAR_END_SECONDS, (found.not_after - found.not_before) / 4)


def _refused(found: ServedCertificate, host: str) -> tuple[str, str]:
    """Why clients do not accept a certificate, and what to do."""
    fresh = f"Get one of a public authority: certbot --nginx -d {host}."
    if found.refused == certificates.OTHER_NAME:
        names = ", ".join(found.names[:3]) or "no name"
        return f"is for {names}: carriers and apps do not connect.", fresh
    if found.refused == certificates.SELF_SIGNED:
        return "is signed by itself: carriers and apps do not connect.", fresh
    if found.refused == certificates.NO_ISSUER:
        return (
            "comes without the certificates between it and its authority: most carriers do not "
            "connect.",
            "Let the web server send the whole chain: in nginx ssl_certificate must name "
            "fullchain.pem.",
        )
    if found.refused == certificates.NOT_YET:
        return (
            f"is valid from {_day(found.not_before)} on only.",
            "Set the clock of this machine: timedatectl set-ntp true",
        )
    return f"is not accepted: {found.refused}.", fresh


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
