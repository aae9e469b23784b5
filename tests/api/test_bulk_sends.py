"""Bulk sends by the API: made, previewed, refused, listed, cancelled, kept apart."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.operations.retention import Ages
from services.store import blocked_senders, bulk_sends
from services.store.database import clock
from services.store.database.schema import paces
from tests.api.conftest import MINE, SHARED, Phone, Service
from tests.conftest import PEER
from tests.message_steps import run_due_jobs, stored_messages

ANN, BOB, BRITON = "+13035550188", "+13035550199", "+442071838750"
ON = {"BULK_SENDING": "true"}
CSV = f"Number,Name\n{PEER},Eve\n(303) 555-0188,Ann\n"


@pytest.fixture
def service_with_bulk(make_service: Callable[..., Service], database: str) -> Service:
    return make_service(DATABASE_URL=database, **ON)


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    return make_service(**ON)


def make(phone: Phone, status: int = 202, **asked: Any) -> dict[str, Any]:
    """The answer to a bulk send, to two people if nothing else is asked for."""
    usual: dict[str, Any] = {"name": "Closed", "text": "Closed on Friday, {name}. STOP ends this."}
    if "recipients" not in asked:
        usual["csv"] = CSV
    answer = phone.post("/bulk-sends", usual | asked)
    assert answer.status_code == status, answer.text
    return dict(answer.json or {})


def release(service: Service) -> None:
    """Send all that is due, as if enough time had passed for each."""
    store = service.gateway.store
    while store.read(lambda tx: bulk_sends.has_due(tx, clock.now(tx))):
        store.write(lambda tx: tx.execute(paces.delete()))
        service.gateway.bulk_release.release_due()
        run_due_jobs(service.gateway)


def test_each_recipient_gets_a_text_of_their_own(service_with_bulk: Service) -> None:
    service = service_with_bulk
    phone = service.pair("201")
    made = make(phone, client_id="one")
    assert (made["name"], made["from"], made["extension"]) == ("Closed", MINE, "201")
    assert (made["recipients"], made["counts"]) == (2, {"scheduled": 2})
    release(service)
    results = phone.read(f"/bulk-sends/{made['id']}")
    assert results["counts"] == {"sent": 2}
    assert [one["number"] for one in results["items"]] == [PEER, ANN]
    texts = [phone.read(f"/messages/{one['message_id']}") for one in results["items"]]
    assert [one["text"][:24] for one in texts] == [
        "Closed on Friday, Eve. S",
        "Closed on Friday, Ann. S",
    ]
    assert [one["to"] for one in texts] == [[PEER], [ANN]]
    assert phone.read("/bulk-sends")["items"][0]["id"] == made["id"]
    assert [one.reason for one in service.gateway.audit.check(thorough=True)] == []


def test_a_preview_says_who_is_left_out_and_sends_nothing(service_with_bulk: Service) -> None:
    service = service_with_bulk
    phone = service.pair("201")
    service.receive(MINE, "STOP")
    service.gateway.store.write(lambda tx: blocked_senders.add(tx, ANN, MINE, "201"))
    lines = [f"{PEER},Eve", f"{ANN},Ann", "12,Al", f"{BRITON},Liz", f"{BOB},Bob", "3035550199,B"]
    csv = "\n".join(["number,name", *lines, "+13035550111,", "55501,Sue", "1-911,Police"])
    before = len(stored_messages(service.gateway))
    told = make(phone, 200, csv=csv, preview=True)
    assert (told["recipients"], told["messages"], told["segments"]) == (1, 1, 1)
    assert told["example"] == "Closed on Friday, Bob. STOP ends this."
    assert [(one["line"], one["code"]) for one in told["left_out"]] == [
        (2, "opted_out"),
        (3, "blocked"),
        (4, "invalid_number"),
        (5, "country_not_allowed"),
        (7, "duplicate"),
        (8, "field_empty"),
        (9, "short_code"),
        (10, "emergency_number"),
    ]
    assert len(stored_messages(service.gateway)) == before
    refused = make(phone, 422, csv=csv)
    assert refused["code"] == "invalid_recipients"
    assert list(refused["errors"]) == ["line 4", "line 8", "line 9", "line 10"]
    assert "“55501”: This is a short code or a part of a number." in str(refused["errors"])
    assert len(stored_messages(service.gateway)) == before
    made = make(phone, csv=csv, skip_invalid=True)
    assert made["recipients"] == 1
    results = phone.read(f"/bulk-sends/{made['id']}")
    assert results["left_out"] == told["left_out"]


def test_a_number_that_no_database_can_store_is_left_out(service_with_bulk: Service) -> None:
    phone = service_with_bulk.pair("201")
    listed = [{"to": PEER}, {"to": "a\x00\ud83d"}, {"to": "12" * 32}]
    made = make(phone, recipients=listed, text="hi", skip_invalid=True)
    left_out = phone.read(f"/bulk-sends/{made['id']}")["left_out"]
    shown = [(one["line"], one["number"][:3]) for one in left_out]
    assert shown == [(2, "a\ufffd\ufffd"), (3, "121")]


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"text": "Hello {first}"}, "unknown_field", "{first}"),
        ({"text": "Hello {}"}, "unknown_field", "{}"),
        ({"csv": "name\nEve\n"}, "csv_unreadable", "No column is “number”"),
        ({"csv": "number,name,Name\n"}, "csv_unreadable", "Two columns"),
        ({"csv": f"number,name\n{PEER},Eve,x\n"}, "csv_unreadable", "line 2"),
        ({"csv": f'number,name\n{PEER},"Eve\n'}, "csv_unreadable", "line 2"),
        ({"csv": "number,name\n"}, "no_recipients", "at least one"),
        (
            {"csv": "number,name\n" + f"{PEER},Eve\n" * 501},
            "too_many_recipients",
            "at most 500",
        ),
        ({"recipients": [], "text": "x"}, "invalid", ""),
        ({"recipients": [{"to": PEER}], "csv": CSV}, "invalid", "either"),
        ({"recipients": [{"to": PEER, "fields": {"name": 1}}]}, "invalid", ""),
        ({"recipients": [{"to": PEER, "fields": [1]}]}, "invalid", "JSON object"),
        ({"from": "+12025550102"}, "number_not_yours", "no"),
        ({"from": "12"}, "invalid_number", ""),
        ({"text": "  "}, "empty", ""),
        ({"send_at": "2001-01-31T09:00:00Z"}, "send_at_past", ""),
        ({"name": ""}, "invalid", "name"),
        ({"csv": f"number,name\n{MINE},Me\n"}, "invalid_recipients", "cannot text itself"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_remedy(
    service: Service, asked: dict[str, Any], code: str, words: str
) -> None:
    phone = service.pair("201")
    body: dict[str, Any] = {"name": "Closed", "text": "Hello {name}", **asked}
    body |= {} if "recipients" in asked else {"csv": asked.get("csv", CSV)}
    answer = phone.post("/bulk-sends", body)
    told: Any = answer.json
    assert (answer.status_code // 100, told["code"]) == (4, code), answer.text
    assert words in answer.text.encode().decode("unicode_escape") or words in told["detail"]
    assert stored_messages(service.gateway) == []


def test_a_repeated_request_sends_nothing(service_with_bulk: Service) -> None:
    phone = service_with_bulk.pair("201")
    made = make(phone, client_id="one")
    again = phone.post("/bulk-sends", {"name": "x", "text": "y", "csv": CSV, "client_id": "one"})
    assert again.status_code == 409
    assert make(phone, client_id="one")["id"] == made["id"]
    by_header = phone.post(
        "/bulk-sends",
        {"name": "Closed", "text": "Closed on Friday, {name}. STOP ends this.", "csv": CSV},
        headers={"Idempotency-Key": '"one"'},
    )
    assert by_header.headers["Idempotency-Replayed"] == "true"
    assert len(stored_messages(service_with_bulk.gateway)) == 2


def test_it_is_cancelled_by_the_extension_that_made_it_only(service_with_bulk: Service) -> None:
    service = service_with_bulk
    phone, other = service.pair("201"), service.pair("202")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = make(phone, **{"from": SHARED, "send_at": later})
    path = f"/bulk-sends/{made['id']}"
    assert other.get(path).status_code == 404
    assert other.post(f"{path}/cancel").status_code == 404
    assert other.read("/bulk-sends")["items"] == []
    cancelled: Any = phone.post(f"{path}/cancel").json
    assert (cancelled["counts"], bool(cancelled["cancelled_at"])) == ({"cancelled": 2}, True)
    assert phone.post(f"{path}/cancel").status_code == 200
    [first, _] = phone.read(path, state="cancelled")["items"]
    assert first["error"]["reason"] == "Cancelled by extension 201, with the bulk send."
    assert phone.read(path, state="sent")["items"] == []
    assert phone.read(path, limit=1, offset=1)["items"][0]["number"] == ANN
    release(service)
    assert phone.read(path)["counts"] == {"cancelled": 2}
    assert [one.reason for one in service.gateway.audit.check(thorough=True)] == []


def test_the_limit_of_recipients_a_day(make_service: Callable[..., Service]) -> None:
    service = make_service(BULK_SEND_RECIPIENTS_A_DAY="3", **ON)
    phone = service.pair("201")
    make(phone)
    answer = phone.post("/bulk-sends", {"name": "x", "text": "y", "csv": CSV})
    assert (answer.status_code, answer.headers["Retry-After"] > "1") == (429, True)
    assert "3 recipients a day" in answer.text
    make(phone, recipients=[{"to": BOB}], text="one more")
    assert len(stored_messages(service.gateway)) == 3


def test_it_is_off_until_the_administrator_turns_it_on(
    make_service: Callable[..., Service],
) -> None:
    phone = make_service().pair("201")
    refused = make(phone, 403)
    assert refused["code"] == "bulk_sending_off"
    assert "BULK_SENDING=true" in refused["detail"]
    assert phone.get("/bulk-sends").status_code == 403
    assert phone.get(f"/bulk-sends/{phone.id}").status_code == 403
    assert phone.post(f"/bulk-sends/{phone.id}/cancel").status_code == 403


def test_what_is_old_or_of_a_person_is_deleted(service_with_bulk: Service) -> None:
    service = service_with_bulk
    phone, retention = service.pair("201"), service.gateway.retention
    service.receive(MINE, "STOP")
    made = make(phone)
    store = service.gateway.store
    known = store.read(lambda tx: bulk_sends.left_out_of(tx, [PEER]))
    assert [(name, one.code) for name, one in known] == [("Closed", "opted_out")]
    retention.forget(PEER, retention.person(PEER))
    assert store.read(lambda tx: bulk_sends.left_out(tx, made["id"])) == []
    ahead = datetime.now(UTC).timestamp() + 60
    retention.prune(Ages(messages=ahead))
    assert store.read(lambda tx: bulk_sends.by_id(tx, made["id"])) is not None
    phone.post(f"/bulk-sends/{made['id']}/cancel")
    retention.prune(Ages(messages=ahead))
    assert store.read(lambda tx: bulk_sends.by_id(tx, made["id"])) is None
