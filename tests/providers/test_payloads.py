"""Providers by their payload files, in one table for all (``tests/payload_files.py``)."""

import base64
import json
import re
import time
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
import responses
from responses.registries import OrderedRegistry

from services.config import variables
from services.core.errors import InvalidWebhook, Kind, MediaError, SendError
from services.core.messages import Attachment, Message, Parsed, Unreadable, WebhookCall
from services.providers import PROVIDERS, error_table
from services.providers.base import Provider
from services.providers.proofs import NoSigningKey
from tests import payload_files
from tests.payload_files import understood

WITHOUT_PAYLOADS = {"sandbox"}  # nobody outside speaks it

FAILURES = {
    "no connection": requests.exceptions.ConnectTimeout(),
    "no answer": requests.exceptions.ConnectionError("Connection aborted."),
}

WEBHOOKS = [*payload_files.cases("receive_*.http"), *payload_files.cases("status_*.http")]


@pytest.fixture(autouse=True)
def http_mock() -> Iterator[responses.RequestsMock]:
    """No test leaves the machine, and every exchange that was promised takes place, in order."""
    with responses.RequestsMock(registry=OrderedRegistry) as mock:
        yield mock


def test_every_carrier_has_payload_files() -> None:
    assert set(payload_files.carriers()) == {p.name for p in PROVIDERS} - WITHOUT_PAYLOADS


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_every_kind_of_payload_is_there(carrier: str) -> None:
    folder, provider = payload_files.FOLDER / carrier, payload_files.provider(carrier)
    names = {path.stem for path in folder.iterdir()}
    assert {"settings", "media", "receive_sms"} <= names
    assert {"send_text", "send_refused", "send_later", "send_unknown"} <= names
    read = [item for path in folder.glob("*.http") for item in payload_files.expected(path)]
    messages = [item["message"] for item in read if "message" in item]
    assert any("media" in message for message in messages), "no inbound message with media"
    assert any("media" not in message for message in messages), "no inbound text"
    assert any("unreadable" in item for item in read), "no call that cannot be read"
    if provider.receipts:
        ends = {item["status"]["status"] for item in read if "status" in item}
        assert {"sent", "delivered", "failed"} <= ends, "a kind of status is missing"
    cases = [param.values for param in payload_files.send_cases() if param.values[0] == carrier]
    outcomes = [outcome for _, case in cases for outcome in case["follows"]]
    kinds = {outcome["error"]["kind"] for outcome in outcomes if "error" in outcome}
    assert any("sent" in outcome for outcome in outcomes)
    assert {"refused", "retry", "unknown", "config"} <= kinds, "a kind of refusal is missing"
    written = [message for _, case in cases for message in case["messages"]]
    assert any("media" in message for message in written), "no message with media is sent"


# Webhooks


@pytest.mark.parametrize("path", WEBHOOKS)
def test_a_webhook_is_verified_and_understood(path: Path) -> None:
    provider, call = payload_files.captured(path)

    provider.verify(call)
    parsed = list(provider.parse(call))

    read = [understood(item) for item in parsed]
    assert _without_invented_times(read, payload_files.expected(path)) == (
        payload_files.expected(path)
    )
    assert {item.provider for item in parsed if isinstance(item, Message)} <= {provider.name, ""}


def _without_invented_times(read: list[Any], expected: list[Any]) -> list[Any]:
    """A receipt whose time cannot be read gets ours, which no file can know."""
    for item, wanted in zip(read, expected, strict=False):
        if "status" in item and "at" not in wanted.get("status", {"at": None}):
            del item["status"]["at"]
    return read


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_a_token_of_any_letters_stands_in_the_address_as_it_is_read(carrier: str) -> None:
    token = "a+b&c=d e/é#%41"
    own = {f"{payload_files.provider_class(carrier).prefix()}WEBHOOK_TOKEN": token}
    provider = payload_files.provider(carrier, payload_files.settings(carrier) | own)
    query = urlsplit(provider.webhook_url).query
    assert parse_qs(query).get("token", [token]) == [token]
    message = Message(direction="in", number="+12025550143", peer="+13035550177", text="hi")
    provider.verify(provider.example(message, payload_files.signing_key(carrier)))


# Proofs: what is declared is spoiled, one thing at a time

