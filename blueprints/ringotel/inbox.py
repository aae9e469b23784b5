"""Events of Ringotel's app: replies to be sent, and conversations that were read.

A repeat is known by Ringotel's id of the message, which becomes our ``client_id``.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection

from blueprints.api.declare import MOST_FILE
from services.core.errors import MediaError, PushError, RequestRefused
from services.core.messages import Device, uuid7
from services.media.media_store import MediaStore
from services.messaging.compose import Composer, Reply
from services.messaging.route import Router
from services.messaging.uploads import Uploads
from services.push.ringotel.channel import Ringotel, client_id
from services.push.ringotel.events import ChatMessage, ReadReceipt
from services.store import external_threads, messages
from services.store.database.store import Store

log = structlog.get_logger()


@dataclass(eq=False)
class Inbox:
    """Takes replies and read marks of the users of Ringotel's app."""

    channel: Ringotel
    store: Store
    media: MediaStore
    uploads: Uploads
    composer: Composer
    router: Router

    def take(self, happened: ChatMessage | ReadReceipt | None) -> str:
        """Take one event; returns its outcome in a word.

        Raises ``RequestRefused`` for a reply that is refused where the chat could not show the
        refusal, and ``StorageUnwell``.
        """
        if isinstance(happened, ChatMessage):
            return self._reply(happened)
        if isinstance(happened, ReadReceipt):
            return self._read(happened)
        return "ignored"

    def _reply(self, chat: ChatMessage) -> str:
        known = client_id(chat.id)
        if self.store.read(lambda tx: messages.by_client_id(tx, chat.extension, known)):
            return "repeated"
        try:
            files = (self._file(chat.extension, chat.file),) if chat.file else ()
            reply = Reply(text=chat.text, to=(chat.peer,), media_ids=files, client_id=known)
            _, repeated = self.composer.submit(self._device(chat.extension), reply)
        except RequestRefused as error:
            if error.code == "client_id_reused":  # a repeat came at the same moment
                return "repeated"
            log.warning("reply refused", extension=chat.extension, code=error.code)
            self._report_refusal(chat, error)
            return "refused"
        return "repeated" if repeated else "taken"

    def _report_refusal(self, chat: ChatMessage, refused: RequestRefused) -> None:
        """Show the refusal in the chat; where that fails, the webhook answers with it."""
        try:
            self.channel.show_sentence(chat.extension, chat.peer, f"Not sent: {refused.reason}")
        except PushError as error:
            log.warning(
                "refusal not shown in the chat", extension=chat.extension, reason=error.reason
            )
            raise refused from None

    def _file(self, extension: str, address: str) -> str:
        """The id of a file that the app's user sends, kept as an upload."""
        file_id = uuid7()
        host = _host(address)
        try:
            kept = self.media.fetch(
                self.channel.public_http,  # the address of the file is from outside
                address,
                {},
                redirects=(host,),
                file_id=file_id,
                name=urlsplit(address).path.rpartition("/")[2],
                max_bytes=MOST_FILE,
            )
        except MediaError as error:
            log.warning("file not fetched", extension=extension, host=host, reason=error.reason)
            raise RequestRefused("file", "Ringotel did not hand over the file.") from None
        return self.uploads.add(extension, file_id, kept).id

    def _read(self, happened: ReadReceipt) -> str:
        def work(tx: Connection) -> int:
            moved = external_threads.mark_read(tx, self.channel.name, happened.session)
            for extension, conversation_id, seq in moved:
                self.router.notify_read(tx, self._device(extension), conversation_id, seq)
            return len(moved)

        if not self.store.write(work):
            return "ignored"
        self.store.notifier.notify_all()
        return "read"

    def _device(self, extension: str) -> Device:
        """Ringotel's app of an extension."""
        name = self.channel.name
        return Device(id=f"{name}:{extension}", extension=extension, channel=name)


def _host(address: str) -> str:
    """The host of a file's address. Raises ``RequestRefused`` for one that is not plain https."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme != "https" or "@" in parts.netloc or "\\" in address:
        raise RequestRefused("file", "The file's address is not one of the web (https).")
    return host
