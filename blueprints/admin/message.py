"""Page of one message: its timeline, retrying, settling an unknown send, cancelling."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request

from blueprints.admin.formats import counted
from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import row_id
from services.core.messages import Attachment, Status
from services.media.kinds import safe_inline
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.messaging.opt_out import OptOuts
from services.messaging.scheduling import Scheduling
from services.operations import timeline
from services.operations.operator_actions import OperatorActions
from services.store.database.store import Store
from services.store.jobs import JobKind


def add_routes(
    routes: Blueprint,
    pages: Pages,
    store: Store,
    settings: MessageSettings,
    media: MediaStore,
    actions: OperatorActions,
    opt_outs: OptOuts,
    scheduling: Scheduling,
) -> None:
    """Add ``/admin/messages/<id>``."""

    @routes.get("/messages/<uuid:message_id>")
    def messages_show(message_id: object) -> Response:
        known = timeline.load(store, str(message_id))
        message = known.message
        # Where a rule has decided, the number's entry does not say who got or wrote it.
        by_entry = settings.for_number(message.number) if message.rule is None else None
        return pages.render(
            "message.html",
            message=message,
            names=known.names,
            steps=timeline.steps(settings, known),
            assignment=known.assignment,
            carrier=timeline.CARRIERS.get(message.provider, message.provider),
            dead=[job for job in known.dead if not _is_in_doubt(message.status, job.kind)],
            in_doubt=message.status is Status.UNKNOWN,
            is_scheduled=message.status is Status.SCHEDULED,
            extensions=message.extension or ", ".join(by_entry.extensions if by_entry else ()),
            address=lambda file: _path(media.link(file)),
            is_picture=_is_picture,
            opted_out=store.read(
                lambda tx: opt_outs.reason(tx, message.number, message.recipients)
            ),
        )

    @routes.post("/messages/<uuid:message_id>/retry")
    def messages_retry(message_id: object) -> Response:
        job_id = row_id(request.form.get("job"))
        revived = actions.retry(str(message_id), job_id=job_id)
        if revived:
            pages.set_notice(f"{counted(len(revived), 'part')} of it will be tried again now.")
        else:
            pages.set_notice("There is nothing to try again: it was done meanwhile.")
        return redirect_to("admin.messages_show", message_id=message_id)

    @routes.post("/messages/<uuid:message_id>/cancel")
    def messages_cancel(message_id: object) -> Response:
        scheduling.cancel_as_operator(str(message_id))
        pages.set_notice("Cancelled. It is not sent.")
        return redirect_to("admin.messages_show", message_id=message_id)

    @routes.post("/messages/<uuid:message_id>/assign")
    def messages_assign(message_id: object) -> Response:
        owner = request.form.get("owner", "").strip()[:254] or None
        actions.assign(str(message_id), owner, done="done" in request.form)
        pages.set_notice("Saved.")
        return redirect_to("admin.messages_show", message_id=message_id)

    @routes.post("/messages/<uuid:message_id>/settle")
    def messages_settle(message_id: object) -> Response:
        way = request.form.get("as")
        if way == "sent":
            actions.settle_as_sent(str(message_id))
            pages.set_notice("Noted: it was sent.")
        elif way == "again":
            actions.send_again(str(message_id))
            pages.set_notice("It is sent again.")
        else:
            abort(404)
        return redirect_to("admin.messages_show", message_id=message_id)


def _is_in_doubt(status: Status, kind: JobKind) -> bool:
    """Whether the operator has to decide about a send instead of retrying it."""
    return status is Status.UNKNOWN and kind is JobKind.SEND


def _path(address: str) -> str:
    """A signed link without its host: the page may use another host name."""
    link = urlsplit(address)
    return f"{link.path}?{link.query}"


def _is_picture(file: Attachment) -> bool:
    return file.content_type.startswith("image/") and safe_inline(file.content_type)
