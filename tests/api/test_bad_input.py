"""Bad input to the API: refused with a reason, never an internal error, nothing stored."""

from io import RawIOBase
from typing import Any

import pytest

from services.core.errors import StorageUnwell
from services.store import messages
from tests.api.conftest import PEER, Phone, Service

SOME_ID = "01a1f912-29fd-798d-b9d5-d4199fe17a55"
TAKES_JSON = [
    ("POST", "/pair"),
    ("POST", "/messages"),
    ("PUT", f"/devices/{SOME_ID}"),
    ("POST", f"/conversations/{SOME_ID}/read"),
]
BODIES = {
    "nothing": (b"", 422),
    "not JSON": (b"{", 400),
    "words": (b"hello", 400),
    "two documents": (b"{}{}", 400),
    "invalid UTF-8": (b'{"text": "\xff"}', 400),
    "UTF-16": ('{"text": "x"}'.encode("utf-16"), 400),
    "byte order mark": (b"\xef\xbb\xbf{}", 400),
    "deep list": (b"[" * 30_000 + b"]" * 30_000, 400),
    "deep object": (b'{"to":' * 50_000 + b"1" + b"}" * 50_000, 413),
    "less deep": (b'{"to":' * 900 + b"1" + b"}" * 900, 422),
    "NaN": (b'{"up_to_seq": NaN}', 400),
    "Infinity": (b'{"up_to_seq": -Infinity}', 400),
    "5000 digits": (b'{"up_to_seq": ' + b"9" * 5000 + b"}", 400),
    "huge": (b'{"text": "' + b"x" * 256_000 + b'"}', 413),
    "list": (b"[]", 422),
    "null": (b"null", 422),
    "text": (b'"x"', 422),
    "number": (b"1", 422),
    "true": (b"true", 422),
    "unknown field": (b'{"\\u0000unknown": 1}', 422),
    "name of the machinery": (b'{"__class__": {}, "_schema": 1}', 422),
}


@pytest.fixture(scope="module")
def phone(shared_service: Service) -> Phone:
    """A phone of extension 201."""
    return shared_service.pair("201")


def check_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    told = answer.json
    assert told["status"] == status
    assert told["detail"]
    if status == 422:
        assert told["field"] in told["errors"] if "errors" in told else told["field"]
        assert told["detail"].startswith(f"{told['field']}: ") or told["code"] != "invalid"
    return dict(told)


@pytest.mark.parametrize(("method", "path"), TAKES_JSON)
@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_cannot_be_used(phone: Phone, method: str, path: str, name: str) -> None:
    body, status = BODIES[name]
    answer = phone.call(method, path, data=body, content_type="application/json")
    check_problem(answer, status)


@pytest.mark.parametrize(("method", "path"), [*TAKES_JSON, ("POST", "/media")])
@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "\xe9", "json", ";"]
)
def test_another_content_type_is_refused(
    phone: Phone, method: str, path: str, content_type: str
) -> None:
    answer = phone.call(method, path, data=b'{"a": 1}', content_type=content_type)
    check_problem(answer, 415)


GOOD = {"to": PEER, "text": "hi"}
ODD: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**63, 2**200, 1e308, "", [], {}, [None], [[]], [{}], {"a": 1}),
]
WRONG = [
    *[("to", value) for value in ODD],
    *[("text", value) for value in ODD if value != ""],
    *[("from", value) for value in ODD],
    *[("conversation_id", value) for value in ODD],
    *[("media_ids", value) for value in ODD if value != []],
    *[("client_id", value) for value in ODD],
    ("to", "nobody"),
    ("to", "+1202555\x00"),
    ("to", "\ud83d"),
    ("to", "x" * 65),
    ("to", [PEER] * 51),
    ("to", ["+12025550101"]),
    ("to", "BANK"),
    ("text", "x" * 10_001),
    ("from", "\x00"),
    ("from", "\ud83d"),
    ("conversation_id", SOME_ID.upper()),
    ("conversation_id", SOME_ID + "\n"),
    ("media_ids", [SOME_ID]),
    ("media_ids", [SOME_ID] * 21),
    ("media_ids", ["../../etc/passwd"]),
    ("client_id", "x" * 129),
    ("client_id", "a\x00"),
    ("client_id", "a\n"),
    ("client_id", "\ud83d"),
    ("client_id", "é"),
    ("unknown", "x"),
    ("Text", "x"),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=[f"{f}={str(v)[:20]!a}" for f, v in WRONG])
