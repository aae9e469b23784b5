"""Sandbox pages: session, the simulated phone outside, and the front page."""

import json
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from services.core.messages import Message
from services.gateway import Gateway
from services.store import devices
from tests.conftest import NUMBER, PEER, settings_file
from tests.databases import add_tables
from tests.message_steps import receive_call

OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
BANDWIDTH = {
    "BANDWIDTH_ACCOUNT_ID": "9900000",
    "BANDWIDTH_API_TOKEN": "token",
    "BANDWIDTH_API_SECRET": "secret of the tests",
    "BANDWIDTH_APPLICATION_ID": "93de2206-9669-4e07-948d-329f4b722ee2",
}
PRODUCTION = {"APP_ENV": "production", "APP_KEY": "a key of the tests, long enough"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
Make = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Make]:
    """The whole application on this test's folder, as after a first local start."""
    opened: list[Gateway] = []

    def make(**env: str) -> Flask:
        add_tables(tmp_path)
        app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), **env})
        opened.append(gateway_of(app))
        return app

    yield make
    for gateway in opened:
        gateway.close()


@pytest.fixture
def app(make_app: Make) -> Flask:
    return make_app()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def gateway_of(app: Flask) -> Gateway:
    gateway: Gateway = app.extensions["gateway"]
    return gateway


def session(client: FlaskClient, token: str = "") -> dict[str, Any]:
    answer = client.post("/sandbox/session", json={"token": token}, headers=OWN_PAGE)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json
    return told


def is_there(client: FlaskClient, address: str, content_type: str = "") -> bool:
    with client.get(address) as answer:  # a file is open as long as its answer is
        return answer.status_code == 200 and answer.mimetype.startswith(content_type)


def look(client: FlaskClient, number: str = PEER, **query: Any) -> dict[str, Any]:
    """What the phone outside sees."""
    provider = gateway_of(client.application).providers["sandbox"]
    answer = client.get(
        "/sandbox/phone",
        query_string={"number": number, **query},
        headers={"Authorization": f"Bearer {provider.webhook_token}"},
    )
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json
    return told


def call_webhook(client: FlaskClient, event: dict[str, Any]) -> int:
    gateway = gateway_of(client.application)
    token = gateway.providers["sandbox"].webhook_token
    query = {"token": token}
    answer = client.post("/webhook/sandbox/sms", query_string=query, json=event)
    gateway.processor.process_all()
    return answer.status_code


def write(client: FlaskClient, text: str, reference: str = "one", sender: str = PEER) -> None:
    event = {"id": reference, "from": sender, "to": NUMBER, "text": text}
    assert call_webhook(client, event) == 200


def reply(client: FlaskClient, text: str) -> dict[str, Any]:
    answer = client.post(
        "/api/v1/messages",
        json={"to": PEER, "text": text},
        headers={"Authorization": f"Bearer {session(client)['token']}"},
    )
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json
    return told


def work(app: Flask) -> None:
    gateway = gateway_of(app)
    gateway.delivery.deliver("worker", lambda _: 8, gateway.delivery.perform)


# The front page


def test_the_front_page_leads_to_the_sandbox(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.location) == (302, "/sandbox")


@pytest.mark.parametrize("env", [PRODUCTION, BANDWIDTH, PRODUCTION | BANDWIDTH])
def test_the_sandbox_exists_only_locally_and_without_a_carrier(
    make_app: Make, env: dict[str, str]
) -> None:
    client = make_app(**env).test_client()
    assert client.get("/sandbox").status_code == 404
    assert client.get("/sandbox/static/sandbox.js").status_code == 404
    assert client.post("/sandbox/session", json={}, headers=OWN_PAGE).status_code == 404
    assert client.get("/sandbox/phone").status_code == 404
    assert client.post("/webhook/sandbox/sms", json={}).status_code == 404


