"""Shapes of Message Settings in the REST API, generated from the declarations of the fields."""

from typing import Any

from marshmallow import fields, validate

from blueprints.api.fields import MOST_TYPED, Truth, Words, Written
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.request_schema import RequestSchema
from services.message_settings.document import RULE_SECTIONS
from services.message_settings.fields import FIELDS, Field, FieldType
from services.message_settings.rules_schema import MOST_EXTENSION_NAME


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


def _request_field(declared: Field) -> fields.Field[Any]:
    """A field of a request, by its type alone: ``MessageSettings.put`` checks the values."""
    metadata = {"description": declared.description} if declared.description else {}
    match declared.kind:
        case FieldType.PHONE:
            return fields.String(metadata={"description": "May be repeated from the address"})
        case FieldType.CARRIER:
            return fields.String(required=True, metadata=metadata)
        case FieldType.LIST:
            return fields.List(fields.String(), load_default=list, metadata=metadata)
        case FieldType.TEXT:
            return Words(load_default="", metadata=metadata)
        case FieldType.OPTIONAL:
            return fields.String(load_default=None, allow_none=True, metadata=metadata)
        case FieldType.FLAG:
            return Truth(load_default=True, metadata=metadata)


def _answer_field(declared: Field) -> fields.Field[Any]:
    """A field of an answer."""
    match declared.kind:
        case FieldType.LIST:
            return fields.List(fields.String())
        case FieldType.FLAG:
            return fields.Boolean()
        case _:
            return fields.String(allow_none=declared.kind is FieldType.OPTIONAL)


# A number's whole entry: what is left out is empty from now on.
EntrySchema = RequestSchema.from_dict(
    {declared.name: _request_field(declared) for declared in FIELDS}, name="EntrySchema"
)

# A number and who gets its messages.
EntryToldSchema = ResponseSchema.from_dict(
    {declared.name: _answer_field(declared) for declared in FIELDS}, name="EntryToldSchema"
)


class EntryListSchema(ResponseSchema):
    """The entries in force; ``problem`` says what is wrong with a newer document."""

    items = fields.List(fields.Nested(EntryToldSchema))
    problem = fields.String(allow_none=True)


class ExtensionNameSchema(RequestSchema):
    """The name of an extension; ``extension_edits`` checks it."""

    name = Words(
        required=True,
        validate=validate.Length(
            max=MOST_EXTENSION_NAME,
            error=f"A name has up to {MOST_EXTENSION_NAME} characters, in one line.",
        ),
        metadata={"description": "Up to 80 characters in one line; empty: none"},
    )


class NamedExtensionSchema(ResponseSchema):
    """An extension and its name."""

    extension = fields.String()
    name = fields.String()


class NamedExtensionListSchema(ResponseSchema):
    """The extensions that have a name."""

    items = fields.List(fields.Nested(NamedExtensionSchema))


def _parts() -> dict[str, fields.Field[Any]]:
    """A field for each part with rules; ``MessageSettings.put_sections`` checks the values."""
    options: dict[str, Any] = {
        "allow_none": True,
        "metadata": {"description": "As in docs/message_settings.schema.json"},
    }
    return {
        name: fields.List(fields.Dict(), **options)
        if name in ("inbound", "outbound")
        else fields.Dict(keys=fields.String(), values=fields.Dict(), **options)
        for name in RULE_SECTIONS
    }


# Hours, groups and rules; what is left out is empty from now on.
RulesSchema = RequestSchema.from_dict(_parts(), name="RulesSchema")

# Hours, groups and rules; null stands for none.
RulesToldSchema = ResponseSchema.from_dict(_parts(), name="RulesToldSchema")

# Rules as they were saved, and sentences about what is hardly meant so.
RulesSavedSchema = ResponseSchema.from_dict(
    {**_parts(), "warnings": fields.List(fields.String())}, name="RulesSavedSchema"
)
