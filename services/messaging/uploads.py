"""Uploads: files from apps, pictures made small enough for the carriers of the extension."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import gevent
from gevent import monkey
from sqlalchemy import Connection

from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import Attachment
from services.media.media_store import MediaStore, StoredFile
from services.media.resize import resize_to_fit
from services.message_settings import MessageSettings
from services.messaging.send_limits import SendLimits
from services.providers.base import Provider
from services.store import attachments
from services.store.database.store import Store

T = TypeVar("T")


@dataclass(eq=False)
class Uploads:
    """Stores files that apps upload for their next message."""

    store: Store
    settings: MessageSettings
    providers: Mapping[str, Provider]
    media: MediaStore
    limits: SendLimits

    def add(self, extension: str, file_id: str, kept: StoredFile) -> Attachment:
        """Record a stored file as an upload of an extension, which its next message may name.

        Returns it as ``fitted`` leaves it. Raises ``RequestRefused`` where the extension has
        uploaded too much, and ``StorageUnwell``; the file is then removed.
        """
        file = Attachment(
            content_type=kept.content_type,
            name=kept.name,
            size=kept.size,
            id=file_id,
            state="kept",
            path=kept.path,
        )
        try:
            file = self.fitted(extension, file)
            self.store.write(lambda tx: self._record(tx, extension, file))
        except (RequestRefused, StorageUnwell):
            self.media.remove(file.id)
            raise
        return file

    def fitted(self, extension: str, file: Attachment) -> Attachment:
        """The file, or a smaller copy of the picture in its place.

        A file that cannot be made smaller stays as it is; a message with it is then refused with
        the carrier's limit. Raises ``StorageUnwell``.
        """
        most = self._most_bytes(extension)
        path = file.path
        if most is None or path is None or file.size <= most:
            return file
        smaller = _in_thread(lambda: resize_to_fit(path, most))
        if smaller is None:
            return file
        name = file.name.rpartition(".")[0]
        kept = self.media.save(
            [smaller], file_id=file.id, declared="image/jpeg", name=name, max_bytes=most
        )
        return replace(file, content_type=kept.content_type, name=kept.name, size=kept.size)

    def _record(self, tx: Connection, extension: str, file: Attachment) -> None:
        self.limits.count_upload(tx, extension, file.size)
        attachments.add_upload(tx, extension, file)

    def _most_bytes(self, extension: str) -> int | None:
        """The largest size in bytes that every carrier of the extension's numbers accepts."""
        carriers = {setting.carrier for setting in self.settings.for_extension(extension)}
        sizes = [p.limits.media_bytes for name, p in self.providers.items() if name in carriers]
        return min(sizes, default=None)


def _in_thread(work: Callable[[], T]) -> T:
    """Run work that keeps a processor busy in a thread, so that other requests go on."""
    if not monkey.is_module_patched("threading"):
        return work()
    done: T = gevent.get_hub().threadpool.apply(work)
    return done
