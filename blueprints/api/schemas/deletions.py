"""Schemas of what is deleted in apps."""

from marshmallow import fields

from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema


class DeletionQuery(RequestSchema):
    """Whether a message is deleted, or only cancelled."""

    permanently = fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": "Delete the message, also one that was sent or received"},
    )


class DeletedSchema(ResponseSchema):
    """How many messages of a conversation were deleted, and how many are still there."""

    deleted = fields.Integer()
    kept = fields.Integer(metadata={"description": "0: the conversation is gone"})
