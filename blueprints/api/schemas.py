"""The shapes of the API: what is taken, checked field by field, and what is answered."""

from typing import Any, get_args

from flask_smorest.fields import Upload
from marshmallow import (
    EXCLUDE,
    INCLUDE,
    Schema,
    ValidationError,
    fields,
    validate,
    validates_schema,
)

from blueprints.api.fields import (
    Digits,
    Recipients,
    Truth,
    Whole,
    Words,
    Written,
    clock_field,
    id_field,
    key_field,
    known_zone,
    limit_field,
    moment_field,
    token_field,
)
from services.messages import Preview
from services.taken import Taken

# What one request may hold, whatever the carrier; a carrier's own limits come on top.
MOST_TEXT = 10_000
MOST_RECIPIENTS = 50
MOST_MEDIA = 20
MOST_TYPED = 100  # characters in a search
LARGEST = 10**18 - 1
PREVIEWS = get_args(Preview)


class Open(Schema):
    """Part of an answer, to which fields may be added. Only documents, never converts."""

    class Meta:
        """Do not promise that there will be no other fields."""

        unknown = EXCLUDE


class Told(Open):
    """Part of an answer in which every field is always there."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Document the field as always there."""
        field_obj.required = True


class ProblemSchema(Open):
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


# Pairing and devices


class NewDeviceSchema(Taken):
    """The device that is being paired."""

    name = Words(required=True, validate=validate.Length(1, 100))
    platform = Words(load_default="", validate=validate.Length(max=50))
    app_version = Words(load_default="", validate=validate.Length(max=50))


class PairSchema(Taken):
    """A pairing code, as the operator gave it, and what to call the device."""

    code = fields.String(
        required=True,
        validate=validate.Length(1, 64),
        metadata={"description": "Small letters, spaces and dashes do not matter"},
    )
    device = fields.Nested(NewDeviceSchema, required=True)


class PairedSchema(Told):
    """The new device; its token is shown this once."""

    device_id = fields.String()
    token = fields.String()
    extension = fields.String()


class PushSchema(Taken):
    """Where the device is pushed to: ``type``, and what this kind of push needs beside it."""

    class Meta:
        """The rest is the channel's to judge."""

        unknown = INCLUDE

    type = fields.String(
        required=True,
        metadata={"description": "webpush, unifiedpush, ntfy, fcm … or none; see docs/push.md"},
    )


class PushToldSchema(Told):
    """How the device is pushed to; where is not told."""

    type = fields.String()


class QuietHoursSchema(Taken):
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


class QuietHoursToldSchema(Told):
    """The quiet hours as they were set."""

    start = fields.String()
    end = fields.String()
    time_zone = fields.String()


class DeviceSchema(Told):
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


class DeviceListSchema(Told):
    """The devices of the extension."""

    items = fields.List(fields.Nested(DeviceSchema))


class ChangeDeviceSchema(Taken):
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


class PushTestSchema(Told):
    """What the push service said: a word for programs, a sentence for people."""

    outcome = fields.String(
        validate=validate.OneOf(["taken", "retry", "refused", "gone", "config", "unknown"])
    )
    detail = fields.String()


# Me


class LimitsSchema(Told):
    """Of a number: what its carrier takes in one message (a longer text is sent as several)."""

    max_text = fields.Integer(metadata={"description": "In characters"})
    max_media = fields.Integer()
    max_media_bytes = fields.Integer(metadata={"description": "Of one file"})
    media_types = fields.List(
        fields.String(), metadata={"description": "Beginnings of content types, such as image/"}
    )
    max_recipients = fields.Integer()


class NumberSchema(Told):
    """A number that the extension sends from; ``default`` is the one if none is named."""

    number = fields.String()
    description = fields.String()
    carrier = fields.String()
    sms = fields.Boolean(metadata={"description": "False while its carrier is not configured"})
    mms = fields.Boolean()
    default = fields.Boolean()
    limits = fields.Nested(LimitsSchema, allow_none=True)


class MeSchema(Told):
    """Who calls and what it may do."""

    extension = fields.String()
    device = fields.Nested(DeviceSchema)
    numbers = fields.List(fields.Nested(NumberSchema))
    limits = fields.Nested(LimitsSchema, metadata={"description": "What one request may hold"})
    vapid_public_key = fields.String(
        metadata={"description": "With which a browser subscribes to Web Push, in base64url"}
    )
    sync_token = fields.String()


