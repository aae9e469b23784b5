"""Events of Ringotel's app: replies to be sent, and conversations that were read.

A repeat is known by Ringotel's id of the message, which becomes our ``client_id``.
"""

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


class Inbox:
    """Takes replies and read marks of the users of Ringotel's app."""

    def __init__(
        self,
        channel: Ringotel,
        store: Store,
        media: MediaStore,
        uploads: Uploads,
        composer: Composer,
        router: Router,
    ) -> None:
        self._channel = channel
        self._store = store
        self._media = media
        self._uploads = uploads
        self._composer = composer
        self._router = router

    def take(self, happened: ChatMessage | ReadReceipt | None) -> str:
        """Take one event; returns what became of it, in a word.

        Raises ``RequestRefused`` for a reply that cannot be taken and that Ringotel could not be
        told of, and ``StorageUnwell``.
        """
        if isinstance(happened, ChatMessage):
            return self._reply(happened)
        if isinstance(happened, ReadReceipt):
            return self._read(happened)
        return "ignored"

    def _reply(self, said: ChatMessage) -> str:
        known = client_id(said.id)
        if self._store.read(lambda tx: messages.by_client_id(tx, said.extension, known)):
            return "repeated"
        try:
            files = (self._file(said.extension, said.file),) if said.file else ()
            reply = Reply(text=said.text, to=(said.peer,), media_ids=files, client_id=known)
            _, repeated = self._composer.submit(self._device(said.extension), reply)
        except RequestRefused as error:
            if error.code == "client_id_reused":  # a repeat came at the same moment
                return "repeated"
            log.warning("reply refused", extension=said.extension, code=error.code)
            self._tell(said, error)
            return "refused"
        return "repeated" if repeated else "taken"

    def _tell(self, said: ChatMessage, refused: RequestRefused) -> None:
        """Tell the user in the chat; where that fails, Ringotel gets the refusal as the answer."""
        try:
            self._channel.show_sentence(said.extension, said.peer, f"Not sent: {refused.reason}")
        except PushError as error:
            log.warning("refusal not told", extension=said.extension, reason=error.reason)
            raise refused from None

    def _file(self, extension: str, address: str) -> str:
        """The id of a file that the app's user sends, kept as an upload."""
        file_id = uuid7()
        host = _host(address)
        self._uploads.begin(extension)
        try:
            kept = self._media.fetch(
                self._channel.public_http,  # the address of the file is from outside
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
        return self._uploads.add(extension, file_id, kept).id

    def _read(self, happened: ReadReceipt) -> str:
        def work(tx: Connection) -> int:
            moved = external_threads.mark_read(tx, self._channel.name, happened.session)
            for extension, conversation_id, seq in moved:
                self._router.notify_read(tx, self._device(extension), conversation_id, seq)
            return len(moved)

        if not self._store.write(work):
            return "ignored"
        self._store.notifier.notify_all()
        return "read"

    def _device(self, extension: str) -> Device:
        """Ringotel's app of an extension."""
        name = self._channel.name
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
