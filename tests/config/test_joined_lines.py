"""Lines of ``.env`` in which a second variable disappears because a line break is missing."""

from pathlib import Path

import pytest

from services.config import env_file
from services.core.errors import ConfigError

ALLOW = "ADMIN_ALLOW=10.9.9.9"


def read(folder: Path, line: str) -> dict[str, str]:
    path = folder / ".env"
    path.write_bytes(f"APP_NAME=one\n{line}\n".encode())
    return env_file.read(path, {})


@pytest.mark.parametrize(
    "gap", [" ", "\t", " \t ", "\v", "\f", "\x85", "\u2028", "\u2029", " export "]
)
def test_a_variable_in_the_value_of_another_is_a_problem(tmp_path: Path, gap: str) -> None:
    with pytest.raises(ConfigError, match=r"line 2: cannot be read \(LOG_LEVEL\): a further var"):
        read(tmp_path, f"LOG_LEVEL=info{gap}{ALLOW}")


@pytest.mark.parametrize("gap", ["\v", "\f", "\x85", "\u2028", "\u2029 "])
def test_a_variable_behind_an_unusual_line_break_in_a_comment_is_a_problem(
    tmp_path: Path, gap: str
) -> None:
    with pytest.raises(ConfigError, match="line 2: cannot be read: a variable stands in its comm"):
        read(tmp_path, f"# who may sign in{gap}{ALLOW}")


@pytest.mark.parametrize(
    "line",
    [
        f"# {ALLOW}",
        f"LOG_LEVEL=info # {ALLOW}",
        "APP_KEY=base64:QUJD RA==",
        "ODBC=Driver=x;SERVER=y",
        "APP_NAME=The a=b Company",
        "SEND_COUNTRIES=US, CA",
        f"NOTE='see {ALLOW}'",
    ],
)
def test_other_values_are_read(tmp_path: Path, line: str) -> None:
    read(tmp_path, line)