# Messages and conversations


class MediaSchema(Told):
    """A file of a message; ``url`` can be fetched without a token for a day or so."""

    id = fields.String()
    content_type = fields.String()
    size = fields.Integer()
    name = fields.String()
    state = fields.String(validate=validate.OneOf(["pending", "kept", "failed"]))
    reason = fields.String(
        allow_none=True, metadata={"description": "Why a file that has failed is not here"}
    )
    url = fields.String(allow_none=True)


class DeliveryErrorSchema(Told):
    """Why a message was not delivered: the carrier's code and a sentence."""

    code = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)


class MessageSchema(Told):
    """One message, either way."""

    id = fields.String()
    seq = fields.Integer(metadata={"description": "Grows with every message: pages are cut by it"})
    conversation_id = fields.String()
    direction = fields.String(validate=validate.OneOf(["in", "out"]))
    sender = fields.String(data_key="from")
    to = fields.List(fields.String())
    text = fields.String()
    media = fields.List(fields.Nested(MediaSchema))
    status = fields.String(
        validate=validate.OneOf(
            ["received", "queued", "sending", "unknown", "sent", "delivered", "failed"]
        )
    )
    error = fields.Nested(DeliveryErrorSchema, allow_none=True)
    client_id = fields.String(allow_none=True)
    sent_by = fields.String(allow_none=True, metadata={"description": "Extension that sent it"})
    segments = fields.Integer()
    created_at = moment_field()
    updated_at = moment_field()


class ConversationSchema(Told):
    """Everything between one number of ours and one peer, or one group of ``participants``."""

    id = fields.String()
    number = fields.String()
    peer = fields.String()
    participants = fields.List(fields.String())
    last_message = fields.Nested(MessageSchema, allow_none=True)
    unread_count = fields.Integer()
    read_seq = fields.Integer()
    last_seq = fields.Integer()
    updated_at = moment_field()


class ConversationListSchema(Told):
    """A page of conversations, the one with the newest message first."""

    items = fields.List(fields.Nested(ConversationSchema))
    next_cursor = fields.String(allow_none=True)


class ConversationsQuery(Taken):
    """Which conversations."""

    limit = limit_field(50)
    cursor = token_field(metadata={"description": "next_cursor of the page before"})
    unread = fields.Boolean(load_default=False, truthy={"1", "true"}, falsy={"0", "false"})
    q = Words(
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "Part of the peer's number; in a group of any member's"},
    )


class MessageListSchema(Told):
    """A page of messages; ``has_more``: there are more in the same direction."""

    items = fields.List(fields.Nested(MessageSchema))
    has_more = fields.Boolean()


class FoundSchema(MessageListSchema):
    """Messages found; ``has_more``: there may be more further back, before ``next_before``."""

    next_before = fields.Integer(
        allow_none=True,
        metadata={"description": "Everything from here on has been searched; null: everything"},
    )


class MessagesQuery(Taken):
    """Which messages: the newest first, or with ``after`` the oldest first."""

    limit = limit_field(50)
    before = Digits(validate=validate.Range(0, LARGEST))
    after = Digits(validate=validate.Range(0, LARGEST))


class SearchQuery(Taken):
    """What to look for, and where to go on."""

    q = Words(
        required=True,
        validate=validate.Length(1, MOST_TYPED),
        metadata={"description": "Words; the last one may be the beginning of one"},
    )
    limit = limit_field(50)
    before = Digits(validate=validate.Range(0, LARGEST))


class ReadSchema(Taken):
    """How far the conversation has been read."""

    up_to_seq = Whole(required=True, validate=validate.Range(0, LARGEST))


class ReadMarkSchema(Told):
    """The read mark as it stands, and how many messages are unread beyond it."""

    read_seq = fields.Integer()
    unread_count = fields.Integer()


