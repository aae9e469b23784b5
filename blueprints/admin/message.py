"""Page of one message: its timeline, retrying, settling an unknown send, cancelling."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request

from blueprints.admin.formats import counted
from blueprints.admin.page import Pages, redirect_to
from blueprints.admin.row_ids import row_id
from services.core.authors import with_name
from services.core.messages import Attachment, Status
from services.media.kinds import safe_inline
from services.media.media_store import MediaStore
from services.message_settings import MessageSettings
from services.messaging.opt_out import OptOuts
from services.messaging.scheduling import Scheduling
from services.operations import timeline
from services.operations.operator_actions import OperatorActions
from services.operations.verdict_table import Who
from services.operations.why import Why
from services.store.database.store import Store
from services.store.jobs import JobKind

# The tone of a verdict by who has to act.
TONES = {Who.YOU: "bad", Who.CARRIER: "warn", Who.RECIPIENT: "warn", Who.NOBODY: "quiet"}
WHO = {
    Who.YOU: "You",
    Who.CARRIER: "The carrier",
    Who.RECIPIENT: "The recipient",
    Who.NOBODY: "Nobody",
}


@dataclass(eq=False)
class MessagePage:
    """``/admin/messages/<id>``."""

    pages: Pages
    store: Store
    settings: MessageSettings
    media: MediaStore
    actions: OperatorActions
    opt_outs: OptOuts
    scheduling: Scheduling
    why: Why

    def add_to(self, routes: Blueprint) -> None:
        """Add the routes."""
        routes.get("/messages/<uuid:message_id>", endpoint="messages_show")(self.show)
        routes.post("/messages/<uuid:message_id>/retry", endpoint="messages_retry")(self.retry)
        routes.post("/messages/<uuid:message_id>/cancel", endpoint="messages_cancel")(self.cancel)
        routes.post("/messages/<uuid:message_id>/assign", endpoint="messages_assign")(self.assign)
        routes.post("/messages/<uuid:message_id>/settle", endpoint="messages_settle")(self.settle)

    def show(self, message_id: object) -> Response:
        """The message, the verdict on it, and its timeline."""
        known = timeline.load(self.store, str(message_id))
        message = known.message
        # Where a rule has decided, the number's entry does not say who got or wrote it.
        by_entry = self.settings.for_number(message.number) if message.rule is None else None
        receivers = by_entry.extensions if by_entry is not None else ()
        extensions = (message.extension,) if message.extension else receivers
        return self.pages.render(
            "message.html",
            message=message,
            names=known.names,
            answer=self.why.answer(message.id),
            tones=TONES,
            actors=WHO,
            steps=timeline.steps(self.settings, known),
            assignment=known.assignment,
            carrier=timeline.CARRIERS.get(message.provider, message.provider),
            dead=[job for job in known.dead if not _is_in_doubt(message.status, job.kind)],
            in_doubt=message.status is Status.UNKNOWN,
            is_scheduled=message.status is Status.SCHEDULED,
            extensions=", ".join(with_name(one, self.settings.names) for one in extensions),
            address=lambda file: _path(self.media.link(file)),
            is_picture=_is_picture,
            opted_out=self.store.read(
                lambda tx: self.opt_outs.reason(tx, message.number, message.recipients)
            ),
        )

    def retry(self, message_id: object) -> Response:
        """Try its failed parts again, or one of them."""
        job_id = row_id(request.form.get("job"))
        revived = self.actions.retry(str(message_id), job_id=job_id)
        if revived:
            self.pages.set_notice(f"{counted(len(revived), 'part')} of it will be tried again now.")
        else:
            self.pages.set_notice("There is nothing to try again: it was done meanwhile.")
        return redirect_to("admin.messages_show", message_id=message_id)

    def cancel(self, message_id: object) -> Response:
        """Cancel it while it is scheduled."""
        self.scheduling.cancel_as_operator(str(message_id))
        self.pages.set_notice("Cancelled. It is not sent.")
        return redirect_to("admin.messages_show", message_id=message_id)

    def assign(self, message_id: object) -> Response:
        """Change the owner of its conversation."""
        owner = request.form.get("owner", "").strip()[:254] or None
        self.actions.assign(str(message_id), owner, done="done" in request.form)
        self.pages.set_notice("Saved.")
        return redirect_to("admin.messages_show", message_id=message_id)

    def settle(self, message_id: object) -> Response:
        """Decide about a send whose outcome is unknown."""
        way = request.form.get("as")
        if way == "sent":
            self.actions.settle_as_sent(str(message_id))
            self.pages.set_notice("Noted: it was sent.")
        elif way == "again":
            self.actions.send_again(str(message_id))
            self.pages.set_notice("It is sent again.")
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
