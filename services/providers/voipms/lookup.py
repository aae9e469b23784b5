"""VoIP.ms's lists of messages (getSMS, getMMS): missed inbound messages, statuses of ours."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from urllib.parse import unquote_plus

from services.core.errors import Kind
from services.core.messages import Message, Parsed, Status, Unreadable, WebhookCall
from services.providers import parsing
from services.providers.voipms.api import Api
from services.providers.voipms.numbers import with_country
from services.providers.voipms.webhook import MOST_ID, file_links, inbound

# Lists are asked for in one fixed zone; 0 might be taken for "unset".
HOURS = -5
ZONE = timezone(timedelta(hours=HOURS))
MOST_ROWS = 500
LONGEST_DAYS = 90  # VoIP.ms gives 92 at once
OVERLAP_SECONDS = 3600.0
MIRROR_SECONDS = 5.0
SKEW_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
HOUR = (
    3600.0  # by which a list may be off: whether its zone keeps daylight saving is not documented
)

# The lists by the kind of message. MMS come first: the list of SMS may hold them once more.
METHODS = {"mms": "getMMS", "sms": "getSMS"}
MEDIA = ("media", "col_media1", "col_media2", "col_media3")

# Words in ``carrier_status``, whose vocabulary is not documented; the first that occurs decides.
STATUSES = (
    ("undeliver", Status.FAILED),
    ("not deliver", Status.FAILED),
    ("fail", Status.FAILED),
    ("reject", Status.FAILED),
    ("error", Status.FAILED),
    ("delivered", Status.DELIVERED),
    ("", Status.SENT),
)

_ENCODED = re.compile(r"\+|%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list; ``at`` is in seconds since 1970."""

    kind: str
    id: str
    at: float
    did: str
    contact: str
    text: str
    links: tuple[str, ...]
    carrier_status: str

    @property
    def status(self) -> Status:
        """The status of an outbound message."""
        text = self.carrier_status.lower()
        return next(status for part, status in STATUSES if part in text)

    def is_mirror_of(self, other: "Row") -> bool:
        """Whether this row of the list of SMS is an MMS over again."""
        same = (self.did, self.contact, self.text) == (other.did, other.contact, other.text)
        return same and abs(self.at - other.at) <= MIRROR_SECONDS


def decoded(text: str) -> str:
    """A text of a list, where some come as in a web address and others as they are.

    >>> decoded("hello+john%21"), decoded("1 + 1 = 100%25"), decoded("%FF")
    ('hello john!', '1 + 1 = 100%25', '%FF')
    """
    if " " in text or not _ENCODED.search(text):
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return text


def read(row: Any, kind: str) -> Row:
    """Read a row; raises ``ValueError``."""
    data = parsing.fields(row, "row")
    links = [link for name in MEDIA for link in file_links(data.get(name))]
    text = decoded(parsing.text(data.get("message"), "message"))
    return Row(
        kind=kind,
        id=parsing.word(data, "id", needed=True, most=MOST_ID),
        at=_moment(parsing.word(data, "date", needed=True)),
        did=with_country(parsing.word(data, "did", needed=True)),
        contact=with_country(parsing.word(data, "contact", needed=True)),
        text=parsing.text(text, "message"),
        links=tuple(dict.fromkeys(links)),
        carrier_status=parsing.text(data.get("carrier_status"), "carrier_status"),
    )


def missed(api: Api, since: float, now: float) -> Iterator[Parsed]:
    """Inbound messages from about a time on, as by webhook. Raises ``SendError``.

    Both times are in seconds since 1970.
    """
    pictures: list[Row] = []
    for kind in METHODS:
        for data in _between(api, kind, *_days(since, now)):
            try:
                row = read(data, kind)
            except ValueError as error:
                yield _unreadable(error, kind, data)
                continue
            pictures += [row] if kind == "mms" else []
            mirrored = kind == "sms" and any(row.is_mirror_of(other) for other in pictures)
            if row.at >= since - OVERLAP_SECONDS and not mirrored:
                yield _message(api, row)


