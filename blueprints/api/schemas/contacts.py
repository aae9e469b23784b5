"""Schemas of contacts: names of numbers."""

from typing import get_args

from marshmallow import fields, validate

from blueprints.api.fields import MOST_ITEMS, PersonName, Words
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema
from services.operations.contact_book import LineOutcome
from services.operations.contact_files import MOST_NAME, MOST_NOTE


class ContactSchema(ResponseSchema):
    """What to call an address: a number in E.164, a short code or a sender's name."""

    number = fields.String()
    name = fields.String()
    note = fields.String()


class ContactListSchema(ResponseSchema):
    """All contacts of the installation, in the order of their numbers."""

    items = fields.List(fields.Nested(ContactSchema))


class NameSchema(RequestSchema):
    """Name and note of a contact; a note that is left out stays."""

    name = PersonName(
        required=True,
        validate=validate.Length(
            1, MOST_NAME, error=f"A name has 1 to {MOST_NAME} characters that can be seen."
        ),
    )
    note = Words(validate=validate.Length(max=MOST_NOTE))


class ExportQuery(RequestSchema):
    """In which form."""

    format = fields.String(
        load_default="vcard",
        validate=validate.OneOf(["vcard", "csv"], error="Send vcard or csv."),
        metadata={"description": "`vcard`: version 3.0, as phones read it"},
    )


class ImportQuery(RequestSchema):
    """Whether to change anything, and what becomes of contacts that are there."""

    dry_run = fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": "Only tell what would change"},
    )
    replace = fields.Boolean(
        load_default=False,
        truthy={"1", "true"},
        falsy={"0", "false"},
        metadata={"description": "Contacts that are there get name and note of the file"},
    )


class ContactLineSchema(ResponseSchema):
    """A number of the file that is not as it was."""

    line = fields.Integer(metadata={"description": "On which its row or card begins, from 1"})
    number = fields.String(metadata={"description": "As it is kept, or as it is written"})
    name = fields.String()
    outcome = fields.String(validate=validate.OneOf(get_args(LineOutcome)))
    reason = fields.String(metadata={"description": "Why it is skipped or refused"})


class ImportedSchema(ResponseSchema):
    """What has changed, or with `dry_run` would change."""

    added = fields.Integer()
    changed = fields.Integer()
    unchanged = fields.Integer()
    skipped = fields.Integer(metadata={"description": "Repeated, without a number, or kept"})
    refused = fields.Integer()
    lines = fields.List(
        fields.Nested(ContactLineSchema),
        metadata={"description": f"The first {MOST_ITEMS}, those with a reason before others"},
    )
