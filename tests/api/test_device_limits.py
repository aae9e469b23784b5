"""Bounds of a device's token: what it may write and the work that it may cause."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from blueprints.api import events
from blueprints.api.auth import Auth
from services.core.durations import DAY
from services.core.errors import StorageUnwell
from services.messaging import device_limits, send_limits
from services.messaging.device_limits import DEVICE_LIMITS
from services.providers.base import Limits
from services.store import attachments, contacts
from services.store.database import clock
from tests.api.conftest import API, MINE, Phone, Service
from tests.fakes.push_services import NtfyServer
from tests.pictures import gif

MakeService = Callable[..., Service]
DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The database's clock, moved by hand."""
    now = [1_800_000_000.0]
    monkeypatch.setattr(clock, "now", lambda _: now[0])
    return now


@pytest.fixture
def ntfy() -> Iterator[NtfyServer]:
    with NtfyServer() as running:
        yield running


def check_refusal(answer: TestResponse, sentence: str, wait: float) -> None:
    told: Any = answer.json
    assert (answer.status_code, told["code"]) == (429, "limit_reached"), answer.text
    assert sentence in told["detail"]
    assert int(answer.headers["Retry-After"]) == wait


def put_contact(phone: Phone, n: int, name: str = "Ann") -> TestResponse:
    return phone.call("PUT", f"/contacts/{quote(f'+1303555{n:04}')}", json={"name": name})


def upload(phone: Phone, content: bytes, name: str = "a.gif") -> TestResponse:
    return phone.post("/media", data={"file": (BytesIO(content), name)})


# Contacts


