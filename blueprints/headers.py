"""Security headers of pages: a browser may load from and call this server only."""

from collections.abc import Callable

from flask import Response

SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page_headers(
    *, own: tuple[str, ...] = (), cache: str = "no-cache", referrer: str = "no-referrer"
) -> Callable[[Response], Response]:
    """The function that adds the headers to the answer with a page.

    ``own`` are further directives of the Content-Security-Policy that may name this server.
    """
    sources = SOURCES | dict.fromkeys(own, "'self'")
    policy = "; ".join(f"{directive} {source}" for directive, source in sources.items())

    def secured(response: Response) -> Response:
        response.headers.update(HEADERS)
        response.headers["Content-Security-Policy"] = policy
        response.headers["Referrer-Policy"] = referrer
        response.headers.setdefault("Cache-Control", cache)
        return response

    return secured
