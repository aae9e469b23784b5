"""Reading ``.env``: lines that are not understood, encodings, and values as Laravel reads them."""

from pathlib import Path

import pytest

from services.config import env_file
from services.core.errors import ConfigError, Problem

SECRET = "s3cret-of-the-tests"


def read(tmp_path: Path, content: str | bytes, **env: str) -> dict[str, str]:
    """Read a file with this content."""
    path = tmp_path / ".env"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return env_file.read(path, env)


def problems(tmp_path: Path, content: str | bytes) -> list[Problem]:
    """The problems of a file that must have some."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)
    return caught.value.problems


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f'ADMIN_ALLOW="{SECRET}', "ADMIN_ALLOW"),
        (f"ADMIN_ALLOW='{SECRET}", "ADMIN_ALLOW"),
        (f'ADMIN_ALLOW="{SECRET}" 10.0.0.1', "ADMIN_ALLOW"),
        (f"ADMIN_ALLOW {SECRET}", "NAME=value"),
        (f"ADMIN_ALLOW:{SECRET}", "name of a variable"),
        ("ADMIN_ALLOW", "ADMIN_ALLOW"),
        (f"ADMIN-ALLOW={SECRET}", "name of a variable"),
        (f'"ADMIN_ALLOW"={SECRET}', "name of a variable"),
        (f"\u200bADMIN_ALLOW={SECRET}", "name of a variable"),
        (f"ADMIN_ALLOW＝{SECRET}", "name of a variable"),
        (f"set ADMIN_ALLOW={SECRET}", "NAME=value"),
        (f"=={SECRET}", "NAME=value"),
    ],
)
def test_a_line_that_is_not_understood_is_a_problem_with_its_number(
    tmp_path: Path, line: str, words: str
) -> None:
    for end in ("\n", "\r\n"):
        content = end.join(["# our settings", "APP_ENV=production", "", line, "PORT=8000", ""])
        [problem] = problems(tmp_path, content)
        assert problem.variable == ".env, line 4"
        assert words in problem.reason
        assert problem.remedy
        assert SECRET not in str(problem)


def test_every_such_line_is_named_at_once(tmp_path: Path) -> None:
    found = problems(tmp_path, 'A="x\nB=1\n\nC D\nE=1\n')
    assert [each.variable for each in found] == [".env, line 1", ".env, line 4"]


@pytest.mark.parametrize("last", ['NOTE="# it"', 'NOTE="#"', '# the so-called "'])
def test_a_quote_that_swallows_other_variables_is_a_problem(tmp_path: Path, last: str) -> None:
    content = f'APP_NAME="Shop\nADMIN_ALLOW=10.9.9.9\n{last}\n'
    [problem] = problems(tmp_path, content)
    assert problem.variable == ".env, line 1"
    assert "APP_NAME" in problem.reason


def test_a_value_of_several_lines_is_read(tmp_path: Path) -> None:
    content = "KEY='-----BEGIN\nQUJDRA==\nAQ==\nAB=\n-----END'\nPORT=8000\n"
    assert read(tmp_path, content) == {
        "KEY": "-----BEGIN\nQUJDRA==\nAQ==\nAB=\n-----END",
        "PORT": "8000",
    }


@pytest.mark.parametrize(
    ("content", "place", "encoding"),
    [
        ("APP_ENV=production\nAPP_NAME=Café\n".encode("latin-1"), ".env, line 2", "LATIN1"),
        ("APP_NAME=Café\n".encode("utf-16"), ".env", "UTF-16"),
        ("APP_NAME=Café\n".encode("utf-16-le"), ".env", "UTF-16"),
        ("APP_NAME=Café\n".encode("utf-16-be"), ".env", "UTF-16"),
    ],
)
def test_another_encoding_is_named_with_the_command_that_changes_it(
    tmp_path: Path, content: bytes, place: str, encoding: str
) -> None:
    [problem] = problems(tmp_path, content)
    assert problem.variable == place
    assert f"iconv -f {encoding} -t UTF-8 {tmp_path}/.env" in problem.remedy


def test_utf_8_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfAPP_NAME=Caf\xc3\xa9\n") == {"APP_NAME": "Café"}


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        env_file.read(tmp_path / "folder", {})


# By Laravel's parser, vlucas/phpdotenv 5
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'m${yp}x'", "m${yp}x"),
        ("'${HOST}'", "${HOST}"),
        (r"'a\nb'", r"a\nb"),
        (r"'a\\b'", r"a\\b"),
        ('"${HOST}/x"', "example.com/x"),
        ("${HOST}/x", "example.com/x"),
        ('"${NOWHERE}"', "${NOWHERE}"),
        ('"${HOST:-other}"', "${HOST:-other}"),
        ('"$HOST"', "$HOST"),
        (r'"m\$ypass"', "m$ypass"),
        (r'"m\${HOST}"', "m${HOST}"),
        (r'"a\nb\t\"c\"\\d"', 'a\nb\t"c"\\d'),
        (r'"a\\${HOST}"', "a\\example.com"),
        (r"C:\new", r"C:\new"),
        ("a # comment", "a"),
        ("# comment", "# comment"),
        (" # comment", ""),
        ("a b", "a b"),
        ("", ""),
        ('"a # b" # comment', "a # b"),
    ],
)
def test_a_value_is_what_laravel_reads(tmp_path: Path, written: str, value: str) -> None:
    assert read(tmp_path, f"HOST=example.com\nVALUE={written}\n")["VALUE"] == value


def test_a_reference_takes_the_real_environment_first(tmp_path: Path) -> None:
    content = 'A="${HOST}"\nHOST=file\nB="${HOST}"\n'
    assert read(tmp_path, content) == {"A": "${HOST}", "HOST": "file", "B": "file"}
    assert read(tmp_path, content, HOST="real")["B"] == "real"


def test_values_that_laravel_reads_otherwise_are_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        f"MAIL_PASSWORD={SECRET}#x\nMAIL_HOST=a\nMAIL_HOST=b\nOTHER=a#b\n"
        f"APP_NAME=' {SECRET}'\nAPP_URL=\"${{A:-{SECRET}}}\"\nMAIL_PORT=587\nMAIL_PORT=587\n"
    )
    ours = ["MAIL_PASSWORD", "MAIL_HOST", "APP_NAME", "APP_URL", "MAIL_PORT"]
    found = env_file.findings(path, ours)
    assert sorted(each.variable for each in found) == [
        "APP_NAME (line 5)",
        "APP_URL (line 6)",
        "MAIL_HOST",
        "MAIL_PASSWORD (line 1)",
    ]
    assert SECRET not in str([str(each) for each in found])
