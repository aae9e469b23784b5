"""Message search of the operator: parses the fields of a form or command, reads the matches."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, cast, get_args

from services.core.errors import RequestRefused
from services.core.local_time import LocalTime
from services.core.messages import Direction, Message, Status, clean
from services.core.phone_numbers import e164, known_as, requested, sender
from services.messaging.access import ConversationAccess
from services.providers import PROVIDERS
from services.store.database.store import Store
from services.store.search import message_filter
from services.store.search.message_filter import Found, MessageFilter

UNROUTED = "unrouted"  # in place of the status of an unrouted message
STATES = (*map(str, Status), UNROUTED)
BATCH = 500
WHEN = "Write a day or a time of 1970 to 2200, like 2026-11-20 or 2026-11-20T08:30."
Field = Literal[
    "number", "peer", "either", "text", "extension", "state", "direction", "carrier",
    "since", "until",
]  # fmt: skip
FIELDS: tuple[Field, ...] = get_args(Field)


class MessageQuery:
    """Parses the filter fields of the operator, and reads the messages that match."""

    def __init__(
        self, store: Store, access: ConversationAccess, country: str, local_time: LocalTime
    ) -> None:
        """``country`` is that of numbers which are written without a country code."""
        self._store = store
        self._access = access
        self._country = country
        self._local_time = local_time

    def parse(self, fields: Mapping[Field, str]) -> MessageFilter:
        """The filter of these fields; empty ones are ignored.

        ``until`` a day means its end; times are in ``APP_TIMEZONE``. Raises
        ``RequestRefused`` that names the field.
        """
        given = {name: clean(text).strip() for name, text in fields.items() if text.strip()}
        state = _one_of("state", given.get("state"), STATES)
        extension = given.get("extension")
        owned = self._access.numbers(extension) if extension else ()
        return MessageFilter(
            number=self._number(given, "number"),
            peer=self._number(given, "peer"),
            either=self._number(given, "either"),
            text=given.get("text"),
            extension=extension,
            extension_numbers=tuple(setting.number for setting in owned),
            status=Status(state) if state not in (None, UNROUTED) else None,
            unrouted=state == UNROUTED,
            direction=cast(
                Direction | None, _one_of("direction", given.get("direction"), ("in", "out"))
            ),
            carrier=_one_of("carrier", given.get("carrier"), [one.name for one in PROVIDERS]),
            since=self._moment("since", given.get("since")),
            until=self._moment("until", given.get("until")),
        )

    def page(self, wanted: MessageFilter, limit: int, before: int | None = None) -> Found:
        """At most ``limit`` messages, the newest first, older than the ``seq`` ``before``.

        Raises ``StorageUnwell``.
        """
        return self._store.read(
            lambda tx: message_filter.page(tx, wanted=wanted, limit=limit, before=before)
        )

    def everything(self, wanted: MessageFilter) -> Iterator[Message]:
        """All messages that match, the newest first, however many: read in batches."""
        before: int | None = None
        while True:
            found = self.page(wanted, BATCH, before)
            yield from found.messages
            before = found.before
            if before is None:
                return

    def same_person(self, listed: str, peer: str) -> bool:
        """Whether a sender as a carrier lists it is this peer."""
        return sender(listed, self._country) == peer

    def _number(self, given: Mapping[Field, str], field: Field) -> str | None:
        written = given.get(field)
        if written is None:
            return None
        return requested(e164 if field == "number" else known_as, written, self._country, field)

    def _moment(self, field: Field, written: str | None) -> float | None:
        """A day or a time of day in seconds since 1970."""
        if written is None:
            return None
        try:
            if len(written) > len("2026-11-20"):
                return self._local_time.read(written).timestamp()
            day = date.fromisoformat(written) + timedelta(days=field == "until")
            return self._local_time.read(day.isoformat()).timestamp()
        except (ValueError, OverflowError):
            raise RequestRefused("invalid_time", WHEN, field=field) from None


def _one_of(field: Field, word: str | None, known: Sequence[str]) -> str | None:
    if word is None or word in known:
        return word
    raise RequestRefused(
        "unknown_word", f"“{word[:40]}” is none of {', '.join(known)}.", field=field
    )
