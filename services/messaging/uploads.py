"""Uploads: files from apps; without metadata, pictures small enough for the carriers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.core.errors import MediaError, RequestRefused, StorageUnwell
from services.core.messages import Attachment
from services.media import one_picture
from services.media.media_store import MediaStore, StoredFile
from services.media.metadata import may_have_metadata, without_metadata
from services.media.resize import resize_to_fit
from services.messaging.access import ConversationAccess
from services.messaging.send_limits import SendLimits
from services.providers.base import Limits, Provider
from services.store import attachments
from services.store.database.store import Store


@dataclass(eq=False)
class Uploads:
    """Stores files that apps upload for their next message."""

    store: Store
    access: ConversationAccess
    providers: Mapping[str, Provider]
    media: MediaStore
    limits: SendLimits

    def begin(self, extension: str) -> None:
        """Count a file that an extension uploads, before it is fetched or written.

        Raises ``RequestRefused`` where the extension has uploaded too much or too many, and
        ``StorageUnwell``.
        """
        self.store.write(lambda tx: self.limits.begin_upload(tx, extension), durable=False)

    def add(self, extension: str, file_id: str, kept: StoredFile) -> Attachment:
        """Record a stored file as an upload of an extension, which its next message may name.

        It is counted by the size that was uploaded, before any work on it. Returns it as
        ``fitted`` leaves it. Raises ``RequestRefused`` where the extension has uploaded too much
        or a picture cannot be accepted, and ``StorageUnwell``; the file is then removed.
        """
        file = Attachment(
            content_type=kept.content_type,
            name=kept.name,
            size=kept.size,
            id=file_id,
            state="kept",
            path=kept.path,
            width=kept.width,
            height=kept.height,
        )
        try:
            self.store.write(lambda tx: self.limits.count_upload(tx, extension, kept.size))
            file = self.fitted(extension, file)
            self.store.write(lambda tx: attachments.add_upload(tx, extension, file))
        except (RequestRefused, StorageUnwell):
            self.media.remove(file.id)
            raise
        return file

    def fitted(self, extension: str, file: Attachment) -> Attachment:
        """The file as it may leave: without metadata, as a picture that the carriers take.

        One that is too large, or of a type that one of the carriers does not take (WebP, AVIF,
        HEIC), becomes a JPEG. A file that cannot be made to fit stays as it is; a message with it
        is then refused with the carrier's limit. Raises ``RequestRefused`` for a file that is
        damaged, and a picture that has too many pixels to be made smaller, and ``StorageUnwell``.
        """
        path = file.path
        if path is None or not may_have_metadata(file.content_type):
            return file
        limits = self._limits(extension)
        most = min((each.media_bytes for each in limits), default=None)
        is_taken = all(each.takes(file.content_type) for each in limits)
        try:
            changed = one_picture.work(lambda: _changed(path, file, most, is_taken=is_taken))
        except MediaError as error:
            if file.content_type.startswith("image/"):
                raise RequestRefused("picture", error.reason, field="file") from None
            raise RequestRefused("file_unreadable", error.reason, field="file") from None
        return file if changed is None else self._replaced(file, *changed)

    def fit_together(self, extension: str, ids: Sequence[str], most: int) -> bool:
        """Make pictures among uploads smaller until all are ``most`` bytes together at most.

        The largest picture comes first, and none gets smaller than its equal share unless it has
        to. Returns whether they fit now. Raises ``RequestRefused`` for a picture that has too many
        pixels to be made smaller, and ``StorageUnwell``.
        """
        files = self.store.read(lambda tx: attachments.uploads(tx, extension, ids))
        together = sum(file.size for file in files.values())
        pictures = sorted(
            (file for file in files.values() if file.content_type.startswith("image/")),
            key=lambda file: -file.size,
        )
        for position, file in enumerate(pictures):
            if together <= most:
                break
            rest = sum(other.size for other in pictures[position:])
            share = max(most - (together - rest), 0) // (len(pictures) - position)
            target = max(file.size - (together - most), share)
            together -= file.size - self._shrunk(file, target)
        return together <= most

    def _shrunk(self, file: Attachment, most: int) -> int:
        """Make an uploaded picture smaller; returns its size then."""
        path = self.media.open(file.id)
        try:
            content = one_picture.work(lambda: resize_to_fit(path, most))
        except MediaError as error:
            raise RequestRefused("picture", error.reason, field="media_ids") from None
        if content is None or len(content) >= file.size:
            return file.size
        smaller = self._replaced(file, content, "image/jpeg")
        self.store.write(lambda tx: attachments.keep(tx, smaller))
        return smaller.size

    def _replaced(self, file: Attachment, content: bytes, content_type: str) -> Attachment:
        """The file with another content."""
        is_same_type = content_type == file.content_type
        kept = self.media.save(
            [content],
            file_id=file.id,
            declared=content_type,
            name=file.name if is_same_type else file.name.rpartition(".")[0],
            max_bytes=len(content),
        )
        return replace(
            file,
            content_type=kept.content_type,
            name=kept.name,
            size=kept.size,
            path=kept.path,
            width=kept.width,
            height=kept.height,
        )

    def _limits(self, extension: str) -> list[Limits]:
        """The limits of the carriers of the extension's numbers."""
        carriers = {setting.carrier for setting in self.access.numbers(extension)}
        return [p.limits for name, p in self.providers.items() if name in carriers]


def _changed(
    path: Path, file: Attachment, most: int | None, *, is_taken: bool
) -> tuple[bytes, str] | None:
    """A file as it may leave, and its content type; ``None`` if it may leave as it is.

    ``is_taken`` says whether the carriers take its type. Raises ``MediaError`` and
    ``StorageUnwell``.
    """
    is_picture = file.content_type.startswith("image/")
    if is_picture and most is not None and (file.size > most or not is_taken):
        smaller = resize_to_fit(path, most)
        if smaller is not None:
            return smaller, "image/jpeg"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageUnwell(f"An attachment cannot be read: {error.strerror}.") from error
    stripped = without_metadata(content, file.content_type)
    return None if stripped == content else (stripped, file.content_type)
