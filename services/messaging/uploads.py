"""Uploads: a file from an app, made to fit what the carriers of its numbers take."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import gevent
from gevent import monkey
from sqlalchemy import Connection

from services.core.errors import RequestRefused, StorageUnwell
from services.core.messages import Attachment
from services.media.media_store import StoredFile
from services.media.resize import resize_to_fit
from services.messaging.send_limits import count_upload
from services.store import attachments

if TYPE_CHECKING:
    from services.gateway import Gateway

T = TypeVar("T")


def take(gateway: "Gateway", extension: str, file_id: str, kept: StoredFile) -> Attachment:
    """Note the file kept under an id as an upload of an extension, which its next message may name.

    Returns it as ``fitted`` leaves it. Raises ``RequestRefused`` where the extension has uploaded
    too much, and ``StorageUnwell``; the file is then gone.
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
        file = fitted(gateway, extension, file)
        gateway.store.write(lambda tx: _note(tx, gateway, extension, file))
    except (RequestRefused, StorageUnwell):
        gateway.media.remove(file.id)
        raise
    return file


def _note(tx: Connection, gateway: "Gateway", extension: str, file: Attachment) -> None:
    count_upload(tx, gateway, extension, file.size)
    attachments.add_upload(tx, extension, file)


def fitted(gateway: "Gateway", extension: str, file: Attachment) -> Attachment:
    """The file, or a smaller copy of the picture in its place.

    A file that cannot be made to fit stays as it is; the message that wants it is refused with the
    carrier's limit. Raises ``StorageUnwell``.
    """
    most = _most(gateway, extension)
    path = file.path
    if most is None or path is None or file.size <= most:
        return file
    smaller = _aside(lambda: resize_to_fit(path, most))
    if smaller is None:
        return file
    name = file.name.rpartition(".")[0]
    kept = gateway.media.save(
        [smaller], file_id=file.id, declared="image/jpeg", name=name, max_bytes=most
    )
    return replace(file, content_type=kept.content_type, name=kept.name, size=kept.size)


def _most(gateway: "Gateway", extension: str) -> int | None:
    """The size that every carrier of the extension's numbers takes, in bytes."""
    carriers = {setting.carrier for setting in gateway.settings.for_extension(extension)}
    sizes = [p.limits.media_bytes for name, p in gateway.providers.items() if name in carriers]
    return min(sizes, default=None)


def _aside(work: Callable[[], T]) -> T:
    """Run what keeps a processor busy beside a server's other requests."""
    if not monkey.is_module_patched("threading"):
        return work()
    done: T = gevent.get_hub().threadpool.apply(work)
    return done
