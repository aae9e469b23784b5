"""Sign-ins of the operator's pages: a row of the database and a cookie with its token.

The sign-in of the current request also has the key of its forms and the notice of its next page.
"""

from base64 import urlsafe_b64encode
from typing import Any, cast

from flask import g, request

from services.config.keys import derive
from services.store import sign_ins
from services.store.database.store import Store
from services.store.sign_ins import SEEN_SECONDS, SignIn

COOKIE = "textbridge_admin"


def token() -> str:
    """The token that the browser offers, or nothing."""
    return request.cookies.get(COOKIE, "")


def current() -> SignIn | None:
    """The sign-in of this request, if there is one."""
    return cast(SignIn | None, g.get("sign_in"))


class SignIns:
    """Begins, finds and ends sign-ins; the other methods are about that of this request."""

    def __init__(self, store: Store, app_key: bytes, password: str | None) -> None:
        """``password`` is the operator's: a sign-in with an older one is over."""
        self._store = store
        self._app_key = app_key
        self._password_hash = derive(app_key, f"admin-password:{password or ''}").hex()

    def look_up(self) -> SignIn | None:
        """The sign-in that belongs to the browser's token, unless it is over."""
        if not token():
            return None
        return self._store.read(lambda tx: sign_ins.by_token(tx, token(), self._password_hash))

    def begin(self) -> str:
        """Begin a sign-in; returns its token."""
        return self._store.write(lambda tx: sign_ins.add(tx, self._password_hash))

    def end(self) -> None:
        """End the sign-in."""
        self._store.write(lambda tx: sign_ins.end(tx, token()))

    def note_call(self) -> None:
        """Record activity, which keeps the sign-in alive; automatic page updates do not count."""
        known = current()
        if known and known.idle_seconds > SEEN_SECONDS and "X-Live" not in request.headers:
            self._store.write(lambda tx: sign_ins.seen(tx, token()))

    def form_key(self) -> str:
        """The key that the forms of the sign-in contain in their field ``csrf``."""
        key = derive(self._app_key, "admin-form:" + token())
        return urlsafe_b64encode(key[:24]).decode()

    def set_notice(self, notice: str, *, bad: bool = False) -> None:
        """Store a sentence that the next page of this browser shows."""
        stored = {"words": notice, "bad": bad}
        self._store.write(lambda tx: sign_ins.set_notice(tx, token(), stored))

    def take_notice(self) -> dict[str, Any] | None:
        """The notice that this page shows, once; ``None`` where there is none."""
        known = current()
        if known is None or known.notice is None or "X-Live" in request.headers:
            return None
        self._store.write(lambda tx: sign_ins.set_notice(tx, token(), None))
        return known.notice
