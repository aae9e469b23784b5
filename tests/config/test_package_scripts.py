"""``textbridge downgrade`` and the check before an upgrade of the package, in folders of the test.

The paths of the scripts are replaced, and programs that only root may run are small stand-ins.
"""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.postgres import free_port
from tests.processes import start
from tests.server import ROOT
from tests.waiting import PATIENCE, eventually

PLACES = ("/etc/textbridge", "/var/lib/textbridge", "/var/backups/textbridge", "/opt/textbridge")
STAND_INS = {
    "id": "echo 0",
    "dpkg-deb": "case $3 in Package) echo textbridge ;; *) echo 0.1.0 ;; esac",
    "dpkg-query": "printf 0.2.0",
    "dpkg": 'echo "dpkg $*" >>"$CALLS"',
    "install": 'mkdir -m 700 "$(eval echo \\"\\${$#}\\")"',
    "setpriv": 'while [ "$1" != /usr/bin/python3 ]; do shift; done; exec "$@"',
    "systemctl": 'echo "systemctl $*" >>"$CALLS"',
}
TEXTBRIDGE = 'echo "textbridge $*" >>"$CALLS"; ls -a "$STORAGE" >"$RESTORED"'


@dataclass(frozen=True)
class System:
    """A file system with an installed package: version 0.2.0 in service, and a backup of 0.1.0."""

    root: Path

    @property
    def storage(self) -> Path:
        return self.root / "var/lib/textbridge"

    @property
    def backup(self) -> Path:
        return self.root / "var/backups/textbridge/textbridge-20260130-023000"

    @property
    def env(self) -> Path:
        return self.root / "etc/textbridge/env"

    @property
    def calls(self) -> str:
        calls = self.root / "calls"
        return calls.read_text() if calls.exists() else ""

    def put(self, program: str, lines: str) -> None:
        """Write a program of the stand-ins."""
        path = self.root / "usr/bin" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)

    def script(self, name: str) -> str:
        """A script of the package, with these places instead of its own."""
        lines = (ROOT / "packaging/deb" / name).read_text()
        for place in (*PLACES, "/usr/bin/textbridge", "/run/systemd/system"):
            lines = lines.replace(place, str(self.root / place[1:]))
        copy = self.root / name
        copy.write_text(lines)
        return str(copy)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root / 'usr/bin'}:{os.environ['PATH']}",
            "CALLS": str(self.root / "calls"),
            "STORAGE": str(self.storage),
            "RESTORED": str(self.root / "restored"),
        }

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", self.script(name), *arguments],
            env=self.variables, capture_output=True, text=True, check=False, timeout=PATIENCE * 5,
        )  # fmt: skip

    def downgrade(self) -> subprocess.CompletedProcess[str]:
        return self.run("downgrade", str(self.root / "old.deb"))


