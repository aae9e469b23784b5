"""Send call of Acrobits: a text or files that a user of the app writes.

https://doc.acrobits.net/api/client/send_message.html
"""

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from blueprints.acrobits.calls import Call
from blueprints.api.declare import MOST_FILE
from services.core.errors import MediaError, RequestRefused
from services.core.messages import Attachment, Message, uuid7
from services.http.client import Http
from services.media import fetch
from services.media.media_store import MediaStore
from services.messaging.compose import Composer, Reply
from services.messaging.uploads import Uploads
from services.providers.url_checks import is_at
from services.push.acrobits.files import CONTENT_TYPE, UploadedFile, read_attachments
from services.store import messages
from services.store.database.store import Store

log = structlog.get_logger()
REPEAT_SECONDS = 20
FILES_AT = "acrobits.net"  # and below: where the apps upload to
DISPOSITION = "application/x-acro-disposition-notification"


@dataclass(eq=False)
class Send:
    """Submits what users of the apps write."""

    store: Store
    http: Http
    media: MediaStore
    uploads: Uploads
    composer: Composer

    def send(self, call: Call) -> dict[str, Any]:
        """Take a message; answers the id under which the fetch lists it, so that it is shown once.

        The app gives its messages no ids. The same to the same people within twenty seconds is
        taken for a repeat: the app tries again when it got no answer.
        """
        kind = (call["content_type"].partition(";")[0].strip() or "text/plain").lower()
        if kind == DISPOSITION:  # “displayed” means nothing to a text by SMS
            return {}
        if kind not in ("text/plain", CONTENT_TYPE):
            raise RequestRefused("content_type", f"“{kind[:60]}” cannot be sent.", status=415)
        recipients = tuple(part for written in call["to"].split(",") if (part := written.strip()))
        ids = _client_ids(call, recipients)
        known = self._repeated(call, ids)
        if known is None:
            text, files = self._content(call, kind)
            reply = Reply(text=text, to=recipients, media_ids=files, client_id=ids[0])
            try:
                known, _ = self.composer.submit(call.device, reply)
            except RequestRefused as error:
                known = self._repeated(call, ids) if error.code == "client_id_reused" else None
                if known is None:
                    raise
        return {"sms_id": str(known.seq)}

    def _repeated(self, call: Call, ids: tuple[str, str]) -> Message | None:
        """The message that this is a repeat of."""

        def look(tx: Connection) -> list[tuple[Message, str] | None]:
            return [messages.by_client_id(tx, call.device.extension, each) for each in ids]

        since = time.time() - REPEAT_SECONDS
        found = (known[0] for known in self.store.read(look) if known is not None)
        return next((message for message in found if message.created_at > since), None)

    def _content(self, call: Call, kind: str) -> tuple[str, tuple[str, ...]]:
        """The text, and the ids of its files, which are fetched and kept as uploads."""
        if kind != CONTENT_TYPE:
            return call["body"], ()
        try:
            text, offered = read_attachments(call["body"])
        except ValueError as error:
            raise RequestRefused("files", str(error)) from None
        extension = call.device.extension
        return text, tuple(self._file(extension, file).id for file in offered)

    def _file(self, extension: str, offered: UploadedFile) -> Attachment:
        """A file that the app has uploaded to Acrobits, in the clear. Raises ``RequestRefused``."""
        if not is_at(offered.url, FILES_AT):
            raise RequestRefused("files", f"Files are taken from {FILES_AT} only.")
        hosts = (FILES_AT, f"*.{FILES_AT}")
        file_id = uuid7()
        try:
            encrypted = fetch.fetch(
                self.http,
                offered.url,
                {},
                redirects=hosts,
                max_bytes=MOST_FILE,
                seconds=self.media.seconds,
            )
            kept = self.media.save(
                [offered.decrypt(encrypted.body)],
                file_id=file_id,
                declared=offered.content_type,
                name=offered.name,
                max_bytes=MOST_FILE,
            )
        except MediaError as error:
            log.warning("file not fetched", extension=extension, reason=error.reason)
            raise RequestRefused("files", "A file could not be fetched. Send it again.") from None
        except ValueError as error:
            raise RequestRefused("files", f"{error} Send it again.") from None
        return self.uploads.add(extension, file_id, kept)


def _client_ids(call: Call, recipients: tuple[str, ...]) -> tuple[str, str]:
    """The ``client_id`` of this message now, and the one that it had up to twenty seconds ago."""
    parts = [call.device.id, ",".join(recipients), call["content_type"], call["body"]]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    span = int(time.time() // REPEAT_SECONDS)
    return f"acrobits:{digest}:{span}", f"acrobits:{digest}:{span - 1}"
