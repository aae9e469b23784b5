"""Stray webhooks: calls of ``/webhook/…`` at a carrier that is off, or at a misspelt address.

A stranger can make such calls. At most one row for each carrier and one for all other paths is
kept, each written every five minutes at most. Of a path only parts are kept that are like words of
a webhook's address: any other may be a token.
"""

import difflib
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial

from services.core.commands import flask_command
from services.core.durations import DAY
from services.core.errors import StorageUnwell
from services.providers import PROVIDERS
from services.providers.sandbox import Sandbox
from services.store import sightings
from services.store.database.store import Store
from services.store.sightings import Sighting, Subject

INTERVAL_SECONDS = 300.0
SHOWN_SECONDS = DAY  # how long a path is named after its last call
OTHER = "other"  # a path that resembles no carrier's
SEGMENTS, SEGMENT_CHARACTERS = 4, 16  # looked at of a path
SIMILARITY = 0.75  # of difflib: “bandwith” is 0.94 like “bandwidth”
_ODD = re.compile(r"[^a-z0-9._-]")
NAMES = {
    name: provider
    for provider in PROVIDERS
    if provider is not Sandbox
    for name in (provider.name, *provider.aliases)
}


WORDS = (*NAMES, "webhook", "webhooks", "sms", "mms", "api")


class StrayWebhooks:
    """Stores the last stray call for each carrier, and says what to do about it."""

    def __init__(self, store: Store, on: Collection[str]) -> None:
        """``on`` are the names of the carriers that are configured."""
        self._store = store
        self._on = on
        self._noted: dict[str, float] = {}

    def note(self, path: str) -> None:
        """Note a call of a path that nobody serves, if it looks like that of a webhook.

        Only a warning depends on it, so a full disk is no error here.
        """
        segments = [one for one in path.lower().split("/") if one]
        if not segments or not (segments[0].startswith("webhook") or segments[-1] == "sms"):
            return
        kind = _resembled(segments)
        now = time.monotonic()
        if now - self._noted.get(kind, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
            return
        self._noted[kind] = now
        shown = "/".join(["", *map(_plain, segments[:SEGMENTS])])
        with suppress(StorageUnwell):
            self._store.write(
                partial(sightings.put, subject=Subject.WEBHOOK, kind=kind, text=shown),
                durable=False,
            )

    def warnings(self) -> Iterator[str]:
        """What to do about the stray calls of the last day. Raises ``StorageUnwell``."""
        for one in self._store.read(partial(sightings.of, subject=Subject.WEBHOOK)):
            if one.at > time.time() - SHOWN_SECONDS and not self._is_served(one.text):
                yield self._warning(one)

    def _is_served(self, path: str) -> bool:
        """Whether a path belongs to a carrier that is on by now."""
        return any(
            path == f"/webhook/{name}/sms" and provider.name in self._on
            for name, provider in NAMES.items()
        )

    def _warning(self, one: Sighting) -> str:
        provider = next((each for each in PROVIDERS if each.name == one.kind), None)
        webhooks = flask_command("webhooks")
        if provider is None:
            return (
                f"{one.text} was called, and no carrier has this address. If a carrier of yours "
                f"calls it, enter there the address that `{webhooks}` prints."
            )
        if provider.name in self._on:
            return (
                f"{one.text} was called, which is not the address of {provider.title}. Enter there "
                f"the one that `{webhooks}` prints."
            )
        return (
            f"{one.text} was called, and {provider.title} is not configured. Set its variables in "
            f".env (`{flask_command('config check')}` lists them), or remove the address there."
        )


def _resembled(segments: list[str]) -> str:
    """The carrier whose name is in a path, perhaps misspelt; else ``OTHER``."""
    for segment in (one[:SEGMENT_CHARACTERS] for one in segments[:SEGMENTS]):
        similar = difflib.get_close_matches(segment, NAMES, n=1, cutoff=SIMILARITY)
        if similar:
            return NAMES[similar[0]].name
    return OTHER


def _plain(segment: str) -> str:
    """A part of a path that is like a word of an address, without odd characters; else “…”."""
    is_short = len(segment) <= SEGMENT_CHARACTERS
    if is_short and difflib.get_close_matches(segment, WORDS, n=1, cutoff=SIMILARITY):
        return _ODD.sub("?", segment)
    return "…"
