"""Signed links to attachments: temporary URLs (HMAC-SHA256) that need no log-in."""

import base64
import hashlib
import hmac
import math
import time

from services.core.messages import Attachment
from services.media.kinds import FILE_TYPES, UNKNOWN

DAY, HALF_DAY = 86_400, 43_200


class Links:
    """Makes and verifies links. ``key`` signs them; they begin with ``app_url``."""

    def __init__(self, key: bytes, app_url: str) -> None:
        self._key = key
        self._app_url = app_url

    def link(self, attachment: Attachment, *, thumbnail: bool = False) -> str:
        """A URL under which anyone can download the file for the next 24 to 36 hours.

        It changes every twelve hours only, so that browsers can cache the file. The URL has the
        extension of the file's type, because some carriers read the type from it. A ``thumbnail``
        has the same signature as its file.
        """
        kind = attachment.content_type
        extension = FILE_TYPES.guess_extension(kind) if kind != UNKNOWN else None
        name = attachment.id + ("/thumbnail.jpg" if thumbnail else extension or "")
        expires = math.ceil((time.time() + DAY) / HALF_DAY) * HALF_DAY
        signature = self._signature(attachment.id, str(expires))
        return f"{self._app_url}/media/{name}?exp={expires}&sig={signature}"

    def is_valid(self, file_id: str, exp: str, sig: str) -> bool:
        """Whether signature and expiry of a link are valid. Accepts any text; never raises."""
        expected = self._signature(file_id, exp).encode()
        signed_here = hmac.compare_digest(sig.encode("utf-8", "surrogatepass"), expected)
        return signed_here and time.time() < int(exp)

    def _signature(self, file_id: str, exp: str) -> str:
        signed = f"{file_id}\n{exp}".encode("utf-8", "surrogatepass")
        return base64.urlsafe_b64encode(hmac.digest(self._key, signed, hashlib.sha256))[
            :-1
        ].decode()
