"""Pages of bulk sends: listed, made with a preview, their results, cancelled."""

from contextlib import closing
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from blueprints.admin.formats import counted
from blueprints.admin.message_states import STATES
from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import row_id
from services.core.errors import RequestRefused
from services.core.local_time import LocalTime
from services.core.messages import Message, Status, clean, uuid7
from services.messaging.bulk_recipients import (
    MOST_CSV,
    MOST_NAME,
    MOST_RECIPIENTS,
    MOST_TEXT,
    file_text,
    read_recipients,
)
from services.messaging.bulk_sending import ADMINISTRATOR, BulkRequest, BulkSending
from services.operations.export import bulk_results_as_csv
from services.store import bulk_sends
from services.store.bulk_sends import BulkSend
from services.store.database.store import Store

ROWS = 50
CHOICES = [
    ("", "All"),
    *((str(status), STATES[status][0]) for status in STATES if status is not Status.RECEIVED),
]


class BulkSendPages:
    """Lists bulk sends and their results, makes and cancels them."""

    def __init__(
        self, pages: Pages, store: Store, sending: BulkSending, local_time: LocalTime
    ) -> None:
        self._pages = pages
        self._store = store
        self._sending = sending
        self._local_time = local_time

    def add_to(self, routes: Blueprint) -> None:
        """Add ``/admin/bulk-sends``."""
        routes.get("/bulk-sends", endpoint="bulk_sends")(self.overview)
        routes.get("/bulk-sends/new", endpoint="bulk_sends_new")(self.new)
        routes.post("/bulk-sends/new", endpoint="bulk_sends_preview")(self.preview)
        routes.post("/bulk-sends", endpoint="bulk_sends_send")(self.send)
        one = "/bulk-sends/<uuid:bulk_send_id>"
        routes.get(one, endpoint="bulk_sends_show")(self.show)
        routes.get(f"{one}.csv", endpoint="bulk_sends_export")(self.export)
        routes.post(f"{one}/cancel", endpoint="bulk_sends_cancel")(self.cancel)

    def overview(self) -> Response:
        """All bulk sends, the newest first."""
        offset = _offset()
        found = self._store.read(lambda tx: bulk_sends.page(tx, limit=ROWS + 1, offset=offset))
        shown = found[:ROWS]
        counts = self._store.read(lambda tx: bulk_sends.counts(tx, [one.id for one in shown]))
        return self._pages.render(
            "bulk_sends.html",
            found=shown,
            counts=counts,
            states=STATES,
            newest=url_for("admin.bulk_sends") if offset else None,
            older=_page("admin.bulk_sends", offset, len(found)),
        )

    def new(self) -> Response:
        """The form for a bulk send."""
        return self._ask()

    def preview(self) -> Response:
        """What a bulk send would send; and again the form, if something is wrong."""
        try:
            content = _uploaded()
            asked = self._asked(content)
            plan = self._sending.preview(_typed("extension", 64), asked)
        except RequestRefused as refused:
            return self._ask(refused)
        return self._pages.render(
            "bulk_sends_preview.html",
            plan=plan,
            example=plan.messages[0] if plan.messages else None,
            asked=asked,
            typed=request.form,
            csv=content,
            client_id=f"admin-{uuid7()}",
        )

    def send(self) -> Response:
        """Make the bulk send of a preview; a repeated form makes no second one."""
        try:
            asked = self._asked(request.form.get("csv", ""))
            extension = _typed("extension", 64)
            made, _ = self._sending.create(extension, asked, ADMINISTRATOR)
        except RequestRefused as refused:
            return self._ask(refused)
        self._pages.set_notice(f"{counted(made.recipients, 'text')} will be sent.")
        return redirect_to("admin.bulk_sends_show", bulk_send_id=made.id)

    def show(self, bulk_send_id: object) -> Response:
        """The results of a bulk send."""
        known = self._known(bulk_send_id)
        offset, state = _offset(), request.args.get("state", "")
        if state and state not in map(str, STATES):
            abort(404)
        found = self._texts(known, offset, Status(state) if state else None)
        endpoint = "admin.bulk_sends_show"
        kept: dict[str, Any] = {"bulk_send_id": known.id, "state": state or None}
        return self._pages.render(
            "bulk_sends_show.html",
            known=known,
            counts=self._store.read(lambda tx: bulk_sends.counts(tx, [known.id]))[known.id],
            left_out=self._store.read(lambda tx: bulk_sends.left_out(tx, known.id)),
            texts=found[:ROWS],
            state=state,
            states=STATES,
            choices=CHOICES,
            newest=url_for(endpoint, **kept) if offset else None,
            older=_page(endpoint, offset, len(found), **kept),
        )

    def export(self, bulk_send_id: object) -> Response:
        """The results as a CSV file."""
        known = self._known(bulk_send_id)
        texts = self._store.read(lambda tx: bulk_sends.texts(tx, known.id))
        left_out = self._store.read(lambda tx: bulk_sends.left_out(tx, known.id))
        content = bulk_results_as_csv(texts, left_out)
        answer = Response(content, content_type="text/csv; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="bulk-send-{known.id}.csv"'
        return answer

    def cancel(self, bulk_send_id: object) -> Response:
        """Cancel what is not sent yet."""
        try:
            self._sending.cancel(str(bulk_send_id), None, ADMINISTRATOR)
        except RequestRefused as refused:
            abort(refused.status)
        self._pages.set_notice("Cancelled. What was on its way is still sent.")
        return redirect_to("admin.bulk_sends_show", bulk_send_id=bulk_send_id)

    def _texts(self, known: BulkSend, offset: int, status: Status | None) -> list[Message]:
        return self._store.read(
            lambda tx: bulk_sends.texts(tx, known.id, limit=ROWS + 1, offset=offset, status=status)
        )

    def _known(self, bulk_send_id: object) -> BulkSend:
        found = self._store.read(lambda tx: bulk_sends.by_id(tx, str(bulk_send_id)))
        return found if found is not None else abort(404)

    def _ask(self, refused: RequestRefused | None = None) -> Response:
        return self._pages.render(
            "bulk_sends_new.html",
            422 if refused else 200,
            typed=request.form,
            problem=refused.reason if refused else "",
            wrong=refused.field if refused else "",
            time_zone=self._local_time.name,
            most_text=MOST_TEXT,
            most=MOST_RECIPIENTS,
        )

    def _asked(self, csv: str) -> BulkRequest:
        """The request of a form. Raises ``RequestRefused``."""
        return BulkRequest(
            name=_required("name", MOST_NAME, "Give it a name."),
            text=_required("text", MOST_TEXT, "Write the text."),
            recipients=read_recipients(csv),
            sender=_typed("sender", 64) or None,
            send_at=self._time(_typed("send_at", 30)),
            client_id=_typed("client_id", 100) or None,
            skip_invalid=bool(request.form.get("skip_invalid")),
        )

    def _time(self, written: str) -> float | None:
        """A time of the form, in APP_TIMEZONE; empty: now. Raises ``RequestRefused``."""
        if not written:
            return None
        try:
            return self._local_time.read(written).timestamp()
        except ValueError:
            raise RequestRefused(
                "invalid", "Give a time such as 2027-01-31T09:00.", field="send_at"
            ) from None


def _uploaded() -> str:
    """The chosen file; without one that of the preview before. Raises ``RequestRefused``."""
    file = request.files.get("file")
    if file is None or not file.filename:
        if kept := request.form.get("csv", ""):
            return kept
        raise RequestRefused("missing", "Choose a CSV file.", field="csv")
    with closing(file):
        content = file.stream.read(MOST_CSV + 1)
    if len(content) > MOST_CSV:
        raise RequestRefused(
            "too_large", f"The file is larger than {MOST_CSV // 1000} kB.", field="csv"
        )
    return file_text(content)


def _typed(name: str, most: int) -> str:
    return clean(request.form.get(name, "").strip()[:most])


def _required(name: str, most: int, remedy: str) -> str:
    written = clean(request.form.get(name, "").strip())
    if not written:
        raise RequestRefused("missing", remedy, field=name)
    if len(written) > most:
        raise RequestRefused("too_long", f"At most {most} characters.", field=name)
    return written


def _offset() -> int:
    return min(row_id(request.args.get("offset")) or 0, 100_000)


def _page(endpoint: str, offset: int, found: int, **kept: Any) -> str | None:
    return url_for(endpoint, offset=offset + ROWS, **kept) if found > ROWS else None
