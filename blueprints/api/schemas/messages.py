"""Schemas of messages and their files: sent, listed and searched."""

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import EXCLUDE, ValidationError, fields, validate, validates_schema

from blueprints.api.fields import (
    LARGEST,
    MOST_TYPED,
    Digits,
    Moment,
    Recipients,
    Words,
    Written,
    id_field,
    key_field,
    limit_field,
    moment_field,
)
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.messages import Status
from services.core.request_schema import RequestSchema

# What one request may hold, whatever the carrier; a carrier's own limits come on top.
MOST_TEXT = 10_000
MOST_RECIPIENTS = 50
MOST_MEDIA = 20


class MediaSchema(ResponseSchema):
    """A file of a message; ``url`` can be fetched without a token for a day or so."""

    id = fields.String()
    content_type = fields.String()
    size = fields.Integer()
    name = fields.String()
    state = fields.String(validate=validate.OneOf(["pending", "kept", "failed"]))
    reason = fields.String(
        allow_none=True, metadata={"description": "Why a file that has failed is not here"}
    )
    url = fields.String(allow_none=True)
    thumbnail_url = fields.String(
        allow_none=True,
        metadata={
            "description": "A JPEG of at most 600 pixels each way; null: not a picture, the file "
            "is small enough itself, or (more than 25 million pixels, or a size that is not known) "
            "it is not to be shown"
        },
    )
    width = fields.Integer(
        allow_none=True,
        metadata={"description": "Of a picture, upright, in pixels; null: not known (yet)"},
    )
    height = fields.Integer(allow_none=True)


class DeliveryErrorSchema(ResponseSchema):
    """Why a message was not delivered: the carrier's code and a sentence."""

    code = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)


class ReactionSchema(ResponseSchema):
    """A reaction to another message; the text of the message says it in words."""

    emoji = fields.String(metadata={"description": "Empty: a reaction is taken back"})
    message_id = fields.String(metadata={"description": "The message that it is a reaction to"})


def channel_field() -> fields.String:
    """The way to a peer."""
    return fields.String(
        validate=validate.OneOf(["sms", "whatsapp", "rcs"]),
        metadata={"description": "SMS and MMS are `sms`; an answer goes the same way"},
    )


class MessageSchema(ResponseSchema):
    """One message, either way."""

    id = fields.String()
    seq = fields.Integer(metadata={"description": "Grows with every message: pages are cut by it"})
    conversation_id = fields.String()
    direction = fields.String(validate=validate.OneOf(["in", "out"]))
    channel = channel_field()
    sender = fields.String(
        data_key="from",
        metadata={
            "description": "A number, a short code, `whatsapp:` or `rcs:` and a number, or any text"
        },
    )
    to = fields.List(fields.String())
    text = fields.String()
    reaction = fields.Nested(ReactionSchema, allow_none=True)
    media = fields.List(fields.Nested(MediaSchema))
    status = fields.String(
        validate=validate.OneOf(
            ["received", "queued", "sending", "unknown", "sent", "delivered", "failed"]
        ),
        metadata={"description": "For apps that do not know the newer states, see `state`"},
    )
    state = fields.String(
        validate=validate.OneOf([str(status) for status in Status]),
        metadata={
            "description": "As `status`, but `scheduled` for a text that waits for `send_at` "
            "(`queued` in `status`), and `cancelled` (`failed` in `status`)"
        },
    )
    send_at = fields.String(
        allow_none=True,
        metadata={
            "format": "date-time",
            "description": "When it is sent, or was to be sent; null: it was sent at once",
        },
    )
    waits_because = fields.String(
        allow_none=True,
        metadata={"description": "Why a scheduled text is sent later than was asked for"},
    )
    error = fields.Nested(DeliveryErrorSchema, allow_none=True)
    instead_of = fields.String(
        allow_none=True,
        metadata={
            "description": "The message that the carrier refused for its number, and that this "
            "one replaces by a second number"
        },
    )
    replaced_by = fields.String(
        allow_none=True,
        metadata={
            "description": "The message that is sent instead of this one, which was refused: do "
            "not offer to send it again"
        },
    )
    client_id = fields.String(allow_none=True)
    sent_by = fields.String(
        allow_none=True, metadata={"description": "Extension or e-mail address that sent it"}
    )
    segments = fields.Integer()
    created_at = moment_field()
    updated_at = moment_field()


