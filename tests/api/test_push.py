"""Push settings of a device in the API, and pushes to a service that checks them."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import update

from services.core.language import Language
from services.core.messages import Attachment, Device, Message
from services.core.quiet_hours import QuietHours
from services.delivery.notification_text import NotificationText
from services.gateway import Gateway
from services.store import circuit_breakers, jobs, messages
from services.store.database import clock
from services.store.database.schema import jobs as job_table
from services.store.jobs import Job, JobKind
from tests.api.conftest import MINE, PEER, SHARED, THEIRS, Phone, Service
from tests.fakes.push_services import Answer, BrowserPush, Firebase, NtfyServer, plain, unplain
from tests.message_steps import run_due_jobs

MakeService = Callable[..., Service]
ALL_DAY = {"start": "00:00", "end": "23:59", "time_zone": "UTC"}


@pytest.fixture
def browser() -> Iterator[BrowserPush]:
    with BrowserPush() as running:
        yield running


@pytest.fixture
def firebase() -> Iterator[Firebase]:
    with Firebase() as running:
        yield running


@pytest.fixture
def service(make_service: MakeService, browser: BrowserPush, database: str) -> Service:
    """The service on either database, which may push to the browser's service."""
    return make_service(PUSH_HOSTS=browser.url, DATABASE_URL=database)


def change(phone: Phone, device_id: str = "", **asked: Any) -> dict[str, Any]:
    answer = phone.call("PUT", f"/devices/{device_id or phone.id}", json=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


def subscribe(phone: Phone, browser: BrowserPush, **more: Any) -> dict[str, Any]:
    return change(phone, push={"type": "webpush", **browser.address}, **more)


def own_device(phone: Phone) -> dict[str, Any]:
    (device,) = (d for d in phone.read("/devices")["items"] if d["id"] == phone.id)
    return dict(device)


def make_due(gateway: Gateway) -> None:
    past = time.time() - 1.0  # the database's clock is measured, to some milliseconds
    gateway.store.write(lambda tx: tx.execute(update(job_table).values(due=past)))
    gateway.store.write(circuit_breakers.resume_all)


def pushes(gateway: Gateway) -> list[Job]:
    found = gateway.store.read(lambda tx: messages.find(tx, limit=100))
    every = gateway.store.read(lambda tx: [job for m in found for job in jobs.of(tx, m.id)])
    return [job for job in every if job.kind is JobKind.PUSH]


# What a phone says of itself


def test_a_phone_says_how_it_wants_to_be_notified(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    assert own_device(phone)["push"] == {"type": "none"}
    told = subscribe(
        phone,
        browser,
        name="Kitchen",
        preview="sender",
        quiet_hours={"start": "22:00", "end": "07:00", "time_zone": "Europe/Berlin"},
    )
    assert told == own_device(phone) == phone.read("/me")["device"]
    assert (told["name"], told["push"], told["preview"]) == (
        "Kitchen",
        {"type": "webpush"},
        "sender",
    )
    assert told["quiet_hours"] == {
        "start": "22:00",
        "end": "07:00",
        "time_zone": "Europe/Berlin",
    }
    assert subscribe(phone, browser) == told, "what is left out stays as it is"
    assert change(phone, quiet_hours=None)["quiet_hours"] is None
    assert change(phone, push={"type": "none"})["push"] == {"type": "none"}


def test_what_a_phone_registered_is_never_told(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    for path in ("/devices", "/me"):
        answer = phone.get(path).text
        assert "/push/v1" not in answer
        assert browser.address["keys"]["auth"] not in answer


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({}, "body", "at least one"),
        ({"push": {}}, "push.type", "missing"),
        ({"push": {"type": "pigeon"}}, "push.type", "webpush"),
        ({"push": {"type": "fcm", "token": "x"}}, "push.type", "Send one of"),
        ({"push": {"type": "webhook"}}, "push.type", "Send one of"),
        ({"push": {"type": "webpush"}}, "push.endpoint", "missing"),
        ({"push": {"type": "webpush", "endpoint": "https://example.com/", "keys": {}}},
         "push.keys.p256dh", "missing"),
        ({"push": {"type": "ntfy", "server": "https://ntfy.sh", "topic": "a b"}},
         "push.topic", "letters"),
        ({"preview": "some"}, "preview", "full, sender or none"),
        ({"quiet_hours": {"start": "22:00", "end": "7:00", "time_zone": "UTC"}},
         "quiet_hours.end", "22:00"),
        ({"quiet_hours": {"start": "22:00", "end": "22:00", "time_zone": "UTC"}},
         "quiet_hours.end", "same"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "Mars/Utopia"}},
         "quiet_hours.time_zone", "America/New_York"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "../etc/passwd"}},
         "quiet_hours.time_zone", "America/New_York"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "America"}},
         "quiet_hours.time_zone", "America/New_York"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_remedy(
    phone: Phone, asked: dict[str, Any], field: str, said: str
) -> None:
    before = own_device(phone)
    answer = phone.call("PUT", f"/devices/{phone.id}", json=asked)
    assert answer.status_code == 422, answer.text
    assert answer.json is not None
    assert answer.json["field"] == field
    assert said in answer.json["detail"]
    assert own_device(phone) == before


