"""Outbound messages: checking a request of an extension, splitting its text, queueing it.

One that is to be sent later is stored whole, and split when it is released (``scheduling``).
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from services.core.errors import RequestRefused
from services.core.messages import Attachment, Device, Message, Status
from services.core.phone_numbers import (
    CHANNEL_NAMES,
    channel_of,
    e164,
    is_dialable,
    peer,
    requested,
)
from services.core.segments import count, split
from services.message_settings import NumberSetting
from services.message_settings.rules import OutboundRule
from services.messaging.access import ConversationAccess
from services.messaging.assignments import Assignments
from services.messaging.opt_out import OptOuts, send_job
from services.messaging.send_limits import SendLimits
from services.messaging.send_times import SendTimes
from services.messaging.uploads import Uploads
from services.providers.base import Limits, Provider
from services.store import attachments, conversations, jobs, messages
from services.store.database.store import Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """A request to send: text and files, to a conversation or from a number to recipients.

    With ``send_at`` (seconds since 1970) it is sent then.
    """

    text: str = ""
    to: tuple[str, ...] = ()
    sender: str | None = None
    conversation_id: str | None = None
    media_ids: tuple[str, ...] = ()
    client_id: str | None = None
    send_at: float | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the request: the same ``client_id`` with another one is a conflict."""
        parts: list[object] = [self.text, sorted(self.to), self.sender, self.conversation_id]
        parts += [self.media_ids, *([] if self.send_at is None else [self.send_at])]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class FilesTooLarge(RequestRefused):
    """The files of a request are too large together; ``most`` is the limit in bytes."""

    def __init__(self, reason: str, most: int) -> None:
        self.most = most
        super().__init__("files_too_large", reason, field="media_ids")


