"""PostgreSQL's own programs (pg_dump, pg_restore, psql) on the database of ``DATABASE_URL``.

Only the standard library is used, so that ``scripts/postgres_schema.py`` runs without the virtual
environment. Other users of the machine can read command lines, so the programs get the address and
the password in their environment.
"""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

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


class ProgramFailed(Exception):
    """A program is not installed or has failed; the sentence has no secrets."""


def is_installed(program: str) -> bool:
    """Whether a program of PostgreSQL is on this machine."""
    return shutil.which(program) is not None


def variables(address: str) -> dict[str, str]:
    """The address of a database as the variables that PostgreSQL's programs read."""
    parts = urlsplit(address)
    try:
        port = str(parts.port or "")
    except ValueError:
        raise ProgramFailed("The port in the address of the database cannot be read.") from None
    given = {
        "host": unquote(parts.hostname or ""),
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.lstrip("/")),
        **dict(parse_qsl(parts.query)),
    }
    return {_VARIABLES[key]: text for key, text in given.items() if text and key in _VARIABLES}


def run(program: str, *arguments: str, address: str, words: str = "") -> str:
    """Run a program with ``words`` as its input; returns its output. Raises ``ProgramFailed``."""
    # The rest of the environment is handed on: PATH, and HOME with its .pgpass.
    environment = {**os.environ, **variables(address)}  # noqa: TID251
    try:
        done = subprocess.run(  # noqa: S603 - programs and arguments are of this package
            [program, *arguments],
            env=environment,
            input=words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise ProgramFailed(
            f"{program} is not installed. Debian and Ubuntu: apt install postgresql-client"
        ) from None
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
