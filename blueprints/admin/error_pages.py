"""Error pages below ``/admin``, with what to do about the error."""

from http import HTTPStatus

import structlog
from flask import Blueprint, Response, abort
from werkzeug.exceptions import HTTPException

from blueprints.admin.page import Pages
from services.core.errors import RequestRefused, SettingsConflict, SettingsError, StorageUnwell

log = structlog.get_logger()
TITLES = {403: "Not allowed", 404: "No such page", 409: "Changed meanwhile", 503: "Not just now"}
NOT_FOUND = "There is nothing at this address. It may have been removed."


def add_handlers(routes: Blueprint, pages: Pages) -> None:
    """Make every error below ``/admin`` a page."""

    def page(status: int, reason: str) -> Response:
        title = TITLES.get(status, "Not done")
        return pages.render("error.html", status, title=title, reason=reason)

    @routes.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        reason = NOT_FOUND if status == HTTPStatus.NOT_FOUND else error.description or ""
        shown = page(status, reason)
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                shown.headers[name] = value
        return shown

    @routes.errorhandler(RequestRefused)
    def refused(error: RequestRefused) -> Response:
        return page(error.status, error.reason)

    @routes.errorhandler(SettingsError)
    def settings(error: SettingsError) -> Response:
        return page(409 if isinstance(error, SettingsConflict) else 422, error.reason)

    @routes.errorhandler(StorageUnwell)
    def unwell(error: StorageUnwell) -> Response:
        log.error("storage unwell", reason=str(error))
        return page(503, f"{error} Nothing can be kept just now; carriers will try again.")

    @routes.route("/<path:_anything>", methods=["GET", "POST"])
    def not_found(_anything: str) -> Response:
        abort(404)
