"""Who may open the operator's pages: whoever knows ``ADMIN_PASSWORD``, from where it is allowed.

A sign-in is a row of the database and a cookie that scripts cannot read. Every request that is
more than a look must carry the sign-in's form key, which no other site can know.
"""

from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Response, g, make_response, redirect, request, url_for
from werkzeug.exceptions import Forbidden

from blueprints.admin.page import onward, render
from blueprints.admin.session import COOKIE, current, form_key, house, look_up, password_hash, token
from blueprints.admin_access import require_allowed_address
from blueprints.errors import retry_after
from blueprints.webhooks import address
from services.core.errors import RequestRefused
from services.gateway import Gateway
from services.providers.base import same
from services.store import sign_ins
from services.store.sign_ins import MOST_SECONDS, SEEN_SECONDS

log = structlog.get_logger()
LOOKS = ("GET", "HEAD", "OPTIONS")
FILES = "admin.static"
DOORS = ("admin.sign_in", "admin.take_password")
MOST_BYTES = 3_000_000  # of a form with its files
WRONG = "This is not the password."


def guard(door: Blueprint, gateway: Gateway) -> None:
    """Let nobody pass who does not belong, and open the doors for signing in and out."""

    @door.before_request
    def admit() -> Response | None:
        g.gateway = gateway
        request.max_content_length = MOST_BYTES
        if request.endpoint == FILES:
            return None
        require_allowed_address(gateway)
        if gateway.environment.service.admin_password is None:
            raise Forbidden(
                "These pages have no password yet. Set ADMIN_PASSWORD in .env, then run "
                "“flask config reload”."
            )
        g.sign_in = look_up()
        if request.endpoint in DOORS:
            return None
        if current() is None:
            return _to_sign_in()
        _note_call()
        if request.method not in LOOKS:
            _require_own_site()
            _require_form_key()
        return None

    @door.get("/sign-in")
    def sign_in() -> Response:
        return render("sign_in.html") if current() is None else _where_wanted()

    @door.post("/sign-in")
    def take_password() -> Response:
        _require_own_site()
        came_from = address(gateway)
        try:
            is_operator = gateway.admin_auth.admits(request.form.get("password", ""), came_from)
        except RequestRefused as error:
            page = render("sign_in.html", error.status, problem=error.reason)
            page.headers.update(retry_after(error))
            return page
        if not is_operator:
            log.warning("wrong password for /admin", address=came_from)
            return render("sign_in.html", HTTPStatus.FORBIDDEN, problem=WRONG)
        fresh = gateway.store.write(lambda tx: sign_ins.add(tx, password_hash()))
        answer = _where_wanted()
        answer.set_cookie(
            COOKIE,
            fresh,
            max_age=int(MOST_SECONDS),
            path=url_for("admin.start"),
            secure=request.is_secure or gateway.environment.app_url.startswith("https://"),
            httponly=True,
            samesite="Lax",
        )
        return answer

    @door.post("/sign-out")
    def sign_out() -> Response:
        gateway.store.write(lambda tx: sign_ins.end(tx, token()))
        answer = onward("admin.sign_in")
        answer.delete_cookie(COOKIE, path=url_for("admin.start"))
        return answer


def _note_call() -> None:
    """Keep the sign-in alive; a page that renews itself keeps nobody signed in."""
    known = current()
    if known and known.idle_seconds > SEEN_SECONDS and "X-Live" not in request.headers:
        house().store.write(lambda tx: sign_ins.seen(tx, token()))


def _require_form_key() -> None:
    offered = request.form.get("csrf") or request.headers.get("X-Form-Key", "")
    if not same(offered, form_key()):
        raise Forbidden(
            "This form is from before you signed in, so nothing was changed. Open its page again "
            "and repeat it there."
        )


def _require_own_site() -> None:
    """Refuse what another site sent, also a sign-in: it could sign somebody in as another."""
    origin = request.headers.get("Origin")
    fetched = request.headers.get("Sec-Fetch-Site", "same-origin")
    own = (request.host, urlsplit(house().environment.app_url).netloc)
    strange = origin is not None and urlsplit(origin).netloc not in own
    if strange or fetched not in ("same-origin", "none"):
        raise Forbidden("This form was sent by another site, so nothing was changed.")


def _to_sign_in() -> Response:
    wanted = request.full_path.rstrip("?") if request.method in LOOKS else None
    return onward("admin.sign_in", then=wanted)


def _where_wanted() -> Response:
    """To the page that was wanted before signing in; never to another site."""
    start = url_for("admin.start")
    wanted = request.args.get("then", start)
    fits = wanted.startswith(start) and "\\" not in wanted and wanted.isprintable()
    return make_response(redirect(wanted if fits else start, HTTPStatus.SEE_OTHER))
