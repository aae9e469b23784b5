"""Thumbnails of attachments: made when one is first wanted, kept beside the file."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from services.core.errors import Kind, MediaError
from services.core.messages import Attachment
from services.media import one_picture
from services.media.media_store import MediaStore
from services.media.thumbnail import Thumbnail, make_thumbnail
from services.store import attachments
from services.store.database.store import Store

LOCKS = 64  # a file has one of them, by its id


def _locks() -> tuple[threading.Lock, ...]:
    return tuple(threading.Lock() for _ in range(LOCKS))


@dataclass(eq=False)
class Thumbnails:
    """Gives the thumbnails of attachments, each made once and one at a time in a process."""

    store: Store
    media: MediaStore
    _being_made: tuple[threading.Lock, ...] = field(default_factory=_locks, init=False)

    def path(self, file: Attachment) -> Path | None:
        """The path of a file's thumbnail, a JPEG; ``None`` if the file is to be shown itself.

        Raises ``MediaError`` if the file is not there or has too many pixels to be shown, and
        ``StorageUnwell``.
        """
        if not file.may_have_thumbnail:
            _require_shown(file)
            return None
        return self._kept(file) or self._made(file)

    def _kept(self, file: Attachment) -> Path | None:
        """The thumbnail that was made before; a lost one is made again."""
        if file.thumbnail == "kept":
            with suppress(MediaError):
                return self.media.open_thumbnail(file.id)
        return None

    def _made(self, file: Attachment) -> Path | None:
        with self._being_made[hash(file.id) % LOCKS]:
            known = self.store.read(lambda tx: attachments.by_id(tx, file.id))
            if known is None or known.thumbnail != file.thumbnail:  # others have made it meanwhile
                found = None if known is None else self._kept(known)
                if known is not None and found is None:
                    _require_shown(known)
                return found
            return self._make(file)

    def _make(self, file: Attachment) -> Path | None:
        path, kept = self.media.open(file.id), None
        made = one_picture.work(partial(_thumbnail, path, file.content_type))
        if made.content is not None:
            kept = self.media.save_thumbnail(file.id, made.content)
        noted = replace(
            file,
            thumbnail="kept" if kept is not None else "none",
            width=made.width or file.width,
            height=made.height or file.height,
        )
        self.store.write(lambda tx: attachments.note_thumbnail(tx, noted), durable=False)
        if kept is None:
            _require_shown(noted)
        return kept


def _require_shown(file: Attachment) -> None:
    """Raise ``MediaError`` for a picture that has no thumbnail and is not to be shown, either."""
    if file.is_unshown:
        raise MediaError("The picture has no thumbnail: it is damaged or too large.", Kind.REFUSED)


def _thumbnail(path: Path, content_type: str) -> Thumbnail:
    """A thumbnail; none of a picture that has too many pixels to be decoded here."""
    try:
        return make_thumbnail(path, content_type)
    except MediaError:
        return Thumbnail(None, None, None)
