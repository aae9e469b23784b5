"""Page of unrouted messages: by number, with the reason and what to do about it."""

from dataclasses import dataclass

from flask import Blueprint, Response

from blueprints.admin.formats import counted
from blueprints.admin.page import Pages, redirect_to
from services.message_settings import MessageSettings, NumberSetting
from services.operations.operator_actions import OperatorActions, why_unrouted
from services.store import unrouted
from services.store.database.store import Store
from services.store.unrouted import Waiting


@dataclass(frozen=True, slots=True)
class Row:
    """A number that messages wait for, why, and its entry in Message Settings, if any."""

    waiting: Waiting
    why: str
    setting: NumberSetting | None


def add_routes(
    routes: Blueprint,
    pages: Pages,
    store: Store,
    settings: MessageSettings,
    actions: OperatorActions,
) -> None:
    """Add ``/admin/messages/unrouted``."""

    @routes.get("/messages/unrouted")
    def messages_unrouted() -> Response:
        rows = [_row(one, settings.for_number(one.number)) for one in store.read(unrouted.counts)]
        return pages.render(
            "unrouted.html",
            rows=rows,
            ready=any(not row.why for row in rows),
            generation=settings.generation,
        )

    @routes.post("/messages/unrouted")
    def messages_deliver_unrouted() -> Response:
        count = actions.deliver_waiting()
        pages.set_notice(f"{counted(count, 'message')} delivered.")
        return redirect_to("admin.messages_unrouted")


def _row(waiting: Waiting, setting: NumberSetting | None) -> Row:
    return Row(waiting, why_unrouted(setting), setting)