@dataclass(eq=False)
class Composer:
    """Turns requests of extensions into stored messages with a job that sends each.

    ``country`` is assumed for numbers without a country code. ``uploads`` makes pictures smaller
    that are too large together.
    """

    store: Store
    access: ConversationAccess
    providers: Mapping[str, Provider]
    limits: SendLimits
    country: str
    uploads: Uploads
    opt_outs: OptOuts
    assignments: Assignments
    times: SendTimes

    def submit(self, device: Device, reply: Reply) -> tuple[Message, bool]:
        """Store the message of an extension, and queue it at its number's carrier or schedule it.

        Returns the message and whether it repeats an earlier request. A text over the carrier's
        limit becomes several messages; the first is returned. Raises ``RequestRefused`` and
        ``StorageUnwell``.
        """

        def store(tx: Connection) -> tuple[Message, bool]:
            if reply.client_id is not None:
                known = messages.by_client_id(tx, device.extension, reply.client_id)
                if known is not None:
                    if known[1] != reply.fingerprint:
                        raise RequestRefused(
                            "client_id_reused",
                            "This client_id was used for another message. Make a new one for each.",
                            field="client_id",
                            status=409,
                        )
                    return known[0], True
            whole = self.compose(tx, device.extension, reply)
            parts = self.parts(whole)
            self.limits.count_sent(tx, device.extension, parts)
            if reply.send_at is not None:
                stored = self.times.schedule(tx, whole, reply.send_at, reply.fingerprint)
            else:
                stored = self._queue(tx, parts, reply.fingerprint)
            return messages.by_id(tx, stored.id) or stored, False

        try:
            message, repeated = self._with_smaller_pictures(device, reply, store)
        except IntegrityError:  # another process stored the same client_id at the same moment
            message, repeated = self.store.write(store)
        log.info("reply", message_id=message.id, extension=device.extension, repeated=repeated)
        return message, repeated

    def _queue(self, tx: Connection, parts: Sequence[Message], fingerprint: str = "") -> Message:
        """Store the parts of a message and queue each; returns the first."""
        stored = [messages.add_outbound(tx, part, fingerprint) for part in parts]
        jobs.add(tx, [send_job(message) for message in stored])
        if stored[0].extension is not None:
            self.assignments.answered(tx, stored[0])
        return stored[0]

    def queue_automatic(
        self,
        tx: Connection,
        setting: NumberSetting,
        peer: str,
        text: str,
        *,
        rule: str,
        message_id: str,
    ) -> Message:
        """Store and queue a text that a rule writes to one person, by the number of an entry.

        In the quiet hours of the person's place it is scheduled, unless SCHEDULED_ANSWERS_WAIT is
        off. No extension's quota counts it. Raises ``RequestRefused``, and then has stored nothing.
        """
        provider = self._provider(setting)
        check_recipients(setting, (peer,), provider)
        self.limits.check_countries((peer,))
        self.opt_outs.check_request(tx, setting.number, (peer,))
        check_text(text, provider)
        whole = Message(
            direction="out",
            number=setting.number,
            peer=peer,
            text=text,
            provider=provider.name,
            status=Status.QUEUED,
            segments=count(text).count,
            id=message_id,
            rule=rule,
        )
        return self.times.hold_answer(tx, whole) or self._queue(tx, self.parts(whole))

    def check_again(self, tx: Connection, message: Message) -> Message:
        """Check a scheduled message, as it is or with another text, as if it were sent now.

        Returns it with the segments and the carrier by which it is sent now. Raises
        ``RequestRefused``.
        """
        setting = self._setting_now(message)
        provider = self._provider(setting)
        check_recipients(setting, message.recipients, provider)
        self.limits.check_countries(message.recipients)
        self.opt_outs.check_request(tx, setting.number, message.recipients)
        _check_files(message.media, provider)
        _check_content(message.text, message.media)
        check_text(message.text, provider)
        segments = count(message.text).count if not message.media else 1
        return replace(message, provider=provider.name, segments=segments)

    def parts(self, whole: Message) -> list[Message]:
        """The messages in which its carrier takes a message: a long text becomes several."""
        return parts(whole, self.providers[whole.provider].limits)

    def _setting_now(self, message: Message) -> NumberSetting:
        """The entry of a message's number. Raises ``RequestRefused`` where its writer lost it."""
        if message.extension is None:
            setting = self.access.setting(message.number)
            why = f"{message.number} is not in use any more, by Message Settings."
        else:
            own = self.access.numbers(message.extension)
            setting = next((one for one in own if one.number == message.number), None)
            why = f"Extension {message.extension} no longer has {message.number}."
        if setting is None:
            raise RequestRefused("number_not_yours", why, status=403)
        return setting

    def _provider(self, setting: NumberSetting) -> Provider:
        """The carrier of a number. Raises ``RequestRefused`` where it is not configured."""
        provider = self.providers.get(setting.carrier)
        if provider is None:
            raise RequestRefused(
                "carrier_off",
                f"The carrier {setting.carrier} of {setting.number} is not configured.",
                status=409,
            )
        return provider

    def _with_smaller_pictures(
        self, device: Device, reply: Reply, store: Callable[[Connection], tuple[Message, bool]]
    ) -> tuple[Message, bool]:
        """Store a message, after its pictures were made smaller if that is what it needs."""
        try:
            return self.store.write(store)
        except FilesTooLarge as error:
            if not self.uploads.fit_together(device.extension, reply.media_ids, error.most):
                raise
        return self.store.write(store)

    def own_numbers(self, extension: str) -> Sequence[NumberSetting]:
        """The numbers of an extension, its default first. Raises ``RequestRefused`` without one."""
        settings = self.access.numbers(extension)
        if not settings:
            raise RequestRefused(
                "no_number",
                f"Extension {extension} has no number yet. Ask your administrator to add it in "
                "Message Settings.",
                status=403,
            )
        return settings

    def compose(self, tx: Connection, extension: str, reply: Reply) -> Message:
        """The message of a request, not stored and not split yet. Raises ``RequestRefused``."""
        settings = self.own_numbers(extension)
        to = _addressed(tx, settings, reply, self.country, extension, self.access.outbound_rules())
        setting, recipients = to.setting, to.recipients
        provider = self._provider(setting)
        check_recipients(setting, recipients, provider)
        self.limits.check_countries(recipients)
        self.opt_outs.check_request(tx, setting.number, recipients)
        files = _files(tx, extension, reply.media_ids, provider)
        text = reply.text
        _check_content(text, files)
        check_text(text, provider)
        return Message(
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
            rule=to.rule,
        )


@dataclass(frozen=True, slots=True)
class _Addressed:
    """The number that sends, the recipients, and the outbound rule that chose the number."""

    setting: NumberSetting
    recipients: tuple[str, ...]
    rule: str | None = None


def _addressed(
    tx: Connection,
    settings: Sequence[NumberSetting],
    reply: Reply,
    country: str,
    extension: str,
    rules: Sequence[OutboundRule],
) -> _Addressed:
    """From where to where a request goes.

    Outbound rules decide where there is no conversation with these recipients yet.
    """
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
        members = known.participants or (known.peer,)
        for member in members:
            _require_dialable(member, "conversation_id")
        return _Addressed(by_number[known.number], members)
    recipients = _recipients(tx, by_number, reply.to, country)
    if not recipients:
        raise RequestRefused("missing", "Say to whom the message goes.", field="to")
    rule = _outbound_rule(rules, extension, recipients, by_number)
    if reply.sender is None:
        return _without_sender(tx, settings, recipients, rule)
    sender = requested(e164, reply.sender, country, "from")
    if sender not in by_number:
        raise RequestRefused(
            "number_not_yours", f"{sender} is not a number of yours.", field="from", status=403
        )
    if rule is None or conversations.latest_number(tx, [sender], recipients):
        return _Addressed(by_number[sender], recipients)
    if sender not in rule.numbers:
        allowed = [number for number in rule.numbers if number in by_number]
        raise RequestRefused(
            "number_not_allowed",
            f"A new conversation with {', '.join(recipients)} leaves by {' or '.join(allowed)}, by "
            f"the rule “{rule.name}”.",
            field="from",
            status=403,
        )
    return _Addressed(by_number[sender], recipients, rule.name)


