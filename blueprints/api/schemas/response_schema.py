"""Base of the schemas of answers, and the schema of an error."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields


class OpenResponseSchema(Schema):
    """Part of an answer, to which fields may be added. Only documents, never converts."""

    class Meta:
        """Do not promise that there will be no other fields."""

        unknown = EXCLUDE


class ResponseSchema(OpenResponseSchema):
    """Part of an answer in which every field is always there."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Document the field as always there."""
        field_obj.required = True


class ProblemSchema(OpenResponseSchema):
    """What went wrong (RFC 9457): ``code`` is for programs, ``detail`` for people."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)
    field = fields.String(metadata={"description": "The first field that is wrong"})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Every field that is wrong, with its remedies"},
    )
