"""Event stream and sync in the API: in order, complete, only for the extension."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection

from blueprints.api import changes, events
from services.core.errors import StorageUnwell
from services.core.messages import uuid7
from services.store import conversations, devices
from tests.api.conftest import API, PEER, SHARED, THEIRS, Phone, Service
from tests.waiting import PATIENCE


def texts(found: list[dict[str, Any]]) -> list[str]:
    return [event["message"]["text"] for event in found if "message" in event]


def follow(phone: Phone, since: str, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """Everything since a token, page by page, and the token thereafter."""
    found = []
    while True:
        page = phone.read("/sync", since=since, **query)
        found += page["events"]
        since = page["next"]
        if not page["more"]:
            return found, since


# Sync


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
def test_pages_of_changes_hold_everything_once_in_order(
    service: Service, phone: Phone, limit: int
) -> None:
    service.receive(text="one")
    service.receive(to=THEIRS, text="not mine")
    service.receive(to=SHARED, text="two")
    (newer, older) = phone.read("/conversations")["items"]
    phone.post(f"/conversations/{older['id']}/read", {"up_to_seq": 10**9})
    service.receive(text="three")
    phone.post(f"/conversations/{newer['id']}/read", {"up_to_seq": 10**9})
    found, token = follow(phone, "0", limit=limit)
    assert [event["seq"] for event in found] == sorted({event["seq"] for event in found})
    assert [event["type"] for event in found] == [
        "message.created",
        "message.created",
        "conversation.read",
        "message.created",
        "conversation.read",
    ]
    assert texts(found) == ["one", "two", "three"]
    assert found[2] | {"seq": 0} == {
        "seq": 0,
        "type": "conversation.read",
        "conversation_id": older["id"],
        "read_seq": older["last_seq"],
        "unread_count": 1,
    }
    assert token == phone.read("/me")["sync_token"]


def test_a_conversation_is_marked_unread_again(service_on_each_database: Service) -> None:
    service = service_on_each_database
    phone, colleague = service.pair("201"), service.pair("202")
    service.receive(to=SHARED, text="one")
    service.receive(to=SHARED, text="two")
    (found,) = phone.read("/conversations")["items"]
    path = f"/conversations/{found['id']}/read"
    unread = {"read_seq": 0, "unread_count": 2}
    assert phone.call("DELETE", path).json == unread  # nothing was read yet
    for reader in (phone, colleague):
        reader.post(path, {"up_to_seq": found["last_seq"]})
    phone.send(conversation_id=found["id"])  # an answer stays read
    _, token = follow(phone, "0")
    answer = phone.call("DELETE", path)
    assert answer.json == {"read_seq": found["last_seq"] - 1, "unread_count": 1}
    ((event,), _) = follow(phone, token)
    assert (event["type"], event["unread_count"]) == ("conversation.read", 1)
    assert phone.call("DELETE", path).json == answer.json
    assert colleague.read("/conversations")["items"][0]["unread_count"] == 0
    assert phone.post(path, {"up_to_seq": 10**9}).json["unread_count"] == 0


def test_a_change_comes_once_more_as_an_update(service: Service, phone: Phone) -> None:
    sent = phone.send(to=PEER)
    _, token = follow(phone, "0")
    service.webhook({"receipt": sent["id"], "status": "failed"})
    ((event,), _) = follow(phone, token)
    assert (event["type"], event["message"]["status"]) == ("message.updated", "failed")
    assert event["message"]["error"]["reason"]
    (fresh,), _ = follow(phone, "0")
    assert fresh["type"] == "message.created"


def test_the_read_mark_of_a_colleague_is_no_news(
    service: Service, phone: Phone, other: Phone
) -> None:
    service.receive(to=SHARED)
    (conversation,) = other.read("/conversations")["items"]
    token = phone.read("/me")["sync_token"]
    other.post(f"/conversations/{conversation['id']}/read", {"up_to_seq": 1})
    assert follow(phone, token)[0] == []


def test_without_a_token_there_is_one_to_go_on_from(service: Service, phone: Phone) -> None:
    service.receive(text="before")
    now = phone.read("/sync", timeout=30)
    assert now == {"events": [], "next": "1", "more": False, "reset": False}
    service.receive(text="after")
    assert texts(follow(phone, now["next"])[0]) == ["after"]


def test_a_token_from_the_future_means_a_reset(service: Service, phone: Phone) -> None:
    service.receive()
    assert phone.read("/sync", since="999", timeout=30) == {
        "events": [],
        "next": "1",
        "more": False,
        "reset": True,
    }


def test_what_is_committed_between_two_looks_is_not_lost(
    service_on_each_database: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL every statement sees what was committed before it began."""
    phone = service_on_each_database.pair("201")
    service_on_each_database.receive(text="first")
    (conversation,) = phone.read("/conversations")["items"]
    look = conversations.read_since

    def meanwhile(tx: Connection, *args: Any) -> Any:
        monkeypatch.undo()
        service_on_each_database.receive(text="in between")
        phone.post(f"/conversations/{conversation['id']}/read", {"up_to_seq": 10**9})
        return look(tx, *args)

    monkeypatch.setattr(changes.conversations, "read_since", meanwhile)
    page = phone.read("/sync", since="0")
    rest, _ = follow(phone, page["next"])
    assert texts(page["events"] + rest) == ["first", "in between"]
    assert [event["type"] for event in rest] == ["message.created", "conversation.read"]