def test_a_message_with_one_wrong_field_is_refused_by_name(
    shared_service: Service, phone: Phone, field: str, value: Any
) -> None:
    before = shared_service.gateway.store.read(messages.latest_seq)
    told = check_problem(phone.post("/messages", GOOD | {field: value}), 422)
    assert told["field"].partition("[")[0] == field
    assert shared_service.gateway.store.read(messages.latest_seq) == before


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "to"),
        ({"text": "hi"}, "to"),
        ({"to": PEER}, "text"),
        ({"to": PEER, "text": " \n"}, "text"),
        ({"to": PEER, "text": "hi", "conversation_id": SOME_ID}, "conversation_id"),
        ({"from": PEER, "text": "hi", "conversation_id": SOME_ID}, "conversation_id"),
    ],
)
def test_a_message_without_what_it_needs_is_refused_by_name(
    phone: Phone, asked: dict[str, str], field: str
) -> None:
    assert check_problem(phone.post("/messages", asked), 422)["field"] == field


def test_every_wrong_field_is_named_at_once(phone: Phone) -> None:
    asked = {"to": [PEER, 5], "text": 1, "txt": "hi"}
    told = check_problem(phone.post("/messages", asked), 422)
    assert set(told["errors"]) == {"to[1]", "text", "txt"}
    assert "written" in told["errors"]["txt"][0]


def test_any_text_is_kept_as_far_as_a_database_can(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    for text, kept in TEXTS.items():
        sent = phone.send(to=PEER, text=text)
        assert sent["text"] == kept
        assert phone.read(f"/messages/{sent['id']}")["text"] == kept


TEXTS = {
    "a\x00b": "a\ufffdb",
    "half \ud83d": "half \ufffd",
    "\U0001f600 \u202e\u0301": "\U0001f600 \u202e\u0301",
    "{{7*7}} $(id) '-- \r\n\t": "{{7*7}} $(id) '-- \r\n\t",
}


@pytest.mark.parametrize("key", ["", '"', '""', "x" * 131, "\xe9", "a\x01b"])
def test_a_wrong_idempotency_key_is_refused_or_harmless(phone: Phone, key: str) -> None:
    answer = phone.post("/messages", GOOD, headers={"Idempotency-Key": key})
    if answer.status_code != 202:
        assert check_problem(answer, 422)["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        *[("/conversations", {"limit": n}) for n in ("0", "201", "-1", "x", "1.5", "1_0", "")],
        ("/conversations", {"limit": "\uff19"}),
        *[("/conversations", {"cursor": n}) for n in ("-1", "x", "9" * 19, "", "\x00", "1\n")],
        ("/conversations", {"unread": "perhaps"}),
        *[("/sync", {"since": n}) for n in ("-1", "x", "9" * 19, "", " 1", "1.0", "0x1", "١")],
        *[("/sync", {"timeout": n}) for n in ("-1", "31", "x", "1e1", "nan")],
        *[("/conversations", {"q": text}) for text in ("", "x" * 101)],
        *[("/search", {"q": text}) for text in ("", "x" * 101)],
        *[("/search", {"q": "x", "before": n}) for n in ("-1", "x", "9" * 19)],
        *[("/search", {"q": "x", "limit": n}) for n in ("0", "201")],
        ("/sync", {"limit": "0"}),
        ("/sync", {"limt": "1"}),
        ("/events", {"\x00": "1"}),
        *[("/events", {"since": n}) for n in ("-1", "x", "9" * 19)],
        *[(f"/conversations/{SOME_ID}/messages", {"before": n}) for n in ("-1", "x", "9" * 19)],
    ],
)
def test_a_wrong_query_is_refused_by_name(phone: Phone, path: str, query: dict[str, str]) -> None:
    told = check_problem(phone.get(path, query_string=query), 422)
    assert told["field"] in query


