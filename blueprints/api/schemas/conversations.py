"""Schemas of conversations and read marks."""

from marshmallow import fields, validate

from blueprints.api.fields import (
    LARGEST,
    MOST_TYPED,
    Truth,
    Whole,
    Words,
    limit_field,
    moment_field,
    token_field,
)
from blueprints.api.schemas.messages import MessageSchema, channel_field
from blueprints.api.schemas.opt_outs import ConsentSchema
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema

AUTHOR = "Extension, or e-mail address that answers mails,"


class ConversationSchema(ConsentSchema):
    """Everything between one number of ours and one peer, or one group of ``participants``."""

    id = fields.String()
    number = fields.String()
    channel = channel_field()
    peer = fields.String()
    participants = fields.List(fields.String())
    last_message = fields.Nested(MessageSchema, allow_none=True)
    unread_count = fields.Integer(metadata={"description": "Counted up to 999"})
    read_seq = fields.Integer()
    last_seq = fields.Integer()
    updated_at = moment_field()
    owner = fields.String(
        allow_none=True, metadata={"description": f"{AUTHOR} that looks after it; null: nobody"}
    )
    group = fields.String(allow_none=True, metadata={"description": "Group that has it, by a rule"})
    done = fields.Boolean(metadata={"description": "A text that comes in opens it again"})
    muted = fields.Boolean(metadata={"description": "This extension's devices are not notified"})
    pinned = fields.Boolean(metadata={"description": "At the top of this extension's list"})


class ConversationListSchema(ResponseSchema):
    """A page of conversations: pinned ones, then the one with the newest message first."""

    items = fields.List(fields.Nested(ConversationSchema))
    next_cursor = fields.String(allow_none=True)


class ConversationsQuery(RequestSchema):
    """Which conversations."""

    limit = limit_field(50)
    cursor = token_field(metadata={"description": "next_cursor of the page before"})
    blocked = fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": "Those with blocked senders, and no others"},
    )
    unread = fields.Boolean(load_default=False, truthy={"1", "true"}, falsy={"0", "false"})
    number = Words(
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "Those of this number of the extension"},
    )
    q = Words(
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "Part of the peer's number; in a group of any member's"},
    )


class AssignSchema(RequestSchema):
    """What changes; what is left out stays."""

    owner = fields.String(
        allow_none=True,
        validate=validate.Length(1, 254),
        metadata={"description": f"{AUTHOR} that looks after it from now on; null: nobody"},
    )
    done = Truth(metadata={"description": "true: done; false: open again"})


class AssignedSchema(ResponseSchema):
    """Who looks after the conversation, and whether it is done."""

    owner = fields.String(allow_none=True)
    group = fields.String(allow_none=True)
    done = fields.Boolean()


class MarksSchema(ResponseSchema):
    """Whether the extension has muted and pinned the conversation."""

    muted = fields.Boolean()
    pinned = fields.Boolean()


class ReadSchema(RequestSchema):
    """How far the conversation has been read."""

    up_to_seq = Whole(required=True, validate=validate.Range(0, LARGEST))


class ReadMarkSchema(ResponseSchema):
    """The read mark as it stands, and how many messages are unread beyond it."""

    read_seq = fields.Integer()
    unread_count = fields.Integer(metadata={"description": "Counted up to 999"})
