"""One message: all that became of it, and what can be done about it."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request

from blueprints.admin.formats import counted
from blueprints.admin.numbers import number_in
from blueprints.admin.page import onward, render
from blueprints.admin.session import house, tell
from services.core.messages import Attachment, Status
from services.gateway import Gateway
from services.media.kinds import safe_inline
from services.operations import timeline
from services.store.jobs import JobKind


def open_pages(door: Blueprint, gateway: Gateway) -> None:
    """Open ``/admin/messages/<id>``."""

    @door.get("/messages/<uuid:message_id>")
    def messages_show(message_id: object) -> Response:
        known = timeline.story(gateway.store, str(message_id))
        message = known.message
        setting = gateway.settings.for_number(message.number)
        return render(
            "message.html",
            message=message,
            names=known.names,
            steps=timeline.steps(gateway.settings, known),
            carrier=timeline.CARRIERS.get(message.provider, message.provider),
            dead=[job for job in known.dead if not _is_in_doubt(message.status, job.kind)],
            in_doubt=message.status is Status.UNKNOWN,
            extensions=message.extension or ", ".join(setting.extensions if setting else ()),
            address=_address,
            is_picture=_is_picture,
        )

    @door.post("/messages/<uuid:message_id>/retry")
    def messages_retry(message_id: object) -> Response:
        job_id = number_in(request.form.get("job"))
        revived = gateway.operator_actions.retry(str(message_id), job_id=job_id)
        if revived:
            tell(f"{counted(len(revived), 'part')} of it will be tried again now.")
        else:
            tell("There is nothing to try again: it was done meanwhile.")
        return onward("admin.messages_show", message_id=message_id)

    @door.post("/messages/<uuid:message_id>/settle")
    def messages_settle(message_id: object) -> Response:
        way = request.form.get("as")
        if way == "sent":
            gateway.operator_actions.settle_as_sent(str(message_id))
            tell("Noted: it was sent.")
        elif way == "again":
            gateway.operator_actions.send_again(str(message_id))
            tell("It is sent again.")
        else:
            abort(404)
        return onward("admin.messages_show", message_id=message_id)


def _is_in_doubt(status: Status, kind: JobKind) -> bool:
    """Whether a send is decided about, and not just tried again."""
    return status is Status.UNKNOWN and kind is JobKind.SEND


def _address(file: Attachment) -> str:
    """The signed link to a file on this server, by whatever name it was opened."""
    link = urlsplit(house().media.link(file))
    return f"{link.path}?{link.query}"


def _is_picture(file: Attachment) -> bool:
    return file.content_type.startswith("image/") and safe_inline(file.content_type)
