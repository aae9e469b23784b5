"""A whole Textbridge in this process, and the operator's browser in front of it."""

import re
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from services.gateway import Gateway
from tests.conftest import settings_file
from tests.databases import add_tables

PASSWORD = "a good password"


class Operator:
    """A browser without scripts that keeps its cookie and fills in forms."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.gateway: Gateway = app.extensions["gateway"]
        self.client = app.test_client()

    def sign_in(self, password: str = PASSWORD) -> TestResponse:
        return self.client.post("/admin/sign-in", data={"password": password})

    def get(self, path: str, status: int = 200) -> str:
        """A page that must answer with this status."""
        answer = self.client.get(f"/admin{path}")
        assert answer.status_code == status, answer.text
        return answer.text

    def key(self) -> str:
        """The key that this sign-in's forms carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.get("/"))
        assert found
        return found[1]

    def post(self, path: str, status: int = 303, **fields: Any) -> str:
        """Send a form; of a change that was made (303), the page that comes then."""
        data = {"csrf": self.key(), **fields}
        answer = self.client.post(f"/admin{path}", data=data)
        assert answer.status_code == status, answer.text
        return self.client.get(answer.location).text if status == 303 else answer.text


def plain(page: str) -> str:
    """The words of a page without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def make_operator(tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Sign an operator in at a Textbridge with these entries of Message Settings."""
    opened = []

    def make(*numbers: Mapping[str, Any], signed_in: bool = True, **env: str) -> Operator:
        if numbers:
            path = tmp_path / "message_settings.json"
            path.write_text(settings_file(*numbers), encoding="utf-8")
        given = {"APP_ENV": "local", "ADMIN_PASSWORD": PASSWORD, "STORAGE_PATH": str(tmp_path)}
        add_tables(tmp_path)
        operator = Operator(create_app(given | env))
        opened.append(operator.gateway)
        if signed_in:
            assert operator.sign_in().status_code == 303
        return operator

    yield make
    for gateway in opened:
        gateway.close()


@pytest.fixture
def operator(make_operator: Callable[..., Operator]) -> Operator:
    """An operator who is signed in at a Textbridge as after a first start."""
    return make_operator()
