"""Checks of an outbound message by its carrier, and the split of a long text into several messages.

The same checks are made of what an app sends, of a scheduled text at its time, of an automatic
answer, and of a message that another number sends instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.emergency_numbers import require_no_emergency
from services.core.errors import RequestRefused
from services.core.messages import Attachment, Message, Status
from services.core.phone_numbers import CHANNEL_NAMES, channel_of, without_channel
from services.core.segments import count, split
from services.message_settings import NumberSetting
from services.messaging.opt_out import OptOuts
from services.messaging.send_limits import SendLimits
from services.providers.base import Limits, Provider


class FilesTooLarge(RequestRefused):
    """The files of a request are too large together; ``most`` is the limit in bytes."""

    def __init__(self, reason: str, most: int) -> None:
        self.most = most
        super().__init__("files_too_large", reason, field="media_ids")


@dataclass(eq=False)
class MessageChecks:
    """Says whether a message can be sent now, and by which carrier; ``country`` is the default."""

    providers: Mapping[str, Provider]
    limits: SendLimits
    opt_outs: OptOuts
    country: str

    def checked(self, tx: Connection, setting: NumberSetting, message: Message) -> Message:
        """A message of a number's entry with the carrier that sends it now, and its segments.

        Checked are recipients, carrier, allowed countries, opt-outs, files and text. Raises
        ``RequestRefused``.
        """
        for recipient in map(without_channel, message.recipients):
            require_no_emergency(recipient, [setting.number], self.country, "to")
        provider = self.providers.get(setting.carrier)
        if provider is None:
            raise RequestRefused(
                "carrier_off",
                f"The carrier {setting.carrier} of {setting.number} is not configured.",
                status=409,
            )
        _check_recipients(setting, message.recipients, provider)
        self.limits.check_countries(message.recipients)
        self.opt_outs.check_request(tx, setting.number, message.recipients)
        _check_files(message.media, provider)
        _check_content(message.text, message.media)
        _check_text(message.text, provider)
        segments = _segments(message.text, message.media)
        return replace(message, provider=provider.name, segments=segments)

    def parts(self, whole: Message) -> list[Message]:
        """The messages in which its carrier takes a message: a long text becomes several."""
        return parts(whole, self.providers[whole.provider].limits)


def _check_recipients(
    setting: NumberSetting, recipients: tuple[str, ...], provider: Provider
) -> None:
    """Raise ``RequestRefused`` for recipients that a number cannot text by its carrier."""
    if setting.number in recipients:
        raise RequestRefused("same_number", "A number cannot text itself.", field="to")
    for recipient in recipients:
        channel = channel_of(recipient)
        if channel not in provider.limits.channels:
            raise RequestRefused(
                "channel_not_carried",
                f"{provider.title} does not carry {CHANNEL_NAMES[channel]} here.",
                field="to",
            )
    most = provider.limits.recipients
    if len(recipients) > most:
        raise RequestRefused(
            "too_many_recipients",
            f"{provider.title} takes one recipient at a time."
            if most == 1
            else f"{provider.title} takes at most {most} recipients in a message.",
            field="to",
        )


def _check_files(files: Sequence[Attachment], provider: Provider) -> None:
    limits = provider.limits
    if len(files) > limits.media:
        raise RequestRefused(
            "too_many_files",
            f"{provider.title} takes at most {limits.media} files in a message.",
            field="media_ids",
        )
    for file in files:
        _check_file(file, provider)
    most, together = limits.media_total_bytes, sum(file.size for file in files)
    if most and together > most:
        raise FilesTooLarge(
            f"{provider.title} takes files of up to {most} bytes in all in a message; these have "
            f"{together}.",
            most,
        )


def _check_file(file: Attachment, provider: Provider) -> None:
    """Raise ``RequestRefused`` for a file that a carrier does not take."""
    limits = provider.limits
    if file.size > limits.media_bytes:
        raise RequestRefused(
            "file_too_large",
            f"{provider.title} takes files of up to {limits.media_bytes} bytes; "
            f"“{file.name}” has {file.size}.",
            field="media_ids",
        )
    if not limits.takes(file.content_type):
        raise RequestRefused(
            "file_type",
            f"{provider.title} does not take files of type {file.content_type}. It takes "
            f"{', '.join(limits.media_types)}.",
            field="media_ids",
        )


def _check_content(text: str, files: Sequence[Attachment]) -> None:
    if not text.strip() and not files:
        raise RequestRefused("empty", "Write a text or attach a file.", field="text")


def _check_text(text: str, provider: Provider) -> None:
    """Raise ``RequestRefused`` for a text that a carrier neither takes nor lets us split."""
    limits = provider.limits
    if len(text) > limits.text and not limits.splits:
        raise RequestRefused(
            "text_too_long",
            f"{provider.title} is set to take at most {limits.text} characters in a message; this "
            f"text has {len(text)}.",
            field="text",
        )


def _segments(text: str, files: Sequence[Attachment]) -> int:
    """The segments of a message; one with files is a single MMS."""
    return 1 if files else count(text).count


def parts(whole: Message, limits: Limits) -> list[Message]:
    """Split a text over the carrier's limit into several messages; files go with the first."""
    first, *rest = split(whole.text, limits.text, limits.unicode_text)
    if not rest:
        return [whole]
    head = replace(whole, text=first, segments=_segments(first, whole.media))
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
            segments=_segments(text, ()),
            rule=whole.rule,
            instead_of=whole.instead_of,
            send_at=whole.send_at,
        )
        for text in rest
    ]
    return [head, *tail]