def _without_sender(
    tx: Connection,
    settings: Sequence[NumberSetting],
    recipients: tuple[str, ...],
    rule: OutboundRule | None,
) -> _Addressed:
    """The number where the request names none: of the newest conversation, else by the rule."""
    by_number = {setting.number: setting for setting in settings}
    latest = conversations.latest_number(tx, by_number, recipients)
    if latest:
        return _Addressed(by_number[latest], recipients)
    if rule is None:
        return _Addressed(settings[0], recipients)
    number = next(one for one in rule.numbers if one in by_number)
    return _Addressed(by_number[number], recipients, rule.name)


def _outbound_rule(
    rules: Sequence[OutboundRule],
    extension: str,
    recipients: Sequence[str],
    numbers: Collection[str],
) -> OutboundRule | None:
    """The first rule that applies and of whose numbers the extension has one, if any."""
    for rule in rules:
        if not rule.mismatch(extension, recipients) and any(n in numbers for n in rule.numbers):
            return rule
    return None


def _recipients(
    tx: Connection, numbers: Iterable[str], to: tuple[str, ...], country: str
) -> tuple[str, ...]:
    """The addresses of a request, as a person types them or as a conversation has them."""
    try:
        return tuple(dict.fromkeys(_recipient(address, country) for address in to))
    except RequestRefused:
        if not all(map(is_dialable, to)) or not conversations.latest_number(tx, numbers, to):
            raise
        return tuple(dict.fromkeys(to))  # such as a short code that no person could have typed


def _recipient(address: str, country: str) -> str:
    recipient = requested(peer, address, country, "to")
    _require_dialable(recipient, "to")
    return recipient


def _require_dialable(address: str, field: str) -> None:
    """Raise ``RequestRefused`` for a sender that is a name, or a number that cannot be one."""
    if not is_dialable(address):
        is_name = any(character.isalpha() for character in address)
        what = "a name, not a number" if is_name else "no complete phone number"
        raise RequestRefused(
            "not_dialable", f"Nobody can reply to “{address}”: it is {what}.", field=field
        )


def check_recipients(
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


def _files(
    tx: Connection, extension: str, ids: tuple[str, ...], provider: Provider
) -> tuple[Attachment, ...]:
    _check_count(len(ids), provider)
    known = attachments.uploads(tx, extension, ids)
    for file_id in ids:
        if file_id not in known:
            raise RequestRefused(
                "unknown_file",
                "One of the files was not uploaded by this extension, or was sent already.",
                field="media_ids",
            )
    files = tuple(known[file_id] for file_id in dict.fromkeys(ids))
    _check_files(files, provider)
    return files


def _check_count(files: int, provider: Provider) -> None:
    if files > provider.limits.media:
        raise RequestRefused(
            "too_many_files",
            f"{provider.title} takes at most {provider.limits.media} files in a message.",
            field="media_ids",
        )


def _check_files(files: Sequence[Attachment], provider: Provider) -> None:
    limits = provider.limits
    _check_count(len(files), provider)
    for file in files:
        check_file(file, provider)
    most, together = limits.media_total_bytes, sum(file.size for file in files)
    if most and together > most:
        raise FilesTooLarge(
            f"{provider.title} takes files of up to {most} bytes in all in a message; these have "
            f"{together}.",
            most,
        )


def check_file(file: Attachment, provider: Provider) -> None:
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


def check_text(text: str, provider: Provider) -> None:
    """Raise ``RequestRefused`` for a text that a carrier neither takes nor lets us split."""
    limits = provider.limits
    if len(text) > limits.text and not limits.splits:
        raise RequestRefused(
            "text_too_long",
            f"{provider.title} is set to take at most {limits.text} characters in a message; this "
            f"text has {len(text)}.",
            field="text",
        )


def parts(whole: Message, limits: Limits) -> list[Message]:
    """Split a text over the carrier's limit into several messages; files go with the first."""
    first, *rest = split(whole.text, limits.text, limits.unicode_text)
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
            rule=whole.rule,
            instead_of=whole.instead_of,
        )
        for text in rest
    ]
    return [head, *tail]
