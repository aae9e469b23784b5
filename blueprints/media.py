"""Files of messages by signed link: ``/media/<id>.jpg?exp=…&sig=…``."""

from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response, request, send_file

from services.core.errors import MediaError, RequestRefused
from services.core.messages import Attachment
from services.media.kinds import plain_file_name, safe_inline
from services.media.media_store import MediaStore
from services.messaging.thumbnails import Thumbnails
from services.store import attachments
from services.store.database.store import Store

# A file comes from outside: a browser must not run it, and no proxy may store it.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=43200, immutable",
}


def blueprint(store: Store, media: MediaStore, thumbnails: Thumbnails) -> Blueprint:
    """The routes of signed links."""
    routes = Blueprint("signed_media", __name__)

    @routes.get("/media/<uuid:file_id>")
    @routes.get("/media/<uuid:file_id>.<extension>")
    def show(file_id: UUID, extension: str = "") -> Response:
        return file_answer(media, signed(file_id))

    @routes.get("/media/<uuid:file_id>/thumbnail.jpg")
    def show_thumbnail(file_id: UUID) -> Response:
        return thumbnail_answer(media, thumbnails, signed(file_id))

    def signed(file_id: UUID) -> Attachment | None:
        exp, sig = request.args.get("exp", ""), request.args.get("sig", "")
        if not media.is_valid_link(str(file_id), exp, sig):
            raise RequestRefused(
                "invalid_link",
                "This link is not complete or too old. Open the message again for a new one.",
                status=403,
            )
        return store.read(lambda tx: attachments.by_id(tx, str(file_id)))

    return routes


def file_answer(media: MediaStore, file: Attachment | None) -> Response:
    """A kept file over HTTP, whole or by range, for a caller that is authorised already.

    It has its own type, which carriers compare with the file. Types that a browser displays without
    running anything are inline; all others are downloads.
    """
    if file is None or file.state != "kept":
        raise _gone()
    try:
        path = media.open(file.id)
    except MediaError:
        raise _gone() from None
    inline = safe_inline(file.content_type)
    if "," in request.headers.get("Range", ""):
        # Several parts at once: the whole file is sent, as RFC 9110 §14.2 allows; Werkzeug has 416.
        request.environ.pop("HTTP_RANGE")
    answer = send_file(
        path,
        mimetype=file.content_type,
        etag=f"{file.id}-{file.size}",
    )
    answer.content_type = file.content_type  # without a charset, which is not known of a text
    answer.headers["Content-Disposition"] = _disposition(file.name, inline=inline)
    answer.headers.update(HEADERS)
    return answer


def thumbnail_answer(
    media: MediaStore, thumbnails: Thumbnails, file: Attachment | None
) -> Response:
    """The thumbnail of a kept picture over HTTP, or the file where it has none."""
    try:
        path = thumbnails.path(file) if file is not None else None
    except MediaError:
        raise _gone() from None
    if file is None or path is None:
        return file_answer(media, file)
    answer = send_file(path, mimetype="image/jpeg", etag=f"{file.id}-thumbnail")
    answer.headers["Content-Disposition"] = "inline"
    answer.headers.update(HEADERS)
    return answer


def _gone() -> RequestRefused:
    return RequestRefused("not_found", "There is no such file, or not yet.", status=404)


def _disposition(name: str, *, inline: bool) -> str:
    """The header with a name for carriers and, where that is another, the whole one (RFC 6266)."""
    plain = plain_file_name(name)
    whole = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'{"inline" if inline else "attachment"}; filename="{plain}"{whole}'
