"""VoIP.ms's two webhooks, read as messages; what cannot be read raises ``ValueError``.

The "SMS/MMS Webhook URL" posts JSON. The older "URL callback" calls an address in which VoIP.ms has
filled in ``{FROM}``, ``{TO}``, ``{MESSAGE}``, ``{MEDIA}``, ``{ID}`` and ``{TIMESTAMP}``
(https://wiki.voip.ms/article/SMS-MMS); how its arguments are called is up to the operator.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from services.core.messages import Attachment, Message, Parsed, Unreadable, WebhookCall, clean
from services.providers import parsing
from services.providers.voipms.numbers import with_country

# SMS and MMS are numbered apart at VoIP.ms, so an id is only unique together with its kind.
KINDS = {"sms": "sms", "mms": "mms"}
MOST_ID = 200

# What a callback's arguments may be called.
ARGUMENTS = {
    "from": ("from",),
    "to": ("to",),
    "text": ("message", "text", "body"),
    "media": ("media", "files", "images"),
    "id": ("id",),
    "at": ("ts", "timestamp", "date"),
}
PLACEHOLDERS = {"{FROM}", "{TO}", "{MESSAGE}", "{MEDIA}", "{ID}", "{TIMESTAMP}"}
# A semicolon divides two of them as well, as HTML 4 recommended; one of a text arrives encoded.
_SEMICOLON = re.compile(
    rf";(?=(?:token|{'|'.join(name for names in ARGUMENTS.values() for name in names)})=)",
    re.ASCII | re.IGNORECASE,
)
BUCKET_SECONDS = 1800  # VoIP.ms repeats a callback every half hour


def with_ampersands(call: WebhookCall) -> WebhookCall:
    """A call whose arguments are divided by ``&``, also where a callback divides them by ``;``."""
    query = _SEMICOLON.sub("&", call.query)
    return call if query == call.query else replace(call, query=query)


def parse(call: WebhookCall, now: float, is_ours: Callable[[str], bool]) -> Iterable[Parsed]:
    """Read a call of either webhook; ``now`` is in seconds since 1970.

    Of several numbers that a message went to, ``is_ours`` tells which one is ours.
    """
    try:
        message = _read(call, now, is_ours)
    except ValueError as error:
        return [Unreadable(str(error), call.body)]
    return [message] if message is not None else []


def _read(call: WebhookCall, now: float, is_ours: Callable[[str], bool]) -> Message | None:
    if call.method != "POST":
        return from_callback(call.arguments(), now)
    if _is_form(call):
        return from_callback([*call.form(), *call.arguments()], now)
    try:
        body = call.json()
    except ValueError as error:
        raise ValueError(f"The body is not JSON: {error}") from None
    return from_json(body, is_ours)


def _is_form(call: WebhookCall) -> bool:
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/x-www-form-urlencoded"


def from_json(body: Any, is_ours: Callable[[str], bool]) -> Message | None:
    """The message of the JSON webhook; ``None`` for an event of another kind.

    A group is a conversation with its sender: VoIP.ms sends to one number at a time. Of several
    numbers in ``to`` ours is not always the first.
    """
    data = _inner(parsing.fields(body, "body"), "data")
    event = parsing.word(data, "event_type")
    if event and event != "message.received":
        return None
    payload = _inner(data, "payload")
    links = file_links(payload.get("media"))
    to, sender = _numbers(payload, "to"), _numbers(payload, "from")[0]
    number = next(filter(is_ours, to), to[0])
    return inbound(
        KINDS.get(parsing.word(payload, "type").lower()) or _kind(links),
        parsing.word(payload, "id", most=MOST_ID) or parsing.word(data, "id", most=MOST_ID),
        number=number,
        peer=sender,
        text=parsing.text(payload.get("text"), "text"),
        links=links,
        at=parsing.timestamp(payload.get("received_at")),
    )


def from_callback(arguments: Iterable[tuple[str, str]], now: float) -> Message:
    """The message of the URL callback.

    Without an id the same words within the same half hour are taken for a repetition. The zone of
    ``{TIMESTAMP}`` is not documented, so it is no time of the message.
    """
    given = _given(arguments)
    links = file_links(given["media"].split(","))
    if not given["text"] and not links:
        raise ValueError(
            "The callback has neither a text nor files. Paste its address with all its "
            "arguments, {FROM} to {ID}. If it was a picture, VoIP.ms's list of messages has it."
        )
    moment = given["at"] or str(int(now // BUCKET_SECONDS))
    same = json.dumps([given["from"], given["to"], given["text"], links, moment])
    return inbound(
        _kind(links),
        parsing.word(given, "id", most=MOST_ID)
        or f"callback-{hashlib.sha256(same.encode()).hexdigest()[:32]}",
        number=_numbers(given, "to")[0],
        peer=_numbers(given, "from")[0],
        text=given["text"],
        links=links,
        at=None,
    )


def inbound(
    kind: str,
    carrier_id: str,
    *,
    number: str,
    peer: str,
    text: str,
    links: Iterable[str],
    at: float | None,
) -> Message:
    """An inbound message under the one id that it has by webhook, by callback and in the lists."""
    if not carrier_id:
        raise ValueError("“id” is missing.")
    return Message(
        direction="in",
        number=number,
        peer=peer,
        text=text,
        media=tuple(Attachment(source_url=link, name=_name(link)) for link in links),
        provider="voipms",
        provider_id=f"{kind}:{carrier_id}",
        carrier_time=at,
    )


def file_links(value: Any) -> list[str]:
    """Addresses of files: a list, an object by position, or one; of texts or ``{"url": …}``.

    Empty places and the SMIL that only arranges the other files are left out.
    """
    if isinstance(value, dict) and "url" not in value:
        value = list(value.values())
    entries = value if isinstance(value, list) else [value]
    entries = [entry.get("url") if isinstance(entry, dict) else entry for entry in entries]
    links = [link.strip() for link in parsing.texts({"media": entries}, "media")]
    return [link for link in links if link and not _name(link).lower().endswith(".smil")]


def _inner(holder: dict[str, Any], name: str) -> dict[str, Any]:
    """The object that is wrapped in another, or the other where nothing is wrapped."""
    return parsing.fields(holder.get(name, holder), name)


def _kind(links: list[str]) -> str:
    return "mms" if links else "sms"


def _numbers(holder: dict[str, Any], name: str) -> list[str]:
    """The phone numbers of a list of objects or texts, or of one by itself; at least one."""
    value = holder.get(name)
    entries = value if isinstance(value, list) and value else [value]
    written = [entry.get("phone_number") if isinstance(entry, dict) else entry for entry in entries]
    return [with_country(parsing.address({name: each}, name)) for each in written]


def _given(arguments: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What a callback's arguments say by our names for them; empty where nothing was filled in."""
    written: dict[str, str] = {}
    for name, value in arguments:
        if value and value not in PLACEHOLDERS:
            written.setdefault(name.lower(), clean(value))
    return {
        ours: next((written[name] for name in names if name in written), "")
        for ours, names in ARGUMENTS.items()
    }


def _name(link: str) -> str:
    """The file's name, where the address has one and not that of VoIP.ms's script."""
    name = parsing.file_name(link)
    return "" if name.endswith(".php") else name
