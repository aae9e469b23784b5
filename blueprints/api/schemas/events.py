"""Schemas of ``sync``, of the live stream and its tickets."""

from marshmallow import fields, validate

from blueprints.api.fields import Digits, limit_field, token_field
from blueprints.api.schemas.messages import MessageSchema
from blueprints.api.schemas.response_schema import OpenResponseSchema, ResponseSchema
from services.core.request_schema import RequestSchema


class ChangesQuery(RequestSchema):
    """Where to go on."""

    since = token_field(metadata={"description": "The token of the last answer; none: from now on"})


class SyncQuery(ChangesQuery):
    """Where to go on, how long to wait, how much at once."""

    timeout = Digits(
        load_default=0,
        validate=validate.Range(0, 30),
        metadata={"description": "Seconds to wait for something to happen"},
    )
    limit = limit_field(100)


class EventsQuery(ChangesQuery):
    """Where to go on, and a ticket where no token can be sent."""

    ticket = fields.String(metadata={"description": "From POST /events/ticket"})


class EventHeaders(RequestSchema):
    """Where a browser goes on by itself after its stream was cut."""

    last = token_field(data_key="Last-Event-ID")


class EventSchema(OpenResponseSchema):
    """Something that happened; ``seq`` orders it among everything that happens."""

    seq = fields.Integer(required=True)
    type = fields.String(
        required=True,
        validate=validate.OneOf(
            [
                "message.created",
                "message.updated",
                "message.deleted",
                "conversation.read",
                "conversation.updated",
                "conversation.marked",
                "conversation.deleted",
            ]
        ),
    )
    message = fields.Nested(MessageSchema)
    conversation_id = fields.String()
    message_id = fields.String(metadata={"description": "Of a message that was deleted"})
    read_seq = fields.Integer()
    unread_count = fields.Integer(metadata={"description": "Counted up to 999"})
    owner = fields.String(allow_none=True)
    group = fields.String(allow_none=True)
    done = fields.Boolean()
    muted = fields.Boolean()
    pinned = fields.Boolean()


class SyncSchema(ResponseSchema):
    """What happened since the token; with ``reset`` the app loads its lists anew."""

    events = fields.List(fields.Nested(EventSchema))
    next = fields.String(metadata={"description": "The token for the next call"})
    more = fields.Boolean(metadata={"description": "There is more already: ask again at once"})
    reset = fields.Boolean()


class TicketSchema(ResponseSchema):
    """A ticket for ``GET /events?ticket=``; it is good for ``expires_in`` seconds."""

    ticket = fields.String()
    expires_in = fields.Integer()