def test_an_unknown_push_service_is_refused(
    make_service: MakeService, browser: BrowserPush
) -> None:
    phone = make_service().pair("201")
    push = {"type": "webpush", **browser.address, "endpoint": "https://evil.example.net/x"}
    answer = phone.call("PUT", f"/devices/{phone.id}", json={"push": push})
    assert (answer.status_code, answer.json["field"]) == (422, "push.endpoint")
    assert "PUSH_HOSTS" in answer.json["detail"]


def test_a_phone_that_is_paired_again_is_told_once_and_of_its_own(
    service: Service, browser: BrowserPush
) -> None:
    before, now = service.pair("201"), service.pair("202")
    subscribe(before, browser)
    subscribe(now, browser)
    assert own_device(before)["push"] == {"type": "none"}
    service.receive(to=SHARED)
    run_due_jobs(service.gateway)
    assert len(browser.taken) == 1
    service.receive(to=MINE, text="for 201 only")
    run_due_jobs(service.gateway)
    assert len(browser.taken) == 1


def test_the_key_of_the_installation_is_told_and_used(
    service: Service, browser: BrowserPush
) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    service.receive()
    run_due_jobs(service.gateway)
    told = phone.read("/me")["vapid_public_key"]
    assert len(unplain(told)) == 65
    assert browser.keys == {told}
    assert plain(unplain(told)) == told


# What it is told