def test_in_production_the_front_page_says_what_this_is(make_app: Make) -> None:
    client = make_app(**PRODUCTION).test_client()
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    assert "Textbridge" in answer.text
    for link in ("/up", "/api/docs"):
        assert f'href="{link}"' in answer.text
        assert client.get(link).status_code == 200
    assert ".venv" not in answer.text, "it is public"
    assert is_there(client, "/home/home.css", "text/css")


def test_a_browser_at_an_unknown_address_gets_a_page_with_ways_on(client: FlaskClient) -> None:
    answer = client.get("/phnoe/", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "Page not found" in answer.text
    assert 'href="/phone/"' in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/phnoe/", "*/*"),
        ("/phnoe/", "application/json"),
        ("/phnoe/", None),
        ("/api/v1/nothing", BROWSER),
        ("/webhook/bandwith/sms", BROWSER),
    ],
)
def test_a_program_at_an_unknown_address_gets_a_problem_document(
    client: FlaskClient, path: str, accept: str | None
) -> None:
    answer = client.get(path, headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert answer.json is not None
    assert answer.json["code"] == "not_found"


# The page


class Inline(HTMLParser):
    """Collects what a strict content security policy would block, and what is loaded."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.blocked: list[str] = []
        self.loaded: list[str] = []
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.blocked += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.blocked.append(tag)
        if tag in ("script", "link", "img"):
            self.loaded.append(str(given.get("src") or given.get("href")))


@pytest.mark.parametrize(("env", "path"), [({}, "/sandbox"), (PRODUCTION, "/")])
def test_pages_hold_no_inline_code_and_load_only_from_here(
    make_app: Make, env: dict[str, str], path: str
) -> None:
    client = make_app(**env).test_client()
    page = Inline(client.get(path).text)
    assert page.blocked == []
    assert len(page.ids) == len(set(page.ids))
    assert page.loaded
    for address in page.loaded:
        assert address.startswith("/")
        assert is_there(client, address), address


@pytest.mark.parametrize("path", ["/", "/sandbox", "/sandbox/static/sandbox.js", "/sandbox/phone"])
def test_every_answer_says_what_a_browser_may_do(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_itself_holds_no_secret(app: Flask) -> None:
    client = app.test_client()
    made = session(client)
    page = client.get("/sandbox").text
    assert made["token"] not in page
    assert made["webhook_token"] not in page


# The session


def test_a_first_start_writes_the_mapping(client: FlaskClient, tmp_path: Path) -> None:
    made = session(client)
    assert (made["number"], made["extension"]) == (NUMBER, "201")
    settings = json.loads((tmp_path / "message_settings.json").read_text("utf-8"))
    assert [(n["number"], n["carrier"], n["extensions"]) for n in settings["numbers"]] == [
        (NUMBER, "sandbox", ["201"])
    ]
    bearer = {"Authorization": f"Bearer {made['token']}"}
    me: Any = client.get("/api/v1/me", headers=bearer).json
    assert me["extension"] == "201"
    assert me["device"]["name"] == "Sandbox"
    assert [number["number"] for number in me["numbers"]] == [NUMBER]


def test_a_session_is_taken_up_again(app: Flask) -> None:
    client = app.test_client()
    token = session(client)["token"]
    assert session(client, token)["token"] == token
    assert len(gateway_of(app).store.read(devices.of)) == 1


@pytest.mark.parametrize("token", ["", "tb_unknown", "\ud800", "ü" * 1000])
def test_an_unknown_token_gets_a_new_one(client: FlaskClient, token: str) -> None:
    made = session(client, token)
    assert made["token"].startswith("tb_")
    assert made["token"] != token


def test_a_token_of_another_extension_is_not_taken_up(app: Flask) -> None:
    store = gateway_of(app).store
    _, token = store.write(lambda tx: devices.add(tx, "300", "other"))
    assert session(app.test_client(), token)["token"] != token


def test_a_mapping_that_is_there_is_kept(client: FlaskClient, tmp_path: Path) -> None:
    path = tmp_path / "message_settings.json"
    entry = {"number": NUMBER, "carrier": "sandbox", "extensions": ["202"]}
    path.write_text(settings_file(entry), "utf-8")
    before = path.read_bytes()
    assert session(client)["extension"] == "202"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "entry",
    [
        {"carrier": "bandwidth", "extensions": ["201"]},
        {"carrier": "sandbox", "extensions": []},
        {"carrier": "sandbox", "extensions": ["201"], "enabled": False},
    ],
)
def test_a_number_in_use_for_something_else_is_left_alone(
    client: FlaskClient, tmp_path: Path, entry: dict[str, Any]
) -> None:
    path = tmp_path / "message_settings.json"
    path.write_text(settings_file({"number": NUMBER, **entry}), "utf-8")
    answer = client.post("/sandbox/session", json={}, headers=OWN_PAGE)
    assert answer.status_code == 409
    assert NUMBER in (answer.json or {})["detail"]


def test_broken_message_settings_are_named(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "message_settings.json").write_text("{", "utf-8")
    answer = client.post("/sandbox/session", json={}, headers=OWN_PAGE)
    assert answer.status_code == 422
    assert "line 1, column" in (answer.json or {})["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost.evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Host": "evil.example"},
        {"Origin": "http://evil.example", "Host": "evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Host": ""},
    ],
)
def test_no_other_page_gets_a_session(app: Flask, headers: dict[str, str]) -> None:
    answer = app.test_client().post("/sandbox/session", json={}, headers=headers)
    assert answer.status_code == 403
    assert "token" not in (answer.json or {})
    assert gateway_of(app).store.read(devices.of) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "http://127.0.0.1:8000", "Host": "127.0.0.1:8000"},
        {"Origin": "http://[::1]:8000", "Host": "[::1]:8000"},
        {"Sec-Fetch-Site": "same-origin", "Host": "localhost:8000"},
    ],
)
def test_the_own_page_gets_a_session_by_any_of_its_names(
    make_app: Make, headers: dict[str, str]
) -> None:
    client = make_app(APP_URL="http://desk.example.com").test_client()
    assert client.post("/sandbox/session", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"token=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 200),
        (b"null", "application/json", 200),
        (b'{"token": 7}', "application/json", 200),
        (b'{"token": "' + b"x" * 20_000 + b'"}', "application/json", 413),
    ],
)
def test_odd_requests_for_a_session(
    client: FlaskClient, body: bytes, content_type: str, status: int
) -> None:
    answer = client.post("/sandbox/session", data=body, content_type=content_type, headers=OWN_PAGE)
    assert answer.status_code == status


# The phone outside


def test_a_text_goes_in_and_the_answer_comes_out_and_is_delivered(app: Flask) -> None:
    client = app.test_client()
    session(client)
    write(client, "Are you open?")
    answer = reply(client, "Until six.")
    assert [text["text"] for text in look(client)["texts"]][:1] == ["Are you open?"]
    assert look(client)["texts"][1]["status"] == "queued"
    work(app)
    asked, answered = look(client)["texts"]
    assert (asked["sent"], asked["reference"]) == (True, "one")
    assert (answered["sent"], answered["text"], answered["status"]) == (False, "Until six.", "sent")
    assert call_webhook(client, {"receipt": answer["id"], "status": "delivered"}) == 200
    assert look(client)["texts"][1]["status"] == "delivered"


def test_a_phone_that_is_off_refuses_with_a_reason(app: Flask) -> None:
    client = app.test_client()
    answer = reply(client, "Hello?")
    work(app)
    assert call_webhook(client, {"receipt": answer["id"], "status": "failed"}) == 200
    bearer = {"Authorization": f"Bearer {session(client)['token']}"}
    told: Any = client.get(f"/api/v1/messages/{answer['id']}", headers=bearer).json
    assert told["status"] == "failed"
    assert "sandbox" in told["error"]["reason"]


def test_a_phone_sees_only_its_own_texts(client: FlaskClient) -> None:
    session(client)
    write(client, "mine")
    write(client, "not mine", reference="two", sender="+13035550178")
    assert [text["text"] for text in look(client)["texts"]] == ["mine"]
    assert look(client, "+13035550179")["texts"] == []


def test_a_phone_asks_for_what_is_new_only(client: FlaskClient) -> None:
    session(client)
    write(client, "first")
    known = look(client)["next"]
    assert look(client, since=known) == {"number": PEER, "texts": [], "next": known}
    write(client, "second", reference="two")
    assert [text["text"] for text in look(client, since=known)["texts"]] == ["second"]


def test_a_phone_that_waits_hears_at_once_what_comes(client: FlaskClient) -> None:
    session(client)
    timer = Timer(0.2, write, (client.application.test_client(), "there you are"))
    timer.start()
    begun = time.monotonic()
    assert [text["text"] for text in look(client, timeout=20)["texts"]] == ["there you are"]
    assert time.monotonic() - begun < 15  # far from the end of its patience
    timer.join()


def test_a_phone_that_waits_lets_a_stopping_server_go(app: Flask) -> None:
    gateway_of(app).stopping = True
    assert look(app.test_client(), timeout=25)["texts"] == []


def test_a_number_is_understood_however_it_is_written(client: FlaskClient) -> None:
    assert look(client, "(303) 555-0177")["number"] == PEER


@pytest.mark.parametrize("number", ["", "+", "12", "💥"])
def test_what_is_no_number_is_refused(client: FlaskClient, number: str) -> None:
    made = session(client)
    answer = client.get(
        "/sandbox/phone",
        query_string={"number": number},
        headers={"Authorization": f"Bearer {made['webhook_token']}"},
    )
    assert (answer.status_code, (answer.json or {})["field"]) == (422, "number")


@pytest.mark.parametrize("since", ["", "x", "-1", "1e9", "9" * 40, "١"])
@pytest.mark.parametrize("timeout", ["x", "-5", "nan", "0"])
def test_odd_questions_get_an_answer(client: FlaskClient, since: str, timeout: str) -> None:
    session(client)
    assert isinstance(look(client, since=since, timeout=timeout)["next"], int)


@pytest.mark.parametrize(
    "credentials", [None, "Bearer wrong", "Bearer", "Basic Og==", "Bearer \xff"]
)
def test_the_phone_shows_itself_to_nobody_else(
    client: FlaskClient, credentials: str | None
) -> None:
    headers = {"Authorization": credentials} if credentials else {}
    assert client.get(f"/sandbox/phone?number={NUMBER}", headers=headers).status_code == 401


# Pictures


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("{own}/sandbox/static/bridge.jpg", "pending"),
        ("{own}/up", "failed"),
        ("{own}.evil.example/sandbox/static/bridge.jpg", "failed"),
        ("http://169.254.169.254/latest/meta-data", "failed"),
    ],
)
def test_only_the_sandboxs_own_pictures_are_fetched(app: Flask, address: str, state: str) -> None:
    """Nothing listens here: the own picture is tried again later, everything else given up."""
    client = app.test_client()
    made = session(client)
    own = made["picture"].removesuffix("/sandbox/static/bridge.jpg")
    event = {"id": "p", "from": PEER, "to": NUMBER, "text": "", "media": [address.format(own=own)]}
    assert call_webhook(client, event) == 200
    gateway = gateway_of(app)
    gateway.delivery.deliver("worker", lambda _: 8, gateway.delivery.perform)
    assert [file["state"] for file in look(client)["texts"][0]["media"]] == [state]


def test_the_picture_is_there(client: FlaskClient) -> None:
    made = session(client)
    assert is_there(client, made["picture"].removeprefix("http://127.0.0.1:8000"), "image/jpeg")


def test_what_the_provider_would_send_as_an_example_is_taken(app: Flask) -> None:
    gateway, client = gateway_of(app), app.test_client()
    session(client)
    provider = gateway.providers["sandbox"]
    message = Message(direction="in", number=NUMBER, peer=PEER, text="as an example")
    receive_call(gateway, provider, provider.example(message))
    assert look(client)["texts"][0]["text"] == "as an example"
