"""The Flask application: what the web server finds in it."""

from pathlib import Path

import pytest

import app
from blueprints import cli
from services.gateway import Gateway


def test_the_web_server_needs_no_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "register", lambda *_: None)
    made = app.create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)})
    gateway = made.extensions["gateway"]
    assert isinstance(gateway, Gateway)
    gateway.close()
