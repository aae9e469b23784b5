"""Access to the operator's pages: sign-in with ADMIN_PASSWORD, from the addresses of ADMIN_ALLOW.

A sign-in is a row of the database and a cookie that scripts cannot read. Every request that may
change something must contain the sign-in's form key, which no other site can know.
"""

from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, g, make_response, redirect, request, url_for
from werkzeug.exceptions import Forbidden

from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.session import COOKIE, SignIns, current
from blueprints.admin_access import AdminAccess
from blueprints.errors import retry_after
from blueprints.request_body import UNPROVEN_BYTES
from services.core.commands import flask_command
from services.core.errors import RequestRefused
from services.core.secrets import same_secret
from services.store.sign_ins import MAX_SECONDS

log = structlog.get_logger()
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
FILES = "admin.static"
OPEN = ("admin.sign_in", "admin.take_password")  # endpoints that need no sign-in
MOST_BYTES = 6_000_000  # of a form with its files
WRONG = "This is not the password."


class Guard:
    """Admits requests to the operator's pages, and signs in and out."""

    def __init__(self, access: AdminAccess, sign_ins: SignIns, pages: Pages, app_url: str) -> None:
        self._access = access
        self._sign_ins = sign_ins
        self._pages = pages
        self._app_url = app_url

    def add_to(self, blueprint: Blueprint) -> None:
        """Guard every page of a blueprint, and add those for signing in and out."""
        blueprint.before_request(self.admit)
        blueprint.get("/sign-in")(self.sign_in)
        blueprint.post("/sign-in")(self.take_password)
        blueprint.post("/sign-out")(self.sign_out)

    def admit(self) -> Response | None:
        """Let a request pass, or answer it. Runs before every request of the pages."""
        request.max_content_length = UNPROVEN_BYTES
        if request.endpoint == FILES:
            return None
        self._access.require_allowed_address()
        if not self._access.has_password:
            raise Forbidden(
                "These pages have no password yet. Set ADMIN_PASSWORD in .env, then run "
                f"“{flask_command('config reload')}”."
            )
        g.sign_in = self._sign_ins.look_up()
        if request.endpoint in OPEN:
            return None
        if current() is None:
            return _to_sign_in()
        request.max_content_length = MOST_BYTES
        self._sign_ins.note_call()
        if request.method not in SAFE_METHODS:
            self._require_own_site()
            self._require_form_key()
        return None

    def sign_in(self) -> Response:
        """The form for the password."""
        return self._pages.render("sign_in.html") if current() is None else _redirect_back()

    def take_password(self) -> Response:
        """Sign in with the password of the form."""
        self._require_own_site()
        try:
            is_operator = self._access.admits(request.form.get("password", ""))
        except RequestRefused as error:
            page = self._pages.render("sign_in.html", error.status, problem=error.reason)
            page.headers.update(retry_after(error))
            return page
        if not is_operator:
            log.warning("wrong password for /admin", address=self._access.address)
            return self._pages.render("sign_in.html", HTTPStatus.FORBIDDEN, problem=WRONG)
        fresh = self._sign_ins.begin()
        answer = _redirect_back()
        answer.set_cookie(
            COOKIE,
            fresh,
            max_age=int(MAX_SECONDS),
            path=url_for("admin.start"),
            secure=request.is_secure or self._app_url.startswith("https://"),
            httponly=True,
            samesite="Lax",
        )
        return answer

    def sign_out(self) -> Response:
        """End the sign-in."""
        self._sign_ins.end()
        answer = redirect_to("admin.sign_in")
        answer.delete_cookie(COOKIE, path=url_for("admin.start"))
        return answer

    def _require_form_key(self) -> None:
        offered = request.form.get("csrf") or request.headers.get("X-Form-Key", "")
        if not same_secret(offered, self._sign_ins.form_key()):
            raise Forbidden(
                "This form is from before you signed in, so nothing was changed. Open its page "
                "again and repeat it there."
            )

    def _require_own_site(self) -> None:
        """Refuse a form of another site (CSRF); a sign-in as well (login CSRF)."""
        origin = request.headers.get("Origin")
        fetched = request.headers.get("Sec-Fetch-Site", "same-origin")
        own = (request.host, urlsplit(self._app_url).netloc)
        foreign = origin is not None and urlsplit(origin).netloc not in own
        if foreign or fetched not in ("same-origin", "none"):
            raise Forbidden("This form was sent by another site, so nothing was changed.")


def _to_sign_in() -> Response:
    wanted = request.full_path.rstrip("?") if request.method in SAFE_METHODS else None
    return redirect_to("admin.sign_in", then=wanted)


def _redirect_back() -> Response:
    """Redirect to the page that was asked for before signing in; never to another site."""
    start = url_for("admin.start")
    wanted = request.args.get("then", start)
    fits = wanted.startswith(start) and "\\" not in wanted and wanted.isprintable()
    return make_response(redirect(wanted if fits else start, HTTPStatus.SEE_OTHER))
