"""States of messages on the operator's pages: their labels and colours."""

from flask import Blueprint

from services.core.messages import Message, Status
from services.store.jobs import JobKind

STATES = {
    Status.RECEIVED: ("Received", "quiet"),
    Status.QUEUED: ("Queued", "busy"),
    Status.SENDING: ("Being sent", "busy"),
    Status.UNKNOWN: ("May not have been sent", "warn"),
    Status.SENT: ("Sent", "good"),
    Status.DELIVERED: ("Delivered", "good"),
    Status.FAILED: ("Failed", "bad"),
    Status.SCHEDULED: ("Scheduled", "busy"),
    Status.CANCELLED: ("Cancelled", "quiet"),
}
NOBODY = ("Unassigned", "bad")
KINDS = {
    JobKind.SEND: ("Sending", "message", "messages"),
    JobKind.PUSH: ("Push", "push", "pushes"),
    JobKind.EMAIL: ("Mail", "mail", "mails"),
    JobKind.FETCH: ("Picture", "picture", "pictures"),
    JobKind.RECONCILE: ("Inquiry", "inquiry", "inquiries"),
}


def add_filters(routes: Blueprint) -> None:
    """Add these functions to the templates."""
    routes.app_template_filter("state")(state)
    routes.app_template_filter("kind")(lambda kind: KINDS[kind][0])


def state(message: Message) -> tuple[str, str]:
    """The label of a message's state, and its tone."""
    return STATES[message.status] if message.routed else NOBODY
