"""Cancelling of scheduled messages by Textbridge, reported to the channels that want updates."""

from collections.abc import Sequence

from sqlalchemy import Connection

from services.core.messages import Message, Status
from services.messaging.route import Router
from services.store import jobs, scheduled


def cancel_scheduled(
    tx: Connection, router: Router, waiting: Sequence[Message], code: str, reason: str
) -> None:
    """Cancel scheduled messages; the caller has locked the sequence before it read them."""
    scheduled.cancel_many(tx, waiting, code, reason)
    reports = [router.update_jobs(message, str(Status.CANCELLED)) for message in waiting]
    jobs.add(tx, [job for several in reports for job in several])