class MessageListSchema(ResponseSchema):
    """A page of messages; ``has_more``: there are more in the same direction."""

    items = fields.List(fields.Nested(MessageSchema))
    has_more = fields.Boolean()


class FoundSchema(MessageListSchema):
    """Messages found; ``has_more``: there may be more further back, before ``next_before``."""

    next_before = fields.Integer(
        allow_none=True,
        metadata={"description": "Everything from here on has been searched; null: everything"},
    )


class MessagesQuery(RequestSchema):
    """Which messages: the newest first, or with ``after`` the oldest first."""

    limit = limit_field(50)
    before = Digits(validate=validate.Range(0, LARGEST))
    after = Digits(validate=validate.Range(0, LARGEST))


class SearchQuery(RequestSchema):
    """What to look for, and where to go on."""

    q = Words(
        required=True,
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "Words; the last one may be the beginning of one"},
    )
    limit = limit_field(50)
    before = Digits(validate=validate.Range(0, LARGEST))


def send_at_field() -> Moment:
    """When a text is to be sent."""
    return Moment(
        metadata={
            "type": "string",
            "format": "date-time",
            "description": "Send it at this time, with its offset from UTC, within the next year; "
            "in quiet hours of the recipient's place it waits for their end",
        }
    )


class ScheduledChangeSchema(RequestSchema):
    """What changes of a scheduled text; what is left out stays."""

    text = Words(validate=validate.Length(max=MOST_TEXT))
    send_at = send_at_field()

    @validates_schema
    def _something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("Send a text, a time, or both.", "send_at")


class ScheduledQuery(RequestSchema):
    """Which scheduled texts, by their time."""

    limit = limit_field(50)
    offset = Digits(
        load_default=0,
        validate=validate.Range(0, 100_000),
        metadata={"description": "How many to leave out: those of the pages before"},
    )


class NewMessageSchema(RequestSchema):
    """A message to send: into a conversation, or ``to`` somebody."""

    to = Recipients(
        fields.String(validate=validate.Length(1, 64)),
        validate=validate.Length(1, MOST_RECIPIENTS),
        metadata={
            "description": "A phone number, any usual way, or a list of them for a group MMS",
        },
    )
    text = Words(load_default="", validate=validate.Length(max=MOST_TEXT))
    sender = fields.String(
        data_key="from",
        validate=validate.Length(1, 64),
        metadata={"description": "One of the extension's numbers; else the one last used"},
    )
    conversation_id = id_field()
    media_ids = fields.List(id_field(), load_default=list, validate=validate.Length(max=MOST_MEDIA))
    client_id = key_field(
        metadata={"description": "The app's own id for it: a repeat sends nothing"}
    )
    send_at = send_at_field()

    @validates_schema
    def _one_address(self, data: dict[str, Any], **_: Any) -> None:
        if "conversation_id" in data and ("to" in data or "sender" in data):
            raise ValidationError(
                "A conversation has its number and its people: leave out to and from.",
                "conversation_id",
            )


class IdempotencyHeaders(RequestSchema):
    """The header that stands for ``client_id`` where the body has none."""

    key = fields.String(
        data_key="Idempotency-Key",
        validate=Written('^"?[ -~]{1,128}"?$', error="Send 1 to 128 signs of ASCII."),
    )


class UploadSchema(RequestSchema):
    """A file for a message; forms often have other fields besides."""

    class Meta:
        """Ignore other fields."""

        unknown = EXCLUDE

    file = Upload(required=True, metadata={"minLength": 1})