class NewMessageSchema(Taken):
    """A message to send: into a conversation, or ``to`` somebody."""

    to = Recipients(
        fields.String(validate=validate.Length(1, 64)),
        validate=validate.Length(1, MOST_RECIPIENTS),
        metadata={
            "type": ["string", "array"],
            "minLength": 1,
            "maxLength": 64,
            "description": "A phone number, any usual way, or a list of them for a group MMS",
        },
    )
    text = Words(load_default="", validate=validate.Length(max=MOST_TEXT))
    sender = fields.String(
        data_key="from",
        validate=validate.Length(1, 64),
        metadata={"description": "One of the extension's numbers; else the one last used"},
    )
    conversation_id = id_field()
    media_ids = fields.List(id_field(), load_default=list, validate=validate.Length(max=MOST_MEDIA))
    client_id = key_field(
        metadata={"description": "The app's own id for it: a repeat sends nothing"}
    )

    @validates_schema
    def _one_address(self, data: dict[str, Any], **_: Any) -> None:
        if "conversation_id" in data and ("to" in data or "sender" in data):
            raise ValidationError(
                "A conversation has its number and its people: leave out to and from.",
                "conversation_id",
            )


class IdempotencyHeaders(Taken):
    """The header that stands for ``client_id`` where the body has none."""

    key = fields.String(
        data_key="Idempotency-Key",
        validate=Written('^"?[ -~]{1,128}"?$', error="Send 1 to 128 signs of ASCII."),
    )


# Contacts


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


# Message Settings


class SettingsQuery(Taken):
    """Which numbers."""

    q = Words(
        load_default="",
        validate=validate.Length(max=MOST_TYPED),
        metadata={"description": "Words or digits that stand anywhere in the entry"},
    )


class IfMatchHeaders(Taken):
    """The state that the caller saw: nothing is changed if it is another one now."""

    tag = fields.String(
        data_key="If-Match",
        validate=Written(r'^(\*|"[0-9a-f]{16}")$', error="Send an ETag as the API gave it."),
    )


class EntrySchema(Taken):
    """A number's whole entry: what is left out is empty from now on."""

    number = fields.String(metadata={"description": "May be repeated from the address"})
    carrier = fields.String(
        required=True, metadata={"description": "Name of the carrier, such as bandwidth"}
    )
    extensions = fields.List(fields.String(), load_default=list)
    emails = fields.List(fields.String(), load_default=list)
    sender_id = fields.String(load_default=None, allow_none=True)
    description = Words(load_default="")
    enabled = Truth(load_default=True)


class EntryToldSchema(Told):
    """A number and who gets its messages."""

    number = fields.String()
    carrier = fields.String()
    extensions = fields.List(fields.String())
    emails = fields.List(fields.String())
    sender_id = fields.String(allow_none=True)
    description = fields.String()
    enabled = fields.Boolean()


class EntryListSchema(Told):
    """The numbers; ``problem`` says why a broken document is not in force, these are."""

    items = fields.List(fields.Nested(EntryToldSchema))
    problem = fields.String(allow_none=True)


# Files


class UploadSchema(Taken):
    """A file for a message; forms often have other fields besides."""

    class Meta:
        """Leave the others alone."""

        unknown = EXCLUDE

    file = Upload(required=True, metadata={"minLength": 1})


# What happens


class ChangesQuery(Taken):
    """Where to go on."""

    since = token_field(metadata={"description": "The token of the last answer; none: from now on"})


class SyncQuery(ChangesQuery):
    """Where to go on, how long to wait, how much at once."""

    timeout = Digits(
        load_default=0,
        validate=validate.Range(0, 30),
        metadata={"description": "Seconds to wait for something to happen"},
    )
    limit = limit_field(100)


class EventsQuery(ChangesQuery):
    """Where to go on, and a ticket where no token can be sent."""

    ticket = fields.String(metadata={"description": "From POST /events/ticket"})


class EventHeaders(Taken):
    """Where a browser goes on by itself after its stream was cut."""

    last = token_field(data_key="Last-Event-ID")


class EventSchema(Open):
    """Something that happened; ``seq`` orders it among everything that happens."""

    seq = fields.Integer(required=True)
    type = fields.String(
        required=True,
        validate=validate.OneOf(["message.created", "message.updated", "conversation.read"]),
    )
    message = fields.Nested(MessageSchema)
    conversation_id = fields.String()
    read_seq = fields.Integer()
    unread_count = fields.Integer()


class SyncSchema(Told):
    """What happened since the token; with ``reset`` the app loads its lists anew."""

    events = fields.List(fields.Nested(EventSchema))
    next = fields.String(metadata={"description": "The token for the next call"})
    more = fields.Boolean(metadata={"description": "There is more already: ask again at once"})
    reset = fields.Boolean()


class TicketSchema(Told):
    """A ticket for ``GET /events?ticket=``; it is good for ``expires_in`` seconds."""

    ticket = fields.String()
    expires_in = fields.Integer()
