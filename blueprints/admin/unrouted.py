"""Messages that nobody receives: by number, with the reason and what to do about it."""

from dataclasses import dataclass

from flask import Blueprint, Response

from blueprints.admin.formats import counted
from blueprints.admin.page import onward, render
from blueprints.admin.session import house, tell
from services.gateway import Gateway
from services.operations.operator_actions import why_unrouted
from services.store import unrouted
from services.store.unrouted import Waiting


@dataclass(frozen=True, slots=True)
class Row:
    """A number that messages wait for: why, and whether it is missing in Message Settings."""

    waiting: Waiting
    why: str
    is_missing: bool


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/messages/unrouted``."""

    @door.get("/messages/unrouted")
    def messages_unrouted() -> Response:
        rows = [_row(one) for one in gateway.store.read(unrouted.counts)]
        return render("unrouted.html", rows=rows, ready=any(not row.why for row in rows))

    @door.post("/messages/unrouted")
    def messages_deliver_unrouted() -> Response:
        count = gateway.operator_actions.deliver_waiting()
        tell(f"{counted(count, 'message')} delivered.")
        return onward("admin.messages_unrouted")


def _row(waiting: Waiting) -> Row:
    setting = house().settings.for_number(waiting.number)
    return Row(waiting, why_unrouted(setting), setting is None)
