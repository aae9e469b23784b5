"""``make upgrade`` and ``make downgrade`` in a clone, and a later version of Message Settings."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from filelock import FileLock

from services.core.errors import SettingsError
from services.message_settings.document import NO_DOCUMENT
from services.message_settings.reader import NEWER, DocumentReader
from tests.conftest import NUMBER
from tests.postgres import drop_database, new_database
from tests.server import ROOT
from tests.waiting import PATIENCE

VENV = ROOT / ".venv"


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository with the program as it is here, and then a version 9.9.9 of it."""
    folder = tmp_path / "origin"
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    for name in listed:
        if (
            name.startswith(("tests/", "docs/", "torture/", "bench/"))
            or not (ROOT / name).is_file()
        ):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(folder))
    git(folder, "add", "--force", ".")
    git(folder, "commit", "--quiet", "--message=one")
    return folder


def set_version(origin: Path, version: str) -> None:
    file = origin / "pyproject.toml"
    lines = file.read_text().splitlines()
    changed = [f'version = "{version}"' if x.startswith("version =") else x for x in lines]
    file.write_text("\n".join(changed))
    git(origin, "commit", "--quiet", "--all", "--message=two")


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    """A clone with the virtual environment of the tests, a number and a device."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(origin), str(folder))
    (folder / ".venv").symlink_to(VENV)
    (folder / ".env").write_text("APP_ENV=local\nAPP_KEY=a key of the tests, long enough\n")
    (folder / ".env").chmod(0o600)
    run(folder, "settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    run(folder, "devices", "add", "201", "--name", "kept")
    return folder


def script(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "MAKE": "true", "FLASK_SKIP_DOTENV": "1"}
    command = [str(clone / "scripts/upgrade.sh"), *arguments]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE * 5
    )


def run(clone: Path, *arguments: str) -> str:
    """What a command prints."""
    command = [str(VENV / "bin/flask"), *arguments]
    env = {"PATH": os.environ["PATH"], "FLASK_SKIP_DOTENV": "1"}
    done = subprocess.run(
        command, cwd=clone, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def flask(clone: Path, *arguments: str) -> Any:
    return json.loads(run(clone, *arguments, "--json"))


def names(clone: Path) -> list[str]:
    return [device["name"] for device in flask(clone, "devices", "list")]


@pytest.mark.processes
def test_an_upgrade_keeps_a_copy_and_the_way_back_restores_it(origin: Path, clone: Path) -> None:
    first = git(clone, "rev-parse", "HEAD")
    set_version(origin, "9.9.9")
    (clone / "README.md").write_text("changed here")
    assert "git stash" in script(clone).stderr
    git(clone, "checkout", "--quiet", "README.md")
    done = script(clone)
    assert done.returncode == 0, done.stderr
    assert "Textbridge 9.9.9" in done.stdout
    assert list((clone / "storage-backups").glob("textbridge-*/textbridge.db"))
    run(clone, "devices", "add", "201", "--name", "later")
    back = script(clone, "--back")
    assert back.returncode == 0, back.stderr
    assert git(clone, "rev-parse", "HEAD") == first
    assert names(clone) == ["kept"], "what came after the copy is in the other folder"
    assert list(clone.glob("storage.newer-*/textbridge.db"))
    assert "no upgrade" in script(clone, "--back").stderr


@pytest.mark.processes
def test_a_version_that_does_not_start_is_taken_back(origin: Path, clone: Path) -> None:
    commit = git(clone, "rev-parse", "HEAD")
    (origin / "app.py").write_text("import no_such_module\n")
    git(origin, "commit", "--quiet", "--all", "--message=broken")
    done = script(clone)
    assert done.returncode != 0
    assert "The old one is back" in done.stderr
    assert git(clone, "rev-parse", "HEAD") == commit
    assert git(clone, "symbolic-ref", "--short", "HEAD") == "main"
    assert names(clone) == ["kept"]


@pytest.mark.processes
def test_a_downgrade_that_fails_leaves_everything_as_it_was(origin: Path, clone: Path) -> None:
    set_version(origin, "9.9.9")
    done = script(clone)
    assert done.returncode == 0, done.stderr
    second = git(clone, "rev-parse", "HEAD")
    run(clone, "devices", "add", "201", "--name", "later")
    (clone / "README.md").write_text("changed here")
    assert "git stash" in script(clone, "--back").stderr
    git(clone, "checkout", "--quiet", "README.md")
    (copy,) = (clone / "storage-backups").glob("textbridge-*")
    kept = (copy / "textbridge.db").rename(copy / "elsewhere.db")
    failed = script(clone, "--back")
    assert failed.returncode == 1
    assert "Program and messages are as they were" in failed.stderr
    assert "Start it: make run" in failed.stderr
    assert git(clone, "rev-parse", "HEAD") == second
    assert git(clone, "symbolic-ref", "--short", "HEAD") == "main"
    assert names(clone) == ["kept", "later"]
    with FileLock(clone / "storage/server.lock"):
        assert "The server runs" in script(clone, "--back").stderr
    kept.rename(copy / "textbridge.db")
    assert script(clone, "--back").returncode == 0


@pytest.mark.processes
def test_the_newest_version_is_not_copied_again(clone: Path) -> None:
    done = script(clone)
    assert done.returncode == 0, done.stderr
    assert "the newest one" in done.stdout
    assert not list(clone.glob("storage-backups/*"))


@pytest.mark.processes
def test_a_database_that_was_brought_up_to_date_already_is_said_to_be(
    origin: Path, clone: Path
) -> None:
    first = git(clone, "rev-parse", "HEAD")
    added = "services/store/database/migrations/versions"
    newest = max((origin / added).glob("[0-9]*.py"))
    number = f"{int(newest.name[:4]) + 1:04}"
    (origin / added / f"{number}_later.py").write_text(
        f'revision = "{number}"\ndown_revision = "{newest.name[:4]}"\n\n\n'
        "def upgrade() -> None:\n    pass\n"
    )
    with (origin / "services/gateway.py").open("a") as file:
        file.write(
            "\n\ndef _fail(*_): raise OSError('later')\nGateway._end_sandbox_tokens = _fail\n"
        )
        file.write("left_file = _fail\n")
    git(origin, "add", "--force", ".")
    git(origin, "commit", "--quiet", "--message=broken")
    done = script(clone)
    assert done.returncode != 0
    assert "make downgrade" in done.stderr
    assert "nothing else was changed" not in done.stderr
    assert git(clone, "rev-parse", "HEAD") == first
    assert script(clone, "--back").returncode == 0
    assert names(clone) == ["kept"]


@pytest.fixture
def postgres_clone(clone: Path, postgres: str) -> Iterator[Path]:
    """A clone with its data in PostgreSQL, whose password has odd characters."""
    role = f"owner_{uuid4().hex}"
    url = new_database(postgres)
    name = url.rpartition("/")[2]
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'p/w@ %'")  # type: ignore[arg-type]
        connection.execute(f"ALTER DATABASE {name} OWNER TO {role}")  # type: ignore[arg-type]
    address = url.replace("textbridge@", f"{role}:p%2Fw%40%20%25@")
    with (clone / ".env").open("a") as env:
        env.write(f"DATABASE_URL={address}\n")
    run(clone, "settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    run(clone, "devices", "add", "201", "--name", "kept")
    yield clone
    drop_database(postgres, url)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]


def schemas(clone: Path) -> dict[str, int]:
    """The schemas of ours, with the number of devices in each."""
    (line,) = [x for x in (clone / ".env").read_text().splitlines() if x.startswith("DATABASE_URL")]
    with psycopg.connect(line.partition("=")[2]) as connection:
        found = connection.execute(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'devices'"
        ).fetchall()
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}".devices').fetchall()[0][0]  # type: ignore[arg-type]
            for (name,) in found
        }


@pytest.mark.processes
def test_an_upgrade_with_postgresql_keeps_a_copy_and_the_way_back_restores_it(
    origin: Path, postgres_clone: Path
) -> None:
    clone = postgres_clone
    first = git(clone, "rev-parse", "HEAD")
    set_version(origin, "9.9.9")
    done = script(clone)
    assert done.returncode == 0, done.stderr
    assert list((clone / "storage-backups").glob("textbridge-*/textbridge.dump"))
    run(clone, "devices", "add", "201", "--name", "later")
    # A migration of the newer version, which the older one refuses.
    (line,) = [x for x in (clone / ".env").read_text().splitlines() if x.startswith("DATABASE_URL")]
    with psycopg.connect(line.partition("=")[2]) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("CREATE TABLE of_a_newer_version (id int)")
    back = script(clone, "--back")
    assert back.returncode == 0, back.stderr
    assert git(clone, "rev-parse", "HEAD") == first
    assert names(clone) == ["kept"]
    found = schemas(clone)
    (kept,) = set(found) - {"public"}
    assert kept in back.stdout
    assert found == {"public": 1, kept: 2}, "what came after the copy is in the other schema"
    assert list(clone.glob("storage.newer-*"))
    # And once more: what was kept is in no later copy.
    done = script(clone)
    assert done.returncode == 0, done.stderr
    back = script(clone, "--back")
    assert back.returncode == 0, back.stderr
    assert names(clone) == ["kept"]
    assert len(schemas(clone)) == 3


@pytest.mark.processes
def test_a_downgrade_with_postgresql_that_fails_leaves_everything_as_it_was(
    origin: Path, postgres_clone: Path
) -> None:
    clone = postgres_clone
    set_version(origin, "9.9.9")
    done = script(clone)
    assert done.returncode == 0, done.stderr
    second = git(clone, "rev-parse", "HEAD")
    run(clone, "devices", "add", "201", "--name", "later")
    (dump,) = (clone / "storage-backups").glob("textbridge-*/textbridge.dump")
    whole = dump.read_bytes()
    for damaged, left in ((whole[:-100], None), (whole, dump.parent / "media")):
        dump.write_bytes(damaged)
        if left is not None:  # the database is restored, and then the rest fails
            left.rename(dump.parent / "elsewhere")
        failed = script(clone, "--back")
        assert failed.returncode == 1
        assert "Program and messages are as they were" in failed.stderr
        assert "p/w@" not in failed.stderr + failed.stdout
        assert git(clone, "rev-parse", "HEAD") == second
        assert names(clone) == ["kept", "later"]
        assert schemas(clone) == {"public": 2}
    (dump.parent / "elsewhere").rename(dump.parent / "media")
    dump.write_bytes(whole[:100])
    assert "Nothing was changed or stopped" in script(clone, "--back").stderr
    dump.write_bytes(whole)
    dump.rename(dump.with_suffix(".away"))
    assert "has no textbridge.dump" in script(clone, "--back").stderr
    dump.with_suffix(".away").rename(dump)
    assert script(clone, "--back").returncode == 0
    assert names(clone) == ["kept"]


@pytest.mark.parametrize("more", ["", ', "later": {"a": 1}'])
def test_message_settings_of_a_later_version_are_refused_with_the_next_step(more: str) -> None:

    reader = DocumentReader({"sandbox"}, "US", "UTC")
    with pytest.raises(SettingsError) as refused:
        reader.read(f'{{"version": 3, "numbers": []{more}}}'.encode(), NO_DOCUMENT)
    assert refused.value.reason == NEWER
