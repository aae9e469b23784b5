"""Quarantine page: authentic webhooks that could not be read, to look at, read again or drop."""

from functools import partial

from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import row_id
from services.core.errors import RequestRefused
from services.messaging.replay import Replay
from services.operations import timeline
from services.operations.operator_actions import OperatorActions
from services.store import quarantine
from services.store.database.store import Store

ROWS = 50
MOST_SHOWN = 100_000  # characters of a body
HERE = "admin.messages_quarantine"


def add_routes(
    routes: Blueprint, pages: Pages, store: Store, replay: Replay, actions: OperatorActions
) -> None:
    """Add ``/admin/messages/quarantine``."""

    @routes.get("/messages/quarantine")
    def messages_quarantine() -> Response:
        before = row_id(request.args.get("before"))
        found = store.read(partial(quarantine.page, limit=ROWS + 1, before=before))
        shown = found[:ROWS]
        return pages.render(
            "quarantine.html",
            calls=shown,
            titles=timeline.CARRIERS,
            newest=url_for(HERE) if before else None,
            older=url_for(HERE, before=shown[-1].id) if len(found) > ROWS else None,
        )

    @routes.get("/messages/quarantine/<int:call_id>")
    def messages_quarantined(call_id: int) -> Response:
        row = store.read(partial(quarantine.by_id, row_id=_stored(call_id)))
        if row is None:
            abort(404)
        body = row.body.decode("utf-8", "replace")
        return pages.render(
            "quarantined.html",
            call=row,
            title=timeline.CARRIERS.get(row.provider, row.provider),
            body=body[:MOST_SHOWN],
            cut=len(body) > MOST_SHOWN,
        )

    @routes.post("/messages/quarantine/<int:call_id>/replay")
    def messages_replay(call_id: int) -> Response:
        try:
            outcomes = [outcome for outcome, _ in replay.replay(_stored(call_id))]
        except RequestRefused as error:
            if error.code != "unreadable":
                raise
            pages.set_notice(f"It still cannot be read: {error.reason}", bad=True)
            return redirect_to("admin.messages_quarantined", call_id=call_id)
        pages.set_notice(f"Read: {', '.join(outcomes) or 'nothing in it concerns a message'}.")
        return redirect_to(HERE)

    @routes.post("/messages/quarantine/<int:call_id>/drop")
    def messages_drop(call_id: int) -> Response:
        actions.drop(_stored(call_id))
        pages.set_notice("Dropped.")
        return redirect_to(HERE)


def _stored(call_id: int) -> int:
    """A number that a row can have: databases keep none above this."""
    return call_id if call_id < 2**63 else abort(404)
