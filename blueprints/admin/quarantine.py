"""Quarantine: authentic webhooks that could not be read, to look at, read again or drop."""

from functools import partial

from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.numbers import number_in
from blueprints.admin.page import onward, render
from blueprints.admin.session import tell
from services.core.errors import RequestRefused
from services.gateway import Gateway
from services.operations import timeline
from services.store import quarantine

ROWS = 50
MOST_SHOWN = 100_000  # characters of a body
HERE = "admin.messages_quarantine"


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/messages/quarantine``."""

    @door.get("/messages/quarantine")
    def messages_quarantine() -> Response:
        before = number_in(request.args.get("before"))
        found = gateway.store.read(partial(quarantine.page, limit=ROWS + 1, before=before))
        shown = found[:ROWS]
        return render(
            "quarantine.html",
            calls=shown,
            titles=timeline.CARRIERS,
            newest=url_for(HERE) if before else None,
            older=url_for(HERE, before=shown[-1].id) if len(found) > ROWS else None,
        )

    @door.get("/messages/quarantine/<int:call_id>")
    def messages_quarantined(call_id: int) -> Response:
        row = gateway.store.read(partial(quarantine.by_id, row_id=_stored(call_id)))
        if row is None:
            abort(404)
        body = row.body.decode("utf-8", "replace")
        return render(
            "quarantined.html",
            call=row,
            title=timeline.CARRIERS.get(row.provider, row.provider),
            body=body[:MOST_SHOWN],
            cut=len(body) > MOST_SHOWN,
        )

    @door.post("/messages/quarantine/<int:call_id>/replay")
    def messages_replay(call_id: int) -> Response:
        try:
            outcomes = [outcome for outcome, _ in gateway.replay(_stored(call_id))]
        except RequestRefused as error:
            if error.code != "unreadable":
                raise
            tell(f"It still cannot be read: {error.reason}", bad=True)
            return onward("admin.messages_quarantined", call_id=call_id)
        tell(f"Read: {', '.join(outcomes) or 'nothing in it concerns a message'}.")
        return onward(HERE)

    @door.post("/messages/quarantine/<int:call_id>/drop")
    def messages_drop(call_id: int) -> Response:
        gateway.operator_actions.drop(_stored(call_id))
        tell("Dropped.")
        return onward(HERE)


def _stored(call_id: int) -> int:
    """A number that a row can have: databases keep none above this."""
    return call_id if call_id < 2**63 else abort(404)