def parse_listed(api: Api, entry: bytes) -> Message | Unreadable:
    """Parse a row again that ``missed`` could not read. Raises ``SendError``."""
    try:
        told = parsing.fields(WebhookCall("POST", {}, "", entry).json(), "entry")
        kind = parsing.word(told, "list", needed=True)
        return _message(api, read(told.get("row"), kind))
    except ValueError as error:
        return Unreadable(str(error), entry)


def _unreadable(error: ValueError, kind: str, row: Any) -> Unreadable:
    """A row that cannot be read, with the list that it is from: ids of each list are separate."""
    return Unreadable(str(error), parsing.listed_entry({"list": kind, "row": row}))


def find(api: Api, message: Message, sender: str, recipient: str, now: float) -> Row | None:
    """The row of an outbound message: by VoIP.ms's id, else by its text and time.

    ``sender`` and ``recipient`` have ten digits.
    ``now`` is in seconds since 1970. Raises ``SendError``.
    """
    known_kind, _, known_id = (message.provider_id or "").partition(":")
    first, last = _days(message.created_at, now)
    for kind in [known_kind] if known_kind in METHODS else METHODS:
        found = _list(api, kind, "0", first, last, did=sender, contact=recipient)
        rows = [row for row in map(lambda data: _read_or_none(data, kind), found) if row]  # noqa: C417
        row = _by_id(rows, known_id) if known_id else _by_content(rows, message)
        if row is not None:
            return row
    return None


def _by_id(rows: Iterable[Row], known_id: str) -> Row | None:
    return next((row for row in rows if row.id == known_id), None)


def _by_content(rows: Sequence[Row], message: Message) -> Row | None:
    """The newest row that can only be this message, by its text and time.

    A row that is off by an hour counts only where none is at the very time.
    """
    begun, ended = message.created_at, max(message.created_at, message.updated_at)
    same = [row for row in rows if row.text in (message.text, decoded(message.text))]
    for shifts in ((0.0,), (-HOUR, HOUR)):
        fitting = [
            row
            for row in same
            for shift in shifts
            if begun - SKEW_SECONDS <= row.at + shift <= ended + PATIENCE_SECONDS
        ]
        if fitting:
            return max(fitting, key=lambda row: row.at)
    return None


def _read_or_none(data: Any, kind: str) -> Row | None:
    try:
        return read(data, kind)
    except ValueError:
        return None


def _message(api: Api, row: Row) -> Message:
    links = row.links
    if row.kind == "mms" and not links and not row.text:
        data = api.call("getMediaMMS", Kind.RETRY, id=row.id, media_as_array="1")
        links = tuple(file_links(data.get("media")))
    return inbound(
        row.kind,
        row.id,
        number=row.did,
        peer=row.contact,
        text=row.text,
        links=links,
        at=row.at,
    )


def _between(api: Api, kind: str, first: date, last: date) -> list[Any]:
    """All rows of inbound messages of some days: a full list is asked for again in halves."""
    rows = _list(api, kind, "1", first, last)
    if len(rows) < MOST_ROWS or first >= last:
        return rows
    middle = first + (last - first) // 2
    return [
        *_between(api, kind, first, middle),
        *_between(api, kind, middle + timedelta(days=1), last),
    ]


def _list(api: Api, kind: str, direction: str, first: date, last: date, **more: str) -> list[Any]:
    asked = {
        "type": direction,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "timezone": str(HOURS),
        "limit": str(MOST_ROWS),
    }
    return api.rows(METHODS[kind], kind, "sms", **asked, **more)


def _days(since: float, until: float) -> tuple[date, date]:
    """The days between two times, a day wider on both sides and at most what VoIP.ms gives."""
    last = datetime.fromtimestamp(until, ZONE).date() + timedelta(days=1)
    first = datetime.fromtimestamp(since, ZONE).date() - timedelta(days=1)
    return max(first, last - timedelta(days=LONGEST_DAYS)), last


def _moment(written: str) -> float:
    try:
        at = datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZONE)
    except ValueError:
        raise ValueError("“date” is not a time.") from None
    return at.astimezone(UTC).timestamp()