def test_followers_miss_nothing_while_much_happens(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    expected = {f"text {number}" for number in range(60)}
    done = threading.Event()

    def write() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda text: service_on_each_database.receive(text=text), expected))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[str] = []
    token = "0"
    while True:
        last = done.is_set()
        found, token = follow(phone, token, limit=7)
        seen += texts(found)
        if last:
            break
    writer.join()
    assert sorted(seen) == sorted(expected)


def test_a_waiting_call_is_answered_when_something_happens(
    service_on_each_database: Service,
) -> None:
    phone = service_on_each_database.pair("201")
    token = phone.read("/me")["sync_token"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(phone.read, "/sync", since=token, timeout=30)
        service_on_each_database.receive(text="at last")
        assert texts(waiting.result(timeout=PATIENCE)["events"]) == ["at last"]


def test_a_waiting_call_ends_when_the_service_stops(service: Service, phone: Phone) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(phone.read, "/sync", since="0", timeout=30)
        service.gateway.stopping = True
        service.gateway.store.notifier.notify_local()
        assert waiting.result(timeout=PATIENCE)["events"] == []


def test_a_waiting_call_ends_when_its_device_is_revoked(service: Service, phone: Phone) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(phone.get, "/sync", query_string={"since": "0", "timeout": "30"})
        second = service.pair("201")
        assert second.call("DELETE", f"/devices/{phone.id}").status_code == 204
        answer = waiting.result(timeout=PATIENCE)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


# The stream


class Stream:
    """The events of an open stream, as a browser reads them."""

    def __init__(self, phone: Phone, path: str = "/events", **options: Any) -> None:
        headers = {"Authorization": f"Bearer {phone.token}", **options.pop("headers", {})}
        self.answer = phone.client.get(API + path, headers=headers, **options)
        assert self.answer.status_code == 200, self.answer.text
        self._chunks: Iterator[bytes] = self.answer.iter_encoded()
        assert self.next() == {"retry": "3000"}

    def next(self) -> dict[str, str]:
        """The fields of the next event; a comment's field has no name."""
        lines = next(self._chunks).decode().rstrip("\n").split("\n")
        return dict((*line.split(": ", 1), "")[:2] for line in lines)

    def next_text(self) -> str:
        return str(json.loads(self.next()["data"])["message"]["text"])

    def ended(self) -> bool:
        return next(self._chunks, None) is None

    def close(self) -> None:
        self.answer.close()


@pytest.fixture
def stream(phone: Phone) -> Iterator[Any]:
    """Open streams that are closed in the end."""
    opened = []

    def make(*args: Any, **options: Any) -> Stream:
        opened.append(Stream(*(args or (phone,)), **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_the_stream_tells_what_happens_with_the_token_to_go_on_from(
    service: Service, phone: Phone, stream: Any
) -> None:
    service.receive(text="before")
    live = stream()
    assert live.answer.mimetype == "text/event-stream"
    assert live.answer.headers["Cache-Control"] == "no-store"
    assert live.answer.headers["X-Accel-Buffering"] == "no"
    assert live.next() == {"id": "1"}
    service.receive(text="now\ndata: not a field")
    event = live.next()
    assert (event["id"], event["event"]) == ("2", "message.created")
    assert texts([json.loads(event["data"])]) == ["now\ndata: not a field"]
    (same,), _ = follow(phone, "1")
    assert json.loads(event["data"]) == same


def test_a_cut_stream_goes_on_where_it_was(service: Service, stream: Any) -> None:
    for number in range(5):
        service.receive(text=str(number))
    assert stream(query_string={"since": "3"}).next_text() == "3"
    resumed = stream(query_string={"since": "1"}, headers={"Last-Event-ID": "4"})
    assert resumed.next_text() == "4"


def test_a_long_absence_is_made_up_for_in_order(
    service: Service, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 2)
    for number in range(5):
        service.receive(text=str(number))
    live = stream(query_string={"since": "0"})
    assert [live.next_text() for _ in range(5)] == list("01234")


def test_the_stream_is_woken(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    live = Stream(phone)
    live.next()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(live.next_text)
        service_on_each_database.receive(text="ring")
        assert waiting.result(timeout=14) == "ring"
    live.close()


def test_a_quiet_stream_shows_that_it_lives(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.01)
    live = stream()
    live.next()
    assert live.next() == {"": "still here"}


def test_a_token_from_the_future_resets_the_stream(service: Service, stream: Any) -> None:
    live = stream(query_string={"since": "999"})
    assert live.next() == {"id": "0", "event": "reset", "data": "{}"}
    service.receive(text="on we go")
    assert live.next_text() == "on we go"


def test_the_stream_ends_when_its_device_is_revoked(
    service: Service, phone: Phone, stream: Any
) -> None:
    live = stream()
    live.next()
    service.gateway.store.write(lambda tx: devices.revoke(tx, phone.id))
    service.receive(text="canary")
    assert live.ended()


def test_the_stream_ends_when_the_service_stops(service: Service, stream: Any) -> None:
    live = stream()
    live.next()
    service.gateway.stopping = True
    service.gateway.store.notifier.notify_local()
    assert live.ended()


def test_the_stream_ends_when_the_database_is_unwell(
    service: Service, stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = stream()
    live.next()

    def unwell(work: Any) -> Any:
        raise StorageUnwell("gone")

    service.receive()
    monkeypatch.setattr(service.gateway.store, "read", unwell)
    assert live.ended()


def test_a_number_taken_away_is_no_more_streamed(
    service: Service, phone: Phone, stream: Any
) -> None:
    live = stream()
    live.next()
    service.gateway.settings.put({"number": SHARED, "carrier": "sandbox", "extensions": ["202"]})
    service.receive(to=SHARED, text="not yours any more")
    service.receive(text="yours")
    assert live.next_text() == "yours"


def test_a_fifth_stream_of_a_device_ends_its_oldest(service: Service, stream: Any) -> None:
    oldest, *newest = [stream() for _ in range(5)]
    assert [live.next() for live in newest] == [{"id": "0"}] * 4
    service.receive(text="hello")
    assert oldest.ended()
    assert [live.next_text() for live in newest] == ["hello"] * 4
    newest[3].close()
    assert stream().next() == {"id": "1"}


# Tickets


def test_a_ticket_opens_the_stream_of_its_device(
    service: Service, phone: Phone, other: Phone
) -> None:
    answer = phone.post("/events/ticket")
    assert (answer.status_code, answer.json["expires_in"]) == (201, 60)
    ticket = {"ticket": answer.json["ticket"]}
    live = phone.client.get(f"{API}/events", query_string=ticket)
    chunks = live.iter_encoded()
    assert [next(chunks), next(chunks)] == [b"retry: 3000\n\n", b"id: 0\n\n"]
    service.receive(to=THEIRS, text="not mine")
    service.receive(text="mine")
    assert b"mine" in next(chunks)
    live.close()
    for path in ("/me", "/sync", "/devices"):
        assert phone.client.get(API + path, query_string=ticket).status_code == 401


def test_a_ticket_that_is_old_altered_or_revoked_opens_nothing(
    service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = phone.post("/events/ticket").json["ticket"]
    device, expires, signature = good.split(".")
    altered = [
        *("", ".", "..", good[:-1], good + "x", "\x00", "\xe9", "9" * 5000),
        f"{uuid7()}.{expires}.{signature}",
        f"{device}.{int(expires) + 60}.{signature}",
        f"{device}.{signature}",
    ]

    def status(ticket: str) -> int:
        answer = phone.client.get(f"{API}/events", query_string={"ticket": ticket})
        answer.close()
        return answer.status_code

    assert [status(ticket) for ticket in altered] == [401] * len(altered)
    assert status(good) == 200
    service.gateway.store.write(lambda tx: devices.revoke(tx, phone.id))
    assert status(good) == 401
    second = service.pair("201")
    fresh = second.post("/events/ticket").json["ticket"]
    monkeypatch.setattr("blueprints.api.auth.time.time", lambda: int(fresh.split(".")[1]) + 1.0)
    assert status(fresh) == 401