def test_a_text_comes_in_with_its_words(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    service.receive(text="Grüße 😀")
    run_due_jobs(service.gateway)
    (push,) = browser.wait_for(1)
    (conversation,) = phone.read("/conversations")["items"]
    message = conversation["last_message"]
    assert push == {
        "v": 1,
        "type": "message.received",
        "id": message["id"],
        "seq": message["seq"],
        "conversation_id": conversation["id"],
        "unread_total": 1,
        "title": PEER,
        "body": "Grüße 😀",
        "peer": PEER,
        "kind": "text",
    }
    assert browser.wrong == []
    assert own_device(phone)["last_success_at"] is not None


@pytest.mark.parametrize(
    ("preview", "title", "body"),
    [("full", PEER, "secret words"), ("sender", PEER, "New message"), ("none", "New message", "")],
)
def test_no_more_is_shown_than_the_phone_allows(
    service: Service, browser: BrowserPush, preview: str, title: str, body: str
) -> None:
    phone = service.pair("201")
    subscribe(phone, browser, preview=preview)
    service.receive(text="secret words")
    run_due_jobs(service.gateway)
    (push,) = browser.wait_for(1)
    assert (push["title"], push["body"]) == (title, body)
    assert preview == "full" or "secret" not in str(push)
    assert preview != "none" or PEER not in str(push)


def test_a_long_text_is_cut(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    service.receive(text="😀" * 2000)
    run_due_jobs(service.gateway)
    (push,) = browser.wait_for(1)
    assert push["body"] == "😀" * 239 + "…"
    assert browser.wrong == []


@pytest.mark.parametrize(
    ("told", "title", "body"),
    [
        ({"text": "hi", "participants": (PEER, "+13035550178")}, f"{PEER} and 1 more", "hi"),
        ({"media": (Attachment(content_type="image/gif"),)}, PEER, "Picture"),
        ({"media": (Attachment(content_type="image/gif"),) * 3}, PEER, "3 pictures"),
        ({"media": (Attachment(content_type="image/gif"), Attachment())}, PEER, "2 attachments"),
        ({"media": (Attachment(content_type="image/gif"),), "text": "look"}, PEER, "look"),
        ({"text": " \n "}, PEER, ""),
    ],
)
def test_the_words_of_a_notification(told: dict[str, Any], title: str, body: str) -> None:
    message = Message("in", MINE, PEER, **told)
    notice = NotificationText(Language()).of_message(
        message, Device("d", "201"), "received", lambda _: {}
    )
    assert (notice.title, notice.body) == (title, body)


def test_a_test_notification_has_the_name_of_the_installation() -> None:
    notice = NotificationText(Language(), "Harbour Texts").test(Device("d", "201"))
    assert notice.title == "Harbour Texts"


def test_the_badge_counts_every_number_of_the_extension(
    service: Service, browser: BrowserPush
) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    service.receive(to=MINE)
    service.receive(to=SHARED)
    service.receive(to=SHARED)
    service.receive(to=THEIRS)
    run_due_jobs(service.gateway)
    service.receive(to=MINE)
    run_due_jobs(service.gateway)
    assert browser.wait_for(4)[-1]["unread_total"] == 4


def test_nobody_is_told_of_what_he_sends(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    phone.send(to=PEER)
    run_due_jobs(service.gateway)
    assert browser.calls == 0


def test_what_was_read_before_it_could_be_pushed_is_not_pushed(
    service: Service, browser: BrowserPush
) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    service.receive()
    (conversation,) = phone.read("/conversations")["items"]
    phone.post(f"/conversations/{conversation['id']}/read", {"up_to_seq": conversation["last_seq"]})
    run_due_jobs(service.gateway)
    assert browser.calls == 0
    assert [job.state for job in pushes(service.gateway)] == ["done"]


# Quiet hours


def set_clocks(monkeypatch: pytest.MonkeyPatch, at: float) -> None:
    """Stop this machine's clock and the database's at a time."""
    monkeypatch.setattr(time, "time", lambda: at)
    monkeypatch.setattr(clock, "now", lambda tx: at)


def test_in_quiet_hours_nothing_is_shown_until_they_are_over(
    service: Service, browser: BrowserPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = service.pair("201")
    subscribe(phone, browser, quiet_hours=ALL_DAY)
    now = time.time()
    night, morning = now - now % 86_400 + 3600.0, now - now % 86_400 + 86_400 - 30.0
    set_clocks(monkeypatch, night)
    for text in ("first", "second"):
        service.receive(text=text)
    service.receive(text="elsewhere", to=SHARED)
    make_due(service.gateway)
    run_due_jobs(service.gateway)
    assert browser.calls == 0
    assert len(phone.read("/conversations")["items"]) == 2, "it is in the app all the same"
    first, _behind_the_first, elsewhere = pushes(service.gateway)
    assert first.due == elsewhere.due == morning - 30.0
    assert (first.attempts, elsewhere.attempts) == (0, 0)
    set_clocks(monkeypatch, morning)
    run_due_jobs(service.gateway)
    bodies = {push["body"] for push in browser.wait_for(2)}
    assert bodies == {"second", "elsewhere"}, "one for each conversation"
    assert {job.state for job in pushes(service.gateway)} == {"done"}


@pytest.mark.parametrize(
    ("hours", "at", "ends"),
    [
        # 2026-03-29: in Berlin the clocks go from 02:00 to 03:00; at noon UTC it is 14:00 there
        (("22:00", "07:00", "Europe/Berlin"), "2026-03-28T22:30:00Z", "2026-03-29T05:00:00Z"),
        (("22:00", "07:00", "Europe/Berlin"), "2026-03-29T04:59:00Z", "2026-03-29T05:00:00Z"),
        (("22:00", "07:00", "Europe/Berlin"), "2026-03-29T05:00:00Z", None),
        (("22:00", "07:00", "Europe/Berlin"), "2026-03-29T19:59:00Z", None),
        (("22:00", "07:00", "Europe/Berlin"), "2026-03-29T20:00:00Z", "2026-03-30T05:00:00Z"),
        (("12:00", "14:00", "America/New_York"), "2026-07-01T15:59:59Z", None),
        (("12:00", "14:00", "America/New_York"), "2026-07-01T16:00:00Z", "2026-07-01T18:00:00Z"),
        (("12:00", "14:00", "America/New_York"), "2026-07-01T18:00:00Z", None),
        (("00:00", "23:59", "Pacific/Kiritimati"), "2026-07-01T10:00:00Z", "2026-07-02T09:59:00Z"),
    ],
)
def test_when_quiet_hours_end(hours: tuple[str, str, str], at: str, ends: str | None) -> None:
    moment = datetime.fromisoformat(at).timestamp()
    expected = datetime.fromisoformat(ends).timestamp() if ends else None
    assert QuietHours(*hours).ends(moment) == expected


# Read elsewhere


def test_what_is_read_on_one_phone_is_taken_away_on_the_others(
    make_service: MakeService, browser: BrowserPush, firebase: Firebase, database: str
) -> None:
    service = make_service(PUSH_HOSTS=browser.url, DATABASE_URL=database, **firebase.env)
    reader, native, web = service.pair("201"), service.pair("201"), service.pair("201")
    change(reader, push={"type": "fcm", "token": "of the reader"})
    change(native, push={"type": "fcm", "token": "of the other"})
    subscribe(web, browser)
    service.receive()
    service.receive(to=SHARED)
    run_due_jobs(service.gateway)
    assert len(firebase.wait_for(4)) == 4
    conversation = reader.read("/conversations")["items"][-1]
    for _ in range(2):
        answer = reader.post(
            f"/conversations/{conversation['id']}/read", {"up_to_seq": conversation["last_seq"]}
        )
        assert answer.status_code == 200
    run_due_jobs(service.gateway)
    assert firebase.wrong == []
    (told,) = firebase.wait_for(5)[4:]
    assert told["token"] == "of the other"
    assert told["data"]["type"] == "conversation.read"
    assert told["data"]["conversation_id"] == conversation["id"]
    assert told["data"]["unread_total"] == "1"
    assert told["data"]["title"] == told["data"]["body"] == ""
    assert "alert" not in told["apns"]["payload"]["aps"]
    assert len(browser.taken) == 2, "a browser shows something for every push"


# When it cannot be told


def test_a_subscription_that_is_gone_is_forgotten(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    browser.answers.append(Answer(410))
    service.receive()
    run_due_jobs(service.gateway)
    told = own_device(phone)
    assert told["push"] == {"type": "none"}
    assert "subscribes anew" in told["last_error"]
    service.receive()
    run_due_jobs(service.gateway)
    assert browser.calls == 1
    assert subscribe(phone, browser)["last_error"] is None


def test_a_subscription_made_anew_meanwhile_is_kept(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    fresh = {**browser.address, "endpoint": f"{browser.url}/push/v1/fresh"}
    notify = service.gateway.channels["webpush"].notify

    def overtaken(device: Device, notice: Any) -> None:
        change(phone, push={"type": "webpush", **fresh})
        browser.answers.append(Answer(410))
        notify(device, notice)

    service.gateway.channels["webpush"].notify = overtaken  # type: ignore[method-assign]
    service.receive()
    service.gateway.delivery.deliver("w", lambda _: 8, service.gateway.delivery.perform)
    assert own_device(phone)["push"] == {"type": "webpush"}
    assert [job.state for job in pushes(service.gateway)] == ["due"]


def test_a_refusal_is_shown_and_keeps_the_address(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    browser.answers.append(Answer(400))
    service.receive()
    run_due_jobs(service.gateway)
    told = own_device(phone)
    assert told["push"] == {"type": "webpush"}
    assert "400" in told["last_error"]
    assert [job.state for job in pushes(service.gateway)] == ["dead"]


def test_one_push_service_that_is_unwell_keeps_no_other_waiting(
    make_service: MakeService, browser: BrowserPush, database: str
) -> None:
    with BrowserPush() as well:
        service = make_service(PUSH_HOSTS=f"{browser.url}, {well.url}", DATABASE_URL=database)
        first, second = service.pair("201"), service.pair("201")
        subscribe(first, browser)
        subscribe(second, well)
        browser.answers.append(Answer(429, headers={"Retry-After": "600"}))
        service.receive()
        run_due_jobs(service.gateway)
        service.receive(text="again")
        run_due_jobs(service.gateway)
        assert browser.calls == 1
        assert [push["body"] for push in well.wait_for(2)] == ["hi", "again"]
    (pause,) = service.gateway.store.read(circuit_breakers.unwell)
    assert pause.name == f"push:webpush:{browser.url.removeprefix('http://')}"


# The test push


def test_a_test_really_pushes(service: Service, browser: BrowserPush) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    answer = phone.post(f"/devices/{phone.id}/test")
    assert answer.status_code == 200
    assert answer.json["outcome"] == "taken"
    (push,) = browser.wait_for(1)
    assert (push["type"], push["conversation_id"]) == ("device.test", None)
    assert push["title"]
    assert own_device(phone)["last_success_at"] is not None


@pytest.mark.parametrize(
    ("status", "outcome", "push"),
    [(410, "gone", "none"), (400, "refused", "webpush"), (503, "retry", "webpush"),
     (403, "config", "webpush")],
)  # fmt: skip
def test_a_test_tells_what_the_push_service_said(
    service: Service, browser: BrowserPush, status: int, outcome: str, push: str
) -> None:
    phone = service.pair("201")
    subscribe(phone, browser)
    browser.answers.append(Answer(status))
    told = phone.post(f"/devices/{phone.id}/test").json
    assert told["outcome"] == outcome
    assert told["detail"] == own_device(phone)["last_error"]
    assert own_device(phone)["push"] == {"type": push}


def test_a_device_that_is_not_pushed_to_cannot_be_tested(phone: Phone) -> None:
    answer = phone.post(f"/devices/{phone.id}/test")
    assert (answer.status_code, answer.json["code"]) == (409, "no_push")
    assert "PUT /devices" in answer.json["detail"]


def test_another_extensions_device_is_none(service: Service, browser: BrowserPush) -> None:
    phone, stranger = service.pair("201"), service.pair("202")
    subscribe(phone, browser)
    assert stranger.post(f"/devices/{phone.id}/test").status_code == 404
    asked = {"push": {"type": "none"}}
    assert stranger.call("PUT", f"/devices/{phone.id}", json=asked).status_code == 404
    assert browser.calls == 0


def test_ntfy_and_unifiedpush_come_through_as_well(
    make_service: MakeService, browser: BrowserPush
) -> None:
    with NtfyServer() as ntfy:
        service = make_service(PUSH_HOSTS=f"{browser.url},{ntfy.url}")
        one, two = service.pair("201"), service.pair("201")
        assert change(one, push={"type": "ntfy", **ntfy.address})["push"] == {"type": "ntfy"}
        change(two, push={"type": "unifiedpush", **browser.address})
        service.receive(text="hello")
        run_due_jobs(service.gateway)
        assert ntfy.wait_for(1)[0]["message"] == "hello"
    assert browser.wait_for(1)[0]["body"] == "hello"
