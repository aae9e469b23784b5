"""Files of the API: uploaded for a message, fetched with the device's token."""

from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from blueprints.api.auth import Auth, caller, numbers
from blueprints.api.declare import MOST_FILE, Resource, call
from blueprints.api.schemas.messages import MediaSchema, UploadSchema
from blueprints.media import file_answer, thumbnail_answer
from services.core.errors import MediaError, RequestRefused
from services.core.messages import Attachment, file_object, uuid7
from services.media.media_store import MediaStore, StoredFile
from services.messaging.access import ConversationAccess
from services.messaging.thumbnails import Thumbnails
from services.messaging.uploads import Uploads
from services.store import attachments
from services.store.database.store import Store

CHUNK = 65_536

BINARY = {"type": "string", "format": "binary"}  # a file, for clients that are generated


class Media(Resource):
    """Files of messages, uploaded and fetched."""

    name = "media"
    description = "Files of messages"

    def __init__(
        self,
        store: Store,
        access: ConversationAccess,
        media: MediaStore,
        uploads: Uploads,
        thumbnails: Thumbnails,
    ) -> None:
        self._store = store
        self._access = access
        self._media = media
        self._uploads = uploads
        self._thumbnails = thumbnails

    @call("POST", "/media", Auth.DEVICE, files=UploadSchema, answers={201: MediaSchema})
    def upload_media(self, asked: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Upload a file; its id then goes into `media_ids` of a message.

        What it is, its bytes decide. A picture that is larger than the carriers of your numbers
        take is kept as a smaller one. A file that no message takes within a day is deleted.
        """
        file_id = uuid7()
        self._uploads.begin(caller().extension)
        file = self._uploads.add(caller().extension, file_id, self._kept(file_id, asked["file"]))
        return file_object(file, self._media.link), 201

    @call(
        "GET",
        "/media/<uuid:media_id>",
        Auth.DEVICE,
        answers={200: BINARY, 206: BINARY, 304: None},
        content_type="*/*",
        refuses=[404, 416],
    )
    def get_media(self, media_id: UUID) -> Response:
        """A file of the extension's messages, or one that it has uploaded; also by `Range`."""
        return file_answer(self._media, self._visible(media_id))

    @call(
        "GET",
        "/media/<uuid:media_id>/thumbnail",
        Auth.DEVICE,
        answers={200: BINARY, 206: BINARY, 304: None},
        content_type="*/*",
        refuses=[404, 416],
    )
    def get_media_thumbnail(self, media_id: UUID) -> Response:
        """A picture as a JPEG of at most 600 pixels each way; of an animation its first frame.

        It is made when it is first asked for. A file that is small, or has no thumbnail, is
        answered as it is, but 404 for a picture of more than 25 million pixels, or of a size that
        cannot be read.
        """
        return thumbnail_answer(self._media, self._thumbnails, self._visible(media_id))

    def _visible(self, media_id: UUID) -> Attachment | None:
        own = numbers(self._access)
        return self._store.read(
            lambda tx: attachments.visible(tx, str(media_id), caller().extension, own)
        )

    def _kept(self, file_id: str, upload: Any) -> StoredFile:
        """The uploaded file on disk."""
        if not upload.stream.read(1):
            raise RequestRefused("empty", "The file is empty; send another.", field="file")
        upload.stream.seek(0)
        try:
            return self._media.save(
                iter(partial(upload.stream.read, CHUNK), b""),
                file_id=file_id,
                declared=upload.mimetype,
                name=upload.filename or "",
                max_bytes=MOST_FILE,
            )
        except MediaError as error:
            raise RequestRefused("too_large", error.reason, field="file", status=413) from None
