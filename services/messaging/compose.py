"""A reply from an app: what it asks for, checked against who may ask and what the carrier takes."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from services.core.errors import NumberError, RequestRefused
from services.core.messages import Attachment, Message, Status
from services.core.phone_numbers import e164, is_dialable, peer
from services.core.segments import count, split
from services.message_settings import NumberSetting
from services.messaging.send_limits import check_countries
from services.providers.base import Limits, Provider
from services.store import attachments, conversations

if TYPE_CHECKING:
    from services.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Reply:
    """What an app asks for: a text and files to a conversation, or from a number to people."""

    text: str = ""
    to: tuple[str, ...] = ()
    sender: str | None = None
    conversation_id: str | None = None
    media_ids: tuple[str, ...] = ()
    client_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests, so that a repeat is told from a clash."""
        parts = [self.text, sorted(self.to), self.sender, self.conversation_id, self.media_ids]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def compose(tx: Connection, gateway: "Gateway", extension: str, reply: Reply) -> list[Message]:
    """The messages that fulfil a request, not yet kept. Raises ``RequestRefused``."""
    settings = gateway.settings.for_extension(extension)
    if not settings:
        raise RequestRefused(
            "no_number",
            f"Extension {extension} has no number yet. Ask the operator to add it in Message "
            "Settings.",
            status=403,
        )
    setting, recipients = _addressed(tx, settings, reply, gateway.country)
    provider = gateway.providers.get(setting.carrier)
    if provider is None:
        raise RequestRefused(
            "carrier_off",
            f"The carrier {setting.carrier} of {setting.number} is not configured.",
            status=409,
        )
    _check_recipients(setting, recipients, provider)
    check_countries(gateway, recipients)
    files = _files(tx, extension, reply.media_ids, provider)
    text = reply.text
    if not text.strip() and not files:
        raise RequestRefused("empty", "Write a text or attach a file.", field="text")
    whole = Message(
        direction="out",
        number=setting.number,
        peer=recipients[0],
        participants=recipients if len(recipients) > 1 else (),
        text=text,
        media=files,
        provider=provider.name,
        status=Status.QUEUED,
        extension=extension,
        client_id=reply.client_id,
        segments=count(text).count if not files else 1,
    )
    _check_text(text, provider)
    return _parts(whole, provider.limits)


def _addressed(
    tx: Connection, settings: Sequence[NumberSetting], reply: Reply, country: str
) -> tuple[NumberSetting, tuple[str, ...]]:
    """Which number it leaves from, and to whom it goes."""
    by_number = {setting.number: setting for setting in settings}
    if reply.conversation_id is not None:
        known = conversations.by_id(tx, reply.conversation_id, by_number)
        if known is None:
            raise RequestRefused(
                "not_found",
                "There is no such conversation.",
                field="conversation_id",
                status=404,
            )
        return by_number[known.number], known.participants or (known.peer,)
    recipients = tuple(dict.fromkeys(_recipient(address, country) for address in reply.to))
    if not recipients:
        raise RequestRefused("missing", "Say to whom the message goes.", field="to")
    if reply.sender is None:
        latest = conversations.latest_number(tx, by_number, recipients)
        return by_number[latest] if latest else settings[0], recipients
    try:
        sender = e164(reply.sender, country)
    except NumberError as error:
        raise RequestRefused("invalid_number", str(error), field="from") from None
    if sender not in by_number:
        raise RequestRefused(
            "number_not_yours", f"{sender} is not a number of yours.", field="from", status=403
        )
    return by_number[sender], recipients


def _recipient(address: str, country: str) -> str:
    try:
        recipient = peer(address, country)
    except NumberError as error:
        raise RequestRefused("invalid_number", str(error), field="to") from None
    if not is_dialable(recipient):
        raise RequestRefused(
            "not_dialable", f"Nobody can reply to “{recipient}”: it is a name, not a number.",
            field="to",
        )  # fmt: skip
    return recipient


def _check_recipients(
    setting: NumberSetting, recipients: tuple[str, ...], provider: Provider
) -> None:
    if setting.number in recipients:
        raise RequestRefused("same_number", "A number cannot text itself.", field="to")
    most = provider.limits.recipients
    if len(recipients) > most:
        raise RequestRefused(
            "too_many_recipients",
            f"{provider.title} sends to at most {most} recipients at once.",
            field="to",
        )


def _files(
    tx: Connection, extension: str, ids: tuple[str, ...], provider: Provider
) -> tuple[Attachment, ...]:
    limits = provider.limits
    if len(ids) > limits.media:
        raise RequestRefused(
            "too_many_files",
            f"{provider.title} takes at most {limits.media} files in a message.",
            field="media_ids",
        )
    known = attachments.uploads(tx, extension, ids)
    for file_id in ids:
        if file_id not in known:
            raise RequestRefused(
                "unknown_file",
                "One of the files was not uploaded by this extension, or was sent already.",
                field="media_ids",
            )
        _check_file(known[file_id], provider)
    return tuple(known[file_id] for file_id in dict.fromkeys(ids))


def _check_file(file: Attachment, provider: Provider) -> None:
    limits = provider.limits
    if file.size > limits.media_bytes:
        raise RequestRefused(
            "file_too_large",
            f"{provider.title} takes files of up to {limits.media_bytes} bytes; "
            f"“{file.name}” has {file.size}.",
            field="media_ids",
        )
    if not file.content_type.startswith(limits.media_types):
        raise RequestRefused(
            "file_type",
            f"{provider.title} does not take files of type {file.content_type}.",
            field="media_ids",
        )


def _check_text(text: str, provider: Provider) -> None:
    limits = provider.limits
    if len(text) > limits.text and not limits.splits:
        raise RequestRefused(
            "text_too_long",
            f"{provider.title} is set to take at most {limits.text} characters in a message; this "
            f"text has {len(text)}.",
            field="text",
        )


def _parts(whole: Message, limits: Limits) -> list[Message]:
    """A text over the carrier's limit becomes several messages; files go with the first."""
    first, *rest = _fitting(whole.text, limits)
    if not rest:
        return [whole]
    head = replace(whole, text=first, segments=count(first).count if not whole.media else 1)
    tail = [
        Message(
            direction="out",
            number=whole.number,
            peer=whole.peer,
            participants=whole.participants,
            text=text,
            provider=whole.provider,
            status=Status.QUEUED,
            extension=whole.extension,
            segments=count(text).count,
        )
        for text in rest
    ]
    return [head, *tail]


def _fitting(text: str, limits: Limits) -> list[str]:
    """The text in parts that fit: fewer characters do where the alphabet needs two bytes each."""
    if not limits.unicode_text or count(text).encoding == "GSM-7":
        return split(text, limits.text)
    parts = []
    while text:
        first = split(text, _most(text, limits.unicode_text))[0]
        parts.append(first)
        text = text.removeprefix(first)
    return parts


def _most(text: str, units: int) -> int:
    """How many of the first characters fit: an emoji is one that needs two units."""
    used = accumulate(2 if ord(character) > 0xFFFF else 1 for character in text)
    return sum(1 for _ in takewhile(lambda reached: reached <= units, used))
