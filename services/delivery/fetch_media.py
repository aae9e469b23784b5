"""Download of the files of inbound messages from their carriers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from services.core.errors import Kind, MediaError
from services.core.messages import Attachment
from services.delivery.job_message import message_of
from services.delivery.outcome import Outcomes
from services.http.client import Http
from services.media.media_store import MEDIA_BYTES, MediaStore, StoredFile
from services.messaging.send_limits import SendLimits
from services.providers.base import Provider
from services.store import attachments
from services.store.database.store import Store
from services.store.jobs import Job

SMIL = "application/smil"  # the layout of an MMS, which no app shows


@dataclass(eq=False)
class MediaFetcher:
    """Performs the jobs that download a file."""

    store: Store
    providers: Mapping[str, Provider]
    media: MediaStore
    http: Http
    limits: SendLimits
    outcomes: Outcomes

    def fetch(self, job: Job) -> None:
        """Download a file and store it. Raises ``DeliveryError`` and ``StorageUnwell``."""
        file = self.store.read(lambda tx: attachments.by_id(tx, job.target))
        message = message_of(self.store, job)
        provider = self.providers.get(message.provider)
        if provider is None:
            raise MediaError(f"The carrier {message.provider} is not configured.", Kind.CONFIG)
        if file is None or file.source_url is None:
            raise MediaError("The file is not known any more.", Kind.REFUSED)
        too_much = self.store.read(lambda tx: self.limits.received_too_much(tx, message.peer))
        if too_much:
            raise MediaError(too_much, Kind.REFUSED)
        try:
            kept = self._download(provider, file, file.source_url)
        except MediaError as error:
            if error.code not in ("401", "403"):
                raise
            kept = self._download(provider, file, file.source_url, renew=True)

        def finish(tx: Connection) -> None:
            self.limits.count_received(tx, message.peer, kept.size)
            if kept.content_type == SMIL:
                attachments.remove(tx, file.id)
            else:
                attachments.keep(
                    tx,
                    replace(
                        file,
                        content_type=kept.content_type,
                        name=kept.name,
                        size=kept.size,
                        width=kept.width,
                        height=kept.height,
                    ),
                )
            self.outcomes.finish(tx, job)
            self.outcomes.files_settled(tx, message.id)

        self.outcomes.record(finish)

    def _download(
        self, provider: Provider, file: Attachment, url: str, *, renew: bool = False
    ) -> StoredFile:
        headers = provider.media_headers(url, renew=renew)
        return self.media.fetch(
            self.http,
            url,
            headers,
            redirects=provider.media_redirects,
            file_id=file.id,
            name=file.name,
            max_bytes=MEDIA_BYTES,
        )
