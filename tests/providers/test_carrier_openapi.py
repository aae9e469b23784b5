"""The tool that holds our requests against a carrier's OpenAPI document."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests import carrier_openapi, payload_files
from tests.carrier_openapi import Document, request_differences

MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["from", "to"],
    "properties": {
        "from": {"type": "string"},
        "to": {"type": "string"},
        "tag": {"type": "string", "nullable": True},
        "message_body": {"$ref": "#/components/schemas/Body"},
    },
}
DOCUMENT = Document(
    {
        "openapi": "3.0.3",
        "paths": {
            "/v3/messages": {
                "get": {"parameters": [{"name": "type", "in": "query", "required": True}]},
                "post": {"requestBody": {"content": {"application/json": {"schema": MESSAGE}}}},
            }
        },
        "components": {"schemas": {"Body": {"type": "object", "required": ["text"]}}},
    }
)
SHOWN = """
paths: {}
components:
  examples:
    received:
      value: {type: message-received, time: 2026-03-02T09:15:03Z,
        message: {id: "1", from: Ann, to: ["+12025550143"], owner: "+12025550143"}}
    broken: {value: {type: message-received, message: {id: "2", owner: "+12025550143"}}}
    of_another_schema: {value: {type: 1}}
  schemas:
    inboundCallback:
      properties:
        type: {type: string, enum: [message-received]}
        time: {type: string}
        message: {allOf: [{$ref: "#/components/schemas/message"}]}
    message:
      properties:
        id: {type: string, example: "3"}
        from: {type: string, example: "+13035550177"}
        owner: {type: string, example: "+12025550143"}
        to: {type: array, items: {type: string, example: "+12025550143"}}
"""
URL = "https://api.example.com/v3/messages"
GOOD = {"from": "1", "to": "2", "tag": None, "message_body": {"text": "x"}}


@pytest.mark.parametrize(
    ("request_", "differs"),
    [
        ({"method": "POST", "url": URL, "json": GOOD}, ""),
        ({"method": "POST", "url": URL, "json": {**GOOD, "body": "x"}}, "body: not in the"),
        ({"method": "POST", "url": URL, "json": {**GOOD, "to": 2}}, "to: 2 is not of type"),
        ({"method": "POST", "url": URL, "json": {**GOOD, "message_body": {}}}, "'text' is a req"),
        ({"method": "POST", "url": URL, "form": {"to": "2"}}, "x-www-form-urlencoded"),
        ({"method": "POST", "url": f"{URL}/x", "json": GOOD}, "/v3/messages/x: not in the"),
        ({"method": "GET", "url": f"{URL}?type=inbound"}, ""),
        ({"method": "GET", "url": f"{URL}?type=x&kind=y"}, "?kind: not in the document"),
        ({"method": "GET", "url": URL}, "?type: missing"),
    ],
)
def test_a_request_is_held_against_the_document(request_: dict[str, Any], differs: str) -> None:
    found = request_differences(DOCUMENT, request_)
    assert bool(found) == bool(differs)
    assert all(differs in each for each in found)


def test_the_requests_and_calls_of_the_payload_files_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "wavix.json"
    document.write_text(json.dumps(DOCUMENT.root), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["carrier_openapi", "wavix", str(document)])
    assert carrier_openapi.main() == 1
    told = capsys.readouterr().out
    assert "callback_url: not in the document" in told
    assert "the document has no schema InboundMessage" in told
    for carrier in carrier_openapi.CALLS:
        assert any(True for _ in carrier_openapi.requests_of(carrier))
        assert carrier in payload_files.carriers()


def test_the_calls_of_a_document_are_read_as_by_the_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = tmp_path / "bandwidth.yaml"
    document.write_text(SHOWN, encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["carrier_openapi", "bandwidth", str(document)])
    assert carrier_openapi.main() == 1
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("shown:")] == [
        "shown: broken: “from” is missing."
    ]
    assert told[-1] == "3 calls of the document, 1 of them cannot be read."
