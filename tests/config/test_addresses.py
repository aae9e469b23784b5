"""Addresses of the configuration: what is refused, what is a warning, and what stays hidden."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from blueprints.cli import register
from services.config.parsers import url
from services.core.errors import ConfigError
from services.gateway import Gateway, load_environment

BASE = {
    "APP_ENV": "production",
    "APP_KEY": "a key of the tests, long enough",
    "APP_URL": "https://sms.example.com",
    "ADMIN_PASSWORD": "operator-of-the-tests",
    "BANDWIDTH_ACCOUNT_ID": "9900001",
    "BANDWIDTH_API_TOKEN": "a-client-id-of-the-tests",
    "BANDWIDTH_API_SECRET": "a-client-secret-of-the-tests",
    "BANDWIDTH_APPLICATION_ID": "0b1c2d3e-4f50-4a6b-8c7d-9e0f1a2b3c4d",
}
UUID = BASE["BANDWIDTH_APPLICATION_ID"]
BASE_ADDRESSES = ["APP_URL", "BANDWIDTH_MESSAGE_BASE_URL", "BANDWIDTH_TOKEN_URL"]


@pytest.mark.parametrize(
    "value",
    [
        "https://https://sms.example.com",
        "https://http://sms.example.com",
        "https://sms.example.com?x",
        "https://sms.example.com/#x",
        "https://sms .example.com",
        "https://sms.example.com/a b",
        "https://<your-domain>",
        "https://sms.example.com:99999",
        "https://sms.example.com:0",
        "https://sms.example.com:",
        "https://sms.example.com:http",
        "https://sms_.-.example",
        "https://sms..example.com",
        "https://1.2.3",
        "https://[::1",
        "https://",
        "https:///path",
        "https://sms.example.com//path",
        "sms.example.com",
        "ftp://sms.example.com",
    ],
)
@pytest.mark.parametrize("name", BASE_ADDRESSES)
def test_an_address_that_cannot_be_one_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_environment({**BASE, name: value})
    [problem] = caught.value.problems
    assert problem.variable == name
    assert problem.remedy or problem.reason


@pytest.mark.parametrize("value", ["https://https://sms.example.com", "https://http:/x.example"])
def test_a_scheme_that_stands_twice_is_named(value: str) -> None:
    with pytest.raises(ConfigError, match="only once"):
        load_environment({**BASE, "APP_URL": value})


@pytest.mark.parametrize(
    "value", ["https://sms.example.com:8443/x", "http://my_service:8080", "https://[2001:db8::1]"]
)
def test_an_address_that_can_be_one_is_taken(value: str) -> None:
    assert url(f"{value}/") == value


@pytest.fixture
def problems(make_gateway: Callable[..., Gateway]) -> Callable[..., list[dict[str, str]]]:
    """The problems that ``flask config check`` names with these variables."""

    def check(**env: str) -> list[dict[str, str]]:
        app = Flask(__name__)
        register(app, make_gateway(**{**BASE, **env}))
        told = app.test_cli_runner().invoke(args=["config", "check", "--json"])
        found: list[dict[str, str]] = json.loads(told.stdout)["problems"]
        assert told.exit_code == (1 if found else 0)
        return found

    return check


def test_a_service_in_order_has_none(problems: Callable[..., Any]) -> None:
    assert problems() == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("APP_URL", "https://localhost", "cannot reach"),
        ("APP_URL", "https://pbx", "cannot reach"),
        ("APP_URL", "https://192.168.1.5", "cannot reach"),
        ("APP_URL", "https://[fd00::1]", "cannot reach"),
        ("APP_URL", "https://sms.example.com/textbridge", "nothing is served"),
        ("BANDWIDTH_MESSAGE_BASE_URL", "https://10.0.0.1/api/v2", "private network"),
        ("BANDWIDTH_MESSAGE_BASE_URL", "https://messaging.bandwidth.com", "/api/v2"),
        ("BANDWIDTH_TOKEN_URL", "https://api.bandwidth.com", "/oauth2/token"),
        ("BANDWIDTH_ACCOUNT_ID", UUID, "application's ID"),
        ("BANDWIDTH_APPLICATION_ID", "9900001", "account's number"),
        ("ADMIN_PASSWORD", "", "nobody can open"),
    ],
)
def test_what_hardly_works_is_a_warning(
    problems: Callable[..., Any], name: str, value: str, words: str
) -> None:
    [problem] = problems(**{name: value})
    assert problem["variable"] == name
    assert words in problem["reason"] + problem["remedy"]
    assert problem["remedy"]


@pytest.mark.parametrize(
    ("encryption", "port", "named"),
    [("tls", "465", True), ("none", "465", True), ("ssl", "465", False), ("", "465", False),
     ("tls", "587", False)],
)  # fmt: skip
def test_encryption_that_does_not_fit_the_port_is_a_warning(
    problems: Callable[..., Any], encryption: str, port: str, named: bool
) -> None:
    mail = {"MAIL_HOST": "smtp.example.com", "MAIL_FROM_ADDRESS": "texts@example.com"}
    found = problems(**mail, MAIL_ENCRYPTION=encryption, MAIL_PORT=port)
    assert [each["variable"] for each in found] == (["MAIL_ENCRYPTION"] if named else [])


@pytest.mark.parametrize("password", ["p@ss-of-tests", "@p", "p@x/y", "a@b@c"])
def test_a_password_with_an_at_sign_is_named_and_not_printed(password: str, tmp_path: Path) -> None:
    address = f"postgresql://textbridge:{password}@db.example.com/textbridge"
    with pytest.raises(ConfigError) as caught:
        load_environment({**BASE, "DATABASE_URL": address, "STORAGE_PATH": str(tmp_path)})
    [problem] = caught.value.problems
    assert problem.variable == "DATABASE_URL"
    assert "%40" in problem.reason
    for part in (password, "ss-of-tests", "db.example.com"):
        assert part not in str(problem)


def test_a_password_in_an_address_is_not_printed() -> None:
    with pytest.raises(ConfigError) as caught:
        load_environment({**BASE, "APP_URL": "https://user:hidden-of-tests@sms.example.com"})
    assert "hidden-of-tests" not in str(caught.value)
    assert "user name or a password" in str(caught.value)
