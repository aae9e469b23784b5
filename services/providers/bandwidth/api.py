"""Bandwidth's API: authorised requests for one account."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from services.core.errors import Kind, SendError
from services.core.messages import Attachment
from services.http.client import Answer, Http
from services.providers import parsing
from services.providers.api_client import exchange
from services.providers.bandwidth.errors import basic_refused, not_signed_in, refusal

# The types of file that the media store takes, and how such a file is called.
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/bmp": "bmp",
    "image/tiff": "tiff",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/amr": "amr",
    "audio/3gpp": "3gp",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/flac": "flac",
    "video/mp4": "mp4",
    "video/mpeg": "mpeg",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "text/plain": "txt",
    "text/vcard": "vcf",
    "text/calendar": "ics",
    "text/csv": "csv",
    "application/pdf": "pdf",
}
EARLY_SECONDS = 60  # a token is renewed so long before its end


class Api:
    """Requests below ``…/users/{account}``, signed in by OAuth2 or, without ``token_url``, Basic.

    Every method raises ``SendError``.
    """

    def __init__(
        self,
        http: Http,
        root: str,
        credentials: str,
        token_url: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._http = http
        self._root = root
        self._credentials = credentials
        self._token_url = token_url
        self._clock = clock
        self._token = ""
        self._token_ends = 0.0

    def authorization(self, *, renew: bool = False) -> str:
        """The value of the ``Authorization`` header; ``renew`` signs in anew."""
        if self._token_url is None:
            return self._credentials
        if self._token and not renew and time.monotonic() < self._token_ends - EARLY_SECONDS:
            return f"Bearer {self._token}"
        return f"Bearer {self._sign_in(self._token_url)}"

    def post_message(self, content: Mapping[str, Any]) -> str:
        """Hand over one message; returns Bandwidth's id for it."""
        answer = self._call("POST", "/messages", Kind.UNKNOWN, json=content)
        try:
            data = parsing.fields(answer.json(), "answer")
            return parsing.word(data, "id", needed=True)
        except ValueError:
            raise SendError(
                "Bandwidth took the message, but its answer cannot be read.", Kind.UNKNOWN
            ) from None

    def list_messages(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The newest messages that a query finds (``GET …/messages``), at most a hundred."""
        answer = self._call("GET", "/messages", Kind.RETRY, params=dict(query))
        try:
            data = parsing.fields(answer.json(), "answer").get("messages")
            found = data if isinstance(data, list) else []
            return [parsing.fields(entry, "message") for entry in found]
        except ValueError as error:
            raise SendError(f"Bandwidth's list cannot be read: {error}", Kind.RETRY) from None

    def upload(self, file: Attachment) -> str:
        """Put a file into the media store, which keeps it for 48 hours; returns its address.

        It is called by our own id: when the message is tried again, it is overwritten.
        """
        content_type = file.content_type.partition(";")[0].strip().lower()
        path = f"/media/{file.id}.{EXTENSIONS.get(content_type, 'bin')}"
        headers = {"Content-Type": content_type}
        self._call("PUT", path, Kind.RETRY, headers=headers, data=_bytes(file))
        return self._root + path

    def _call(
        self,
        method: str,
        path: str,
        lost: Kind,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> Answer:
        """One authorised request; once more with a new token when the old one is not taken.

        ``lost`` is the kind of error where it is not known whether it was carried out.
        """

        def attempt(renew: bool) -> Answer:
            sent = {"Authorization": self.authorization(renew=renew), **(headers or {})}
            return self._exchange(lost, method, self._root + path, headers=sent, **content)

        answer = attempt(False)
        if answer.status == 401 and self._token_url is not None:
            answer = attempt(True)
        if answer.status == 401 and self._token_url is None:
            raise basic_refused(answer, self._clock())
        if not answer.ok:
            raise refusal(answer, lost)
        return answer

    def _sign_in(self, token_url: str) -> str:
        """OAuth2 client credentials (RFC 6749 §4.4). Nothing has been sent when this fails."""
        headers = {"Authorization": self._credentials}
        grant = {"grant_type": "client_credentials"}
        answer = self._exchange(Kind.RETRY, "POST", token_url, headers=headers, data=grant)
        if not answer.ok:
            raise not_signed_in(answer, self._clock())
        try:
            token, lasts = _token(answer)
        except ValueError:
            raise SendError(
                "Bandwidth's sign-in answered without a token. If this stays so, check "
                "BANDWIDTH_TOKEN_URL.",
                Kind.RETRY,
            ) from None
        self._token, self._token_ends = token, time.monotonic() + lasts
        return token

    def _exchange(self, lost: Kind, method: str, address: str, **content: Any) -> Answer:
        return exchange(self._http, "Bandwidth", lost, method, address, **content)


def _token(answer: Answer) -> tuple[str, float]:
    """The token of a sign-in and its life in seconds; 0 where the answer has none."""
    data = parsing.fields(answer.json(), "answer")
    token = parsing.word(data, "access_token", needed=True, most=8192)
    if not token.isascii() or not token.isprintable():
        raise ValueError("The token has odd characters.")
    lasts = data.get("expires_in")
    return token, float(min(lasts, 86_400)) if isinstance(lasts, (int, float)) else 0.0


def _bytes(file: Attachment) -> bytes:
    if file.path is None:
        raise SendError("An attachment is not there yet.", Kind.RETRY)
    try:
        return file.path.read_bytes()
    except OSError as error:
        reason = f"An attachment cannot be read ({error.strerror})."
        raise SendError(reason, Kind.RETRY) from None
