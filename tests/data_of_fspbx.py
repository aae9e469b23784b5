"""Made-up data of an FS PBX, in tables as its migrations and FusionPBX's schema make them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import psycopg

MAIN, OTHER = UUID(int=1), UUID(int=2)
NUMBERS = 2000
FIRST_MESSAGE = 1_750_000_000
APIDAZE, THINQ = 100, 50  # rows: a carrier that Textbridge calls otherwise, and one it lacks
CARRIERS = ("bandwidth", "Twilio", "telnyx", "VoIP.MS")
AREAS = [*range(201, 211), *range(212, 221), 301]
SCHEMA = """
CREATE TABLE v_domains (domain_uuid uuid PRIMARY KEY, domain_name text, domain_enabled text);
CREATE TABLE v_sms_destinations (
    sms_destination_uuid uuid PRIMARY KEY, domain_uuid uuid, destination text, carrier text,
    enabled text, description text, chatplan_detail_data text, email text);
CREATE TABLE v_extensions (
    extension_uuid uuid PRIMARY KEY, domain_uuid uuid, extension text, password text,
    effective_caller_id_name text, directory_first_name text, directory_last_name text,
    enabled text);
CREATE TABLE v_ring_groups (
    ring_group_uuid uuid PRIMARY KEY, domain_uuid uuid, ring_group_name text,
    ring_group_extension text, ring_group_strategy text);
CREATE TABLE contacts (
    contact_uuid uuid PRIMARY KEY, domain_uuid uuid NOT NULL, organization_uuid uuid,
    first_name varchar(255), last_name varchar(255), title varchar(255), department varchar(255),
    notes text, created_at timestamp(0), updated_at timestamp(0));
CREATE TABLE contact_phones (
    phone_uuid uuid PRIMARY KEY, phoneable_type varchar(255), phoneable_id uuid,
    phone_number varchar(255), label varchar(255), created_at timestamp(0),
    updated_at timestamp(0));
CREATE TABLE phonebook_contacts (
    phonebook_contact_uuid uuid PRIMARY KEY, phonebook_uuid uuid, domain_uuid uuid,
    first_name varchar(255), last_name varchar(255), phone_number varchar(255), sort_order integer);
CREATE TABLE v_contacts (
    contact_uuid uuid PRIMARY KEY, domain_uuid uuid, contact_organization text,
    contact_name_given text, contact_name_family text);
CREATE TABLE v_contact_phones (
    contact_phone_uuid uuid PRIMARY KEY, domain_uuid uuid, contact_uuid uuid, phone_number text);
CREATE TABLE messages (
    message_uuid uuid PRIMARY KEY, extension_uuid uuid, domain_uuid uuid,
    source varchar(255) NOT NULL, destination varchar(255) NOT NULL, message text,
    direction varchar(255) NOT NULL, type varchar(255) NOT NULL, status varchar(255),
    created_at timestamp(0), updated_at timestamp(0), reference_id varchar(255), media text,
    read_at timestamp(0), delivery_meta jsonb);
CREATE TABLE v_sms_messages (
    sms_message_uuid uuid PRIMARY KEY, extension_uuid uuid, domain_uuid uuid,
    start_stamp timestamp(0), from_number text, to_number text, message text, direction text,
    response text, carrier text);
CREATE TABLE v_messages (
    message_uuid uuid PRIMARY KEY, domain_uuid uuid, provider_uuid uuid, user_uuid uuid,
    message_type text, message_direction text, message_date timestamptz, message_read boolean,
    message_from text, message_to text, message_text text, message_json text);
CREATE TABLE v_message_media (
    message_media_uuid uuid PRIMARY KEY, message_uuid uuid, domain_uuid uuid,
    message_media_name text, message_media_type text, message_media_url text,
    message_media_content text);
