"""Who is signed in at the operator's pages, and what such a person is told on the next page.

A token is in the browser's cookie and here as a hash only. A sign-in ends by itself: after some
hours without a call, after some days in any case, and when the password is another one.
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
MOST_SECONDS = 7 * 86_400.0
SEEN_SECONDS = 60.0  # how exactly the last call is kept


@dataclass(frozen=True, slots=True)
class SignIn:
    """One browser that is signed in.

    ``idle_seconds`` passed since its last call; ``notice`` is what its next page is to say.
    """

    idle_seconds: float
    notice: dict[str, Any] | None


def add(tx: Connection, password_hash: str) -> str:
    """Sign a browser in with the password that has this hash; returns the token (43 characters)."""
    now = time.time()
    tx.execute(delete(sign_ins).where(_over(now)))
    token = secrets.token_urlsafe(32)
    tx.execute(
        sign_ins.insert().values(
            token_hash=_hash(token), password_hash=password_hash, created_at=now, seen_at=now
        )
    )
    return token


def by_token(tx: Connection, token: str, password_hash: str) -> SignIn | None:
    """The sign-in of a token, unless it is over or the password has changed since."""
    now = time.time()
    row = tx.execute(
        select(sign_ins).where(
            sign_ins.c.token_hash == _hash(token),
            sign_ins.c.password_hash == password_hash,
            ~_over(now),
        )
    ).one_or_none()
    if row is None:
        return None
    notice = None if row.notice is None else json.loads(row.notice)
    return SignIn(now - row.seen_at, notice)


def seen(tx: Connection, token: str) -> None:
    """Note a call, so that the sign-in goes on."""
    _change(tx, token, seen_at=time.time())


def tell(tx: Connection, token: str, notice: dict[str, Any] | None) -> None:
    """Keep what the browser's next page is to say; ``None`` when it was said."""
    _change(tx, token, notice=None if notice is None else json.dumps(notice))


def end(tx: Connection, token: str) -> None:
    """Sign one browser out."""
    tx.execute(delete(sign_ins).where(sign_ins.c.token_hash == _hash(token)))


def end_all(tx: Connection) -> None:
    """Sign every browser out."""
    tx.execute(delete(sign_ins))


def _change(tx: Connection, token: str, **values: object) -> None:
    tx.execute(update(sign_ins).where(sign_ins.c.token_hash == _hash(token)).values(values))


def _over(now: float) -> Any:
    return or_(sign_ins.c.seen_at < now - IDLE_SECONDS, sign_ins.c.created_at < now - MOST_SECONDS)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
