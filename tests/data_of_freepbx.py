"""Made-up data of a FreePBX with SMS Connector, in tables as its modules make them."""

import base64
from collections.abc import Iterator
from typing import Any

from tests.data_of_fspbx import GIF, NUMBERS, number

FIRST_MESSAGE = 1_760_000_000
PROVIDERS = ("bandwidth", "twilio", "telnyx", "voipms")
FLOWROUTE = 100  # numbers of a provider that Textbridge does not have
SCHEMA = (
    "CREATE TABLE smsconnector_relations (id int AUTO_INCREMENT PRIMARY KEY, didid int NOT NULL, "
    "providerid varchar(120) NOT NULL, UNIQUE KEY (didid))",
    "CREATE TABLE sms_dids (id int AUTO_INCREMENT PRIMARY KEY, did varchar(45) NOT NULL)",
    "CREATE TABLE sms_routing (id int AUTO_INCREMENT PRIMARY KEY, did varchar(45) NOT NULL, "
    "uid int NOT NULL, accepter varchar(45), adaptor varchar(45), didid int)",
    "CREATE TABLE sms_messages (id int AUTO_INCREMENT PRIMARY KEY, `from` varchar(20) NOT NULL, "
    "`to` varchar(20) NOT NULL, cnam varchar(40), direction varchar(3) NOT NULL, "
    "tx_rx_datetime datetime, body text NOT NULL, delivered tinyint(1) DEFAULT 0, "
    "`read` tinyint(1) DEFAULT 0, adaptor varchar(45), emid varchar(255), threadid varchar(50), "
    "didid int, `timestamp` int) CHARACTER SET utf8mb4",
    "CREATE TABLE sms_media (id int AUTO_INCREMENT PRIMARY KEY, mid int NOT NULL, "
    "name varchar(255) NOT NULL, raw longblob NOT NULL)",
    "CREATE TABLE userman_users (id int AUTO_INCREMENT PRIMARY KEY, auth varchar(150), "
    "username varchar(150), password varchar(255), default_extension varchar(45) DEFAULT 'none', "
    "fname varchar(100), lname varchar(100), displayname varchar(200), email text)",
    "CREATE TABLE users (extension varchar(20), password varchar(20), name varchar(50))",
    "CREATE TABLE contactmanager_groups (id int AUTO_INCREMENT PRIMARY KEY, owner int, "
    "name varchar(80), type varchar(25))",
    "CREATE TABLE contactmanager_group_entries (id int AUTO_INCREMENT PRIMARY KEY, groupid int, "
    "user int, displayname varchar(100) DEFAULT '', fname varchar(100) DEFAULT '', "
    "lname varchar(100) DEFAULT '', company varchar(100) DEFAULT '')",
    "CREATE TABLE contactmanager_entry_numbers (id int AUTO_INCREMENT PRIMARY KEY, entryid int, "
    "number varchar(100), extension varchar(100), E164 varchar(100))",
)


def dids() -> Iterator[tuple[int, str, str | None, list[int]]]:
    """(id, DID, provider, users): 2,000 numbers, then odd ones."""
    for index in range(NUMBERS):
        provider = "flowroute" if index < FLOWROUTE else PROVIDERS[index % 4]
        yield index + 1, number(index)[1:], provider, [1 + index % 2]
    yield 3001, "4155550143", "twilio", [1, 2, 1]
    yield 3002, "5550143", "twilio", [1]
    yield 3003, "FRONTDESK", "twilio", [1]
    yield 3004, "14155550110", None, [1]
    yield 3005, "14155550111", "twilio", [3]
    yield 3006, "14155550112", "twilio", [77]


