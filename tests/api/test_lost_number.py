"""An extension that has lost a number: nothing of it is left in any app, by any call."""

import json
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from typing import Any

import pytest

from services.core.messages import Status
from tests.api.conftest import MINE, PEER, SHARED, Phone, Service
from tests.message_steps import run_due_jobs, stored_messages
from tests.pictures import gif

CANARY = "canary"


def lose(service: Service, *numbers: str) -> None:
    """Take numbers from 201."""
    for number in numbers:
        entry = {"number": number, "carrier": "sandbox", "extensions": ["202"]}
        service.gateway.settings.put(entry)


def read(phone: Phone, path: str, **query: Any) -> Any:
    answer = phone.get(path, query_string=query)
    return answer.status_code if answer.status_code != 200 else answer.json


def test_no_call_of_the_api_gives_away_a_lost_number(service: Service, phone: Phone) -> None:
    service.receive(text=CANARY)
    (conversation,) = phone.read("/conversations")["items"]
    upload = phone.post("/media", data={"file": (BytesIO(gif()), "a.gif")}).json["id"]
    sent = phone.send(to=PEER, text=CANARY, media_ids=[upload])
    at = f"/conversations/{conversation['id']}"
    paths = (at, f"{at}/messages", f"/messages/{sent['id']}", f"/media/{upload}")
    for path in paths:
        answer = phone.get(path)
        assert answer.status_code == 200, path
        answer.close()
    lose(service, MINE)
    assert [read(phone, path) for path in paths] == [404] * 4
    assert phone.post(f"{at}/read", {"up_to_seq": 1}).status_code == 404
    assert phone.post("/messages", {"conversation_id": conversation["id"]}).status_code == 404
    refused = phone.post("/messages", {"to": PEER, "text": "x", "from": MINE})
    assert (refused.status_code, refused.json["code"]) == (403, "number_not_yours")
    assert read(phone, "/conversations")["items"] == []
    assert read(phone, "/search", q=CANARY)["items"] == []
    assert read(phone, "/sync", since="0")["events"] == []
    assert MINE not in json.dumps(read(phone, "/me"))


def test_a_repeated_message_tells_nothing_of_a_lost_number(service: Service, phone: Phone) -> None:
    wanted = {"to": PEER, "text": "x", "from": MINE, "client_id": "one"}
    assert phone.post("/messages", wanted).status_code == 202
    assert phone.post("/messages", wanted).headers["Idempotency-Replayed"] == "true"
    lose(service, MINE)
    refused = phone.post("/messages", wanted)
    assert (refused.status_code, refused.json["code"]) == (403, "number_not_yours")
    assert "taken before" in refused.json["detail"]
    assert len(stored_messages(service.gateway)) == 1


def test_a_bulk_send_by_a_lost_number_is_not_there_and_its_texts_are_not_sent(
    make_service: Callable[..., Service],
) -> None:
    service = make_service(BULK_SENDING="true")
    phone = service.pair("201")
    wanted = {"name": CANARY, "text": CANARY, "recipients": [{"to": PEER}]}
    mine = phone.post("/bulk-sends", wanted | {"from": MINE, "client_id": "one"}).json
    shared = phone.post("/bulk-sends", wanted | {"from": SHARED}).json
    lose(service, MINE)
    at = f"/bulk-sends/{mine['id']}"
    assert read(phone, at) == 404
    assert phone.post(f"{at}/cancel").status_code == 404
    assert [one["id"] for one in read(phone, "/bulk-sends")["items"]] == [shared["id"]]
    again = phone.post("/bulk-sends", wanted | {"from": MINE, "client_id": "one"})
    assert (again.status_code, again.json["code"]) == (403, "number_not_yours")
    while service.gateway.bulk_release.release_due():
        pass
    run_due_jobs(service.gateway)
    found = {one.number: one.status for one in stored_messages(service.gateway)}
    assert found == {MINE: Status.FAILED, SHARED: Status.SENT}


def test_an_open_stream_shows_nothing_more(service: Service, phone: Phone) -> None:
    with closing(phone.get("/events", buffered=False)) as stream:
        lines = stream.iter_encoded()
        seen = next(lines) + next(lines)  # it is open, and has its token
        service.receive(text="before")
        seen = next(lines)
        assert b"before" in seen
        lose(service, MINE)
        service.receive(text=CANARY)
        service.receive(to=SHARED, text="after")
        assert b"after" in next(lines)


def test_acrobits_fetches_nothing_more(service: Service, phone: Phone) -> None:
    service.receive(text=CANARY)
    call = {"username": "201", "password": phone.token}
    fetched: Any = service.client.post("/acrobits/fetch", json=call).json
    (text,) = fetched["received_smss"]
    assert text["sms_text"].endswith(CANARY)
    lose(service, MINE)
    fetched = service.client.post("/acrobits/fetch", json=call).json
    assert (fetched["received_smss"], fetched["sent_smss"]) == ([], [])


@pytest.mark.parametrize("lost", [(MINE, SHARED)])
def test_nothing_is_sent_for_an_extension_without_a_number(
    make_service: Callable[..., Service], lost: tuple[str, ...]
) -> None:
    service = make_service()
    phone = service.pair("201")
    lose(service, *lost)
    refused = phone.post("/messages", {"to": PEER, "text": "x"})
    assert (refused.status_code, refused.json["code"]) == (403, "no_number")
    call = {"username": "201", "password": phone.token, "to": PEER, "body": "x"}
    assert service.client.post("/acrobits/send", json=call).status_code == 403
