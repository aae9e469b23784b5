"""Table of browser sessions of the admin pages (sign-ins), each with a notice for its next page.

The token is in the browser's cookie; here is only its hash. A session ends after ``IDLE_SECONDS``
without a call, after ``MAX_SECONDS`` in any case, and when the password is changed.
"""

import hashlib
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from services.store.database.schema import sign_ins

IDLE_SECONDS = 12 * 3600.0
MAX_SECONDS = 7 * 86_400.0
SEEN_SECONDS = 60.0  # precision of the time of the last call


@dataclass(frozen=True, slots=True)
class SignIn:
    """One browser that is signed in.

    ``idle_seconds`` have passed since its last call; ``notice`` is shown on its next page.
    """

    idle_seconds: float
    notice: dict[str, Any] | None


def add(tx: Connection, password_hash: str) -> str:
    """Sign a browser in with the password that has this hash; returns the token (43 characters)."""
    now = time.time()
    tx.execute(delete(sign_ins).where(_has_ended(now)))
    token = secrets.token_urlsafe(32)
    tx.execute(
        sign_ins.insert().values(
            token_hash=_hash(token), password_hash=password_hash, created_at=now, seen_at=now
        )
    )
    return token


def by_token(tx: Connection, token: str, password_hash: str) -> SignIn | None:
    """The session of a token, unless it has ended or the password was changed."""
    now = time.time()
    row = tx.execute(
        select(sign_ins).where(
            sign_ins.c.token_hash == _hash(token),
            sign_ins.c.password_hash == password_hash,
            ~_has_ended(now),
        )
    ).one_or_none()
    if row is None:
        return None
    notice = None if row.notice is None else json.loads(row.notice)
    return SignIn(now - row.seen_at, notice)


def seen(tx: Connection, token: str) -> None:
    """Note a call, which prolongs the session."""
    _change(tx, token, seen_at=time.time())


def set_notice(tx: Connection, token: str, notice: dict[str, Any] | None) -> None:
    """Set the notice for the browser's next page; ``None`` after it was shown."""
    _change(tx, token, notice=None if notice is None else json.dumps(notice))


def end(tx: Connection, token: str) -> None:
    """Sign one browser out."""
    tx.execute(delete(sign_ins).where(sign_ins.c.token_hash == _hash(token)))


def end_all(tx: Connection) -> None:
    """Sign every browser out."""
    tx.execute(delete(sign_ins))


def _change(tx: Connection, token: str, **values: object) -> None:
    tx.execute(update(sign_ins).where(sign_ins.c.token_hash == _hash(token)).values(values))


def _has_ended(now: float) -> Any:
    return or_(sign_ins.c.seen_at < now - IDLE_SECONDS, sign_ins.c.created_at < now - MAX_SECONDS)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
