"""Error answers of all routes, in one shape.

``application/problem+json`` (RFC 9457) with a stable ``code``; a page for browsers at unknown
addresses.
"""

import json
import math
from typing import Any

import structlog
from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from blueprints.headers import page_headers
from services.core.errors import RequestRefused, SettingsConflict, SettingsError, StorageUnwell

log = structlog.get_logger()

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    412: "stale",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "invalid",
    429: "too_many_requests",
    503: "storage_unwell",
}


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """An error answer: ``code`` for programs, ``detail`` for people."""
    body = {"type": "about:blank", "title": code.replace("_", " ").capitalize(), "status": status}
    body |= {"detail": detail, "code": code} | {k: v for k, v in more.items() if v}
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def retry_after(error: RequestRefused) -> dict[str, str]:
    """The ``Retry-After`` header, where the error names a time."""
    return {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after else {}


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    answer = problem(status, CODES.get(status, "error"), error.description or "")
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "WWW-Authenticate"):
            answer.headers[name] = value
    return answer


def _wants_page() -> bool:
    """Whether a person's browser asks, and not for an address of programs."""
    accepts = request.accept_mimetypes
    is_for_programs = request.path.startswith(("/api/", "/webhook/"))
    return not is_for_programs and accepts["text/html"] > accepts["application/json"]


def register(app: Flask, app_name: str) -> None:
    """Make every error of the application answer in this shape.

    Browsers get a page at an unknown address; ``app_name`` stands on it.
    """

    @app.errorhandler(RequestRefused)
    def refused(error: RequestRefused) -> Response:
        answer = problem(error.status, error.code, error.reason, field=error.field)
        answer.headers.update(retry_after(error))
        return answer

    @app.errorhandler(SettingsError)
    def settings(error: SettingsError) -> Response:
        status = 409 if isinstance(error, SettingsConflict) else 422
        return problem(status, CODES[status], error.reason, field=error.field)

    @app.errorhandler(StorageUnwell)
    def unwell(error: StorageUnwell) -> Response:
        log.error("storage unwell", reason=str(error))
        answer = problem(503, "storage_unwell", "Nothing can be kept just now. Try again.")
        answer.headers["Retry-After"] = "5"
        return answer

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if error.code == 404 and _wants_page():
            page = render_template("unknown_address.html", app_name=app_name)
            return page_headers()(make_response(page, 404))
        return _http_error(error)

    @app.errorhandler(500)
    def fault(error: Exception) -> Response:
        return problem(500, "fault", "Textbridge has a fault here; its log says more.")
