"""Contacts: the names of addresses."""

from marshmallow import fields, validate

from blueprints.api.fields import Words
from blueprints.api.schemas.told import Told
from services.taken import Taken


class ContactSchema(Told):
    """What to call an address: a number in E.164, a short code or a sender's name."""

    number = fields.String()
    name = fields.String()


class ContactListSchema(Told):
    """All contacts of the installation, in the order of their numbers."""

    items = fields.List(fields.Nested(ContactSchema))


class NameSchema(Taken):
    """The name of a contact."""

    name = Words(required=True, validate=validate.Length(1, 100))
