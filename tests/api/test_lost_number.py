"""An extension that has lost a number: nothing of it is left in any app, by any call."""

import json
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from typing import Any

import pytest

from tests.api.conftest import MINE, PEER, SHARED, House, Phone

CANARY = "canary"


def lose(house: House, *numbers: str) -> None:
    """Take numbers from 201."""
    for number in numbers:
        entry = {"number": number, "carrier": "sandbox", "extensions": ["202"]}
        house.gateway.settings.put(entry)


def read(phone: Phone, path: str, **query: Any) -> Any:
    answer = phone.get(path, query_string=query)
    return answer.status_code if answer.status_code != 200 else answer.json


def test_no_call_of_the_api_gives_away_a_lost_number(house: House, phone: Phone) -> None:
    house.receive(text=CANARY)
    (conversation,) = phone.read("/conversations")["items"]
    upload = phone.post("/media", data={"file": (BytesIO(b"GIF89a"), "a.gif")}).json["id"]
    sent = phone.send(to=PEER, text=CANARY, media_ids=[upload])
    at = f"/conversations/{conversation['id']}"
    paths = (at, f"{at}/messages", f"/messages/{sent['id']}", f"/media/{upload}")
    for path in paths:
        answer = phone.get(path)
        assert answer.status_code == 200, path
        answer.close()
    lose(house, MINE)
    assert [read(phone, path) for path in paths] == [404] * 4
    assert phone.post(f"{at}/read", {"up_to_seq": 1}).status_code == 404
    assert phone.post("/messages", {"conversation_id": conversation["id"]}).status_code == 404
    refused = phone.post("/messages", {"to": PEER, "text": "x", "from": MINE})
    assert (refused.status_code, refused.json["code"]) == (403, "number_not_yours")
    assert read(phone, "/conversations")["items"] == []
    assert read(phone, "/search", q=CANARY)["items"] == []
    assert read(phone, "/sync", since="0")["events"] == []
    assert MINE not in json.dumps(read(phone, "/me"))


def test_an_open_stream_shows_nothing_more(house: House, phone: Phone) -> None:
    with closing(phone.get("/events", buffered=False)) as stream:
        lines = stream.iter_encoded()
        seen = next(lines) + next(lines)  # it is open, and has its token
        house.receive(text="before")
        seen = next(lines)
        assert b"before" in seen
        lose(house, MINE)
        house.receive(text=CANARY)
        house.receive(to=SHARED, text="after")
        assert b"after" in next(lines)


def test_acrobits_fetches_nothing_more(house: House, phone: Phone) -> None:
    house.receive(text=CANARY)
    call = {"username": "201", "password": phone.token}
    fetched: Any = house.client.post("/acrobits/fetch", json=call).json
    (text,) = fetched["received_smss"]
    assert text["sms_text"].endswith(CANARY)
    lose(house, MINE)
    fetched = house.client.post("/acrobits/fetch", json=call).json
    assert (fetched["received_smss"], fetched["sent_smss"]) == ([], [])


@pytest.mark.parametrize("lost", [(MINE, SHARED)])
def test_nothing_is_sent_for_an_extension_without_a_number(
    make_house: Callable[..., House], lost: tuple[str, ...]
) -> None:
    house = make_house()
    phone = house.pair("201")
    lose(house, *lost)
    refused = phone.post("/messages", {"to": PEER, "text": "x"})
    assert (refused.status_code, refused.json["code"]) == (403, "no_number")
    call = {"username": "201", "password": phone.token, "to": PEER, "body": "x"}
    assert house.client.post("/acrobits/send", json=call).status_code == 403
