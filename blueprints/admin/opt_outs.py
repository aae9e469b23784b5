"""Page of opt-outs and blocked senders: listed with their proofs, recorded, taken back."""

from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import row_id
from services.core.errors import RequestRefused
from services.core.phone_numbers import EVERY
from services.messaging.opt_out import SOURCES
from services.operations.opt_out_register import LIFT_NOTE, OptOutRegister
from services.store import blocked_senders, messages
from services.store.database.store import Store
from services.store.opt_outs import OptOut

ROWS = 50
HERE = "admin.opt_outs"


def add_routes(routes: Blueprint, pages: Pages, store: Store, register: OptOutRegister) -> None:
    """Add ``/admin/opt-outs``."""

    def show(problem: str = "") -> Response:
        before = row_id(request.args.get("before"))
        person = request.args.get("person", "")
        with_lifted = bool(request.args.get("all"))
        try:
            found = register.page(
                limit=ROWS + 1, before=before, peer=person, with_lifted=with_lifted
            )
        except RequestRefused as error:
            found, problem = [], error.reason
        shown = found[:ROWS]
        kept: dict[str, Any] = {"person": person or None, "all": "1" if with_lifted else None}
        return pages.render(
            "opt_outs.html",
            422 if problem else 200,
            rows=[_row(store, one) for one in shown],
            blocked=store.read(blocked_senders.every),
            every=EVERY,
            person=person,
            with_lifted=with_lifted,
            problem=problem,
            lift_note=LIFT_NOTE,
            typed=request.form,
            newest=url_for(HERE, **kept) if before else None,
            older=url_for(HERE, before=shown[-1].id, **kept) if len(found) > ROWS else None,
        )

    @routes.get("/opt-outs")
    def opt_outs() -> Response:
        return show()

    @routes.post("/opt-outs")
    def opt_outs_change() -> Response:
        try:
            pages.set_notice(_change(register))
        except RequestRefused as error:
            return show(error.reason)
        return redirect_to(HERE)


def _change(register: OptOutRegister) -> str:
    """Do what a form asks for; returns what was done. Raises ``RequestRefused``."""
    form = request.form
    person, number, reason = (form.get(name, "") for name in ("person", "number", "reason"))
    what = form.get("do")
    if what == "add":
        new = register.add(person, number, reason)
        return "Recorded." if new else "They have opted out already."
    if what == "block":
        return "Blocked." if register.block(person, number) else "They are blocked already."
    if what == "unblock":
        register.unblock(person, number)
        return "No longer blocked."
    row = row_id(form.get("id")) if what == "lift" else None
    register.lift(row if row is not None else abort(404), reason)
    return f"Taken back. {LIFT_NOTE}"


def _row(store: Store, one: OptOut) -> tuple[OptOut, str, bool]:
    """An opt-out, how it became known in words, and whether its text is still kept."""
    proof = one.message_id
    kept = proof is not None and store.read(lambda tx: messages.by_id(tx, proof)) is not None
    return one, SOURCES[one.source], kept