NOW = 1_772_442_904.0
PROVED = [
    pytest.param(path, id=f"{carrier}/{place}")
    for carrier in payload_files.carriers()
    for place, path in payload_files.proved_calls(carrier).items()
]


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_every_declared_proof_has_a_payload(carrier: str) -> None:
    proofs = payload_files.provider(carrier).proofs
    assert proofs, "a carrier without a proof lets nobody in"
    assert all(bool(proof.header) != bool(proof.argument) for proof in proofs)
    places = [proof.header or f"?{proof.argument}" for proof in proofs]
    assert sorted(places) == sorted(payload_files.proved_calls(carrier))


def gets_in(provider: Provider, call: WebhookCall) -> bool:
    try:
        provider.verify(call)
    except InvalidWebhook:
        return False
    return True


@pytest.mark.parametrize("path", PROVED)
def test_a_call_with_its_proof_gets_in_and_with_a_spoiled_one_does_not(path: Path) -> None:
    provider = payload_files.provider(path.parent.name, clock=lambda: NOW)
    call = payload_files.fresh(path, lambda: NOW)
    provider.verify(call)

    spoiled = payload_files.spoiled(path, NOW)
    assert call not in spoiled.values()
    assert [how for how, changed in spoiled.items() if gets_in(provider, changed)] == []


@pytest.mark.parametrize("path", PROVED)
def test_a_signature_is_right_for_as_long_as_is_declared(path: Path) -> None:
    provider = payload_files.provider(path.parent.name, clock=lambda: NOW)
    window = payload_files.proof_of(payload_files.fresh(path), provider).window
    for at in (NOW - window, NOW, NOW + window):
        provider.verify(payload_files.fresh(path, lambda at=at: at))  # type: ignore[misc]
    for at in (NOW - window - 1, NOW + window + 1) if window else ():
        assert not gets_in(provider, payload_files.fresh(path, lambda at=at: at))  # type: ignore[misc]


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_the_proof_of_another_carrier_lets_nobody_in(carrier: str) -> None:
    provider = payload_files.provider(carrier)
    for other in set(payload_files.carriers()) - {carrier}:
        for path in payload_files.proved_calls(other).values():
            assert not gets_in(provider, payload_files.fresh(path)), path


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_a_key_of_the_carriers_own_is_needed_to_sign_for_it(carrier: str) -> None:
    provider = payload_files.provider(carrier)
    message = Message(direction="in", number="+12025550143", peer="+13035550177", text="hi")
    key = payload_files.signing_key(carrier)
    assert (key is not None) == provider.proofs[0].foreign_key
    provider.verify(provider.example(message, key))
    if key is not None:
        for wrong in (None, b"", b"no key"):
            with pytest.raises(NoSigningKey):
                provider.example(message, wrong)


