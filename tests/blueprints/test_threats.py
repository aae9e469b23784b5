"""docs/threats.md and SECURITY.md name what exists; the tests of what is not defended are here."""

import ast
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import create_app
from services.gateway import Gateway
from services.store import attachments, devices
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.databases import add_tables
from tests.server import ROOT
from torture.checks import CHECKS

DOCUMENT = ROOT / "docs" / "threats.md"
NAMED = re.compile(r"`(?:torture (?P<check>\w+)|(?P<test>test_\w+))`")
Make = Callable[..., Flask]


def rows() -> list[list[str]]:
    """The cells of every row of the document's tables, without their headings."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    table = [line.strip("|").split(" | ") for line in lines if line.startswith("|")]
    return [cells for cells in table if cells[0].strip() != "threat" and set(cells[0]) - set("-|")]


def functions() -> set[str]:
    """The names of all test functions."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_threat_names_a_test_that_exists() -> None:
    tests, checks = functions(), {check.name for check in CHECKS}
    assert len(rows()) > 20
    for cells in rows():
        found = list(NAMED.finditer(cells[-1]))
        assert len(cells) == 3, cells
        assert found, f"no test is named: {cells[0]}"
        for match in found:
            missing = match["test"] and match["test"] not in tests
            assert not missing, f"there is no {match['test']}"
            assert not match["check"] or match["check"] in checks, f"no check {match['check']}"


def test_security_names_files_that_exist_and_the_two_main_gaps() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|torture|docs)/[\w/.]+)`", text)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert "outlive a revoked device" in text
    assert "spoofing among SIP users" in text


def test_both_tables_have_rows_and_no_threat_stands_twice() -> None:
    defended, _, not_defended = DOCUMENT.read_text(encoding="utf-8").partition("## Not defended")
    threats = [cells[0].strip() for cells in rows()]
    assert len(threats) == len(set(threats))
    assert sum(f"| {threat} |" in defended for threat in threats) > 25
    assert sum(f"| {threat} |" in not_defended for threat in threats) > 8


@pytest.fixture
def make_app(tmp_path: Path) -> Iterator[Make]:
    opened: list[Gateway] = []

    def make(**env: str) -> Flask:
        add_tables(tmp_path)
        app = create_app({"APP_ENV": "local", "STORAGE_PATH": str(tmp_path), **env})
        opened.append(app.extensions["gateway"])
        return app

    (tmp_path / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    yield make
    for gateway in opened:
        gateway.close()


def test_a_link_to_a_picture_outlives_its_device(make_app: Make) -> None:
    app = make_app()
    gateway: Gateway = app.extensions["gateway"]
    device, token = gateway.store.write(lambda tx: devices.add(tx, "201", "Phone"))
    client, bearer = app.test_client(), {"Authorization": f"Bearer {token}"}
    form = {"file": (BytesIO(b"a note"), "note.txt")}
    made: Any = client.post("/api/v1/media", data=form, headers=bearer).json
    file = gateway.store.read(lambda tx: attachments.by_id(tx, made["id"]))
    assert file is not None
    link = gateway.media.link(file)
    gateway.store.write(lambda tx: devices.revoke(tx, device.id))
    assert client.get("/api/v1/me", headers=bearer).status_code == 401
    with client.get(link) as answer:
        assert (answer.status_code, answer.data) == (200, b"a note")


def test_a_proxy_that_hides_itself_is_not_noticed(make_app: Make) -> None:
    """It adds no header and asks for this machine in HTTP/1.1: nothing else can be told."""
    client = make_app(ADMIN_ALLOW="127.0.0.1").test_client()
    assert client.get("/admin/sign-in").status_code == 403, "there is no password yet"
    assert client.get("/metrics").status_code == 200
    told = client.get("/ready").json or {}
    assert [each["name"] for each in told["warnings"]] == []