@pytest.fixture
def system(tmp_path: Path) -> System:
    made = System(tmp_path / "system")
    for place in (*PLACES, "/run/systemd/system"):
        (made.root / place[1:]).mkdir(parents=True)
    made.backup.mkdir()
    (made.root / "old.deb").touch()
    (made.storage / "app.key").write_text("of the newer version")
    made.env.write_text("APP_ENV=production\nDATABASE_URL=\n")
    program = made.root / "opt/textbridge"
    for name in ("services", "scripts"):
        shutil.copytree(ROOT / name, program / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, lines in STAND_INS.items():
        made.put(name, lines)
    made.put("textbridge", TEXTBRIDGE)
    return made


@pytest.fixture
def with_postgresql(system: System, empty_postgres_url: str) -> System:
    """The newer version has the text “new” in its database, and the backup the text “old”."""
    system.env.write_text(f"DATABASE_URL='{empty_postgres_url}' # a note\n")
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE workers (seen_at double precision)")
        connection.execute("CREATE TABLE texts AS SELECT 'old' AS text")
        dump = [
            "pg_dump",
            "--format=custom",
            "--no-owner",
            f"--file={system.backup}/textbridge.dump",
        ]
        subprocess.run([*dump, empty_postgres_url], check=True)
        connection.execute("UPDATE texts SET text = 'new'")
    return system


def stored(url: str) -> dict[str, str]:
    """The text in each schema."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'texts'"
        ).fetchall()
        return {
            name: connection.execute(f'SELECT text FROM "{name}".texts').fetchall()[0][0]
            for (name,) in found
        }


def is_as_it_was(system: System) -> bool:
    [folder] = system.storage.parent.iterdir()
    return (folder / "app.key").read_text() == "of the newer version"


def test_a_downgrade_puts_back_the_copy_and_keeps_the_way_into_the_database(
    with_postgresql: System, empty_postgres_url: str
) -> None:
    (with_postgresql.storage / ".pgpass").write_text("localhost:*:*:textbridge:secret")
    done = with_postgresql.downgrade()
    assert done.returncode == 0, done.stderr
    assert ".pgpass" in (with_postgresql.root / "restored").read_text().split()
    assert (with_postgresql.storage / ".pgpass").read_text().endswith("secret")
    found = stored(empty_postgres_url)
    assert found.pop("public") == "old"
    [(schema, text)] = found.items()
    assert schema.startswith("before_downgrade_")
    assert text == "new"
    assert schema in done.stdout
    assert with_postgresql.calls.splitlines()[-1] == "systemctl start textbridge"


def test_a_database_that_does_not_answer_is_seen_before_anything_is_stopped(
    system: System,
) -> None:
    system.env.write_text(f"DATABASE_URL=postgresql://textbridge@127.0.0.1:{free_port()}/x\n")
    (system.backup / "textbridge.dump").touch()
    done = system.downgrade()
    assert done.returncode == 1
    assert "Connection refused" in done.stderr
    assert "Nothing was changed, and the service was not stopped" in done.stderr
    assert "schema" not in done.stderr
    assert system.calls == ""
    assert is_as_it_was(system)


def test_a_database_that_is_gone_on_the_way_does_not_keep_the_storage_folder(
    with_postgresql: System,
) -> None:
    """As if it was stopped when the service was: what asks it afterwards fails."""
    programs = with_postgresql.root / "opt/textbridge/scripts/postgres_schema.py"
    lines = programs.read_text()
    for action in ("replace", "take_back"):
        lines = lines.replace(
            f"def {action}(",
            f"def {action}(*_):\n    raise ProgramFailed('gone')\n\n\ndef un{action}(",
        )
    programs.write_text(lines)
    done = with_postgresql.downgrade()
    assert done.returncode == 1
    assert "run the same command again" in done.stderr
    assert is_as_it_was(with_postgresql)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_downgrade_that_is_ended_puts_everything_back(
    with_postgresql: System, empty_postgres_url: str, number: int
) -> None:
    system = with_postgresql
    begun = system.root / "begun"
    system.put("pg_restore", f"case $1 in --list) ;; *) touch {begun}; sleep 3; exit 1 ;; esac")
    (system.root / "tmp").mkdir()
    running = start(
        "sh", system.script("downgrade"), str(system.root / "old.deb"),
        env=system.variables | {"TMPDIR": str(system.root / "tmp")},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    eventually(lambda: begun.exists() or running.poll() is not None)
    running.send_signal(number)
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert b"everything is as it was" in said
    assert b"Traceback" not in said
    assert is_as_it_was(system)
    assert stored(empty_postgres_url) == {"public": "new"}
    assert "dpkg" not in system.calls
    assert not list((system.root / "tmp").iterdir())


def test_a_newer_pg_restore_restores_into_an_older_server(
    with_postgresql: System, empty_postgres_url: str
) -> None:
    """pg_restore 17 sets a parameter that servers before 17 do not know."""
    line = "SET transaction_timeout = 0;"
    real = shutil.which("pg_restore")
    with_postgresql.put(
        "pg_restore",
        f'case "$*" in *--list*) ;; *--file=-*) echo "{line}" ;; '
        f'*) echo "could not execute query: {line}" >&2; exit 1 ;; esac; exec {real} "$@"',
    )
    done = with_postgresql.downgrade()
    assert done.returncode == 0, done.stderr
    assert stored(empty_postgres_url)["public"] == "old"


@pytest.mark.parametrize("written", ['""', "''", "null", "", '"" # none'])
@pytest.mark.parametrize("database", ["textbridge.db", "textbridge.dump", ""])
def test_an_upgrade_needs_a_copy_of_the_database(
    system: System, written: str, database: str
) -> None:
    python = system.root / "opt/textbridge/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    system.env.write_text(f"DATABASE_URL={written}\n")
    if database:
        (system.backup / database).touch()
    done = system.run("preinst", "upgrade")
    assert done.returncode == (0 if database else 1), done.stderr
    assert ("apt install postgresql-client" in done.stderr) is not bool(database)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
        ("  'postgresql://u:p@h/d' # ours", "postgresql://u:p@h/d"),
        (
            '"postgresql+psycopg://u@h/d?sslmode=require"',
            "postgresql+psycopg://u@h/d?sslmode=require",
        ),
        ("postgresql://u:a#b'c@h/d   # ours\r", "postgresql://u:a#b'c@h/d"),
        ("null", ""),
        ("''", ""),
        ("sqlite:///x.db", ""),
    ],
)
def test_the_scripts_read_the_address_of_the_database(
    tmp_path: Path, written: str, read: str
) -> None:
    file, secret = tmp_path / "env", tmp_path / "secret"
    secret.write_text(f"{read}\n")
    file.write_text(f"DATABASE_URL=postgresql://before\n export DATABASE_URL = {written}\n")
    ask = f'. {ROOT}/scripts/database_address.sh; database_address "$1"'
    for content in (None, f"DATABASE_URL=\nDATABASE_URL_FILE={secret}\n"):
        if content is not None:
            file.write_text(content)
        done = subprocess.run(
            ["sh", "-euc", ask, "sh", str(file)], check=True, capture_output=True, text=True
        )
        assert done.stdout.strip() == read