HOSTILE_BODIES = {
    "nothing": b"",
    "a number": b"5",
    "null": b"null",
    "deep lists": b"[" * 100_000,
    "deep lists that end": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"type":' * 50_000 + b"1" + b"}" * 50_000,
    "a deep event": b'[{"type":' + b"[" * 900 + b"]" * 900 + b"}]",
    "not a number": b'[{"type":NaN}]',
    "an endless number": b'[{"type":1e999}]',
    "a huge number": b'[{"type":' + b"9" * 5000 + b"}]",
    "zeros": b"\x00" * 1000,
    "UTF-16": '[{"type":"message-received"}]'.encode("utf-16"),
    "a form": b"From=%2B13035550177&Body=%00&Body=%FF&=&&",
    "a broken form": b"%%%=%zz&\xff\xfe=1",
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_a_hostile_body_is_kept_and_never_raises(carrier: str, body: bytes) -> None:
    provider = payload_files.provider(carrier)

    parsed = list(provider.parse(WebhookCall("POST", {}, "", body)))

    [kept] = parsed
    assert isinstance(kept, Unreadable)
    assert [
        again.reason
        for again in provider.parse(WebhookCall("POST", {}, "", kept.body))
        if isinstance(again, Unreadable)
    ] == [kept.reason]


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_no_depth_of_a_body_is_too_deep(carrier: str) -> None:
    provider = payload_files.provider(carrier)

    for depth in range(500, 1000, 3):
        body = b'[{"type":' + b"[" * depth + b"]" * depth + b"}]"
        [kept] = provider.parse(WebhookCall("POST", {}, "", body))
        assert isinstance(kept, Unreadable)


@pytest.mark.parametrize("path", WEBHOOKS)
def test_no_part_of_a_webhook_can_be_changed_so_that_parsing_raises(path: Path) -> None:
    provider = payload_files.provider(path.parent.name)
    call = payload_files.read_request(path).call
    try:
        told = call.json()
    except ValueError:
        return

    for changed in _spoilt(told):
        body = json.dumps(changed).encode()
        parsed = list(provider.parse(WebhookCall("POST", {}, "", body)))
        assert all(_can_be_kept(item) for item in parsed)


def _can_be_kept(item: Parsed) -> bool:
    """Whether every database can keep the texts of something that was read."""
    if isinstance(item, Unreadable):
        return _is_text(item.reason)
    return all(_is_text(text) for text in _texts(understood(item)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _is_text(text: str) -> bool:
    return "\x00" not in text and text == text.encode("utf-8", "replace").decode()


def _spoilt(value: Any) -> Iterator[Any]:
    """The value with each of its parts replaced by something odd, and with each left out."""
    yield from (None, True, 0, -1.5, 10**400, "", "\ud800\x00", [], [None], [[]], {}, {"": {}})
    if isinstance(value, dict):
        for name, part in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            yield from ({**value, name: odd} for odd in _spoilt(part))
    elif isinstance(value, list):
        for index, part in enumerate(value[:2]):
            yield from ([*value[:index], odd, *value[index + 1 :]] for odd in _spoilt(part))


# Sending


@pytest.mark.parametrize(("carrier", "case"), payload_files.send_cases())
def test_a_message_is_sent(
    carrier: str, case: dict[str, Any], http_mock: responses.RequestsMock, tmp_path: Path
) -> None:
    env = {**payload_files.settings(carrier), **case.get("env", {})}
    provider = payload_files.provider(carrier, env, lambda: case.get("now", time.time()))
    for exchange in case["exchanges"]:
        _promise(http_mock, exchange)

    outcomes: list[dict[str, Any]] = []
    for written in case["messages"]:
        try:
            sent = provider.send(payload_files.outbound(written, tmp_path))
        except SendError as error:
            outcomes.append({"error": _described(error)})
        else:
            outcomes.append({"sent": sent})

    assert outcomes == case["follows"]
    assert not [secret for secret in _secrets(carrier) if secret in json.dumps(outcomes)]
    _made_as_promised(http_mock, case)


@pytest.mark.parametrize(("carrier", "case"), payload_files.table_cases("find_sent.json"))
def test_a_message_is_looked_up(
    carrier: str, case: dict[str, Any], http_mock: responses.RequestsMock, tmp_path: Path
) -> None:
    provider = payload_files.provider(carrier, clock=lambda: NOW)
    for exchange in case["exchanges"]:
        _promise(http_mock, exchange)
    message = payload_files.outbound(case["message"], tmp_path)

    outcome: dict[str, Any] | None
    try:
        found = provider.find_sent(message)
        outcome = None if found is None else understood(found)
    except SendError as error:
        outcome = {"error": _described(error)}

    assert outcome == case["follows"]
    _made_as_promised(http_mock, case)


@pytest.mark.parametrize(("carrier", "case"), payload_files.table_cases("check.json"))
def test_an_account_is_checked(
    carrier: str, case: dict[str, Any], http_mock: responses.RequestsMock
) -> None:
    provider = payload_files.provider(carrier)
    for exchange in case["exchanges"]:
        _promise(http_mock, exchange)

    findings: list[Any] = []
    try:
        findings += ([finding.ok, finding.text] for finding in provider.check(case["numbers"]))
    except SendError as error:
        findings.append({"error": _described(error)})

    assert findings == case["follows"]
    assert not [secret for secret in _secrets(carrier) if secret in json.dumps(findings)]
    _made_as_promised(http_mock, case)


def _made_as_promised(http_mock: responses.RequestsMock, case: dict[str, Any]) -> None:
    """Compare the requests that were made with the ``exchanges`` of a case."""
    expected = [exchange["request"] for exchange in case["exchanges"]]
    assert len(http_mock.calls) == len(expected)
    assert [
        _described_request(call.request, like)
        for call, like in zip(http_mock.calls, expected, strict=True)
    ] == expected


def _secrets(carrier: str) -> list[str]:
    cls = payload_files.provider_class(carrier)
    env = payload_files.settings(carrier)
    return [
        env[v.name]
        for v in variables.variables(cls.Settings, cls.prefix())
        if v.secret and v.name in env
    ]


def _promise(http_mock: responses.RequestsMock, exchange: dict[str, Any]) -> None:
    request, answer = exchange["request"], exchange.get("answer", {})
    body: Any = answer.get("body", "")
    if "json" in answer:
        body = json.dumps(answer["json"])
    elif "base64" in answer:
        body = base64.b64decode(answer["base64"])
    elif "fill" in answer:
        body = "x" * answer["fill"]
    elif "fails" in exchange:
        body = FAILURES[exchange["fails"]]
    http_mock.add(
        request["method"],
        request["url"],
        body=body,
        status=answer.get("status", 200),
        headers=answer.get("headers", {}),
    )


def _described_request(made: requests.PreparedRequest, like: dict[str, Any]) -> dict[str, Any]:
    """A request that was made, in the form of the one that was expected."""
    body = made.body or b""
    raw = body.encode() if isinstance(body, str) else body
    described: dict[str, Any] = {"method": made.method, "url": made.url}
    if "headers" in like:
        described["headers"] = {name: made.headers.get(name) for name in like["headers"]}
    if "json" in like:
        described["json"] = json.loads(raw)
    if "form" in like:
        described["form"] = dict(parse_qsl(raw.decode(), keep_blank_values=True))
    if "parts" in like:
        described["parts"] = _parts(made.headers.get("Content-Type", ""), raw)
    if "body" in like:
        described["body"] = raw.decode()
    return described


def _parts(content_type: str, raw: bytes) -> dict[str, str]:
    """The parts of a multipart body that are no files."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parsed = BytesParser(policy=HTTP).parsebytes(head + raw)
    assert parsed.get_content_type() == "multipart/form-data"
    return {
        str(part.get_param("name", header="content-disposition")): bytes(
            part.get_payload(decode=True)
        ).decode()
        for part in parsed.iter_parts()
        if part.get_filename() is None
    }


def _described(error: SendError) -> dict[str, Any]:
    described = {
        "kind": str(error.kind),
        "reason": error.reason,
        "code": error.code,
        "retry_after": error.retry_after,
    }
    return {name: value for name, value in described.items() if value is not None}


# Error tables


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_every_entry_of_an_error_table_is_well_formed(carrier: str) -> None:
    table = error_table.load(str(payload_files.PROVIDERS_FOLDER / carrier / "errors.toml"))

    listed = [*table.codes.values(), *table.prefixes, *table.http.values()]
    assert listed
    for entry in listed:
        if entry.code not in map(str, table.http) or entry.reason:  # 408 may need no remedy
            assert re.fullmatch(r"[A-Z“].{8,}[.?]", entry.reason), entry
            assert "  " not in entry.reason, entry
        assert entry.says == entry.says.lower(), entry
        assert entry.pause is None or entry.pause > 0, entry
    if table.prefixes:
        assert table.prefixes[-1].code == "", "the last one explains every code that is not listed"
    assert all(300 <= status < 600 for status in table.http)


MALFORMED = {
    "a code twice": """errors = [{codes = ["1"], kind = "retry", reason = "A."},
        {codes = ["2", "1"], kind = "refused", reason = "B."}]""",
    "a status twice": """http = [{status = [401, 401], kind = "config", remedy = ""}]""",
    "an unknown kind": """errors = [{codes = ["1"], kind = "maybe", reason = "A."}]""",
    "a kind of push channels": """errors = [{codes = ["1"], kind = "gone", reason = "A."}]""",
    "no kind": """errors = [{codes = ["1"], reason = "A."}]""",
    "no reason": """errors = [{codes = ["1"], kind = "retry"}]""",
    "a reason that is no text": """errors = [{codes = ["1"], kind = "retry", reason = 1}]""",
    "no code": """errors = [{codes = [], kind = "retry", reason = "A."}]""",
    "an unknown field": """errors = [{codes = ["1"], kind = "retry", reason = "A.", why = ""}]""",
    "an unknown list": """erors = []""",
    "no TOML": """errors = [""",
}


@pytest.mark.parametrize("written", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_error_table_is_refused(written: str, tmp_path: Path) -> None:
    (tmp_path / "errors.toml").write_text(written, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        error_table.load(str(tmp_path / "errors.py"))


# Files


MEDIA = [
    pytest.param(path.parent.name, case, id=f"{path.parent.name}-{number}")
    for path in sorted(payload_files.FOLDER.glob("*/media.json"))
    for number, case in enumerate(payload_files.expected(path))
]


@pytest.mark.parametrize(("carrier", "case"), MEDIA)
def test_credentials_are_shown_to_the_carriers_own_addresses_alone(
    carrier: str, case: dict[str, Any], http_mock: responses.RequestsMock
) -> None:
    provider = payload_files.provider(carrier, {**payload_files.settings(carrier), **case["env"]})
    for exchange in case["exchanges"]:
        _promise(http_mock, exchange)

    for address in case["ours"]:
        assert provider.media_headers(address) == case["headers"], address
    for address, headers in case.get("renewed", {}).items():
        assert provider.media_headers(address, renew=True) == headers, address
    for address in case["foreign"]:
        with pytest.raises(MediaError) as caught:
            provider.media_headers(address)
        assert caught.value.kind is Kind.REFUSED, address


# Settings


SETTINGS = [
    pytest.param(path.parent.name, case, id=f"{path.parent.name}/{name}")
    for path in sorted(payload_files.FOLDER.glob("*/settings.json"))
    for name, case in payload_files.expected(path).items()
]


@pytest.mark.parametrize(("carrier", "case"), SETTINGS)
def test_settings_are_taken_or_every_problem_is_named_at_once(
    carrier: str, case: dict[str, Any]
) -> None:
    cls = payload_files.provider_class(carrier)

    loaded, problems = variables.load(cls.Settings, cls.prefix(), case["env"])

    assert sorted(problem.variable for problem in problems) == sorted(case["problems"])
    assert (loaded is None) == bool(case["problems"])
    assert variables.is_on(cls.Settings, cls.prefix(), case["env"])


# The call that a carrier would make


GROUP = ("+13035550177", "+13035550122")
EXAMPLES = {
    "a text": Message("in", "+12025550143", "+13035550177", text="Grüße 😀\n\u2028"),
    "a group": Message(
        "in", "+12025550143", "+13035550177", text="hello", participants=GROUP, provider_id="id-7"
    ),
    "a picture": Message(
        "in",
        "+12025550143",
        "+13035550177",
        media=(Attachment(source_url="https://files.example.com/1/a.jpg", name="a.jpg"),),
        carrier_time=1_772_442_904.25,
    ),
}


@pytest.mark.parametrize("message", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_the_carrier_understands_its_own_example(carrier: str, message: Message) -> None:
    provider = payload_files.provider(carrier)
    if len(message.participants) > provider.limits.recipients:
        pytest.skip("no groups")

    call = provider.example(message, payload_files.signing_key(carrier))
    provider.verify(call)
    [parsed] = provider.parse(call)

    assert isinstance(parsed, Message)
    for name in ("number", "peer", "text", "participants"):
        assert getattr(parsed, name) == getattr(message, name), name
    assert [file.source_url for file in parsed.media] == [file.source_url for file in message.media]
    assert parsed.provider_id
    [again] = provider.parse(provider.inbound_call(message))
    assert isinstance(again, Message)
    assert again.provider_id == parsed.provider_id, "the same message has the same id"


@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_the_address_to_paste_lets_its_holder_in(carrier: str) -> None:
    provider = payload_files.provider(carrier)
    address, _, query = provider.webhook_url.partition("?")

    assert address == f"{payload_files.APP_URL}/webhook/{carrier}/sms"
    if provider.token_in_url:
        provider.verify(WebhookCall("POST", {}, query, b"{}"))
        return
    assert not query
    with pytest.raises(InvalidWebhook):
        provider.verify(WebhookCall("POST", {}, f"token={provider.webhook_token}", b"{}"))
