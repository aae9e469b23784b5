"""PostgreSQL's own programs (pg_dump, pg_restore, psql) on the database of ``DATABASE_URL``.

Only the standard library is used, so that ``scripts/postgres_schema.py`` runs without the virtual
environment. Other users of the machine can read command lines, so the programs get the address and
the password in their environment.
"""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import parse_qsl, unquote

DUMP = "textbridge.dump"
SET_ASIDE = "before_downgrade_"  # prefix of schemas with what a newer version has kept
# Parameters of an address, https://www.postgresql.org/docs/current/libpq-envars.html
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
# As SQLAlchemy reads it: a password may have any character but @, and a folder's name its capitals.
_ADDRESS = re.compile(
    r"[\w+]+://(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<ipv6>[^\]/?]+)\]|(?P<host>[^\[\]:/?]*))(?::(?P<port>[0-9]*))?"
    r"(?:/(?P<dbname>[^?]*))?(?:\?(?P<more>.*))?",
    re.ASCII,
)
# pg_restore 17 and later write it for every server, and servers before 17 refuse it.
_OF_LATER_SERVERS = b"SET transaction_timeout = 0;\n"


class ProgramFailed(Exception):
    """A program is not installed or has failed; the sentence has no secrets."""


def is_installed(program: str) -> bool:
    """Whether a program of PostgreSQL is on this machine."""
    return shutil.which(program) is not None


def variables(address: str) -> dict[str, str]:
    """The address of a database as the variables that PostgreSQL's programs read."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise ProgramFailed("The address of the database cannot be read.")
    given = {
        "host": parts["host"] or parts["ipv6"],
        "port": parts["port"],
        "user": unquote(parts["user"] or ""),
        "password": unquote(parts["password"] or ""),
        "dbname": parts["dbname"],
        **dict(parse_qsl(parts["more"] or "")),
    }
    return {_VARIABLES[key]: text for key, text in given.items() if text and key in _VARIABLES}


def run(program: str, *arguments: str, address: str, words: str = "") -> str:
    """Run a program with ``words`` as its input; returns its output. Raises ``ProgramFailed``."""
    try:
        done = subprocess.run(  # noqa: S603 - programs and arguments are of this package
            [program, *arguments],
            env=_environment(address),
            input=words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise _absent(program) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ProgramFailed(f"{program}: {' '.join(said[-3:])}")
    return done.stdout


def dump(address: str, target: Path) -> None:
    """Write the database to a new file, readable by its owner only. Raises ``ProgramFailed``."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    run(
        "pg_dump",
        "--format=custom",
        "--no-owner",
        f"--exclude-schema={SET_ASIDE}*",
        f"--file={target}",
        address=address,
    )


def restore(address: str, source: Path) -> None:
    """Restore a dump in one transaction. Raises ``ProgramFailed``; then nothing was restored."""
    read = ("pg_restore", "--no-owner", "--exit-on-error", "--file=-", str(source))
    write = ("psql", "--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1")
    with tempfile.TemporaryFile() as errors:
        with (
            _started(*read, address=address, errors=errors, stdout=subprocess.PIPE) as reader,
            _started(*write, address=address, errors=errors, stdin=subprocess.PIPE) as writer,
            suppress(BrokenPipeError),  # it has ended, and has said why
        ):
            _hand_over(reader, writer)
        if reader.returncode or writer.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise ProgramFailed(f"The copy cannot be restored. {' '.join(said[:3])}")


def _hand_over(reader: subprocess.Popen[bytes], writer: subprocess.Popen[bytes]) -> None:
    # Without COMMIT, if the reader fails or this is interrupted, nothing is restored.
    if reader.stdout is None or writer.stdin is None:
        raise AssertionError
    with reader.stdout, writer.stdin:
        writer.stdin.write(b"BEGIN;\n")
        for line in reader.stdout:
            if line != _OF_LATER_SERVERS:
                writer.stdin.write(line)
        if reader.wait() == 0:
            writer.stdin.write(b"COMMIT;\n")


def _started(
    program: str,
    *arguments: str,
    address: str,
    errors: IO[bytes],
    stdin: int | None = None,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - programs and arguments are of this package
            [program, *arguments],
            env=_environment(address),
            stdin=stdin,
            stdout=stdout,
            stderr=errors,
        )
    except FileNotFoundError:
        raise _absent(program) from None


def _environment(address: str) -> dict[str, str]:
    # The rest of the environment is handed on: PATH, and HOME with its .pgpass.
    return {**os.environ, **variables(address)}  # noqa: TID251


def _absent(program: str) -> ProgramFailed:
    return ProgramFailed(
        f"{program} is not installed. Debian and Ubuntu: apt install postgresql-client"
    )
