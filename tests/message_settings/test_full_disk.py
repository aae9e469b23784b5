"""An edit of Message Settings on a full disk: nothing changes, and every entrance says why."""

import errno
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from services.operations.settings_source import FILE
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY, settings_file

PASSWORD = "operator-of-the-tests"
SENTENCE = (
    f"{FILE} cannot be saved (No space left on device), and is as it was. Give the storage folder "
    "free space, or the right to write there."
)
AUTH = {"Authorization": "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()}
API = f"/api/v1/message-settings/{NUMBER}"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    (tmp_path / FILE).write_text(settings_file(NUMBER_ENTRY))
    env = {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), "ADMIN_PASSWORD": PASSWORD}
    app = create_app(env)
    yield app
    app.extensions["gateway"].close()


@pytest.fixture
def fill_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on no file can be made durable."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda: monkeypatch.setattr(os, "fsync", full)


def files(app: Flask) -> dict[str, bytes]:
    folder = app.extensions["gateway"].environment.service.storage_path
    return {path.name: path.read_bytes() for path in folder.glob("message_settings*")}


def test_the_api_answers_503_and_says_why(app: Flask, fill_disk: Callable[[], None]) -> None:
    client = app.test_client()
    body = {"carrier": "sandbox", "extensions": ["202"]}
    assert client.get(API, headers=AUTH).status_code == 200
    kept = files(app)
    fill_disk()
    for answer in (
        client.put(API, json=body, headers=AUTH),
        client.delete(API, headers=AUTH),
    ):
        assert answer.status_code == 503
        assert answer.content_type == "application/problem+json"
        assert answer.json is not None
        assert answer.json["code"] == "storage_unwell"
        assert answer.json["detail"] == SENTENCE
        assert answer.headers["Retry-After"] == "5"
    assert client.get(API, headers=AUTH).status_code == 200
    assert {name for name in files(app) if name.endswith(".new")} == set()
    assert files(app)[FILE] == kept[FILE]


def test_the_pages_answer_503_and_say_why(app: Flask, fill_disk: Callable[[], None]) -> None:
    operator = Operator(app)
    operator.sign_in(PASSWORD)
    page = "/message-settings"
    fields = {"number": "+12025550101", "carrier": "sandbox", "extensions": "202"}
    generation = operator.gateway.settings.generation
    key = operator.key()
    kept = files(app)[FILE]
    fill_disk()
    for path, values in {
        f"{page}/new": fields,
        f"{page}/{NUMBER}": {"carrier": "sandbox", "generation": generation},
        f"{page}/{NUMBER}/remove": {"generation": generation},
        f"{page}/bulk": {"number": NUMBER, "do": "remove", "generation": generation},
    }.items():
        answer = operator.client.post(f"/admin{path}", data={"csrf": key, **values})
        assert answer.status_code == 503, path
        assert SENTENCE in plain(answer.text)
    assert files(app)[FILE] == kept


def test_the_commands_say_why(app: Flask, fill_disk: Callable[[], None], tmp_path: Path) -> None:
    run = app.test_cli_runner().invoke
    exported = tmp_path / "exported.csv"
    assert run(args=["settings", "export", "--csv", str(exported)]).exit_code == 0
    exported.write_bytes(exported.read_bytes().replace(b"201", b"202"))
    kept = files(app)[FILE]
    fill_disk()
    for command in (
        ["set", NUMBER, "--extension", "202"],
        ["change", NUMBER, "--disable"],
        ["remove", NUMBER],
        ["import", "--csv", str(exported)],
    ):
        told = run(args=["settings", *command])
        assert told.exit_code == 1, told.output
        assert SENTENCE in told.stderr
        assert "Traceback" not in told.output
    assert files(app)[FILE] == kept
