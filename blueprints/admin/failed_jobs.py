"""Page of failed jobs: every dead letter with its reason, to try again one by one or by kind."""

from functools import partial
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.formats import counted
from blueprints.admin.message_states import KINDS
from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import row_id
from services.message_settings import MessageSettings
from services.operations import timeline
from services.operations.operator_actions import OperatorActions
from services.store import dead_letters
from services.store.database.store import Store
from services.store.jobs import JobKind

ROWS = 50


def add_routes(
    routes: Blueprint,
    pages: Pages,
    store: Store,
    settings: MessageSettings,
    actions: OperatorActions,
) -> None:
    """Add ``/admin/messages/given-up``."""

    @routes.get("/messages/given-up")
    def messages_given_up() -> Response:
        kind = _kind(request.args.get("kind", ""))
        before = row_id(request.args.get("before"))
        look = partial(dead_letters.newest, limit=ROWS + 1, kind=kind, before=before)
        found = store.read(look)
        shown = found[:ROWS]
        devices = store.read(partial(timeline.targets, found=shown))
        counts = store.read(dead_letters.counts)
        rest: dict[str, Any] = {"kind": str(kind)} if kind else {}
        here = "admin.messages_given_up"
        return pages.render(
            "given_up.html",
            letters=[
                (job, timeline.target_name(job, devices, names=settings.names)) for job in shown
            ],
            kinds=[
                (name, *labels, counts[name]) for name, labels in KINDS.items() if name in counts
            ],
            kind=kind,
            is_newest=before is None,
            newest=url_for(here, **rest) if before else None,
            older=url_for(here, **rest, before=shown[-1].id) if len(found) > ROWS else None,
        )

    @routes.post("/messages/given-up")
    def messages_retry_kind() -> Response:
        kind = _kind(request.form.get("kind", ""))
        if kind is None:
            abort(404)
        done, left = actions.retry_all(kind)
        notice = f"{counted(done, *KINDS[kind][1:])} will be tried again now."
        if left:
            notice += (
                f" {counted(left, *KINDS[kind][1:])} may have been sent and were left alone: "
                "look at each."
            )
        pages.set_notice(notice)
        return redirect_to("admin.messages_given_up")


def _kind(written: str) -> JobKind | None:
    if not written:
        return None
    if written not in list(JobKind):
        abort(404)
    return JobKind(written)
