"""Message Settings: a number and who gets its messages."""

from marshmallow import fields, validate

from blueprints.api.fields import MOST_TYPED, Truth, Words, Written
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema


class SettingsQuery(RequestSchema):
    """Which numbers."""

    q = Words(
        load_default="",
        validate=validate.Length(max=MOST_TYPED),
        metadata={"description": "Words or digits that stand anywhere in the entry"},
    )


class IfMatchHeaders(RequestSchema):
    """The state that the caller saw: nothing is changed if it is another one now."""

    tag = fields.String(
        data_key="If-Match",
        validate=Written(r'^(\*|"[0-9a-f]{16}")$', error="Send an ETag as the API gave it."),
    )


class EntrySchema(RequestSchema):
    """A number's whole entry: what is left out is empty from now on."""

    number = fields.String(metadata={"description": "May be repeated from the address"})
    carrier = fields.String(
        required=True, metadata={"description": "Name of the carrier, such as bandwidth"}
    )
    extensions = fields.List(fields.String(), load_default=list)
    emails = fields.List(fields.String(), load_default=list)
    sender_id = fields.String(load_default=None, allow_none=True)
    description = Words(load_default="")
    enabled = Truth(load_default=True)


class EntryToldSchema(ResponseSchema):
    """A number and who gets its messages."""

    number = fields.String()
    carrier = fields.String()
    extensions = fields.List(fields.String())
    emails = fields.List(fields.String())
    sender_id = fields.String(allow_none=True)
    description = fields.String()
    enabled = fields.Boolean()


class EntryListSchema(ResponseSchema):
    """The numbers; ``problem`` says why a broken document is not in force, these are."""

    items = fields.List(fields.Nested(EntryToldSchema))
    problem = fields.String(allow_none=True)
