"""Schemas of pairing and of devices."""

from typing import Any, get_args

from marshmallow import INCLUDE, ValidationError, fields, validate, validates_schema

from blueprints.api.fields import Words, clock_field, known_zone, moment_field
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.messages import Preview
from services.core.request_schema import RequestSchema

PREVIEWS = get_args(Preview)


class NewDeviceSchema(RequestSchema):
    """The device that is being paired."""

    name = Words(required=True, validate=validate.Length(1, 100))
    platform = Words(load_default="", validate=validate.Length(max=50))
    app_version = Words(load_default="", validate=validate.Length(max=50))


class PairSchema(RequestSchema):
    """A pairing code, as the operator gave it, and what to call the device."""

    code = fields.String(
        required=True,
        validate=validate.Length(1, 64),
        metadata={"description": "Small letters, spaces and dashes do not matter"},
    )
    device = fields.Nested(NewDeviceSchema, required=True)


class PairedSchema(ResponseSchema):
    """The new device; its token is shown this once."""

    device_id = fields.String()
    token = fields.String()
    extension = fields.String()


class PushSchema(RequestSchema):
    """Where the device is pushed to: ``type``, and what this kind of push needs beside it."""

    class Meta:
        """The channel checks the other fields."""

        unknown = INCLUDE

    type = fields.String(
        required=True,
        metadata={"description": "webpush, unifiedpush, ntfy, fcm … or none; see docs/push.md"},
    )


class PushToldSchema(ResponseSchema):
    """The channel of the device's pushes; the address is not shown."""

    type = fields.String()


class QuietHoursSchema(RequestSchema):
    """The time of the day in which the device wants no notifications; often over midnight."""

    start = clock_field()
    end = clock_field()
    time_zone = fields.String(
        required=True,
        validate=known_zone,
        metadata={"description": "Of the IANA database, such as America/New_York"},
    )

    @validates_schema
    def _check(self, hours: dict[str, Any], **_: Any) -> None:
        if hours["start"] == hours["end"]:
            raise ValidationError("It must not be the same as the start.", "end")


class QuietHoursToldSchema(ResponseSchema):
    """The quiet hours as they were set."""

    start = fields.String()
    end = fields.String()
    time_zone = fields.String()


class DeviceSchema(ResponseSchema):
    """A paired device of the extension; ``current`` is the one that asks."""

    id = fields.String()
    name = fields.String()
    platform = fields.String()
    push = fields.Nested(PushToldSchema)
    preview = fields.String(validate=validate.OneOf(PREVIEWS))
    quiet_hours = fields.Nested(QuietHoursToldSchema, allow_none=True)
    last_success_at = fields.String(
        allow_none=True,
        metadata={"format": "date-time", "description": "When a push was last taken"},
    )
    last_error = fields.String(
        allow_none=True, metadata={"description": "Why the last push was not taken"}
    )
    created_at = moment_field()
    seen_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    current = fields.Boolean()


class DeviceListSchema(ResponseSchema):
    """The devices of the extension."""

    items = fields.List(fields.Nested(DeviceSchema))


class ChangeDeviceSchema(RequestSchema):
    """What is to be different about a device; what is left out stays as it is."""

    name = Words(validate=validate.Length(1, 100))
    push = fields.Nested(PushSchema)
    preview = fields.String(
        validate=validate.OneOf(PREVIEWS, error="Send full, sender or none."),
        metadata={"description": "How much of a message a notification shows"},
    )
    quiet_hours = fields.Nested(QuietHoursSchema, allow_none=True)

    @validates_schema
    def _check(self, asked: dict[str, Any], **_: Any) -> None:
        if not asked:
            raise ValidationError("Send at least one of name, push, preview and quiet_hours.")


class PushTestSchema(ResponseSchema):
    """What the push service said: a word for programs, a sentence for people."""

    outcome = fields.String(
        validate=validate.OneOf(["taken", "retry", "refused", "gone", "config", "unknown"])
    )
    detail = fields.String()
