"""Fetches files of messages from the other system's web server; stops where it hands over none."""

from dataclasses import dataclass, replace

from services.core.errors import Kind, MediaError
from services.core.messages import Attachment
from services.http.client import Http
from services.media.media_store import MEDIA_BYTES, MediaStore
from services.operations.migration.text_reader import MOST_REASON

MOST_FAILURES = 5  # in a row, each of which may take 20 seconds
NOT_TRIED = (
    "This file was not fetched, as the other system's web server did not hand over five in a row."
)
ABSENT = {"404", "410"}  # the server answers, and does not have this file


@dataclass(eq=False)
class FileFetcher:
    """Fetches the files of one migration.

    After ``MOST_FAILURES`` failures in a row the web server is not asked any more (``gave_up``).
    ``missing`` counts the files that could not be fetched or were not tried.
    """

    media: MediaStore
    http: Http
    missing: int = 0
    _failures: int = 0

    @property
    def gave_up(self) -> bool:
        """Whether the web server is not asked any more."""
        return self._failures >= MOST_FAILURES

    def fetch(self, offered: Attachment, url: str) -> Attachment:
        """Fetch and store a file: ``kept``, or ``failed`` with the reason.

        Raises ``StorageUnwell``.
        """
        if self.gave_up:
            self.missing += 1
            return replace(offered, reason=NOT_TRIED)
        try:
            stored = self.media.fetch(
                self.http, url, {}, file_id=offered.id, name=offered.name, max_bytes=MEDIA_BYTES
            )
        except MediaError as error:
            self.missing += 1
            answers = error.kind is Kind.REFUSED or error.code in ABSENT
            self._failures = 0 if answers else self._failures + 1
            reason = error.reason.replace("The carrier", "The other system")
            return replace(offered, reason=reason[:MOST_REASON])
        self._failures = 0
        return replace(
            offered,
            state="kept",
            reason=None,
            content_type=stored.content_type,
            name=stored.name,
            size=stored.size,
            width=stored.width,
            height=stored.height,
        )
