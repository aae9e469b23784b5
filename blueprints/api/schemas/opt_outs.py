"""Schemas of consent: opt-outs and blocked senders of conversations."""

from marshmallow import fields, validate

from blueprints.api.fields import MOST_TYPED, Words, moment_field
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema


class OptOutSchema(ResponseSchema):
    """Somebody who wants no more texts from this number."""

    peer = fields.String()
    since = moment_field()
    source = fields.String(
        metadata={"description": "keyword, carrier, person, operator, import or scan"}
    )


class ConsentSchema(ResponseSchema):
    """Who of a conversation has opted out, and whether the conversation is kept apart."""

    opt_outs = fields.List(fields.Nested(OptOutSchema))
    closed_reason = fields.String(
        allow_none=True,
        metadata={"description": "Why nothing can be sent here, and who may change that"},
    )
    opt_out_suggested = fields.String(
        allow_none=True,
        metadata={"description": "Who seems to want no more texts; a person must decide"},
    )
    blocked = fields.Boolean(metadata={"description": "The sender's texts are kept apart"})
    blocked_peers = fields.List(
        fields.String(), metadata={"description": "Whose texts notify nobody, also in a group"}
    )


class MemberSchema(RequestSchema):
    """Who of a conversation is meant."""

    peer = Words(
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "In a group: which member, as listed there"},
    )


class BlockSchema(MemberSchema):
    """Who is blocked, and for which numbers of ours."""

    all_numbers = fields.Boolean(load_default=False, truthy={True}, falsy={False})
