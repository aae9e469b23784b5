"""Values that a careless administrator writes: each is named, and its secrets are not printed."""

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
from tests.config.test_addresses import BASE

LOCAL = {"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}
MAIL = {"MAIL_HOST": "smtp.example.com", "MAIL_FROM_ADDRESS": "texts@example.com"}


@pytest.fixture
def problems(make_gateway: Callable[..., Gateway]) -> Callable[..., list[dict[str, str]]]:
    """The problems that ``flask config check`` names with these variables."""

    def check(**env: str) -> list[dict[str, str]]:
        app = Flask(__name__)
        register(app, make_gateway(**{**BASE, **MAIL, **env}))
        told = app.test_cli_runner().invoke(args=["config", "check", "--json"])
        found: list[dict[str, str]] = json.loads(told.stdout)["problems"]
        return found

    return check


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TRUSTED_PROXIES", "0.0.0.0/0", "claim any address"),
        ("TRUSTED_PROXIES", "127.0.0.1, ::/0", "claim any address"),
        ("ADMIN_ALLOW", "0.0.0.0/0", "nearly every address"),
        ("BANDWIDTH_MESSAGE_BASE_URL", "http://messaging.bandwidth.com/api/v2", "on the way"),
        ("MAIL_HOST", "smtp://smtp.example.com", "host alone"),
        ("MAIL_HOST", "smtp.example.com:587", "host alone"),
        ("MAIL_HOST", "smtp example com", "host alone"),
        ("MAIL_ENCRYPTION", "ssl", "STARTTLS"),
    ],
)
def test_a_careless_value_is_a_warning(
    problems: Callable[..., Any], name: str, value: str, words: str
) -> None:
    [problem] = problems(**{name: value})
    assert problem["variable"] == name
    assert words in problem["reason"] + problem["remedy"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8, 104.16.0.0/13"),
        ("ADMIN_ALLOW", "192.0.2.10, 172.16.0.0/12"),
        ("MAIL_HOST", "mailhog"),
        ("MAIL_HOST", "2001:db8::25"),
        ("APP_URL", "HTTPS://sms.example.com"),
    ],
)
def test_a_usual_value_is_none(problems: Callable[..., Any], name: str, value: str) -> None:
    assert problems(**{name: value}) == []


def test_the_scheme_of_an_address_is_in_small_letters() -> None:
    assert url("HTTPS://sms.example.com/") == "https://sms.example.com"


@pytest.mark.parametrize("password", ["p?hidden@of-tests", "p/hidden?x@of-tests", "p@hidden?of"])
def test_no_part_of_a_password_with_an_at_sign_is_taken_for_the_host(
    password: str, tmp_path: Path
) -> None:
    address = f"postgresql://textbridge:{password}@db.example.com/textbridge"
    with pytest.raises(ConfigError) as caught:
        load_environment({**BASE, "DATABASE_URL": address, "STORAGE_PATH": str(tmp_path)})
    [problem] = caught.value.problems
    assert "%40" in problem.reason
    for part in ("hidden", "of-tests", "db.example.com"):
        assert part not in str(problem)


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("SEND_COUNTRY", "SEND_COUNTRIES"),
        ("ALLOW_ADMIN", "ADMIN_ALLOW"),
        ("ADMIN_ALLOW_LIST", "ADMIN_ALLOW"),
        ("ADMIN_ALLOWLIST", "ADMIN_ALLOW"),
        ("BANDWIDTH_ALLOW", "BANDWIDTH_WEBHOOK_ALLOW"),
        ("TRUSTED_PROXY_LIST", "TRUSTED_PROXIES"),
    ],
)
def test_a_name_of_the_same_words_is_named_with_the_right_one(written: str, right: str) -> None:
    [warning] = load_environment({**LOCAL, written: "x"}).warnings(0.0)
    assert (warning.variable, f"Write {right}," in warning.remedy) == (written, True)


@pytest.mark.parametrize(
    "name", ["HTTP_PROXY", "NO_PROXY", "ALL_PROXY", "TRUSTED_HOSTS", "CORS_ALLOW_ORIGIN", "PROXIES"]
)
def test_a_similar_name_of_another_program_is_no_warning(name: str) -> None:
    assert load_environment({**LOCAL, name: "x"}).warnings(0.0) == []
