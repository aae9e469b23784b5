"""What the operator's pages say when something cannot be done: a page, with what to do about it."""

from http import HTTPStatus

import structlog
from flask import Blueprint, Response, abort
from werkzeug.exceptions import HTTPException

from blueprints.admin.page import render
from services.core.errors import RequestRefused, SettingsConflict, SettingsError, StorageUnwell

log = structlog.get_logger()
TITLES = {403: "Not allowed", 404: "No such page", 409: "Changed meanwhile", 503: "Not just now"}
NOT_FOUND = "There is nothing at this address. It may have been removed."


def answer(door: Blueprint) -> None:
    """Make every error below ``/admin`` a page."""

    @door.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        said = NOT_FOUND if status == HTTPStatus.NOT_FOUND else error.description or ""
        page = _page(status, said)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                page.headers[name] = value
        return page

    @door.errorhandler(RequestRefused)
    def refused(error: RequestRefused) -> Response:
        return _page(error.status, error.reason)

    @door.errorhandler(SettingsError)
    def settings(error: SettingsError) -> Response:
        return _page(409 if isinstance(error, SettingsConflict) else 422, error.reason)

    @door.errorhandler(StorageUnwell)
    def unwell(error: StorageUnwell) -> Response:
        log.error("storage unwell", reason=str(error))
        return _page(503, f"{error} Nothing can be kept just now; carriers will try again.")

    @door.route("/<path:_anything>", methods=["GET", "POST"])
    def nowhere(_anything: str) -> Response:
        abort(404)


def _page(status: int, said: str) -> Response:
    return render("refusal.html", status, title=TITLES.get(status, "Not done"), said=said)
