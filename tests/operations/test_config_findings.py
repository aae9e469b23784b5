"""Findings about the configuration: all four places show the same ones."""

import json
import os
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from services.gateway import Gateway
from services.operations import config_findings
from tests.cli.conftest import PRODUCTION
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.databases import add_tables
from tests.operations.test_health import beat, destroy_database

ABROAD = {"REMOTE_ADDR": "203.0.113.9"}
SECRET = "s3cret-of-the-tests"
Make = Callable[..., Flask]


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Make]:
    """Textbridge in production with a number and a worker that beat just now."""
    opened: list[Gateway] = []

    def make(**env: str) -> Flask:
        add_tables(tmp_path)
        app = create_app({**PRODUCTION, "STORAGE_PATH": str(tmp_path), **env})
        gateway: Gateway = app.extensions["gateway"]
        opened.append(gateway)
        beat(gateway, time.time())
        return app

    entry = NUMBER_ENTRY | {"carrier": "bandwidth"}
    (tmp_path / "message_settings.json").write_text(settings_file(entry), encoding="utf-8")
    yield make
    for gateway in opened:
        gateway.close()


def ready(app: Flask) -> list[str]:
    """The findings that ``/ready`` shows; it must be 200."""
    answer = app.test_client().get("/ready")
    assert answer.status_code == 200
    told: Any = answer.json
    return [w["reason"] for w in told["warnings"] if w["name"] in ("configuration", "env")]


def check(app: Flask) -> list[str]:
    """The findings that ``flask config check`` shows."""
    result = app.test_cli_runner().invoke(args=["config", "check", "--json"])
    found = json.loads(result.stdout)["problems"]
    assert result.exit_code == bool(found)
    return ["{variable}: {reason} {remedy}".format(**problem) for problem in found]


def status(app: Flask) -> list[str]:
    """The findings that ``flask status`` shows; they are no reason for its exit code."""
    result = app.test_cli_runner().invoke(args=["status", "--json"])
    assert result.exit_code == 0
    told = json.loads(result.stdout)["warnings"]
    return [w["reason"] for w in told if w["name"] in ("configuration", "env")]


def signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.post("/admin/sign-in", data={"password": PRODUCTION["ADMIN_PASSWORD"]})
    return client


BASIC = "BANDWIDTH_AUTH"
TROUBLED = {
    "APP_URL": "http://10.0.0.5/texts",
    "APP_DEBUG": "true",
    "MAIL_HOST": "smtp.example.com",
    "MAIL_PORT": "465",
    "MAIL_ENCRYPTION": "tls",
    "TRUSTED_PROXY": "127.0.0.1",
    "BANDWIDTH_MESSAGE_BASE_URL": "https://10.0.0.1/api/v2",
    BASIC: "basic",
    "RINGOTEL_TOKEN": "a-token-of-the-tests",
}


def test_all_four_places_show_the_same(make_app: Make, tmp_path: Path) -> None:
    env_file = tmp_path.parent / f"{tmp_path.name}.env"
    env_file.write_text("PORT=8000\nPORT=8001\n")
    env_file.chmod(0o644)
    tmp_path.chmod(0o755)
    app = make_app(**TROUBLED, ENV_FILE=str(env_file))
    tmp_path.chmod(0o755)
    found = check(app)
    named = {reason.partition(":")[0] for reason in found}
    assert named == {
        *TROUBLED.keys() - {"MAIL_HOST", "MAIL_PORT", "RINGOTEL_TOKEN"},
        "MAIL_FROM_ADDRESS",
        "RINGOTEL_ORG_ID",
        "STORAGE_PATH",
        "PORT",
        env_file.name,
    }
    assert ready(app) == found
    assert status(app) == found
    page = unescape(signed_in(app).get("/admin/").text)
    assert [reason for reason in found if reason not in page] == []


def test_a_service_in_order_has_none(make_app: Make) -> None:
    app = make_app()
    assert check(app) == ready(app) == status(app) == []


def test_a_stranger_sees_none(make_app: Make) -> None:
    client = make_app(**TROUBLED).test_client()
    answer = client.get("/ready", environ_overrides=ABROAD)
    assert (answer.status_code, answer.json) == (200, {"ready": True})


def test_without_a_database_they_are_still_shown(
    make_app: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(APP_DEBUG="true")
    destroy_database(app, tmp_path, monkeypatch)
    told: Any = app.test_client().get("/ready").json
    assert [w["reason"].partition(":")[0] for w in told["warnings"]] == ["APP_DEBUG"]


def test_ready_does_not_look_through_the_storage_folder_each_time(
    make_app: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []

    def counted(folder: Path) -> list[Path]:
        looked.append(folder)
        return [folder, folder / "textbridge.db"]

    monkeypatch.setattr(config_findings, "open_to_others", counted)
    app = make_app()
    for _ in range(3):
        assert ready(app) == []
    assert looked == [], "a closed folder is not looked through at all"
    tmp_path.chmod(0o750)
    for _ in range(3):
        [reason] = ready(app)
        assert "textbridge.db" in reason
    assert len(looked) == 1
    tmp_path.chmod(0o700)
    assert ready(app) == [], "the remedy is seen at once"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'ADMIN_ALLOW="{SECRET}\n'.encode(), "line 1: cannot be read (ADMIN_ALLOW)"),
        (f"APP_NAME=Café {SECRET}\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_an_env_file_that_is_broken_after_the_start_is_named_and_stops_nothing(
    make_app: Make, tmp_path: Path, content: bytes, words: str
) -> None:
    env_file = tmp_path / "later.env"
    env_file.touch(mode=0o600)
    app = make_app(ENV_FILE=str(env_file))
    assert ready(app) == []
    env_file.write_bytes(content)
    assert words in "".join(ready(app))
    assert SECRET not in "".join(ready(app))
    env_file.unlink()
    assert ready(app) == []


def test_a_file_that_the_running_server_has_not_read_is_outdated_for_the_commands_as_well(
    make_app: Make, tmp_path: Path
) -> None:
    env_file, pid = tmp_path / "changed.env", tmp_path / "run" / "server.pid"
    env_file.touch(mode=0o600)
    pid.parent.mkdir(exist_ok=True)
    app = make_app(ENV_FILE=str(env_file))  # a command reads it now
    with FileLock(tmp_path / "server.lock"):
        pid.write_text(str(os.getpid()))
        os.utime(env_file, (1_000_000, 1_000_000))
        os.utime(pid, (999_999, 999_999))
        for found in (ready(app), status(app), check(app)):
            [reason] = found
            assert "flask config reload" in reason
        os.utime(pid, (1_000_001, 1_000_001))
        assert ready(app) == status(app) == check(app) == []
