"""Data classes: message, attachment, delivery status, webhook call, device, notification."""

import hashlib
import json
import re
import secrets
import time
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import parse_qsl

from services.core.keywords import Keyword
from services.core.phone_numbers import channel_of
from services.core.quiet_hours import QuietHours

Direction = Literal["in", "out"]
# Pictures that a browser shows by itself: they have thumbnails.
PICTURES = frozenset(
    ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp")
)
# Above it a picture without a thumbnail is not shown: browsers would decode it in whole.
MOST_SHOWN_PIXELS = 25_000_000
Preview = Literal["full", "sender", "none"]  # how much of a message a notification may show

# PostgreSQL cannot store NUL in a text; no database can store a single surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class AutomaticText(StrEnum):
    """A text that Textbridge writes by itself. A person who has opted out gets these two only."""

    CONFIRMATION = "opt-out confirmation"
    HELP = "help"


class Status(StrEnum):
    """Status of a message. Outbound ones only move forward, see ``advances``.

    A scheduled message has no job yet; a cancelled one was scheduled and is never sent.
    """

    RECEIVED = "received"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


RANK = {
    Status.SCHEDULED: -1,
    Status.QUEUED: 0,
    Status.SENDING: 1,
    Status.UNKNOWN: 2,
    Status.SENT: 3,
    Status.DELIVERED: 4,
    Status.FAILED: 4,
    Status.CANCELLED: 4,
}
# What apps that know neither of them are told.
_STATUS_FOR_OLD_APPS = {Status.SCHEDULED: Status.QUEUED, Status.CANCELLED: Status.FAILED}


def advances(old: Status, new: Status) -> bool:
    """Whether an outbound message with status ``old`` may change to ``new``.

    >>> advances(Status.UNKNOWN, Status.SENT), advances(Status.DELIVERED, Status.FAILED)
    (True, False)
    """
    return RANK[new] > RANK[old]


def uuid7() -> str:
    """A new UUIDv7 (RFC 9562 §5.7): sortable by time, not guessable."""
    value = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return _written(value)


def derived_uuid7(at: float, *parts: object) -> str:
    """A UUIDv7 of a time (seconds since 1970) that is the same each time for the same parts.

    >>> derived_uuid7(1e9, "call 7", "hello") == derived_uuid7(1e9, "call 7", "hello")
    True
    """
    digest = hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=10).digest()
    value = int(max(0.0, at) * 1000) << 80 | int.from_bytes(digest)
    value = value & ~(0xF << 76) | 0x7 << 76
    return _written(value & ~(0x3 << 62) | 0x2 << 62)


def _written(value: int) -> str:
    """A UUID as text; the class ``UUID`` takes four times as long."""
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def first_uuid7(at: float) -> str:
    """The first UUIDv7 in sort order of a time (seconds since 1970).

    >>> first_uuid7(1e9)
    '00e8d4a5-1000-7000-8000-000000000000'
    """
    return _written(int(max(0.0, at) * 1000) << 80 | 0x7 << 76 | 0x2 << 62)


def clean(text: str) -> str:
    r"""Replace characters that a database cannot store by U+FFFD.

    >>> clean("a\x00b\ud83d")
    'a�b�'
    """
    return _UNSTORABLE.sub("\ufffd", text)


def rfc3339(at: float) -> str:
    """A time (seconds since 1970) in RFC 3339, UTC with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a message.

    ``state`` is ``pending`` until its content is stored at ``path``, then ``kept``. It is
    ``failed`` with a ``reason`` if that is not possible. ``source_url`` is the carrier's address of
    the file; for an outbound message it is a signed link at which the carrier fetches it from us.
    ``content`` is set for a carrier whose webhook includes the file; it is stored before the
    message. ``width`` and ``height`` are those of a picture in pixels, where they are known.
    ``thumbnail`` is ``None`` until one is wanted, then ``kept``, or ``none``: the file is to be
    shown itself, if it is not too large for that.
    """

    source_url: str | None = None
    content_type: str = "application/octet-stream"
    name: str = ""
    size: int = 0
    id: str = field(default_factory=uuid7)
    state: Literal["pending", "kept", "failed"] = "pending"
    reason: str | None = None
    path: Path | None = None
    content: bytes | None = field(default=None, repr=False)
    width: int | None = None
    height: int | None = None
    thumbnail: Literal["kept", "none"] | None = None

    @property
    def may_have_thumbnail(self) -> bool:
        """Whether it is a picture that can be asked for its thumbnail."""
        is_picture = self.content_type in PICTURES
        return self.state == "kept" and is_picture and self.thumbnail != "none"

    @property
    def is_unshown(self) -> bool:
        """Whether it is a picture without a thumbnail of too many, or unknown, pixels."""
        pixels = (self.width or 0) * (self.height or 0)
        is_large = not 0 < pixels <= MOST_SHOWN_PIXELS
        return self.content_type in PICTURES and self.thumbnail == "none" and is_large


