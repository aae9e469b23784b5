"""The sign-in of this request: its token, its forms' key, and what its next page is to say."""

from base64 import urlsafe_b64encode
from typing import Any, cast

from flask import g, request

from services.config.keys import derive
from services.gateway import Gateway
from services.store import sign_ins
from services.store.sign_ins import SignIn

COOKIE = "textbridge_admin"


def house() -> Gateway:
    """The gateway behind this page."""
    return cast(Gateway, g.gateway)


def token() -> str:
    """The token that the browser offers, or nothing."""
    return request.cookies.get(COOKIE, "")


def current() -> SignIn | None:
    """The sign-in of this request, if there is one."""
    return cast(SignIn | None, g.get("sign_in"))


def look_up() -> SignIn | None:
    """The sign-in that belongs to the browser's token, unless it is over."""
    if not token():
        return None
    return house().store.read(lambda tx: sign_ins.by_token(tx, token(), password_hash()))


def password_hash() -> str:
    """What tells whether the password is still the one that somebody signed in with."""
    password = house().environment.service.admin_password or ""
    return derive(house().environment.app_key, "admin-password:" + password).hex()


def form_key() -> str:
    """What the forms of this sign-in carry in their field ``csrf``."""
    key = derive(house().environment.app_key, "admin-form:" + token())
    return urlsafe_b64encode(key[:24]).decode()


def tell(notice: str, *, bad: bool = False) -> None:
    """Let the next page of this browser say a sentence."""
    said = {"words": notice, "bad": bad}
    house().store.write(lambda tx: sign_ins.set_notice(tx, token(), said))


def told() -> dict[str, Any] | None:
    """What this page is to say; it is said once."""
    known = current()
    if known is None or known.notice is None or "X-Live" in request.headers:
        return None
    house().store.write(lambda tx: sign_ins.set_notice(tx, token(), None))
    return known.notice
