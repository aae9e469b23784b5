"""Base class of marshmallow schemas for JSON requests, with error messages in plain words."""

from typing import Any

from marshmallow import RAISE, Schema, fields

REMEDIES: dict[type[fields.Field[Any]], dict[str, str]] = {
    fields.Field: {
        "required": "It is missing; send it.",
        "null": "It must not be null; leave it out instead.",
    },
    fields.String: {"invalid": "Send a text."},
    fields.Integer: {"invalid": "Send a whole number.", "too_large": "The number is too large."},
    fields.List: {"invalid": "Send a list."},
    fields.Nested: {"type": "Send a JSON object."},
    fields.Boolean: {"invalid": "Send 1 or 0."},
}


class RequestSchema(Schema):
    """Refuses unknown fields: they are most likely misspelt."""

    class Meta:
        """Refuse unknown fields."""

        unknown = RAISE

    error_messages = {  # noqa: RUF012 - marshmallow's own way
        "unknown": "There is no such field; check how it is written.",
        "type": "Send a JSON object.",
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Give every field its error messages."""
        for kind, remedies in REMEDIES.items():
            if isinstance(field_obj, kind):
                field_obj.error_messages |= remedies
