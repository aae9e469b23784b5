"""People page: extensions with names, numbers, groups, devices; renamed, paired, searched."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from services.store import devices, jobs
from services.store.jobs import JobKind
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER
from tests.message_steps import receive_text

ENTRY = {"number": NUMBER, "carrier": "sandbox", "extensions": ["201", "202"]}
HOSTILE = '<b>"Ann" & \u202eCo'


@pytest.fixture
def operator(make_operator: Callable[..., Operator]) -> Operator:
    return make_operator(ENTRY)


def kept(folder: Path) -> object:
    document = json.loads((folder / "message_settings.json").read_text("utf-8"))
    return document.get("extensions")


def test_a_person_is_named_and_the_name_is_shown(operator: Operator, tmp_path: Path) -> None:
    operator.gateway.store.write(lambda tx: devices.add(tx, "201", "Ann's phone"))
    listed = plain(operator.get("/people"))
    assert "Extension 201" in listed
    assert "2 extensions" in listed
    shown = operator.post("/people/201", name=" Ann Example ")
    assert "Extension 201 is Ann Example now." in plain(shown)
    assert kept(tmp_path) == {"201": {"name": "Ann Example"}}
    assert "Ann Example (201)" in plain(operator.get("/devices"))
    assert "For extension Ann Example (201)" in plain(
        operator.post("/devices/pair", 200, kind="phone", extension="201", name="")
    )
    assert "Ann Example Extension 201" in plain(operator.get("/people?q=ann"))
    assert "Extension 202" not in plain(operator.get("/people?q=ann"))
    operator.post("/people/201", name="")
    assert kept(tmp_path) is None


def test_a_name_that_cannot_be_is_refused(operator: Operator, tmp_path: Path) -> None:
    long = plain(operator.post("/people/201", 422, name="x" * 81))
    assert "A name has up to 80 characters" in long
    generation = operator.gateway.settings.generation
    operator.post("/people/202", name="Bob")
    stale = operator.post("/people/201", 409, name="Ann", generation=generation)
    assert "Somebody else has changed" in plain(stale)
    assert kept(tmp_path) == {"202": {"name": "Bob"}}
    operator.get("/people/999", 404)
    operator.get("/people/no%20such", 404)
    operator.post("/people/201", name=HOSTILE)
    assert "<b>" not in operator.get("/people").replace("<b>2", "")
    assert HOSTILE.replace("\u202e", "\ufffd") in plain(operator.get("/people"))


def test_many_people_are_found_page_by_page(
    make_operator: Callable[..., Operator],
) -> None:
    extensions = [str(number) for number in range(1000, 3000)]
    operator = make_operator(ENTRY | {"extensions": extensions})
    first = plain(operator.get("/people"))
    assert "1–50 of 2,000" in first
    assert "Extension 1049" in first
    assert "1050" not in first
    last = plain(operator.get("/people?page=39"))
    assert "1,951–2,000 of 2,000" in last
    assert "Extension 2999" in last
    assert "No match" in plain(operator.get("/people?q=nobody+at+all"))
    for odd in ("-1", "x", "99999999", "٣"):
        operator.get(f"/people?page={odd}")


def test_groups_and_when_a_device_was_last_seen_are_shown(operator: Operator) -> None:
    groups = {"sales": {"extensions": ["201", "301"]}, "crew": {"extensions": ["201"]}}
    document = {"version": 2, "numbers": [ENTRY], "groups": groups}
    operator.gateway.settings.put_document(json.dumps(document).encode())

    def two_phones(tx: Connection) -> None:
        for day in (2, 5):
            device, _ = devices.add(tx, "201", f"Phone {day}")
            devices.seen(tx, device.id, datetime(2026, 11, day, 14, 30, tzinfo=UTC).timestamp())
        devices.add(tx, "202", "New")

    operator.gateway.store.write(two_phones)
    rows = re.findall(r"<tr>.*?</tr>", operator.get("/people"), re.DOTALL)[1:]
    first, second, third = (plain(row) for row in rows)
    assert "sales, crew 2 devices of 201 2026-11-05 14:30" in first
    assert "1 device of 202 never" in second
    assert "Extension 301 none sales Pair a device of 301" in third
    person = plain(operator.get("/people/201"))
    assert "Groups sales, crew Last seen 2026-11-05 14:30" in person
    assert "Phone 2 notifications off, last seen 2026-11-02 14:30" in person
    assert "Groups none Last seen never" in plain(operator.get("/people/202"))


def test_undelivered_notifications_are_counted(operator: Operator) -> None:
    gateway = operator.gateway
    address = {"url": "https://ntfy.sh/upAbc123"}
    gateway.store.write(lambda tx: devices.add(tx, "201", "Phone", channel="ntfy", address=address))
    receive_text(gateway)

    def give_up(tx: Connection) -> None:
        for job in jobs.lease_all(tx, JobKind.PUSH, "test"):
            jobs.give_up(tx, job, "gone")

    gateway.store.write(give_up)
    assert [one.failed_pushes for one in gateway.directory.find()] == [1, 0]
    assert "Undelivered 1 notification" in plain(operator.get("/people/201"))
