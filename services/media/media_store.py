"""Attachments: fetched within bounds, kept under names of our own, served by signed links."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.core.errors import Kind, MediaError
from services.core.messages import Attachment, Message
from services.http import Http
from services.media import fetch
from services.media.backend import FILE_ID, MediaBackend
from services.media.kinds import FILE_TYPES, UNKNOWN, file_name, recognised
from services.media.links import Links

MEDIA_BYTES = 20_000_000  # the largest file of an inbound message that is kept


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is kept: where to read it here, what it is, its size in bytes, its name."""

    path: Path
    content_type: str
    size: int
    name: str


class MediaStore:
    """The attachments in one place, under their ids, and the links to them.

    An id is a UUID in its usual form; any other is refused with a ``MediaError``, and nothing from
    outside ever becomes a path.
    """

    seconds = 20.0  # the total deadline of one fetch

    def __init__(self, place: MediaBackend, links: Links) -> None:
        self.place = place
        self._links = links

    def keep(
        self, chunks: Iterable[bytes], *, file_id: str, declared: str, name: str, most: int
    ) -> Kept:
        """Keep a file of at most ``most`` bytes, whole or not at all.

        ``declared`` and ``name`` are what the sender says. The same id again replaces the file.
        Raises ``MediaError`` for one that is too large and ``StorageUnwell``.
        """
        written = self.place.put(_checked(file_id), chunks, most)
        content_type = recognised(written.head, declared)
        return Kept(written.path, content_type, written.size, file_name(name, content_type))

    def take(self, file: Attachment, most: int) -> Attachment:
        """Keep a file whose bytes came with its message; one that is too large has failed.

        Raises ``StorageUnwell``.
        """
        declared = file.content_type
        if declared == UNKNOWN:
            declared = FILE_TYPES.guess_type(file.name)[0] or UNKNOWN
        chunks = [file.content or b""]
        try:
            kept = self.keep(chunks, file_id=file.id, declared=declared, name=file.name, most=most)
        except MediaError as error:
            return replace(file, content=None, state="failed", reason=error.reason)
        return replace(
            file,
            content=None,
            state="kept",
            content_type=kept.content_type,
            name=kept.name,
            size=kept.size,
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
        most: int,
    ) -> Kept:
        """Fetch a file of at most ``most`` bytes from a carrier and keep it.

        How, ``fetching.fetch`` tells. Raises ``MediaError`` or ``StorageUnwell``.
        """
        answer = fetch.fetch(
            http, url, headers, redirects=redirects, most=most, seconds=self.seconds
        )
        declared = answer.headers.get("content-type", "")
        return self.keep([answer.body], file_id=file_id, declared=declared, name=name, most=most)

    def open(self, file_id: str) -> Path:
        """Where a kept file can be read on this machine, for some minutes at least.

        Raises ``MediaError`` where there is none and ``StorageUnwell``.
        """
        return self.place.open(_checked(file_id))

    def remove(self, file_id: str) -> None:
        """Delete a file; one that is not there is fine. Raises ``StorageUnwell``."""
        self.place.remove(_checked(file_id))

    def sweep(self, older_than_seconds: float) -> int:
        """Delete what a crash left half written, and say how many. Raises ``StorageUnwell``."""
        return self.place.sweep(older_than_seconds)

    def with_paths(self, message: Message) -> Message:
        """The message with a local path and a signed link at each of its kept files."""
        return replace(message, media=tuple(self._with_path(file) for file in message.media))

    def _with_path(self, file: Attachment) -> Attachment:
        if file.state != "kept":
            return file
        return replace(file, path=self.open(file.id), source_url=self.link(file))

    def link(self, attachment: Attachment) -> str:
        """An address under which anybody may fetch a file for a day, see ``Links.link``."""
        return self._links.link(attachment)

    def allows(self, file_id: str, exp: str, sig: str) -> bool:
        """Whether a link is one of ours and still good. Takes any text and never raises."""
        return self._links.allows(file_id, exp, sig)


def _checked(file_id: str) -> str:
    if not FILE_ID.fullmatch(file_id):
        raise MediaError("That is not the id of an attachment.", Kind.REFUSED)
    return file_id