def test_contacts_are_changed_so_often_a_minute_and_a_day(
    service_on_each_database: Service, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = device_limits.DeviceLimit("contacts", "change {most} contacts", ((2, 60.0), (3, DAY)))
    monkeypatch.setattr(device_limits, "CONTACTS", few)
    phone, other = service_on_each_database.pair("201"), service_on_each_database.pair("201")
    assert [put_contact(phone, n).status_code for n in (1, 2)] == [200, 200]
    sentence = "This device may change 2 contacts a minute. Try again in "
    check_refusal(put_contact(phone, 3), sentence, 60)
    assert put_contact(phone, 2).status_code == 200, "what is as it was is not counted"
    check_refusal(phone.call("DELETE", f"/contacts/{quote('+13035550001')}"), sentence, 60)
    assert len(phone.read("/contacts")["items"]) == 2
    assert put_contact(other, 3).status_code == 200, "each device has its own"
    at[0] += 61
    assert put_contact(phone, 4).status_code == 200
    check_refusal(put_contact(phone, 5), "This device may change 3 contacts a day.", DAY - 61)


def test_so_many_contacts_are_kept(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_limits, "MOST_CONTACTS", 2)
    phone = service.pair("201")
    assert [put_contact(phone, n).status_code for n in (1, 2)] == [200, 200]
    check_refusal(put_contact(phone, 3), "Textbridge keeps 2 contacts at most. Remove some", 3600)
    assert put_contact(phone, 2, "Bob").status_code == 200, "a known one is still renamed"
    assert phone.call("DELETE", f"/contacts/{quote('+13035550001')}").status_code == 204
    assert put_contact(phone, 3).status_code == 200
    assert service.gateway.store.read(contacts.count) == 2


def test_a_wrong_name_is_not_counted(service: Service, phone: Phone) -> None:
    assert put_contact(phone, 1, "x" * 101).status_code == 422
    assert put_contact(phone, 1, "").status_code == 422
    assert service.gateway.store.read(contacts.count) == 0


# Test notifications


def test_test_notifications_are_few(
    make_service: MakeService, ntfy: NtfyServer, at: list[float]
) -> None:
    phone = make_service(PUSH_HOSTS=ntfy.url).pair("201")
    push = {"type": "ntfy", **ntfy.address}
    assert phone.call("PUT", f"/devices/{phone.id}", json={"push": push}).status_code == 200
    told = [phone.post(f"/devices/{phone.id}/test").status_code for _ in range(5)]
    assert told == [200] * 5
    check_refusal(
        phone.post(f"/devices/{phone.id}/test"),
        "This device may send 5 test notifications a minute. Try again in 60 seconds.",
        60,
    )
    assert ntfy.calls == 5
    at[0] += 60
    assert phone.post(f"/devices/{phone.id}/test").status_code == 200


# Registrations


def test_a_device_is_changed_so_often(service: Service, at: list[float]) -> None:
    phone = service.pair("201")

    def change() -> TestResponse:
        return phone.call("PUT", f"/devices/{phone.id}", json={"name": "Kitchen"})

    assert {change().status_code for _ in range(30)} == {200}
    check_refusal(change(), "This device may change its settings 30 times a minute.", 60)


def test_acrobits_apps_report_so_often(service: Service, at: list[float]) -> None:
    phone = service.pair("201")
    call = {"username": "201", "password": phone.token, "selector": "12345.6", "token_msgs": "AA"}
    call["app_id_msgs"] = "com.example.app"

    def report() -> TestResponse:
        return service.client.post("/acrobits/push-token", json=call)

    first = [report() for _ in range(30)]
    assert {answer.status_code for answer in first} == {200}, first[0].text
    refused = report()
    told: Any = refused.json
    assert refused.status_code == 429
    assert told == {
        "message": "This device may change its settings 30 times a minute. Try again in 60 seconds."
    }
    assert int(refused.headers["Retry-After"]) == 60
    assert service.client.post("/acrobits/removed", json=call).status_code == 429


# Reading that is work


def test_searches_have_a_limit_that_a_full_disk_does_not_need(
    service: Service, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = device_limits.DeviceLimit("searches", "search {most} times", ((2, 60.0),))
    monkeypatch.setattr("blueprints.api.search.SEARCHES", few)
    monkeypatch.setattr("blueprints.api.conversations.SEARCHES", few)
    phone = service.pair("201")
    service.receive(text="hello")
    assert phone.read("/search", q="hello")["items"] != []
    assert phone.read("/conversations", q="303")["items"] != []
    sentence = "This device may search 2 times a minute."
    check_refusal(phone.get("/search", query_string={"q": "hello"}), sentence, 60)
    check_refusal(phone.get("/conversations", query_string={"q": "303"}), sentence, 60)
    assert len(phone.read("/conversations")["items"]) == 1, "a plain list is not counted"
    at[0] += 60

    def unwell(*_: object, **__: object) -> None:
        raise StorageUnwell("The disk is full.")

    monkeypatch.setattr(service.gateway.store, "write", unwell)
    assert phone.read("/search", q="hello")["items"] != []


def test_read_marks_have_a_limit(
    service: Service, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(device_limits.CONVERSATION_CHANGES, spans=((2, 60.0),))
    monkeypatch.setattr("blueprints.api.conversations.CONVERSATION_CHANGES", few)
    phone = service.pair("201")
    for _ in range(4):
        service.receive()
    (conversation,) = phone.read("/conversations")["items"]
    messages = phone.read(f"/conversations/{conversation['id']}/messages")["items"]
    first, second, third, _ = sorted(message["seq"] for message in messages)
    path = f"/conversations/{conversation['id']}/read"
    told = [phone.post(path, {"up_to_seq": seq}).status_code for seq in (first, second, second)]
    assert told == [200, 200, 200], "a mark that does not move is not counted"
    sentence = "This device may change 2 conversations (read, mute, pin, assign) a minute."
    check_refusal(phone.post(path, {"up_to_seq": third}), sentence, 60)


# Calls that stay open


def test_a_device_has_so_many_open_calls(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_OPEN", 2)
    phone, other = service.pair("201"), service.pair("201")
    token = phone.read("/me")["sync_token"]
    with ExitStack() as opened:
        for _ in range(2):
            stream = phone.get("/events", buffered=False)
            assert stream.status_code == 200
            opened.enter_context(closing(stream))
        sentence = "This device has 2 open calls that wait for news."
        check_refusal(phone.get("/events"), sentence, 5)
        query = {"since": token, "timeout": 30}
        check_refusal(phone.get("/sync", query_string=query), sentence, 5)
        assert phone.read("/sync", since=token)["events"] == [], "it does not wait"
        with closing(other.get("/events", buffered=False)) as stream:
            assert stream.status_code == 200, "each device has its own"
    assert phone.read("/sync", since=token, timeout=1)["events"] == []
    with closing(phone.get("/events", buffered=False)) as stream:
        assert stream.status_code == 200
    assert not any(events._open.values())


# Uploads


def picture(side: int) -> bytes:
    """A photograph with noise: large as it is, and small when it is made smaller."""
    made = BytesIO()
    Image.effect_noise((side, side), 20).convert("RGB").save(made, "JPEG", quality=95)
    return made.getvalue()


def test_a_picture_counts_by_the_size_that_was_uploaded(
    make_service: MakeService, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service(UPLOAD_MB_PER_DAY="1")
    limits = [Limits(media_bytes=200_000)]
    monkeypatch.setattr(service.gateway.uploads, "_limits", lambda _: limits)
    phone, content = service.pair("201"), picture(830)
    assert 400_000 < len(content) < 490_000
    kept: Any = [upload(phone, content, "a.jpg").json for _ in range(2)]
    assert all(file["size"] <= 200_000 for file in kept), kept
    sentence = "Extension 201 may upload 1 MB a day. Try again in 24 hours."
    check_refusal(upload(phone, content, "b.jpg"), sentence, DAY)
    found = service.gateway.store.read(
        lambda tx: attachments.uploads(tx, "201", [file["id"] for file in kept])
    )
    assert len(found) == 2
    media = service.gateway.environment.service.storage_path / "media"
    assert len([path for path in media.rglob("*") if path.is_file()]) == 2


def test_so_many_files_are_uploaded_however_small(
    service_on_each_database: Service, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_limits, "FILES_PER_MINUTE", 2)
    monkeypatch.setattr(send_limits, "FILES_PER_DAY", 3)
    phone = service_on_each_database.pair("201")
    assert [upload(phone, gif()).status_code for _ in range(2)] == [201, 201]
    check_refusal(upload(phone, gif()), "Extension 201 may upload 2 files a minute.", 60)
    at[0] += 61
    assert upload(phone, b"").status_code == 422, "an attempt counts"
    check_refusal(upload(phone, gif()), "Extension 201 may upload 3 files a day.", DAY - 61)


def test_no_file_is_fetched_for_an_app_that_may_upload_no_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_limits, "FILES_PER_MINUTE", 1)
    fetched: list[str] = []
    monkeypatch.setattr(
        "blueprints.acrobits.send.fetch.fetch", lambda _, url, *__, **___: fetched.append(url)
    )
    phone = service.pair("201")
    assert upload(phone, gif()).status_code == 201
    body = '{"attachments": [{"content-url": "https://files.acrobits.net/a"}]}'
    call = {
        "username": "201",
        "password": phone.token,
        "to": "+13035550177",
        "body": body,
        "content_type": "application/x-acro-filetransfer+json",
    }
    answer = service.client.post("/acrobits/send", json=call)
    told: Any = answer.json
    assert (answer.status_code, fetched) == (429, [])
    assert "Extension 201 may upload 1 file a minute." in told["message"]


# The list of all calls


def test_every_call_of_a_device_stands_with_its_bound_in_the_document(service: Service) -> None:
    document = DOCUMENT.read_text("utf-8")
    section = document.split("## Bounds of a device token")[1].split("\n## ")[0]
    listed = set(re.findall(r"`([A-Z]+) (/[^`]+)`", section))
    rules = [
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix(API)))
        for rule in service.app.url_map.iter_rules()
        if getattr(service.app.view_functions[rule.endpoint], "auth", None)
        in (Auth.DEVICE, Auth.STREAM)
        or rule.rule.startswith("/acrobits/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]
    asked = {
        (method, rule)
        for method, rule in rules
        if not (method == "GET" and rule.startswith("/acrobits/"))  # answered with 405
    }
    assert listed == asked


@pytest.mark.parametrize("limit", DEVICE_LIMITS, ids=lambda limit: str(limit.name))
def test_the_document_names_every_limit(limit: device_limits.DeviceLimit) -> None:
    section = DOCUMENT.read_text("utf-8").split("## Bounds of a device token")[1]
    for most, seconds in limit.spans:
        words = f"{most:,} {send_limits.SPANS[seconds]}"
        assert words in section, words


def test_a_device_without_a_number_is_bounded_as_well(service: Service, at: list[float]) -> None:
    phone = service.pair("299")
    assert phone.read("/me")["numbers"] == []
    for _ in range(30):
        phone.call("PUT", f"/devices/{phone.id}", json={"name": MINE})
    answer = phone.call("PUT", f"/devices/{phone.id}", json={"name": MINE})
    assert answer.status_code == 429
