"""Variables of answers by e-mail: what turns them on, what is refused, what is only noted."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.core.errors import ConfigError
from services.gateway import Gateway, load_environment

ADDRESS = {"MAIL_ANSWERS_ADDRESS": "texts@example.com"}
MAIL = {"MAIL_HOST": "127.0.0.1", "MAIL_FROM_ADDRESS": "texts@example.com"}
MAILBOX = {"IMAP_HOST": "127.0.0.1", "IMAP_USERNAME": "texts", "IMAP_PASSWORD": "secret word"}


@pytest.fixture
def local(tmp_path: Path) -> dict[str, str]:
    return {"APP_ENV": "local", "STORAGE_PATH": str(tmp_path)}


def found(local: Mapping[str, str], env: Mapping[str, str]) -> list[str]:
    """What is noted and found about the variables of answers."""
    gateway = Gateway(load_environment({**local, **env}))
    gateway.prepare()
    try:
        problems = gateway.config_findings.all()
    finally:
        gateway.close()
    return [f"{one.variable}: {one.reason}" for one in problems]


@pytest.mark.parametrize(
    ("env", "is_on"),
    [
        ({}, False),
        (ADDRESS, False),
        (MAILBOX, False),
        (ADDRESS | MAILBOX, True),
        (ADDRESS | {"MAIL_ANSWERS_LISTEN": "127.0.0.1:2525"}, True),
        (ADDRESS | {"MAIL_ANSWERS_LISTEN": "[::1]:2525"}, True),
        ({"MAIL_ANSWERS_LISTEN": "127.0.0.1:2525"}, False),
    ],
)
def test_what_makes_mails_answerable(
    local: dict[str, str], env: dict[str, str], is_on: bool
) -> None:
    gateway = Gateway(load_environment({**local, **MAIL, **env}))
    assert (gateway.mail_replies is not None) is is_on
    gateway.close()


@pytest.mark.parametrize(
    ("env", "variable"),
    [
        ({"MAIL_ANSWERS_ADDRESS": "texts"}, "MAIL_ANSWERS_ADDRESS"),
        ({"MAIL_ANSWERS_ADDRESS": f"{'a' * 19}@example.com"}, "MAIL_ANSWERS_ADDRESS"),
        ({"MAIL_ANSWERS_ADDRESS": '"a b"@example.com'}, "MAIL_ANSWERS_ADDRESS"),
        ({"MAIL_ANSWERS_ADDRESS": "ü@example.com"}, "MAIL_ANSWERS_ADDRESS"),
        (ADDRESS | {"MAIL_ANSWERS_DAYS": "0"}, "MAIL_ANSWERS_DAYS"),
        (ADDRESS | {"MAIL_ANSWERS_REQUIRE": "arc"}, "MAIL_ANSWERS_REQUIRE"),
        (ADDRESS | {"MAIL_ANSWERS_REQUIRE": "dmarc"}, "MAIL_ANSWERS_SERVER"),
        (ADDRESS | {"MAIL_ANSWERS_LISTEN": "2525"}, "MAIL_ANSWERS_LISTEN"),
        (ADDRESS | {"MAIL_ANSWERS_LISTEN": "mail.example.com:25"}, "MAIL_ANSWERS_LISTEN"),
        (ADDRESS | {"MAIL_ANSWERS_LISTEN": "127.0.0.1:0"}, "MAIL_ANSWERS_LISTEN"),
        (ADDRESS | MAILBOX | {"IMAP_PORT": "x"}, "IMAP_PORT"),
        (ADDRESS | MAILBOX | {"IMAP_ENCRYPTION": "maybe"}, "IMAP_ENCRYPTION"),
    ],
)
def test_what_is_not_understood_is_refused(
    local: dict[str, str], env: dict[str, str], variable: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_environment({**local, **env})
    assert [one.variable for one in caught.value.problems] == [variable]
    assert caught.value.problems[0].remedy


def test_variables_of_other_programs_mean_nothing_without_our_address(
    local: dict[str, str],
) -> None:
    assert found(local, MAIL | {"IMAP_HOST": "imap.example.com", "IMAP_PORT": "x"}) == []


@pytest.mark.parametrize(
    ("env", "said"),
    [
        (MAIL | ADDRESS, "MAIL_ANSWERS_ADDRESS: is set, and nothing takes answers in"),
        (ADDRESS | MAILBOX, "MAIL_HOST: is empty, while mails should be answered"),
        (MAIL | {"MAIL_ANSWERS_LISTEN": "127.0.0.1:2525"}, "MAIL_ANSWERS_ADDRESS: is empty"),
        (MAIL | ADDRESS | {"IMAP_HOST": "127.0.0.1"}, "IMAP_PASSWORD: is missing"),
        (MAIL | ADDRESS | MAILBOX | {"IMAP_HOST": "imaps://x"}, "IMAP_HOST: "),
    ],
)
def test_what_should_be_corrected_is_said(
    local: dict[str, str], env: dict[str, str], said: str
) -> None:
    assert any(one.startswith(said) for one in found(local, env))


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "8.8.8.8", "[2600::1]"])
def test_a_listener_that_every_stranger_may_reach_is_named(
    local: dict[str, str], host: str
) -> None:
    [said] = found(local, MAIL | ADDRESS | {"MAIL_ANSWERS_LISTEN": f"{host}:2525"})
    assert said.startswith(f"MAIL_ANSWERS_LISTEN: listens on {host.strip('[]')}: a stranger who")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.5", "192.168.1.2", "[fd00::1]"])
def test_a_listener_of_the_own_network_is_no_finding(local: dict[str, str], host: str) -> None:
    assert found(local, MAIL | ADDRESS | {"MAIL_ANSWERS_LISTEN": f"{host}:2525"}) == []


def test_all_that_is_right_is_no_finding(local: dict[str, str]) -> None:
    assert found(local, MAIL | ADDRESS | MAILBOX) == []
