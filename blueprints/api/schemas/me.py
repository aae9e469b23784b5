"""Schemas of the calling device, its numbers and limits."""

from marshmallow import fields

from blueprints.api.schemas.devices import DeviceSchema
from blueprints.api.schemas.response_schema import ResponseSchema


class LimitsSchema(ResponseSchema):
    """Of a number: what its carrier takes in one message (a longer text is sent as several)."""

    max_text = fields.Integer(metadata={"description": "In characters"})
    max_media = fields.Integer()
    max_media_bytes = fields.Integer(metadata={"description": "Of one file"})
    media_types = fields.List(
        fields.String(), metadata={"description": "Beginnings of content types, such as image/"}
    )
    max_recipients = fields.Integer()


class NumberSchema(ResponseSchema):
    """A number that the extension sends from; ``default`` is the one if none is named."""

    number = fields.String()
    description = fields.String()
    carrier = fields.String()
    sms = fields.Boolean(metadata={"description": "False while its carrier is not configured"})
    mms = fields.Boolean()
    default = fields.Boolean()
    limits = fields.Nested(LimitsSchema, allow_none=True)
    final_error_codes = fields.List(
        fields.String(),
        metadata={
            "description": "Values of `error.code` of its messages by which the recipient's number "
            "is not in service or takes no texts: do not offer to send them again"
        },
    )


class MeSchema(ResponseSchema):
    """Who calls and what it may do."""

    extension = fields.String()
    name = fields.String(metadata={"description": "Of the extension; empty: it has none"})
    device = fields.Nested(DeviceSchema)
    numbers = fields.List(fields.Nested(NumberSchema))
    limits = fields.Nested(LimitsSchema, metadata={"description": "What one request may hold"})
    may_delete = fields.Boolean(
        metadata={"description": "Whether messages and conversations may be deleted in apps"}
    )
    country = fields.String(
        metadata={
            "description": "By which numbers without a country code are read (ISO 3166-1 alpha-2)"
        }
    )
    vapid_public_key = fields.String(
        metadata={"description": "With which a browser subscribes to Web Push, in base64url"}
    )
    sync_token = fields.String()
