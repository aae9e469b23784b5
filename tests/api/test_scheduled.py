"""Texts that are sent later, by the API: made, listed, changed, cancelled, refused, told."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from services.messaging import send_times
from services.operations import housekeeping
from tests.api.conftest import SHARED, Phone, Service
from tests.conftest import PEER
from tests.message_steps import run_due_jobs

OTHER = "+13035550188"


def at(**later: float) -> str:
    """A time from now on, as an app writes it."""
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


def moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_text_is_scheduled_shown_changed_and_cancelled(
    service_on_each_database: Service,
) -> None:
    service = service_on_each_database
    phone, colleague = service.pair("201"), service.pair("202")
    later = at(hours=3)
    made = phone.send(**{"to": [PEER], "from": SHARED, "text": "see you", "send_at": later})
    assert (made["status"], made["state"]) == ("queued", "scheduled")
    assert abs(moment(made["send_at"]) - moment(later)) < timedelta(seconds=1)
    assert (made["waits_because"], made["error"]) == (None, None)
    assert [one["id"] for one in colleague.read("/scheduled")["items"]] == [made["id"]]
    path = f"/conversations/{made['conversation_id']}/scheduled"
    assert [one["id"] for one in colleague.read(path)["items"]] == [made["id"]]
    changed: Any = colleague.call(
        "PATCH", f"/messages/{made['id']}", json={"text": "at five", "send_at": at(days=2)}
    )
    assert changed.status_code == 200, changed.text
    assert (changed.json["text"], changed.json["state"]) == ("at five", "scheduled")
    assert moment(changed.json["send_at"]) > moment(made["send_at"])
    gone: Any = colleague.call("DELETE", f"/messages/{made['id']}")
    assert (gone.json["status"], gone.json["state"]) == ("failed", "cancelled")
    assert gone.json["error"] == {"code": "cancelled", "reason": "Cancelled by extension 202."}
    assert phone.read("/scheduled") == {"items": [], "has_more": False}
    for method, body in (("DELETE", None), ("PATCH", {"text": "x"})):
        again = phone.call(method, f"/messages/{made['id']}", json=body)
        assert refused(again) == (409, "not_scheduled")
    assert run_due_jobs(service.gateway) == []


def test_other_devices_hear_of_every_change(service: Service, phone: Phone) -> None:
    watching = service.pair("201", "Tablet")
    since = watching.read("/sync")["next"]

    def news() -> list[tuple[str, str, str]]:
        nonlocal since
        answer = watching.read("/sync", since=since)
        since = answer["next"]
        return [(e["type"], e["message"]["state"], e["message"]["text"]) for e in answer["events"]]

    made = phone.send(to=[PEER], send_at=at(hours=1))
    assert news() == [("message.created", "scheduled", "hello")]
    phone.call("PATCH", f"/messages/{made['id']}", json={"send_at": at(hours=2)})
    assert news() == [("message.updated", "scheduled", "hello")]
    phone.call("PATCH", f"/messages/{made['id']}", json={"text": "bye"})
    assert [(state, text) for _, state, text in news()] == [("scheduled", "bye")]
    phone.call("DELETE", f"/messages/{made['id']}")
    assert news() == [("message.updated", "cancelled", "bye")]


def test_one_is_sent_now_by_anybody_who_has_the_number(service_on_each_database: Service) -> None:
    service = service_on_each_database
    phone, colleague = service.pair("201"), service.pair("202")
    made = phone.send(**{"to": [PEER], "from": SHARED, "text": "see you", "send_at": at(hours=3)})
    path = f"/messages/{made['id']}/send"
    answer: Any = colleague.post(path)
    assert (answer.status_code, answer.json["id"]) == (202, made["id"])
    assert (answer.json["state"], answer.json["sent_by"]) == ("queued", "201")
    assert moment(answer.json["send_at"]) < moment(made["send_at"])
    assert refused(phone.post(path)) == (409, "not_scheduled")
    assert phone.read("/scheduled")["items"] == []
    assert len(run_due_jobs(service.gateway)) == 1
    assert run_due_jobs(service.gateway) == []


@pytest.mark.parametrize("change", [{"text": "at five"}, {"send_at": at(hours=2)}])
def test_a_text_whose_writer_lost_the_number_is_not_changed(
    service: Service, change: dict[str, Any]
) -> None:
    phone, colleague = service.pair("201"), service.pair("202")
    made = phone.send(**{"to": [PEER], "from": SHARED, "text": "see you", "send_at": at(hours=3)})
    entry = {"number": SHARED, "carrier": "sandbox", "extensions": ["202"]}
    service.gateway.settings.put_document(json.dumps({"version": 1, "numbers": [entry]}).encode())
    answer = colleague.call("PATCH", f"/messages/{made['id']}", json=change)
    assert refused(answer) == (403, "number_not_yours")


def test_sending_now_is_checked_as_a_new_text_is(service: Service, phone: Phone) -> None:
    made = phone.send(to=[PEER], send_at=at(hours=1))
    path = f"/messages/{made['id']}/send"
    assert refused(service.pair("202").post(path)) == (404, "not_found")
    service.gateway.settings.put_document(b'{"version": 1, "numbers": []}')
    assert refused(phone.post(path)) == (404, "not_found")
    assert run_due_jobs(service.gateway) == []


def test_a_scheduled_text_is_no_answer_until_its_time(service: Service, phone: Phone) -> None:
    service.receive(text="are you open?")
    [before] = phone.read("/conversations")["items"]
    made = phone.send(conversation_id=before["id"], send_at=at(hours=1))
    [after] = phone.read("/conversations")["items"]
    assert (after["last_message"], after["last_seq"]) == (
        before["last_message"],
        before["last_seq"],
    )
    phone.call("DELETE", f"/messages/{made['id']}")
    [after] = phone.read("/conversations")["items"]
    assert after["last_message"]["text"] == "are you open?"


def test_the_next_one_stands_first_and_pages_follow(phone: Phone) -> None:
    for hours in (3, 1, 2):
        phone.send(to=[PEER], text=str(hours), send_at=at(hours=hours))
    first = phone.read("/scheduled", limit=2)
    assert ([one["text"] for one in first["items"]], first["has_more"]) == (["1", "2"], True)
    rest = phone.read("/scheduled", limit=2, offset=2)
    assert ([one["text"] for one in rest["items"]], rest["has_more"]) == (["3"], False)


@pytest.mark.parametrize(
    "written",
    [
        "tomorrow",
        "2027-01-31",
        "2027-01-31T09:00",
        "2027-01-31T09:00:00",
        "2027-02-30T09:00:00Z",
        "2027-W05-1T09:00:00Z",
        "2027-01-31T09:00:00-05:00[America/New_York]",
        "",
        None,
        1_800_000_000,
        ["2027-01-31T09:00:00Z"],
    ],
)
def test_what_is_no_time_is_refused(phone: Phone, written: Any) -> None:
    answer: Any = phone.post("/messages", {"text": "x", "to": [PEER], "send_at": written})
    assert refused(answer) == (422, "invalid")
    assert answer.json["field"] == "send_at"


@pytest.mark.parametrize(
    ("later", "code"),
    [
        ({"minutes": -2}, "send_at_past"),
        ({"days": -4000}, "send_at_past"),
        ({"days": 367}, "send_at_too_far"),
    ],
)
def test_a_time_that_cannot_be_is_refused(phone: Phone, later: dict[str, float], code: str) -> None:
    asked = {"text": "x", "to": [PEER], "send_at": at(**later)}
    answer: Any = phone.post("/messages", asked)
    assert (refused(answer), answer.json["field"]) == ((422, code), "send_at")
    made = phone.send(to=[PEER], send_at=at(hours=1))
    answer = phone.call("PATCH", f"/messages/{made['id']}", json={"send_at": at(**later)})
    assert refused(answer) == (422, code)


def test_a_change_is_checked_as_a_new_text_is(service: Service, phone: Phone) -> None:
    made = phone.send(to=[PEER], send_at=at(hours=1))
    path = f"/messages/{made['id']}"
    assert refused(phone.call("PATCH", path, json={})) == (422, "invalid")
    assert refused(phone.call("PATCH", path, json={"text": "  "})) == (422, "empty")
    assert refused(phone.call("PATCH", path, json={"to": [OTHER]})) == (422, "invalid")
    stranger = service.pair("202")
    for method in ("PATCH", "DELETE"):
        answer = stranger.call(method, path, json={"text": "x"} if method == "PATCH" else None)
        assert refused(answer) == (404, "not_found")
    assert refused(stranger.get(f"/conversations/{made['conversation_id']}/scheduled")) == (
        404,
        "not_found",
    )
    assert stranger.read("/scheduled")["items"] == []


def test_a_message_that_was_not_scheduled_is_neither_changed_nor_cancelled(phone: Phone) -> None:
    made = phone.send(to=[PEER])
    path = f"/messages/{made['id']}"
    assert (made["state"], made["send_at"]) == ("queued", None)
    assert refused(phone.call("DELETE", path)) == (409, "not_scheduled")
    assert refused(phone.call("PATCH", path, json={"text": "x"})) == (409, "not_scheduled")


def test_the_same_client_id_with_another_time_is_a_conflict(phone: Phone) -> None:
    asked = {"text": "x", "to": [PEER], "client_id": "c1", "send_at": at(hours=1)}
    first, again = phone.post("/messages", asked), phone.post("/messages", asked)
    assert (first.json or {})["id"] == (again.json or {})["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    other = phone.post("/messages", asked | {"send_at": at(hours=2)})
    assert refused(other) == (409, "client_id_reused")


def test_an_extension_has_only_so_many(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_times, "MOST_SCHEDULED", 1)
    phone.send(to=[PEER], send_at=at(hours=1))
    asked = {"text": "x", "to": [PEER], "send_at": at(hours=1)}
    assert refused(phone.post("/messages", asked)) == (422, "too_many_scheduled")
    phone.send(to=[PEER], text="at once")


def test_it_is_found_by_its_words_also_by_new_ones(service: Service, phone: Phone) -> None:
    made = phone.send(to=[PEER], text="umbrella", send_at=at(hours=1))
    index(service)
    assert found(phone, "umbrella") == [made["id"]]
    phone.call("PATCH", f"/messages/{made['id']}", json={"text": "raincoat"})
    assert (found(phone, "umbrella"), found(phone, "raincoat")) == ([], [made["id"]])
    index(service)
    assert (found(phone, "umbrella"), found(phone, "raincoat")) == ([], [made["id"]])
    indexed = text("SELECT count(*) FROM search_index")
    assert service.gateway.store.read(lambda tx: tx.scalar(indexed)) == 1


def found(phone: Phone, words: str) -> list[str]:
    return [one["id"] for one in phone.read("/search", q=words)["items"]]


def index(service: Service) -> None:
    housekeeping.index_messages(service.gateway.store)