class FileLink(Protocol):
    """Returns the address at which an attachment, or its thumbnail, can be fetched."""

    def __call__(self, file: Attachment, /, *, thumbnail: bool = False) -> str:
        """The address; an empty text where there is none."""


@dataclass(frozen=True, slots=True)
class Message:
    """An inbound or outbound message: ``number`` is ours, ``peer`` is theirs.

    ``participants`` are the other members of a group MMS besides us; it is empty for a conversation
    with one peer. Times are seconds since 1970. ``seq`` grows with every message of the
    installation. ``extension`` is the sender of an outbound message; ``sender_id`` is shown instead
    of ``number`` if Message Settings have one. An inbound text that is a reaction has the emoji as
    ``reaction`` (empty: a reaction is taken back) and the id of the other message, if it is known,
    as ``reaction_to``. ``opt_out`` is the keyword that the carrier says it has recognised in an
    inbound text; ``automatic`` is set for a text that no person wrote. ``rule`` names the rules of
    Message Settings that decided who gets an inbound text, or by which an outbound one was written
    or got its number. ``send_at`` is when a text is to be sent that was scheduled; if that is later
    than asked for, ``waits_because`` says why. ``instead_of`` is the id of the message that a
    carrier has refused and that this one replaces, ``replaced_by`` that of the one that replaces
    this one. ``bulk_send_id`` is that of its bulk send, if it is of one.
    """

    direction: Direction
    number: str
    peer: str
    text: str = ""
    media: tuple[Attachment, ...] = ()
    participants: tuple[str, ...] = ()
    provider: str = ""
    provider_id: str | None = None
    status: Status = Status.RECEIVED
    error_code: str | None = None
    error_reason: str | None = None
    extension: str | None = None
    sender_id: str | None = None
    client_id: str | None = None
    segments: int = 1
    carrier_time: float | None = None
    id: str = field(default_factory=uuid7)
    seq: int = 0
    conversation_id: str = ""
    created_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    routed: bool = True
    reaction: str | None = None
    reaction_to: str | None = None
    opt_out: Keyword | None = None
    automatic: AutomaticText | None = None
    rule: str | None = None
    send_at: float | None = None
    waits_because: str | None = None
    instead_of: str | None = None
    bulk_send_id: str | None = None
    replaced_by: str | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """All recipients of an outbound message."""
        return self.participants or (self.peer,)


def new_id_and_time(message: Message) -> Message:
    """A copy of a message that can be stored as another one, of this moment."""
    now = time.time()
    return replace(message, id=uuid7(), seq=0, conversation_id="", created_at=now, updated_at=now)


def message_object(message: Message, link: FileLink) -> dict[str, Any]:
    """The JSON object of a message, the same in the REST API and in every push."""
    outbound = message.direction == "out"
    error = None
    if message.error_reason is not None or message.error_code is not None:
        error = {"code": message.error_code, "reason": message.error_reason}
    return {
        "id": message.id,
        "seq": message.seq,
        "conversation_id": message.conversation_id,
        "direction": message.direction,
        "channel": channel_of(message.peer),
        "from": message.number if outbound else message.peer,
        "to": _receivers(message),
        "text": message.text,
        "reaction": {"emoji": message.reaction, "message_id": message.reaction_to}
        if message.reaction_to is not None
        else None,
        "media": [file_object(file, link) for file in message.media],
        "status": str(_STATUS_FOR_OLD_APPS.get(message.status, message.status)),
        "state": str(message.status),
        "send_at": rfc3339(message.send_at) if message.send_at is not None else None,
        "waits_because": message.waits_because,
        "error": error,
        "instead_of": message.instead_of,
        "replaced_by": message.replaced_by,
        "client_id": message.client_id,
        "sent_by": message.extension,
        "segments": message.segments,
        "created_at": rfc3339(message.created_at),
        "updated_at": rfc3339(message.updated_at),
    }


def file_object(file: Attachment, link: FileLink) -> dict[str, Any]:
    """The JSON object of a file of a message."""
    return {
        "id": file.id,
        "content_type": file.content_type,
        "size": file.size,
        "name": file.name,
        "state": file.state,
        "reason": file.reason if file.state == "failed" else None,
        "url": link(file) if file.state == "kept" else None,
        "thumbnail_url": (link(file, thumbnail=True) or None) if file.may_have_thumbnail else None,
        "width": file.width,
        "height": file.height,
    }


