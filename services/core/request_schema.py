"""Base class of marshmallow schemas for JSON requests, with error messages in plain words."""

from typing import Any

from marshmallow import RAISE, Schema, fields, validate

REMEDIES: dict[type[fields.Field[Any]], dict[str, str]] = {
    fields.Field: {
        "required": "It is missing; send it.",
        "null": "It must not be null; leave it out instead.",
    },
    fields.String: {"invalid": "Send a text."},
    fields.Integer: {"invalid": "Send a whole number.", "too_large": "The number is too large."},
    fields.List: {"invalid": "Send a list."},
    fields.Nested: {"type": "Send a JSON object."},
    fields.Dict: {"invalid": "Send a JSON object."},
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
        """Give every field its error messages, also the items of a list and of an object."""
        for kind, remedies in REMEDIES.items():
            if isinstance(field_obj, kind):
                field_obj.error_messages |= remedies
        if isinstance(field_obj, fields.Boolean) and field_obj.truthy == {True}:
            field_obj.error_messages["invalid"] = "Send true or false."
        _say_limits(field_obj)
        inside = [getattr(field_obj, name, None) for name in ("inner", "key_field", "value_field")]
        for inner in inside:
            if inner is not None:
                self.on_bind_field(field_name, inner)


def _say_limits(field: fields.Field[Any]) -> None:
    """Let the limits of a field be named by its error messages, where it has none of its own."""
    items = "characters" if isinstance(field, fields.String) else "items"
    for check in field.validators:
        if isinstance(check, validate.Length) and check.error is None:
            check.error = f"Send {_span(check.min, check.max)} {items}."
        elif isinstance(check, validate.Range):
            what = "whole number" if isinstance(field, fields.Integer) else "number"
            limits = f"Send a {what} from {check.min} to {check.max}."
            if check.error in (None, limits):  # the copies of a field share their checks
                check.error = field.error_messages["invalid"] = limits


def _span(least: int | None, most: int | None) -> str:
    if most is None:
        return f"at least {least}"
    return f"{least} to {most}" if least is not None else f"at most {most}"
