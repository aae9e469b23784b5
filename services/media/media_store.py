"""Attachment store: saves and downloads files, reads and deletes them, makes signed links."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.core.errors import Kind, MediaError
from services.core.messages import Attachment, Message
from services.http.client import Http
from services.media import fetch
from services.media.backend import FILE_ID, MediaBackend, missing_error
from services.media.kinds import FILE_TYPES, UNKNOWN, detect_content_type, safe_file_name
from services.media.links import Links
from services.media.thumbnail import picture_size, thumbnail_id

MEDIA_BYTES = 20_000_000  # the largest file of an inbound message that is kept


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored file: its path on this machine, content type, size in bytes, and safe name.

    ``width`` and ``height`` are those of a picture in pixels, where its header tells them.
    """

    path: Path
    content_type: str
    size: int
    name: str
    width: int | None = None
    height: int | None = None


class MediaStore:
    """The attachments in one backend, by their ids, and the links to them.

    An id is a UUID with hyphens. Any other id is refused with ``MediaError``, so that no input from
    outside becomes a path.
    """

    seconds = 20.0  # the total deadline of one download

    def __init__(self, backend: MediaBackend, links: Links) -> None:
        self.backend = backend
        self._links = links

    def save(
        self, chunks: Iterable[bytes], *, file_id: str, declared: str, name: str, max_bytes: int
    ) -> StoredFile:
        """Store a file of at most ``max_bytes`` bytes, completely or not at all.

        ``declared`` (content type) and ``name`` are what the sender says. A file with the same id
        is replaced. Raises ``MediaError`` for a file that is too large, and ``StorageUnwell``.
        """
        stored = self.backend.put(_checked(file_id), chunks, max_bytes)
        content_type = detect_content_type(stored.head, declared)
        safe_name = safe_file_name(name, content_type)
        size = picture_size(stored.path, content_type) or (None, None)
        return StoredFile(stored.path, content_type, stored.size, safe_name, *size)

    def save_received(self, file: Attachment, max_bytes: int) -> Attachment:
        """Store an attachment whose bytes arrived with its message.

        Returns it in the state ``kept``, or ``failed`` if it is too large. Raises
        ``StorageUnwell``.
        """
        declared = file.content_type
        if declared == UNKNOWN:
            declared = FILE_TYPES.guess_type(file.name)[0] or UNKNOWN
        try:
            stored = self.save(
                [file.content or b""],
                file_id=file.id,
                declared=declared,
                name=file.name,
                max_bytes=max_bytes,
            )
        except MediaError as error:
            return replace(file, content=None, state="failed", reason=error.reason)
        return replace(
            file,
            content=None,
            state="kept",
            content_type=stored.content_type,
            name=stored.name,
            size=stored.size,
            width=stored.width,
            height=stored.height,
        )

    def fetch(
        self,
        http: Http,
        url: str,
        headers: Mapping[str, str],
        *,
        redirects: Sequence[str] = (),
        file_id: str,
        name: str,
        max_bytes: int,
    ) -> StoredFile:
        """Download a file of at most ``max_bytes`` bytes from a carrier and store it.

        See ``services.media.fetch`` for its rules. Raises ``MediaError`` or ``StorageUnwell``.
        """
        answer = fetch.fetch(
            http, url, headers, redirects=redirects, max_bytes=max_bytes, seconds=self.seconds
        )
        declared = answer.headers.get("content-type", "")
        return self.save(
            [answer.body], file_id=file_id, declared=declared, name=name, max_bytes=max_bytes
        )

    def open(self, file_id: str) -> Path:
        """The path of a file on this machine, valid for at least 15 minutes.

        Raises ``MediaError`` if there is no such file, and ``StorageUnwell``.
        """
        return self.backend.open(_checked(file_id))

    def save_thumbnail(self, file_id: str, content: bytes) -> Path:
        """Store the thumbnail of a file, and return its path.

        Raises ``MediaError`` if the file was deleted meanwhile, and ``StorageUnwell``.
        """
        thumbnail = thumbnail_id(_checked(file_id))
        path = self.backend.put(thumbnail, [content], len(content)).path
        # ``remove`` deletes the file first: it is there, or nobody else deletes this thumbnail.
        if not self.backend.exists(file_id):
            self.backend.remove(thumbnail)
            raise missing_error()
        return path

    def open_thumbnail(self, file_id: str) -> Path:
        """The path of a file's thumbnail, see ``open``."""
        return self.backend.open(thumbnail_id(_checked(file_id)))

    def remove(self, file_id: str) -> None:
        """Delete a file and its thumbnail; does nothing if there are none.

        Raises ``StorageUnwell``.
        """
        self.backend.remove(_checked(file_id))
        self.backend.remove(thumbnail_id(file_id))

    def sweep(self, older_than_seconds: float) -> int:
        """Delete incomplete files that a crash left; returns how many. Raises ``StorageUnwell``."""
        return self.backend.sweep(older_than_seconds)

    def with_paths(self, message: Message) -> Message:
        """The message with a local path and a signed link at each of its kept files."""
        return replace(message, media=tuple(self._with_path(file) for file in message.media))

    def _with_path(self, file: Attachment) -> Attachment:
        if file.state != "kept":
            return file
        return replace(file, path=self.open(file.id), source_url=self.link(file))

    def link(self, attachment: Attachment, *, thumbnail: bool = False) -> str:
        """A URL under which anyone can download a file for a day, see ``Links.link``."""
        return self._links.link(attachment, thumbnail=thumbnail)

    def is_valid_link(self, file_id: str, exp: str, sig: str) -> bool:
        """Whether signature and expiry of a link are valid. Accepts any text; never raises."""
        return self._links.is_valid(file_id, exp, sig)


def _checked(file_id: str) -> str:
    if not FILE_ID.fullmatch(file_id):
        raise MediaError("That is not the id of an attachment.", Kind.REFUSED)
    return file_id
