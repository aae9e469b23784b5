"""Schemas of bulk sends: made, previewed, listed with their results."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from blueprints.api.fields import Digits, Truth, Words, key_field, limit_field, moment_field
from blueprints.api.schemas.messages import DeliveryErrorSchema, send_at_field
from blueprints.api.schemas.response_schema import ResponseSchema
from services.core.messages import Status
from services.core.request_schema import RequestSchema
from services.messaging.bulk_recipients import MOST_CSV, MOST_NAME, MOST_RECIPIENTS, MOST_TEXT

MOST_FIELD = 500
STATES = [str(status) for status in Status if status is not Status.RECEIVED]


class BulkRecipientSchema(RequestSchema):
    """One recipient, with the values of the fields of the text."""

    to = fields.String(required=True, validate=validate.Length(1, 64))
    fields_ = fields.Dict(
        keys=Words(validate=validate.Length(1, MOST_NAME)),
        values=Words(validate=validate.Length(max=MOST_FIELD)),
        data_key="fields",
        load_default=dict,
        metadata={"description": "Such as `name` for `{name}` in the text"},
    )


class NewBulkSendSchema(RequestSchema):
    """One text to a set of recipients, each by themselves."""

    name = Words(
        required=True,
        validate=validate.Length(1, MOST_NAME),
        metadata={"description": "By which it is found again; recipients do not see it"},
    )
    text = Words(
        required=True,
        validate=validate.Length(1, MOST_TEXT),
        metadata={"description": "It may have fields, such as `{name}`"},
    )
    sender = fields.String(
        data_key="from",
        validate=validate.Length(1, 64),
        metadata={"description": "One of the extension's numbers; else its first"},
    )
    recipients = fields.List(
        fields.Nested(BulkRecipientSchema), validate=validate.Length(1, MOST_RECIPIENTS)
    )
    csv = Words(
        validate=validate.Length(1, MOST_CSV),
        metadata={
            "description": "In place of `recipients` the content of a CSV file. Its first line "
            "names the columns: `number`, and one for each field of the text"
        },
    )
    send_at = send_at_field()
    skip_invalid = Truth(
        load_default=False,
        metadata={"description": "Leave out lines that cannot be sent to, instead of refusing all"},
    )
    preview = Truth(
        load_default=False,
        metadata={"description": "Only answer what would be sent and who would be left out"},
    )
    client_id = key_field(
        metadata={"description": "The app's own id for it: a repeat sends nothing"}
    )

    @validates_schema
    def _one_list(self, data: dict[str, Any], **_: Any) -> None:
        if ("recipients" in data) == ("csv" in data):
            raise ValidationError("Send either recipients or csv.", "recipients")


class LeftOutSchema(ResponseSchema):
    """A recipient to whom nothing is sent; ``line`` is that of the file, or the place in the list.

    Codes are those of refused messages, and ``duplicate``, ``field_empty``, ``short_code`` and
    ``blocked``.
    """

    line = fields.Integer()
    number = fields.String(metadata={"description": "As it was written, or in E.164"})
    code = fields.String()
    reason = fields.String()


class BulkPreviewSchema(ResponseSchema):
    """What a bulk send would send."""

    sender = fields.String(data_key="from")
    recipients = fields.Integer()
    messages = fields.Integer(
        metadata={"description": "As the carrier takes them: a long text becomes several"}
    )
    segments = fields.Integer(metadata={"description": "Of all texts together"})
    in_quiet_hours = fields.Integer(
        metadata={"description": "How many wait for the end of the recipient's quiet hours"}
    )
    example = fields.String(
        allow_none=True, metadata={"description": "The text to the first recipient"}
    )
    left_out = fields.List(fields.Nested(LeftOutSchema))


class BulkSendSchema(ResponseSchema):
    """One bulk send; ``counts``: how many texts are in which state."""

    id = fields.String()
    name = fields.String()
    extension = fields.String()
    sender = fields.String(data_key="from")
    text = fields.String()
    send_at = moment_field()
    created_at = moment_field()
    cancelled_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    recipients = fields.Integer()
    counts = fields.Dict(
        keys=fields.String(validate=validate.OneOf(STATES)),
        values=fields.Integer(),
        metadata={"description": "Without texts that are no longer kept"},
    )


class BulkSendListSchema(ResponseSchema):
    """A page of bulk sends, the newest first; ``has_more``: there are older ones."""

    items = fields.List(fields.Nested(BulkSendSchema))
    has_more = fields.Boolean()


class BulkTextSchema(ResponseSchema):
    """The text to one recipient."""

    message_id = fields.String()
    number = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    send_at = fields.String(allow_none=True, metadata={"format": "date-time"})
    waits_because = fields.String(allow_none=True)
    error = fields.Nested(DeliveryErrorSchema, allow_none=True)
    updated_at = moment_field()


class BulkResultsSchema(BulkSendSchema):
    """A bulk send with a page of its texts, in the order of the list, and all who are left out."""

    items = fields.List(fields.Nested(BulkTextSchema))
    has_more = fields.Boolean()
    left_out = fields.List(fields.Nested(LeftOutSchema))


class BulkSendsQuery(RequestSchema):
    """Which bulk sends."""

    limit = limit_field(50)
    offset = Digits(
        load_default=0,
        validate=validate.Range(0, 100_000),
        metadata={"description": "How many to leave out: those of the pages before"},
    )


class BulkTextsQuery(BulkSendsQuery):
    """Which texts of a bulk send."""

    state = fields.String(
        validate=validate.OneOf(STATES, error=f"Send one of: {', '.join(STATES)}.")
    )