def _receivers(message: Message) -> list[str]:
    if message.direction == "out":
        return list(message.recipients)
    return [message.number, *(member for member in message.participants if member != message.peer)]


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """A delivery receipt: the status of an outbound message, as reported by a carrier.

    ``message_id`` is our id if the carrier returns it, ``provider_id`` is the carrier's id.
    ``peer`` is the recipient. ``event`` is the carrier's name of the status, ``code`` its error
    code and ``reason`` a sentence for people.
    """

    status: Status
    event: str
    provider_id: str | None = None
    message_id: str | None = None
    peer: str = ""
    code: str | None = None
    reason: str | None = None
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of an authentic webhook that cannot be parsed; ``body`` goes to the quarantine."""

    reason: str
    body: bytes


Parsed = Message | DeliveryStatus | Unreadable


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """One HTTP request of a carrier, independent of Flask.

    ``headers`` has lower-case names; ``query`` is the raw query string; ``remote`` is the caller's
    IP address.
    """

    method: str
    headers: Mapping[str, str]
    query: str
    body: bytes
    remote: str = ""

    def argument(self, name: str) -> str:
        """The first value of a query parameter, or an empty string."""
        for key, value in parse_qsl(self.query, keep_blank_values=True):
            if key == name:
                return value
        return ""

    def arguments(self) -> list[tuple[str, str]]:
        """The names and values of the query in order, with empty ones.

        Each text is UTF-8, or Latin-1 where it is no UTF-8 (some carriers write their callbacks
        so).
        """
        return _decoded(self.query)

    def form(self) -> list[tuple[str, str]]:
        """The body as a URL-encoded form: all names and values in order, with empty ones.

        They are read as by ``arguments``.
        """
        return _decoded(self.body.decode("latin-1"))

    def json(self) -> Any:
        """The body as JSON. Raises ``ValueError`` for anything that is not valid JSON."""
        try:
            return _DECODER.decode(self.body.removeprefix(BOM_UTF8).decode())
        except RecursionError:
            raise ValueError("The JSON is nested too deeply.") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _decoded(written: str) -> list[tuple[str, str]]:
    """The pairs of a URL-encoded text whose characters stand for bytes."""
    pairs = parse_qsl(written, keep_blank_values=True, encoding="latin-1")
    return [(_text(name), _text(value)) for name, value in pairs]


def _text(latin: str) -> str:
    r"""The text of bytes, which are given as Latin-1.

    >>> _text("caf\xe9"), _text("caf\xc3\xa9"), _text("\x80 5")
    ('café', 'café', '€ 5')
    """
    try:
        written = latin.encode("latin-1")
    except UnicodeEncodeError:  # no bytes: a text that was never encoded
        return latin
    text = written.decode("utf-8", "replace")
    if "\ufffd" not in text or any("\x7f" < character != "\ufffd" for character in text):
        return text  # UTF-8, though a character may be cut off
    return written.decode("cp1252", "replace")  # as which what calls itself Latin-1 is read


@dataclass(frozen=True, slots=True)
class Ack:
    """The HTTP response that a carrier expects after its webhook was stored."""

    status: int = 200
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check of a carrier or channel; ``text`` has the remedy if not ``ok``."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Device:
    """An installed app of an extension.

    An ``id`` of ``channel:extension`` is not one app but the extension in a whole channel.
    ``channel`` is the push channel and ``address`` the address there; with ``none`` it gets no
    pushes.
    """

    id: str
    extension: str
    channel: str = "none"
    name: str = ""
    platform: str = ""
    address: Mapping[str, Any] = field(default_factory=dict, repr=False)
    preview: Preview = "full"
    quiet_hours: QuietHours | None = None
    created_at: float = 0.0
    seen_at: float | None = None
    last_success_at: float | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A push notification; a repetition has the same ``id``.

    ``message`` is the message object. Only a server of the operator may get all of it; it is empty
    in a test. ``title`` and ``body`` are what a device may show by its preview policy. ``unread``
    counts the unread messages of the conversation, ``unread_total`` those of the extension (for the
    app's badge). ``numbers`` are all numbers of the extension. ``parts`` say what
    ``title`` and ``body`` say, for an app that writes them in its own language (``push_payload``).
    """

    id: str
    type: Literal["message.received", "message.updated", "conversation.read", "device.test"]
    extension: str
    at: float
    message: dict[str, Any]
    unread: int = 0
    unread_total: int = 0
    numbers: tuple[str, ...] = ()
    title: str = ""
    body: str = ""
    parts: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation; ``None`` in a test."""
        return self.message.get("conversation_id")
