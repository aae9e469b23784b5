"""``flask version``, and the other places that show the version of pyproject.toml."""

import json
import platform
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from blueprints import api
from blueprints.cli import register
from services.gateway import Gateway
from services.store.database.migrate import head

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
DECLARED = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]


def run(gateway: Gateway, *options: str) -> str:
    app = Flask(__name__)
    register(app, gateway)
    result = app.test_cli_runner().invoke(args=["version", *options])
    assert result.exit_code == 0, result.output
    return result.stdout


def version_document(gateway: Gateway) -> Any:
    return json.loads(run(gateway, "--json"))


def test_version_names_the_program_and_what_it_runs_on(
    make_gateway: Callable[..., Gateway], database: str
) -> None:
    found = version_document(make_gateway(DATABASE_URL=database))
    assert found["textbridge"] == DECLARED
    assert found["python"] == platform.python_version()
    assert all(re.fullmatch(r"\d+(\.\d+)+", found[name]) for name in ("sqlite", "libpq"))
    assert found["database"] == ("postgresql" if database else "sqlite")
    assert found["revision"] == found["newest_revision"] == head()


def test_version_for_people_says_the_same(make_gateway: Callable[..., Gateway]) -> None:
    first, *rest = run(make_gateway()).splitlines()
    assert first == f"Textbridge {DECLARED}"
    assert dict(line.split(maxsplit=1) for line in rest)["python:"] == platform.python_version()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_version_answers_while_the_database_cannot_be_read(
    make_gateway: Callable[..., Gateway], tmp_path: Path, is_replaced: bool
) -> None:
    gateway = make_gateway()
    gateway.store.engine.dispose()
    for file in tmp_path.glob("textbridge.db-*"):
        file.unlink()
    file = tmp_path / "textbridge.db"
    if is_replaced:
        file.rename(tmp_path / "old.db")
    file.write_text("not a database " * 100)
    assert version_document(gateway)["revision"] is None
    assert version_document(gateway)["textbridge"] == DECLARED


def test_the_openapi_document_has_the_version(make_gateway: Callable[..., Gateway]) -> None:
    app = Flask(__name__)
    api.register(app, make_gateway())
    assert app.test_client().get("/api/v1/openapi.json").json["info"]["version"] == DECLARED  # type: ignore[index]
