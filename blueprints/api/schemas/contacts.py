"""Schemas of contacts: names of numbers."""

from marshmallow import fields, validate

from blueprints.api.fields import Words
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema


class ContactSchema(ResponseSchema):
    """What to call an address: a number in E.164, a short code or a sender's name."""

    number = fields.String()
    name = fields.String()


class ContactListSchema(ResponseSchema):
    """All contacts of the installation, in the order of their numbers."""

    items = fields.List(fields.Nested(ContactSchema))


class NameSchema(RequestSchema):
    """The name of a contact."""

    name = Words(required=True, validate=validate.Length(1, 100))
