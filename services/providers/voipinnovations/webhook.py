"""VoIP Innovations' webhook: messages and receipts in the shapes that have been seen.

https://voipinnovations.atlassian.net/wiki names the settings of a number.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.core.messages import (
    Attachment,
    DeliveryStatus,
    Message,
    Parsed,
    Status,
    Unreadable,
    WebhookCall,
)
from services.core.phone_numbers import with_plus
from services.providers import parsing
from services.providers.voipinnovations.files import attached, holds_files

# The names of the same thing in the shapes that have been seen, the surest first.
KIND = ("type", "messageType")
SENDER = ("caller_id_number", "from")
NUMBER = ("destination_number", "to")
TEXT = ("text", "body", "message")
LONGEST = 1_000_000  # characters of a sender: no length may lose a text
ID = ("uuid", "message_uuid", "message_id", "msgid")  # “id” may be anything, the number's for one

INBOUND = {"incomingwebhooksms", "incomingwebhookmms", "sms", "mms"}
STATUSES = {
    "sent": Status.SENT,
    "delivered": Status.DELIVERED,
    "undelivered": Status.FAILED,
    "failed": Status.FAILED,
}
MMS = {"incomingwebhookmms", "mms"}
MISSING = "File missing: this is an MMS, and its call has no files in a form that is known."
NOT_DELIVERED = "VoIP Innovations reports that the text was not delivered, and does not say why."

_NATIONAL = re.compile(r"[2-9][0-9]{9}", re.ASCII)


def parse(call: WebhookCall) -> Iterable[Parsed]:
    """One message or one receipt.

    A message whose files cannot be read is handed over without them, and the call is kept as
    unreadable beside it: the text must not wait for the files.
    """
    try:
        fields = _fields(call)
        if "status" in fields and not any(name in fields for name in TEXT):
            return [_receipt(fields)]
        message = _message(fields)
    except ValueError as error:
        return [Unreadable(str(error), call.body)]
    unread = [file.reason for file in message.media if file.reason]
    return [message, *(Unreadable(reason, call.body) for reason in unread[:1])]


def _fields(call: WebhookCall) -> dict[str, Any]:
    """The fields of a call: of its body (JSON or form), then of its query."""
    query = {name: value for name, value in call.arguments() if name != "token"}
    if not call.body.strip():
        if not query:
            raise ValueError("The call says nothing.")
        return query
    content_type = call.headers.get("content-type", "").lower()
    # JSON under the header of a form is a common slip.
    if content_type.startswith("application/x-www-form-urlencoded") and (
        not call.body.lstrip().startswith(b"{")
    ):
        return {**query, **dict(call.form())}
    try:
        fields = call.json()
    except ValueError as error:
        raise ValueError(f"The body is not JSON: {error}") from None
    return {**query, **parsing.fields(fields, "body")}


def _message(fields: Mapping[str, Any]) -> Message:
    """An inbound message. It has no id of the carrier's, and no time, in what has been seen."""
    kind = _word(fields, KIND)
    if kind and kind.lower() not in INBOUND:
        raise ValueError(f"“{kind}” is no kind of message that is known.")
    media = attached(fields)
    if not media and kind.lower() in MMS and not holds_files(fields):
        media = (Attachment(state="failed", reason=MISSING),)
    written = next((name for name in TEXT if name in fields), None)
    peer = _sender(fields)
    number = _word(fields, NUMBER, needed=True)
    if written is None and not media:
        raise ValueError("“text” is missing.")
    return Message(
        direction="in",
        number=_with_country(number),
        peer=peer,
        text=parsing.text(fields[written], written) if written else "",
        media=media,
        provider="voipinnovations",
        provider_id=_word(fields, ID) or None,
    )


def _receipt(fields: Mapping[str, Any]) -> DeliveryStatus:
    """A delivery status. The words are not documented: an unknown one raises ``ValueError``."""
    word = parsing.word(fields, "status", needed=True)
    if word.lower() not in STATUSES:
        raise ValueError(f"The status “{word}” is not known.")
    status = STATUSES[word.lower()]
    return DeliveryStatus(
        status=status,
        event=word,
        provider_id=_word(fields, ID, needed=True),
        peer=_with_country(_word(fields, NUMBER)),
        reason=NOT_DELIVERED if status is Status.FAILED else None,
    )


def _sender(fields: Mapping[str, Any]) -> str:
    """The sender of a message. Spaces are one, too: no sender may lose a text."""
    written = [parsing.word(fields, name, most=LONGEST) for name in SENDER]
    if not any(written):
        raise ValueError(f"“{SENDER[0]}” is missing.")
    return _with_country(next((each.strip() for each in written if each.strip()), " "))


def _word(fields: Mapping[str, Any], names: Sequence[str], *, needed: bool = False) -> str:
    """The first of several names that says something."""
    for name in names:
        found = parsing.word(fields, name).strip()
        if found:
            return found
    if needed:
        raise ValueError(f"“{names[0]}” is missing.")
    return ""


def _with_country(written: str) -> str:
    """A number as the carrier writes it, in E.164; a short code and a name as they came.

    >>> _with_country("13035550177"), _with_country("3035550177"), _with_country("72404")
    ('+13035550177', '+13035550177', '72404')
    """
    if _NATIONAL.fullmatch(written):
        return f"+1{written}"
    return with_plus(written)
