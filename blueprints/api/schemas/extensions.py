"""Schemas of the extensions that an app names."""

from marshmallow import fields

from blueprints.api.schemas.response_schema import ResponseSchema


class ExtensionSchema(ResponseSchema):
    """An extension, the name of its person, and the caller's numbers that it has as well."""

    extension = fields.String()
    name = fields.String(metadata={"description": "Empty: it has none"})
    numbers = fields.List(
        fields.String(),
        metadata={"description": "Its conversations of these can be handed over to it"},
    )


class ExtensionListSchema(ResponseSchema):
    """The extensions, sorted."""

    items = fields.List(fields.Nested(ExtensionSchema))