def texts() -> Iterator[dict[str, Any]]:
    """Rows of ``sms_messages``."""
    for index in range(150, 350):
        for turn in range(4):
            is_sent, ours, theirs = turn % 2 == 1, number(index)[1:], f"13035550{index % 100 + 100}"
            yield {
                "from": ours if is_sent else theirs, "to": theirs if is_sent else ours,
                "direction": "out" if is_sent else "in", "body": f"FreePBX {index} {turn}",
                "delivered": int(is_sent), "emid": f"em-{index}-{turn}",
                "at": FIRST_MESSAGE + index * 600 + turn * 60,
            }  # fmt: skip
    ours, them = number(160)[1:], "13035550199"
    for extra in (
        {"body": "STOP", "from": "13035550101"},
        {"body": "d\u00e9j\u00e0 \U0001f600 :smile:"},
        {"body": "z" * 60_000},
        {"body": "no time", "at": 0, "moment": "0000-00-00 00:00:00"},
        {"body": "an old row", "at": 0, "moment": "2023-05-06 07:08:09"},
        {"body": "not sent", "from": ours, "to": them, "direction": "out"},
        {"body": "", "files": [("dot.gif", base64.b64decode(GIF)), ("empty.txt", b"")]},
        {"body": "to another", "to": "19995550100"},
    ):
        yield {"from": them, "to": ours, "direction": "in", "delivered": 0, "emid": None,
               "at": FIRST_MESSAGE + 900_000} | extra  # fmt: skip


def fill(connection: Any) -> None:
    """Make the tables and rows in an empty database."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")  # zero dates, as old systems have them
        cursor.execute("SET SESSION time_zone = '+00:00'")
        for statement in SCHEMA:
            cursor.execute(statement)
        cursor.executemany(
            "INSERT INTO userman_users (id, username, password, default_extension, fname, lname, "
            "displayname, email) VALUES (%s, %s, 'hash', %s, %s, %s, %s, %s)",
            [
                (1, "ann", "201", "Ann", "Example", "", "ann@example.com"),
                (2, "bob", "202", "", "", "Bob B. Example", ""),
                (3, "nobody", "none", "No", "Phone", "", None),
            ],
        )
        cursor.execute("INSERT INTO users VALUES ('201', '', 'Desk 201'), ('203', '', 'Hall')")
        rows = list(dids())
        cursor.executemany(
            "INSERT INTO sms_dids (id, did) VALUES (%s, %s)", [row[:2] for row in rows]
        )
        cursor.executemany(
            "INSERT INTO smsconnector_relations (didid, providerid) VALUES (%s, %s)",
            [(row[0], row[2]) for row in rows if row[2]],
        )
        cursor.executemany(
            "INSERT INTO sms_routing (did, uid, adaptor, didid) "
            "VALUES (%s, %s, 'Smsconnector', %s)",
            [(did, user, row_id) for row_id, did, _, users in rows for user in users],
        )
        for row in texts():
            moment = row.get("moment")
            cursor.execute(
                "INSERT INTO sms_messages (`from`, `to`, direction, body, delivered, emid, "
                "adaptor, tx_rx_datetime, `timestamp`) VALUES (%s, %s, %s, %s, %s, %s, "
                "'Smsconnector', " + ("%s" if moment else "from_unixtime(%s)") + ", %s)",
                (*(row[name] for name in ("from", "to", "direction", "body", "delivered", "emid")),
                 moment or row["at"], row["at"]),
            )  # fmt: skip
            mid = cursor.lastrowid
            for name, content in row.get("files", ()):
                cursor.execute(
                    "INSERT INTO sms_media (mid, name, raw) VALUES (%s, %s, %s)",
                    (mid, name, content),
                )
        cursor.execute(
            "INSERT INTO contactmanager_groups VALUES (1, -1, 'Customers', 'external'), "
            "(2, 1, 'Ann''s own', 'private'), (3, -1, 'Users', 'internal')"
        )
        cursor.execute(
            "INSERT INTO contactmanager_group_entries (id, groupid, displayname, fname, lname, "
            "company) VALUES (1, 1, '', 'Carl', 'Customer', ''), (2, 1, '', '', '', 'Harbour Co'), "
            "(3, 2, 'Secret Friend', '', '', ''), (4, 3, 'Bob', '', '', '')"
        )
        cursor.execute(
            "INSERT INTO contactmanager_entry_numbers (entryid, number, E164) VALUES "
            "(1, '(303) 555-0177', '+13035550177'), (2, '303-555-0178', NULL), "
            "(3, '3035550179', NULL), (4, '202', NULL)"
        )
