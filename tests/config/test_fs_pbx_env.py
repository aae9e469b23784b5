"""FS PBX's ``.env`` drops in: placeholders turn nothing on, an incomplete channel is off."""

from pathlib import Path

import pytest

from services.config import env_file
from services.config.environment import Environment
from services.core.errors import ConfigError
from services.gateway import load_environment

BASE = {"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}
# The shape of FS PBX's .env.example: its names, its quotes, its kinds of placeholders.
FS_PBX = """APP_NAME="FS PBX"
# APP_ENV=local
APP_ENV=production
APP_KEY=base64:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=
APP_DEBUG=false
APP_URL=https://pbx.example.com
SESSION_DOMAIN=your_domain.com
LOG_LEVEL=debug
DB_PASSWORD=
MAIL_MAILER=smtp
MAIL_HOST=mailhog
MAIL_PORT=1025
MAIL_USERNAME=null
MAIL_PASSWORD=null
MAIL_ENCRYPTION=null
MAIL_FROM_ADDRESS=admin@example.com
MAIL_FROM_NAME="${APP_NAME}"
FS_ESL_IP=127.0.0.1
FS_ESL_PORT=8021
FS_ESL_PW=ClueCon
RINGOTEL_URL=https://shell.ringotel.co
RINGOTEL_API_URL=https://shell.ringotel.co/api
RINGOTEL_TOKEN=a-token-of-the-tests
THINQ_TOKEN=\x20
BANDWIDTH_ACCOUNT_ID=
BANDWIDTH_API_TOKEN=
BANDWIDTH_MESSAGE_BASE_URL=https://messaging.bandwidth.com/api/v2
TELNYX_PUBLIC_KEY="your_telnyx_public_key_here"
TELNYX_API_KEY="your_telnyx_api_key_here"
APIDAZE_API_KEY=a-key
APIDAZE_API_SECRET=a-secret-of-the-tests
VOIPMS_API_USERNAME=your_voipms_username
VOIPMS_API_PASSWORD=your_api_password
CERETAX_ENV=sandbox #sandbox or production
GOOGLE_PRIVATE_KEY="-----BEGIN PRIVATE KEY-----\\nPart1\\nPart2\\n-----END PRIVATE KEY-----\\n"
"""


def test_it_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(FS_PBX)
    storage = {"STORAGE_PATH": str(tmp_path / "storage")}
    environment = load_environment({**env_file.read(path, {}), **storage})
    assert set(environment.carriers) == {"voipinnovations"}
    assert not {"ringotel", "freeswitch"} & set(environment.channels)
    assert environment.service.app_name == environment.mail.from_name == "FS PBX"
    [warning] = environment.warnings(0.0)
    assert warning.variable == "RINGOTEL_ORG_ID"
    assert "Ringotel is off" in warning.reason


def load(**env: str) -> Environment:
    """Load an environment with these variables."""
    return load_environment({**BASE, **env})


@pytest.mark.parametrize(
    "env",
    [
        {"RINGOTEL_TOKEN": "a-token-of-the-tests"},
        {"RINGOTEL_TOKEN": "a-token-of-the-tests", "RINGOTEL_ORG_ID": "your_org_id"},
        {"RINGOTEL_ORG_ID": "<org>", "RINGOTEL_TOKEN": "a-token-of-the-tests"},
        {"PUSH_WEBHOOK_URL": "https://app.example.com"},
    ],
)
def test_an_incomplete_channel_is_off_with_a_warning(env: dict[str, str]) -> None:
    environment = load(**env)
    assert not {"ringotel", "webhook"} & set(environment.channels)
    [warning] = environment.warnings(0.0)
    assert " is off." in warning.reason
    assert "a-token-of-the-tests" not in str(warning)


def test_a_complete_channel_is_on() -> None:
    environment = load(RINGOTEL_TOKEN="a-token-of-the-tests", RINGOTEL_ORG_ID="7")
    assert "ringotel" in environment.channels
    assert environment.warnings(0.0) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELNYX_API_KEY", "your_telnyx_api_key_here"),
        ("BANDWIDTH_API_TOKEN", "your-token"),
        ("TWILIO_ACCOUNT_SID", "<your sid>"),
        ("MEDIA_S3_BUCKET", "your_bucket"),
        ("RINGOTEL_TOKEN", "YOUR_TOKEN"),
        ("FS_SIP_DOMAIN", "your_domain.com"),
    ],
)
def test_a_placeholder_turns_nothing_on(name: str, value: str) -> None:
    with_it, without = load(**{name: value}), load()
    assert set(with_it.carriers) == set(without.carriers)
    assert set(with_it.channels) == set(without.channels)
    assert with_it.bucket is None


def test_a_placeholder_as_the_mail_server_is_no_mail() -> None:
    environment = load(MAIL_HOST="your_smtp_host", MAIL_USERNAME="your_username")
    assert environment.mail.host is None
    assert [each.variable for each in environment.warnings(0.0)] == ["MAIL_HOST"]


def test_a_carrier_with_one_placeholder_left_is_a_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        load(
            TELNYX_API_KEY="KEY0123456789",
            TELNYX_PUBLIC_KEY="your_telnyx_public_key_here",
        )
    [problem] = caught.value.problems
    assert problem.variable == "TELNYX_PUBLIC_KEY"
    assert "placeholder" in problem.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADMIN_ALLOW", "<your-address>"),
        ("ADMIN_ALLOW", "your_address"),
        ("ADMIN_PASSWORD", "your_password"),
        ("APP_URL", "https://<your-domain>"),
    ],
)
def test_a_placeholder_never_opens_what_it_should_close(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(**{name: value})
    assert caught.value.problems[0].variable == name
