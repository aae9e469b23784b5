"""The DNS name of APP_URL: looked up by the worker, and a warning while it cannot be resolved.

Warnings are made from what is kept, so that ``/ready`` and the pages ask nobody.
"""

import json
import socket
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

from sqlalchemy import Connection

from services.http.deadline import DeadlineExceeded, deadline
from services.store import sightings
from services.store.database.store import Store
from services.store.sightings import Subject

CHECK_SECONDS = 60.0
RESOLVE_SECONDS = 10.0
KIND = "name"


def resolve(host: str) -> list[str]:
    """The addresses of a name, as this machine's resolver has them. Raises ``OSError``."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class OwnName:
    """Looks up the host of APP_URL as this machine's resolver has it."""

    def __init__(
        self, store: Store, app_url: str, resolve: Callable[[str], list[str]] = resolve
    ) -> None:
        """``resolve`` returns the addresses of a host, or raises ``OSError``."""
        self._store = store
        self._host = urlsplit(app_url).hostname or ""
        self._resolve = resolve

    def check(self) -> None:
        """Look it up, for the worker, and keep why it fails. Raises ``StorageUnwell``."""
        trouble = self._trouble()
        known = [each.text for each in self._store.read(_seen)]
        if trouble is None and known:
            forget = partial(sightings.forget, subject=Subject.NAME, kind=KIND)
            self._store.write(forget, durable=False)
        elif trouble is not None:
            content = json.dumps({"host": self._host, "trouble": trouble})
            if known != [content]:
                put = partial(sightings.put, subject=Subject.NAME, kind=KIND, text=content)
                self._store.write(put, durable=False)

    def warnings(self, tx: Connection) -> Iterator[tuple[str, str]]:
        """What was wrong at the last look: sentence and remedy."""
        for seen in _seen(tx):
            known = json.loads(seen.text)
            if known["host"] == self._host:
                reason, remedy = known["trouble"]
                yield reason, remedy

    def _trouble(self) -> tuple[str, str] | None:
        try:
            with deadline(RESOLVE_SECONDS):
                self._resolve(self._host)
        except (OSError, UnicodeError) as error:
            return unresolved(self._host, error)
        except DeadlineExceeded:
            return unresolved(self._host, socket.gaierror(socket.EAI_AGAIN, ""))
        return None


def unresolved(host: str, error: OSError | UnicodeError, own: str = "") -> tuple[str, str]:
    """Sentence and remedy for a name whose look-up failed with an error.

    ``own`` is the public address of this machine, if it has one.
    """
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return (
            f"No name server answers this machine, so {host} is not known here.",
            "Check this machine's network and its DNS: resolvectl, /etc/resolv.conf",
        )
    return (
        f"The name {host} cannot be resolved: carriers and apps do not find it.",
        f"Correct APP_URL in .env, or make an A record for it{f' with {own}' if own else ''} at "
        "your DNS provider.",
    )


def _seen(tx: Connection) -> list[sightings.Sighting]:
    return sightings.of(tx, Subject.NAME)