"""


def number(index: int) -> str:
    """One of 2,000 numbers that nobody has (555-01XX), in E.164."""
    return f"+1{AREAS[index // 100]}55501{index % 100:02}"


def written_oddly(index: int) -> str:
    """The number as people write it."""
    digits = number(index)[2:]
    area, middle, last = digits[:3], digits[3:6], digits[6:]
    forms = (
        *(f"+1{digits}", f"1{digits}", digits, f"001{digits}", f"({area}) {middle}-{last}"),
        *(f" {area}.{middle}.{last} ", f"+1 {area} {middle}\u2011{last}"),
    )
    return forms[index % len(forms)]


def carrier(index: int) -> str:
    if index < APIDAZE:
        return "apidaze"
    return "thinq" if index < APIDAZE + THINQ else CARRIERS[index % len(CARRIERS)]


def destinations() -> Iterator[Sequence[Any]]:
    """The rows of ``v_sms_destinations``: 2,000 numbers, then bad ones."""
    for index in range(NUMBERS):
        desk = "" if index % 3 else "desk@example.com"
        yield (UUID(int=10_000 + index), MAIN, written_oddly(index), carrier(index), "true",
               f"Line {index}", str(200 + index % 50), desk)  # fmt: skip
    for at, changes in enumerate(BAD):
        row = {"destination": "+12025550100", "carrier": "bandwidth", "enabled": "true",
               "description": None, "extension": "201", "email": None} | changes  # fmt: skip
        yield (UUID(int=90_000 + at), MAIN, row["destination"], row["carrier"], row["enabled"],
               row["description"], row["extension"], row["email"])  # fmt: skip
    yield (UUID(int=99_000), OTHER, "+13035550100", "bandwidth", "true", "Tenant 2", "201", None)


LONG = "x" * 500
BAD: tuple[dict[str, Any], ...] = (
    {"destination": "1-800-FLOWERS"},
    {"destination": "555-0143"},
    {"destination": ""},
    {"destination": None},
    {"destination": "+14155550100", "carrier": None},
    {"destination": "+14155550101", "extension": "201, 202;201"},
    {"destination": "+14155550102", "extension": "front desk!", "email": "no address"},
    {"destination": "+14155550103", "enabled": None},
    {"destination": "+14155550104", "enabled": "false"},
    {"destination": "+14155550105", "description": LONG},
    {"destination": "(415) 555-0105", "extension": "203", "email": "second@example.com"},
    {"destination": "+14155550106", "description": "\u202eevil\x1b[2J \U0001f600"},
    {"destination": "+14155550107", "extension": None, "email": None},
)


def texts() -> Iterator[dict[str, Any]]:
    """Rows of ``messages``: a talk of each of 300 numbers with three people, and odd rows."""
    at = FIRST_MESSAGE
    for index in range(150, 450):
        for turn in range(6):
            is_sent, at = turn % 2 == 1, at + 60
            ours, theirs = number(index), f"+1303555{(index + turn // 2) % 100 + 100:04}"
            yield {
                "source": ours if is_sent else theirs,
                "destination": theirs if is_sent else ours,
                "message": f"{'answer' if is_sent else 'question'} {index} {turn}",
                "direction": "out" if is_sent else "in",
                "status": ("success", "delivered", "queued")[turn // 2] if is_sent else "received",
                "reference_id": f"ref-{index}-{turn}",
                "at": at,
            }
    ours, them = number(500), "+13035550199"
    for extra in (
        {"message": "STOP", "source": "+13035550101"},
        {"message": "Stop.", "source": "+13035550102"},
        {"message": "START", "source": "+13035550102"},
        {"message": "stop", "source": "+13035550103", "destination": number(103)},  # of thinq
        {"message": "\U0001f600 na\u00efve \u202e", "source": them},
        {"message": "y" * 150_000, "source": them},
        {"message": "no time", "source": them, "at": None},
        {"message": "the far future", "source": them, "at": 9_999_999_999},
        {"message": None, "source": them},
        {"message": "from nobody", "source": ""},
        {"message": "to a name", "source": them, "destination": "HARBOUR"},
        {"message": "which way?", "source": them, "direction": "sideways"},
        {"message": "a card", "source": "Bank", "reference_id": None},
        {"message": "failed", "direction": "out", "source": ours, "destination": them,
         "status": "failed", "meta": {"outbound": {"provider": {"name": "telnyx",
                                                                "error": "Spam detected"}}}},
        {"message": "lost", "direction": "out", "source": ours, "destination": them,
         "status": "queued", "reference_id": None},
        {"message": "", "source": them, "media": [
            {"original_name": "cat.jpg", "mime_type": "image/jpeg", "bucket": "b",
             "object_key": "k", "access_path": "/messages/media/x/0/cat.jpg"}, "https://x/y.gif"]},
        {"message": "Liked “\U0001f600 na\u00efve \u202e”", "source": them},
    ):  # fmt: skip
        at += 60
        yield {"source": them, "destination": ours, "direction": "in", "status": "received",
               "reference_id": f"odd-{at}", "at": at} | extra  # fmt: skip


def fill(url: str) -> None:
    """Make the tables and rows in an empty database."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        cursor.executemany(
            "INSERT INTO v_domains VALUES (%s, %s, 'true')",
            [(MAIN, "harbour.example.com"), (OTHER, "tenant.example.com")],
        )
        cursor.executemany(
            "INSERT INTO v_sms_destinations (sms_destination_uuid, domain_uuid, destination, "
            "carrier, enabled, description, chatplan_detail_data, email) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            list(destinations()),
        )
        cursor.executemany(
            "INSERT INTO v_extensions VALUES (%s, %s, %s, 'secret', %s, %s, %s, 'true')",
            [
                (UUID(int=5000), MAIN, "201", "Ann Example", "", ""),
                (UUID(int=5001), MAIN, "202", "", "Bob", "Example"),
                (UUID(int=5002), MAIN, "203", "203", None, None),
                (UUID(int=5003), MAIN, "204", "n" * 200, None, None),
                (UUID(int=5004), OTHER, "201", "Tenant Two", None, None),
                (UUID(int=5005), MAIN, "999", "Nobody's Number", None, None),
            ],
        )
        cursor.execute(
            "INSERT INTO v_ring_groups VALUES (%s, %s, 'Sales', '600', 'simultaneous')",
            (UUID(int=6000), MAIN),
        )
        _fill_contacts(cursor)
        cursor.executemany(
            "INSERT INTO messages (message_uuid, extension_uuid, domain_uuid, source, destination, "
            "message, direction, type, status, created_at, reference_id, media, delivery_meta) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, 'sms', %s, to_timestamp(%s) AT TIME ZONE 'UTC', "
            "%s, %s, %s)",
            [
                (
                    UUID(int=20_000 + at),
                    UUID(int=5000) if row["direction"] == "out" else None,
                    MAIN,
                    *(row[name] for name in ("source", "destination", "message", "direction")),
                    *(row["status"], row["at"], row["reference_id"]),
                    json.dumps(row["media"]) if "media" in row else None,
                    json.dumps(row["meta"]) if "meta" in row else None,
                )
                for at, row in enumerate(texts())
            ],
        )
        cursor.execute(
            "INSERT INTO messages (message_uuid, domain_uuid, source, destination, message, "
            "direction, type, created_at) VALUES (%s, %s, '+13035550100', '+12035550100', "
            "'always', 'in', 'sms', '-infinity')",
            (UUID(int=80_000), MAIN),
        )
        cursor.execute(
            "INSERT INTO v_sms_messages VALUES (%s, %s, %s, '2024-01-02 03:04:05', %s, %s, "
            "'from the older app', 'outbound', '', 'bandwidth')",
            (UUID(int=81_000), UUID(int=5001), MAIN, number(200), "13035550150"),
        )
        cursor.execute(
            "INSERT INTO v_messages VALUES (%s, %s, NULL, NULL, 'mms', 'inbound', "
            "'2024-02-03 04:05:06+02', false, '3035550151', %s, 'from FusionPBX', NULL)",
            (UUID(int=82_000), MAIN, number(201)),
        )
        cursor.execute(
            "INSERT INTO v_message_media VALUES (%s, %s, %s, 'dot.gif', 'gif', '', %s)",
            (UUID(int=83_000), UUID(int=82_000), MAIN, GIF),
        )