def test_a_search_for_nothing_is_refused_by_name(phone: Phone) -> None:
    assert check_problem(phone.get("/search"), 422)["field"] == "q"


def test_numbers_at_the_very_end_of_their_range(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    service_on_each_database.receive()
    (conversation,) = phone.read("/conversations")["items"]
    at = f"/conversations/{conversation['id']}"
    last = 10**18 - 1
    assert phone.read(f"{at}/messages", before=last)["items"] != []
    assert phone.read(f"{at}/messages", after=last)["items"] == []
    assert phone.read("/conversations", cursor=last)["items"] != []
    assert phone.read("/search", q="hi", before=last)["items"] != []
    assert phone.read("/search", q="hi", before=0)["items"] == []
    assert phone.read("/sync", since=last)["reset"] is True
    for wrong in (2**63, -1, "1", 1.5, True, 1e308, None, [], {}):
        check_problem(phone.post(f"{at}/read", {"up_to_seq": wrong}), 422)


def test_an_id_that_is_none_is_not_found(service_on_each_database: Service) -> None:
    phone = service_on_each_database.pair("201")
    for identifier in NO_IDS:
        for path in ID_PATHS:
            check_problem(phone.get(path.format(identifier)), 404)
        assert (
            service_on_each_database.client.get(f"/media/{identifier}?exp=1&sig=x").status_code
            == 404
        )


ID_PATHS = ("/messages/{}", "/conversations/{}", "/conversations/{}/messages", "/media/{}")
NO_IDS = (
    *("x", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%00", "a%00b", "%ed%a0%bd", "'--", "0" * 500),
    *(SOME_ID + "%00", SOME_ID + "%0a", "{" + SOME_ID + "}", SOME_ID.replace("-", "")),
)


def test_another_method_is_refused_with_the_right_ones(phone: Phone) -> None:
    answer = phone.call("PATCH", "/messages")
    check_problem(answer, 405)
    assert "POST" in answer.headers["Allow"]


def test_a_body_of_unknown_length_is_bounded_too(phone: Phone) -> None:
    body = Endless()
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True}  # as servers hand it over
    answer = phone.call(
        "POST", "/messages", content_type="application/json", environ_overrides=chunked
    )
    check_problem(answer, 413)
    assert body.given < 1_000_000


class Endless(RawIOBase):
    """A body without an end."""

    given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.given += len(buffer)
        buffer[:] = b"x" * len(buffer)
        return len(buffer)


def test_nothing_is_kept_while_storage_is_unwell(
    shared_service: Service, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwell(work: Any) -> Any:
        raise StorageUnwell("the disk is full")

    phone.get("/me")
    monkeypatch.setattr(shared_service.gateway.store, "write", unwell)
    answer = phone.post("/messages", GOOD)
    assert check_problem(answer, 503)["code"] == "storage_unwell"
    assert answer.headers["Retry-After"] == "5"
    assert "full" not in answer.text
    assert phone.get("/me").status_code == 200


def test_a_recipient_of_the_wrong_type_is_told_which_one_is_right(phone: Phone) -> None:
    answer = phone.post("/messages", {"to": 5, "text": "x"})
    assert answer.status_code == 422
    assert "Send a phone number as a text" in (answer.json or {})["detail"]


@pytest.mark.parametrize("limit", ["0", "201", "x"])
def test_a_limit_is_told_with_its_bounds(phone: Phone, limit: str) -> None:
    answer: Any = phone.get("/conversations", query_string={"limit": limit})
    assert answer.json["errors"]["limit"] == ["Send a whole number from 1 to 200."]
