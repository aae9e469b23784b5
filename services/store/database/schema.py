"""Database schema: all tables and indexes (SQLAlchemy Core).

Times are seconds since 1970. Ids that other systems see are UUIDv7 texts.

``seq`` and ``changed`` come from one counter, whose row each writing transaction locks. So numbers
become visible in ascending order, on PostgreSQL too: a reader that has seen everything up to a
number has missed nothing below it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.types import JSON

metadata = MetaData()

# SQLite generates row ids only for columns of its type INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")

# Queries must use exactly these texts, or SQLite does not use the partial indexes.
DUE = text("state = 'due'")
READY = text("state = 'due' AND NOT parked")
LEASED = text("state = 'leased'")
PARKED = text("state = 'due' AND parked")
LIVE = text("state IN ('due', 'leased')")
DEAD = text("state = 'dead'")
WAITING = text("replayed_at IS NULL")
UNROUTED = text("NOT routed")
SCHEDULED = text("status = 'scheduled'")
RELEASED = text("status NOT IN ('scheduled', 'cancelled')")  # see ``scheduled``
TROUBLED = text("status IN ('failed', 'unknown')")
GROUPS = text("members <> peer")
KEPT = text("state = 'kept'")
NAMED = text("client_id IS NOT NULL")
IN_BULK = text("bulk_send_id IS NOT NULL")
BULK_QUEUED = text("bulk_send_id IS NOT NULL AND status IN ('queued', 'sending')")
DELETED_IDS = text("provider_id IS NOT NULL")
DELETED_MESSAGES = text("message_id IS NOT NULL")
NOT_LIFTED = text("lifted_at IS NULL")

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("participants", JSON, nullable=False),
    Column("members", Text, nullable=False),  # the peers, see ``conversations.members_key``
    Column("last_seq", BigInteger, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("number", "members"),
    Index("conversations_by_number", "number", "last_seq"),
    Index("conversations_by_peer", "peer"),
    Index("conversations_of_groups", "id", sqlite_where=GROUPS, postgresql_where=GROUPS),
)

# One text to a set of recipients, each by themselves, see ``bulk_sends``.
bulk_sends = Table(
    "bulk_sends",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("text", Text, nullable=False),  # with its fields, such as {name}
    Column("made_by", Text, nullable=False),
    Column("recipients", Integer, nullable=False),  # also when their messages are deleted
    Column("send_at", Float, nullable=False),  # as asked for
    Column("created_at", Float, nullable=False),
    Column("cancelled_at", Float),
    Column("client_id", Text),
    Column("fingerprint", Text, nullable=False),
    Index(
        "bulk_sends_by_client_id",
        "extension",
        "client_id",
        unique=True,
        sqlite_where=NAMED,
        postgresql_where=NAMED,
    ),
)

# Recipients of a bulk send to whom nothing was to be sent, and why.
bulk_left_out = Table(
    "bulk_left_out",
    metadata,
    Column("bulk_send_id", Text, ForeignKey("bulk_sends.id"), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("number", Text, nullable=False),  # as it was written, or in E.164
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Index("bulk_left_out_by_number", "number"),
)

messages = Table(
    "messages",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("changed", BigInteger, nullable=False),
    Column("conversation_id", Text, ForeignKey("conversations.id"), nullable=False),
    Column("direction", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("participants", JSON, nullable=False),
    Column("provider", Text, nullable=False),
    Column("provider_id", Text),
    Column("text", Text, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("error_code", Text),
    Column("error_reason", Text),
    Column("extension", Text),
    Column("client_id", Text),
    Column(
        "fingerprint", Text
    ),  # of the API request: tells a repetition from a reused ``client_id``
    Column("routed", Boolean, nullable=False),
    Column("carrier_time", Float),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("repeat_key", Text),  # of an inbound message, see ``messages.repeat_key``
    Column("reaction", Text),  # an emoji, if the text is a reaction to another message …
    Column("reaction_to", Text),  # … with this id
    Column("automatic", Text),  # which answer, if Textbridge wrote it by itself: ``AutomaticText``
    Column("rule", Text),  # names of the rules that decided who gets it, or that wrote it
    Column("send_at", Float),  # when a scheduled text is to be sent
    Column("waits_because", Text),  # why that is later than asked for
    Column("instead_of", Text),  # id of the message that was refused and that this one replaces
    Column("bulk_send_id", Text),
    Column("replaced_by", Text),  # id of the message that replaces this one, which was refused
    # Outbound messages have no key: no id that a carrier gives twice may stop a status.
    Index("messages_once", "provider", "provider_id", "number", "repeat_key", unique=True),
    Index(
        "messages_by_client_id",
        "extension",
        "client_id",
        unique=True,
        sqlite_where=NAMED,
        postgresql_where=NAMED,
    ),
    Index("messages_by_conversation", "conversation_id", "seq"),
    Index("messages_by_change", "number", "changed"),
    Index("messages_by_number", "number", "seq"),
    Index(
        "messages_troubled",
        "status",
        "seq",
        sqlite_where=TROUBLED,
        postgresql_where=TROUBLED,
    ),
    Index("messages_scheduled", "send_at", sqlite_where=SCHEDULED, postgresql_where=SCHEDULED),
    Index(
        "messages_by_bulk_send",
        "bulk_send_id",
        "id",
        sqlite_where=IN_BULK,
        postgresql_where=IN_BULK,
    ),
    Index(
        "messages_bulk_queued",
        "provider",
        sqlite_where=BULK_QUEUED,
        postgresql_where=BULK_QUEUED,
    ),
    Index(
        "messages_unrouted",
        "number",
        "seq",
        sqlite_where=UNROUTED,
        postgresql_where=UNROUTED,
    ),
)

# PostgreSQL only. SQLite has an FTS5 virtual table of this name, with ``rowid`` for ``seq``.
search_index = Table(
    "search_index",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Text, nullable=False),
    Column("words", TSVECTOR, nullable=False),
    Index("search_index_by_number", "number", "seq"),
    Index("search_index_by_word", "words", postgresql_using="gin"),
)

attachments = Table(
    "attachments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("message_id", Text, ForeignKey("messages.id"), index=True),
    Column("extension", Text),  # the one that uploaded it, before a message has it
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("source_url", Text),
    Column("created_at", Float, nullable=False),
    Column("width", Integer),  # of a picture, in pixels
    Column("height", Integer),
    Column("thumbnail", Text),  # kept, none, or NULL: nobody has asked for it yet
    Index("attachments_kept", "created_at", sqlite_where=KEPT, postgresql_where=KEPT),
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("provider_id", Text, nullable=False),
    Column("message_id", Text, index=True),  # NULL: the message is not known (yet)
    Column("peer", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("code", Text),
    Column("reason", Text),
    Column("at", Float, nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("provider", "provider_id", "peer", "event"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("message_id", Text, ForeignKey("messages.id"), nullable=False),
    Column("target", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("due", Float, nullable=False),
    Column("hold_until", Float, nullable=False),
    # It waits for an earlier job of its lane, and nothing looks at it until then.
    Column("parked", Boolean, nullable=False, server_default=false()),
    Column("owner", Text),
    Column("attempts", Integer, nullable=False),
    Column("lapses", Integer, nullable=False),
    Column(
        "started", Boolean, nullable=False
    ),  # the send may have happened: it must not be repeated
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    UniqueConstraint("message_id", "kind", "target", "about"),
    Index("jobs_due", "destination", "due", "id", sqlite_where=READY, postgresql_where=READY),
    Index(
        "jobs_parked",
        "lane",
        "id",
        "destination",
        "due",
        sqlite_where=PARKED,
        postgresql_where=PARKED,
    ),
    Index("jobs_lane", "lane", "id", sqlite_where=LIVE, postgresql_where=LIVE),
    Index("jobs_leased", "owner", sqlite_where=LEASED, postgresql_where=LEASED),
    Index("jobs_dead", "id", sqlite_where=DEAD, postgresql_where=DEAD),
    sqlite_autoincrement=True,
)

# Failed attempts at a job; deleted with the job.
attempts = Table(
    "attempts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("job_id", RowId, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("reason", Text, nullable=False),
    Index("attempts_by_job", "job_id", "id"),
    sqlite_autoincrement=True,
)

# Pauses of carriers, push channels and the mail server, see ``circuit_breakers``.
destinations = Table(
    "destinations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused_until", Float, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("config", Boolean, nullable=False),  # until the operator corrects the configuration
)

# See ``rate_limits``.
paces = Table(
    "paces",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due", Float, nullable=False),
)

# See ``quotas``.
allowances = Table(
    "allowances",
    metadata,
    Column("name", Text, primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("until", Float, nullable=False),  # the end of the period
    Index("allowances_by_end", "until"),
)

message_settings = Table(
    "message_settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # the table has one row
    Column("version", BigInteger, nullable=False),
    Column("document", Text),
)

# See ``carrier_events``.
sightings = Table(
    "sightings",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("words", Text, nullable=False),
)

# Number of messages for each hour (hours since 1970); kept longer than the messages.
activity = Table(
    "activity",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("provider", Text, primary_key=True),
    Column("direction", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# How each outbound message that may still change was counted in ``activity``.
activity_open = Table(
    "activity_open",
    metadata,
    Column("seq", RowId, primary_key=True, autoincrement=False),
    Column("hour", Integer, nullable=False),
    Column("status", Text, nullable=False),
)

activity_pushes = Table(
    "activity_pushes",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column(
        "within", Integer, primary_key=True, autoincrement=False
    ),  # milliseconds, see ``push_times``; 0: later
    Column("count", BigInteger, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("extension", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", JSON, nullable=False),
    Column(
        "address_hash", Text, index=True
    ),  # of channel and address: finds other devices with the same one
    Column("preview", Text, nullable=False, server_default="full"),
    Column("quiet_hours", JSON(none_as_null=True)),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float),
    Column("revoked_at", Float),
    Column("last_success_at", Float),
    Column("last_error", Text),
)

pairings = Table(
    "pairings",
    metadata,
    Column("code_hash", Text, primary_key=True),
    Column("extension", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),  # changing the password ends the sign-in
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("notice", Text),
)

reads = Table(
    "reads",
    metadata,
    Column("extension", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Index("reads_by_change", "extension", "changed"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("number", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)

# Conversations as another app names them, see ``external_threads``; one may be several of ours.
threads = Table(
    "threads",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("thread", Text, primary_key=True),
    Column("extension", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id"), primary_key=True),
    Column("seq", BigInteger, nullable=False),  # the newest message that the app has shown
)

# Authentic webhook calls that are acknowledged and not processed yet, see ``inbox``.
inbox = Table(
    "inbox",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("query", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("received_at", Float, nullable=False),
    sqlite_autoincrement=True,
)

# What only one worker at a time may do, see ``leases``.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until", Float, nullable=False),
)

# Who wants no more texts from a number of ours (``*``: from any), with the proof; see ``opt_outs``.
# A row outlives the message by which somebody opted out.
opt_outs = Table(
    "opt_outs",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("number", Text, nullable=False),
    Column("peer", Text, nullable=False),  # of a forgotten person an HMAC: ``hmac:…``
    Column("at", Float, nullable=False),
    Column("source", Text, nullable=False),
    Column("detail", Text, nullable=False),  # the keyword, the carrier's code, who did it and why
    Column("provider", Text, nullable=False),
    Column("message_id", Text),
    Column("lifted_at", Float),
    Column("lifted_by", Text),
    Column("lift_reason", Text),
    Index(
        "opt_outs_open",
        "peer",
        "number",
        unique=True,
        sqlite_where=NOT_LIFTED,
        postgresql_where=NOT_LIFTED,
    ),
    Index("opt_outs_by_peer", "peer", "id"),
    sqlite_autoincrement=True,
)

# Conversations in which somebody seems to want no more texts, until a person has decided.
opt_out_flags = Table(
    "opt_out_flags",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# Senders whose texts to a number of ours (``*``: to any) are kept apart, see ``blocked_senders``.
blocked_senders = Table(
    "blocked_senders",
    metadata,
    Column("peer", Text, primary_key=True),
    Column("number", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("blocked_by", Text, nullable=False),
)

# Keys that must stay the same for as long as the data that was made with them.
secret_keys = Table(
    "secret_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# See ``automatic_answers``.
automatic_answers = Table(
    "automatic_answers",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("peer", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("at", Float, nullable=False),
    Index("automatic_answers_by_peer", "peer", "at"),
    Index("automatic_answers_by_time", "at"),
    sqlite_autoincrement=True,
)

# Who owns a conversation of a group, and since when a conversation is done, see ``assignments``.
assignments = Table(
    "assignments",
    metadata,
    Column("conversation_id", Text, ForeignKey("conversations.id"), primary_key=True),
    Column("group_name", Text),
    Column("owner", Text),  # an extension
    Column("owned_at", Float),
    Column("done_at", Float),
    Column("changed", BigInteger, nullable=False),
    Index("assignments_by_owner", "owner"),
)

# Conversations that an extension has muted or pinned, see ``conversation_marks``.
conversation_marks = Table(
    "conversation_marks",
    metadata,
    Column("extension", Text, primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id"), primary_key=True),
    Column("muted", Boolean, nullable=False),
    Column("pinned_at", Float),
    Column("changed", BigInteger, nullable=False),
    Index("conversation_marks_by_change", "extension", "changed"),
    Index("conversation_marks_by_conversation", "conversation_id"),
)

# Messages and conversations that were deleted in an app, see ``deletions``. No text and no peer is
# here. A row without ``message_id`` is that of a whole conversation.
deletions = Table(
    "deletions",
    metadata,
    Column("changed", BigInteger, primary_key=True, autoincrement=False),
    Column("request", Text, nullable=False),  # the same for all that was deleted at once
    Column("at", Float, nullable=False),
    Column("deleted_by", Text, nullable=False),  # an extension
    Column("device_id", Text, nullable=False),
    Column("number", Text, nullable=False),  # ours
    Column("conversation_id", Text, nullable=False),
    Column("message_id", Text),
    # By these a message is known that a carrier, or an app, offers again.
    Column("provider", Text),
    Column("provider_id", Text),
    Column("repeat_key", Text),
    Column("extension", Text),  # the one that had sent it
    Column("client_id", Text),
    Index("deletions_by_number", "number", "changed"),
    Index(
        "deletions_by_carrier_id",
        "provider_id",
        sqlite_where=DELETED_IDS,
        postgresql_where=DELETED_IDS,
    ),
    Index(
        "deletions_by_message",
        "message_id",
        sqlite_where=DELETED_MESSAGES,
        postgresql_where=DELETED_MESSAGES,
    ),
    Index(
        "deletions_by_client_id",
        "extension",
        "client_id",
        sqlite_where=NAMED,
        postgresql_where=NAMED,
    ),
)

# The extension that got the last conversation of a group in turn.
group_turns = Table(
    "group_turns",
    metadata,
    Column("group_name", Text, primary_key=True),
    Column("extension", Text, nullable=False),
)

# Messages with which an extension of a group got its turn, see ``assignments``.
message_turns = Table(
    "message_turns",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("group_name", Text, primary_key=True),
    Column("extension", Text, primary_key=True),
    Column("at", Float, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("query", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("replayed_at", Float),
    Index("quarantine_waiting", "id", sqlite_where=WAITING, postgresql_where=WAITING),
    sqlite_autoincrement=True,
)

# Audit counters (see ``audit_counters``). Each process has a row; the sums of all rows count.
ledger = Table(
    "ledger",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("calls_received", BigInteger, nullable=False, server_default="0"),
    Column("calls_processed", BigInteger, nullable=False, server_default="0"),
    Column("entered", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("repeated", BigInteger, nullable=False),
    Column("statuses", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("replied", BigInteger, nullable=False),
    Column("jobs_made", BigInteger, nullable=False),
    Column("jobs_done", BigInteger, nullable=False),
    Column("messages_removed", BigInteger, nullable=False),
    Column("quarantine_removed", BigInteger, nullable=False),
    Column("done_removed", BigInteger, nullable=False),
    Column("undone_removed", BigInteger, nullable=False),
)

# Invariants that do not hold, see ``maintenance.invariant_violations``.
breaches = Table(
    "breaches",
    metadata,
    Column("law", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
)
