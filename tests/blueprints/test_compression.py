"""Compression of answers: what is compressed, what never is, and what caches are told."""

import gzip
import json
import random
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from blueprints.phone.files import app_files
from tests.api.conftest import API, PEER, Phone, Service, open_service
from tests.server import UNLIMITED

PASSWORD = "a good password"
TAKES_GZIP = {"Accept-Encoding": "gzip, deflate, br"}
SCRIPT = f"/phone/{app_files().script}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(
        tmp_path_factory.mktemp("compression"), ADMIN_PASSWORD=PASSWORD, **UNLIMITED
    )
    yield opened
    opened.gateway.close()


@pytest.fixture(scope="module")
def phone(service: Service) -> Phone:
    paired = service.pair("201")
    chosen = random.Random(0)
    words = [
        "we",
        "are",
        "open",
        "until",
        "six",
        "tomorrow",
        "please",
        "bring",
        "the",
        "blue",
        "folder",
        "and",
        "your",
        "key",
        "thanks",
    ]
    for count in range(50):
        text = " ".join(chosen.choices(words, k=16))
        paired.send(to=f"+1303555{count:04}", text=f"{text} {chosen.random()}")
    return paired


def get(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    answer = client.get(path, headers={**TAKES_GZIP, **headers})
    answer.get_data()
    answer.close()
    return answer


@pytest.mark.parametrize(
    "path",
    ["/phone/", SCRIPT, "/phone/app.js", "/admin/static/base.css", f"{API}/openapi.json"],
)
def test_what_apps_load_is_compressed(service: Service, path: str) -> None:
    small = get(service.client, path)
    plain = service.client.get(path)
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(small.data) == plain.data
    assert int(small.headers["Content-Length"]) == len(small.data) < len(plain.data) / 2
    assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert small.headers.get("ETag") == plain.headers.get("ETag")
    plain.close()


@pytest.mark.parametrize("refused", ["", "identity", "gzip;q=0", "br"])
def test_who_does_not_take_gzip_gets_it_plain(service: Service, refused: str) -> None:
    answer = get(service.client, SCRIPT, **{"Accept-Encoding": refused})
    assert "Content-Encoding" not in answer.headers


def test_a_file_that_a_browser_has_is_not_sent_again(service: Service) -> None:
    first = get(service.client, "/phone/app.js")
    again = get(service.client, "/phone/app.js", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Encoding" not in again.headers
    assert again.headers["Vary"] == "Accept-Encoding"


def test_a_part_of_a_file_is_a_part_of_the_plain_file(service: Service) -> None:
    part = get(service.client, "/phone/app.js", Range="bytes=0-999")
    assert part.status_code == 206
    assert "Content-Encoding" not in part.headers
    assert len(part.data) == 1000


def test_built_files_are_kept_for_ever_and_sources_are_asked_for(service: Service) -> None:
    built, source = get(service.client, SCRIPT), get(service.client, "/phone/app.js")
    assert built.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert source.headers["Cache-Control"] == "no-cache"
    assert get(service.client, "/phone/built/none.js").status_code == 404
    assert get(service.client, "/phone/built/..%2F__init__.py").status_code == 404


def test_fifty_conversations_are_small(service: Service, phone: Phone) -> None:
    answer = get(
        service.client,
        f"{API}/conversations?limit=50",
        Authorization=f"Bearer {phone.token}",
    )
    listed = json.loads(gzip.decompress(answer.data))["items"]
    assert len(listed) == 50
    assert len(answer.data) <= 10_000


def test_pages_with_keys_and_answers_to_basic_are_never_compressed(service: Service) -> None:
    page = get(service.client, "/admin/sign-in")
    assert page.status_code == 200
    assert len(page.data) > 600
    assert "Content-Encoding" not in page.headers
    basic = service.client.get(
        f"{API}/message-settings", auth=("admin", PASSWORD), headers=TAKES_GZIP
    )
    assert basic.status_code == 200
    assert "Content-Encoding" not in basic.headers


def test_the_live_stream_is_not_compressed(service: Service, phone: Phone) -> None:
    service.gateway.stopping = True  # it ends at once
    stream = get(service.client, f"{API}/events", Authorization=f"Bearer {phone.token}")
    service.gateway.stopping = False
    assert stream.mimetype == "text/event-stream"
    assert "Content-Encoding" not in stream.headers


def test_an_uploaded_file_is_not_compressed_again(service: Service, phone: Phone) -> None:
    assert phone.send(to=PEER)["status"]
    assert "Content-Encoding" not in get(service.client, "/phone/icon-512.png").headers
