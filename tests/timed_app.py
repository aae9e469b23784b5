"""The application of ``wsgi.py`` for tests: a webhook may say when it came in.

``gunicorn -c gunicorn.conf.py "tests.timed_app:timed_app()"`` is the whole server. The header
``X-Received-At`` (seconds since 1970) stands for the time of a call, and automatic answers are
given to old texts, too. Everything else has the real time.
"""

import time
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection

from services.core.messages import WebhookCall
from services.messaging import automatic_answers
from services.store import inbox
from tests.row_tables import RECEIVED_AT

_add = inbox.add


def _add_at(tx: Connection, provider: str, call: WebhookCall) -> None:
    """Append a call as of its own time; nothing else runs between the two assignments."""
    at = call.headers.get(RECEIVED_AT.lower())
    replaced: Any = inbox
    replaced.time = SimpleNamespace(time=lambda: float(at)) if at else time
    _add(tx, provider, call)


def timed_app() -> Any:
    """The application; it changes the modules of this process."""
    from wsgi import app  # noqa: PLC0415 - it lets gevent patch the process

    setattr(inbox, "add", _add_at)  # noqa: B010 - mypy cannot assign to a function of a module
    automatic_answers.WITHIN_SECONDS = float("inf")
    return app
