"""Answers by e-mail: a mail to a signed address becomes a text of the address that was mailed.

The address stands where an extension stands. Whatever becomes of a mail: it is texted once, its
sender is told why it is not texted, or it is left alone because it is automatic or not proved.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import structlog

from services.core.authors import device_of_address
from services.core.durations import HOUR
from services.core.errors import Kind, MailError, MediaError, RequestRefused
from services.core.language import sentence
from services.core.messages import Message, uuid7
from services.mail.authentication import AuthenticationPolicy
from services.mail.headers import parse_address
from services.mail.inbound_mail import (
    MOST_BYTES,
    TOO_LARGE,
    MailContent,
    MailHead,
    content_key,
    read_content,
    read_head,
)
from services.mail.mail_parts import ReceivedFile
from services.mail.mailer import Mailer
from services.mail.reply_address import ReplyAddresses, SignedPart
from services.mail.reply_text import MOST_TEXT
from services.media.media_store import MEDIA_BYTES, MediaStore
from services.messaging.access import ConversationAccess
from services.messaging.compose import Composer, Reply
from services.messaging.uploads import Uploads
from services.store import conversations, messages, quotas
from services.store.database.store import Store
from services.store.quotas import Quota

log = structlog.get_logger()
REFUSALS_AN_HOUR = 10  # to one address

# Told to senders who are not proved to be the ones who were mailed: nothing of a conversation.
WRONG_SENDER = sentence(
    "This address for answers belongs to another recipient. A mail can be answered only from the "
    "address to which it was sent; choose that address as the sender, and send your answer again."
)
NOT_PROVED = sentence(
    "The mail server could not confirm that your mail comes from your address. Send it with your "
    "usual mail program and account. If that does not help, ask your administrator."
)
REUSED = sentence(
    "It has the Message-ID of an earlier mail that was sent as a text, so it was taken for a copy "
    "of that, but its words are others. Write a new mail instead of sending an old one again."
)
SEVERAL = sentence("It is addressed to several conversations. Answer each mail by itself.")
ENDED = sentence(
    "This mail is too old to be answered. Answer a newer mail of the same conversation."
)
GONE = sentence("Its conversation is no longer kept.")
FILE_TOO_LARGE = sentence("One of its files is larger than {file_size} MB. Send a smaller one.")


class MailOutcome(StrEnum):
    """What became of a mail."""

    TAKEN = "taken"  # it is queued as a text
    REPEATED = "repeated"  # it was taken before
    REFUSED = "refused"  # its sender was told why it is no text
    IGNORED = "ignored"  # automatic, or of nobody who could be told
    FOREIGN = "foreign"  # it is to no address of ours


@dataclass(eq=False)
class MailReplies:
    """Takes answers to mails in."""

    store: Store
    access: ConversationAccess
    composer: Composer
    uploads: Uploads
    media: MediaStore
    addresses: ReplyAddresses
    policy: AuthenticationPolicy
    mailer: Mailer
    own_address: re.Pattern[str]  # finds our addresses in the quote of a mail

    def is_issued(self, address: str, sender: str) -> bool:
        """Whether an address for answers was made here, for ``sender`` or another recipient.

        Raises ``StorageUnwell``.
        """
        signed = self.addresses.find([address])
        if not signed:
            return False
        of = signed[0].conversation_id
        number = self.store.read(lambda tx: conversations.number_of(tx, of)) or ""
        return self._is_issued(signed[0], _canonical(sender), number)

    def take(
        self,
        head: bytes,
        content: Callable[[], bytes | None],
        envelope: tuple[str, ...] = (),
    ) -> MailOutcome:
        """Take one mail in; when it returns, a text of it is on disk, or its refusal was sent.

        ``head`` are its bytes, at least those of its head. ``content`` returns all of them, or
        ``None`` for a mail that is too large; it is called only for a mail of somebody who may
        write. ``envelope`` are the recipients that SMTP named. Raises ``MailError`` where the
        refusal can be sent later, and ``StorageUnwell``: then it can be taken again.
        """
        known = read_head(head, envelope)
        signed = self.addresses.find(known.recipients)
        if not signed:
            return MailOutcome.FOREIGN
        if known.automatic or not known.sender:
            why = known.automatic or "no single sender"
            log.info("mail ignored", sender=known.sender, reason=why)
            return MailOutcome.IGNORED
        try:
            return self._take(known, signed, content)
        except RequestRefused as error:
            log.info("mail refused", sender=known.sender, code=error.code)
            return self._refuse(known, error)

    def _take(
        self, head: MailHead, signed: list[SignedPart], content: Callable[[], bytes | None]
    ) -> MailOutcome:
        one = signed[0]
        number = self.store.read(lambda tx: conversations.number_of(tx, one.conversation_id)) or ""
        if not self._is_issued(one, head.sender, number):
            log.warning("mail ignored", sender=head.sender, reason="an address not made here")
            return MailOutcome.IGNORED
        self._require_sender(head, one)
        author = self._author(head.sender, number)
        client_id = _client_id(one, head.message_id.encode())
        if head.message_id and (known := self._texted(author, client_id)) is not None:
            self._require_copy(known, content())
            return MailOutcome.REPEATED  # also where it could not be answered any more
        if len(signed) > 1:
            raise RequestRefused("several_conversations", SEVERAL)
        if one.has_ended(time.time()):
            raise RequestRefused("address_ended", ENDED)
        if not number:
            raise RequestRefused("not_found", GONE)
        lost = self.access.lost_by_address(author, number)
        if lost:
            raise RequestRefused("number_not_yours", lost)
        return self._submit(head, one, author, content)

    def _is_issued(self, signed: SignedPart, sender: str, number: str) -> bool:
        """Whether a signed part was made here, for the sender or for another recipient."""
        others = map(_canonical, self.access.addresses(number))
        return any(self.addresses.is_for(signed, known) for known in (sender, *others))

    def _require_sender(self, head: MailHead, signed: SignedPart) -> None:
        """Raise ``RequestRefused`` unless the sender is proved to be the one who was mailed."""
        if not self.addresses.is_for(signed, head.sender):
            raise RequestRefused("wrong_sender", WRONG_SENDER)
        failure = self.policy.failure(head.authentication, head.sender)
        if failure:
            log.warning("mail not proved", sender=head.sender, reason=failure)
            raise RequestRefused("not_proved", NOT_PROVED)

    def _author(self, sender: str, number: str) -> str:
        """The sender as Message Settings write it."""
        written = self.access.addresses(number)
        return next((one for one in written if _canonical(one) == sender), sender)

    def _submit(
        self,
        head: MailHead,
        signed: SignedPart,
        address: str,
        content: Callable[[], bytes | None],
    ) -> MailOutcome:
        device = device_of_address(address)
        author = device.extension
        raw: bytes | None = None
        if not head.message_id:
            raw = content()
        client_id = _client_id(signed, head.message_id.encode() or content_key(raw or b""))
        if self._texted(address, client_id) is not None:
            return MailOutcome.REPEATED
        read = self._read(raw if raw is not None else content())
        reply = Reply(
            text=read.text,
            conversation_id=signed.conversation_id,
            media_ids=tuple(self._kept(author, file) for file in read.files),
            client_id=client_id,
        )
        try:
            _, repeated = self.composer.submit(device, reply)
        except RequestRefused as error:
            if error.code == "client_id_reused":  # it was delivered twice at the same moment
                return MailOutcome.REPEATED
            raise
        return MailOutcome.REPEATED if repeated else MailOutcome.TAKEN

    def _texted(self, address: str, client_id: str) -> Message | None:
        """The text that a copy of a mail has become before, if any."""
        author = device_of_address(address).extension
        known = self.store.read(lambda tx: messages.by_client_id(tx, author, client_id))
        return known[0] if known is not None else None

    def _require_copy(self, known: Message, raw: bytes | None) -> None:
        """Raise ``RequestRefused`` for a mail with the Message-ID of a text but with other words.

        Of a long text only the first part is compared.
        """
        read = read_content(raw, self.own_address) if raw is not None else None
        if read is None or read.trouble:
            return
        before, now = (" ".join(one.split()) for one in (known.text, read.text))
        if not now.startswith(before) or (now and not before):
            raise RequestRefused("message_id_reused", REUSED)

    def _read(self, raw: bytes | None) -> MailContent:
        if raw is None:
            raise RequestRefused("mail_too_large", TOO_LARGE)
        read = read_content(raw, self.own_address)
        if read.trouble:
            raise RequestRefused("mail_unusable", read.trouble)
        return read

    def _kept(self, author: str, file: ReceivedFile) -> str:
        """The id of a file of a mail, kept as an upload of its author."""
        file_id = uuid7()
        self.uploads.begin(author)
        try:
            kept = self.media.save(
                [file.content],
                file_id=file_id,
                declared=file.content_type,
                name=file.name,
                max_bytes=MEDIA_BYTES,
            )
        except MediaError:
            raise RequestRefused("too_large", FILE_TOO_LARGE) from None
        return self.uploads.add(author, file_id, kept).id

    def _refuse(self, head: MailHead, why: RequestRefused) -> MailOutcome:
        """Mail the sender why there is no text, at most so often an hour."""
        limit = [Quota(f"mail_refusal:{head.sender}", REFUSALS_AN_HOUR, HOUR)]
        if self.store.write(lambda tx: quotas.take(tx, limit)):
            log.warning("mail ignored", sender=head.sender, reason="too many refusals")
            return MailOutcome.IGNORED
        try:
            self.mailer.send_refusal(
                head.sender,
                why,
                head.message_id,
                characters=MOST_TEXT,
                mail_size=MOST_BYTES // 1_000_000,
                file_size=MEDIA_BYTES // 1_000_000,
            )
        except MailError as error:
            if error.kind is not Kind.REFUSED:
                self.store.write(lambda tx: quotas.give_back(tx, limit))
                raise
            log.warning("refusal not mailed", sender=head.sender, reason=error.reason)
        return MailOutcome.REFUSED


def _canonical(address: str) -> str:
    """An address as mails have it: in lower case, its domain in ASCII."""
    try:
        return parse_address("", address).addr_spec.casefold()
    except ValueError:
        return address.casefold()


def _client_id(signed: SignedPart, content: bytes) -> str:
    """The same for each copy of a mail."""
    about = f"{signed.conversation_id} {signed.mac.hex()} ".encode()
    return f"mail:{hashlib.sha256(about + content).hexdigest()[:32]}"