GIF = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def _fill_contacts(cursor: Any) -> None:
    people = [
        ("Ann", "Customer", "(303) 555-0177"), ("", "", "3035550178"), (None, "Only", "3035550179"),
        ("Short", "Number", "201"), ("Letters", "", "1-800-FLOWERS"), ("Bad", "", "555-0143"),
        ("Second", "Name", "+1 303 555 0177"), ("e\u0301" * 90, "", "+13035550180"),
    ]  # fmt: skip
    for at, (first, last, phone) in enumerate(people):
        contact = UUID(int=30_000 + at)
        cursor.execute(
            "INSERT INTO contacts (contact_uuid, domain_uuid, first_name, last_name) "
            "VALUES (%s, %s, %s, %s)",
            (contact, MAIN, first, last),
        )
        cursor.execute(
            "INSERT INTO contact_phones VALUES (%s, 'App\\Models\\Contact', %s, %s, 'work')",
            (UUID(int=31_000 + at), contact, phone),
        )
    cursor.execute(
        "INSERT INTO phonebook_contacts VALUES (%s, %s, %s, 'Phone', 'Book', '13035550181', 0)",
        (UUID(int=32_000), UUID(int=1), MAIN),
    )
    cursor.execute(
        "INSERT INTO v_contacts VALUES (%s, %s, 'Harbour Hotel', NULL, NULL)",
        (UUID(int=33_000), MAIN),
    )
    cursor.execute(
        "INSERT INTO v_contact_phones VALUES (%s, %s, %s, '303-555-0182')",
        (UUID(int=34_000), MAIN, UUID(int=33_000)),
    )
