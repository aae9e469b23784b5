"""Compression of answers by gzip: the files and pages of apps, and the JSON of the API.

The operator's pages are left as they are: the length of a compressed page could tell a key that
stands in its forms (BREACH). So are answers to HTTP Basic, which browsers send by themselves. The
tokens of the API are in a header, where no other site can put them.
"""

import gzip
from functools import lru_cache

from flask import Flask, Response, request

TYPES = {
    "application/json",
    "application/manifest+json",
    "application/problem+json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
}
LEAST = 600  # bytes; below, the head of gzip and its work gain nothing
MOST = 4_000_000  # bytes of a file
PAGES = ("/phone/", "/api/")
FILES_LEVEL, JSON_LEVEL = 9, 5


def register(app: Flask) -> None:
    """Compress answers. To be called before others that add headers: the first runs last."""
    app.after_request(compressed)


def compressed(answer: Response) -> Response:
    """The answer, compressed where that is allowed, gains something, and the client takes it."""
    is_file = (request.endpoint or "").endswith(("static", "built", "swagger_ui"))
    if not (is_file or _is_open_to_compression()) or answer.mimetype not in TYPES:
        return answer
    answer.vary.add("Accept-Encoding")
    etag, is_weak = answer.get_etag()
    if etag and not is_weak:
        answer.set_etag(etag, weak=True)  # the same content in either form
    if not _is_wanted(answer, is_file=is_file):
        return answer
    if is_file:
        answer.direct_passthrough = False
        answer.set_data(_file(answer.get_data()))
    else:
        answer.set_data(gzip.compress(answer.get_data(), JSON_LEVEL, mtime=0))
    answer.headers["Content-Encoding"] = "gzip"
    answer.headers.pop("Accept-Ranges", None)
    return answer


def _is_open_to_compression() -> bool:
    # As text: werkzeug raises an error for a password that is no ASCII.
    kind = request.headers.get("Authorization", "bearer").split(" ")[0]
    return request.path.startswith(PAGES) and kind.lower() == "bearer"


def _is_wanted(answer: Response, *, is_file: bool) -> bool:
    """Whether this answer is whole, neither a stream nor too small, and gzip is accepted."""
    return (
        answer.status_code not in (204, 206, 304)
        and request.method != "HEAD"
        and "Content-Encoding" not in answer.headers
        and (is_file or not answer.is_streamed)
        and LEAST <= (answer.content_length or answer.calculate_content_length() or 0) <= MOST
        and request.accept_encodings.quality("gzip") > 0
    )


@lru_cache(maxsize=64)
def _file(content: bytes) -> bytes:
    """A file, compressed once for each process."""
    return gzip.compress(content, FILES_LEVEL, mtime=0)
