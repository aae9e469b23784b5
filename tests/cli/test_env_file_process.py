"""The files of configuration through real processes: broken lines, and which file counts."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.processes import ends_with_parent
from tests.server import ROOT, Server, running_server
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.processes

SECURE = "ADMIN_PASSWORD=operator-of-the-tests\nADMIN_ALLOW=10.9.9.9\n"
BROKEN = 'ADMIN_PASSWORD=operator-of-the-tests\nADMIN_ALLOW="10.9.9.9\n'


def test_a_broken_line_starts_no_server_and_config_check_names_it(tmp_path: Path) -> None:
    env_file = tmp_path / "broken.env"
    env_file.write_text(BROKEN)
    server = Server(tmp_path / "storage", {"ENV_FILE": str(env_file)})
    server.start(wait=False)
    assert server.process.wait(timeout=PATIENCE) != 0
    checked = server.flask("config", "check")
    assert checked.returncode == 1
    for said in (server.log.read_text(), checked.stderr):
        assert "broken.env, line 2: cannot be read (ADMIN_ALLOW)" in said
        assert "10.9.9.9" not in said
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "where"),
    [(BROKEN, "refused.env, line 2"), ("PORT=99999\nADMIN_ALLOW=nowhere\n", "ADMIN_ALLOW")],
)
def test_config_check_prints_json_of_a_refused_file_as_well(
    tmp_path: Path, content: str, where: str
) -> None:
    env_file = tmp_path / "refused.env"
    env_file.write_text(content)
    own = {"ENV_FILE": str(env_file), "STORAGE_PATH": str(tmp_path / "storage"), "APP_ENV": "local"}
    accepted = flask(tmp_path, "config", "check", "--json", **{**own, "ENV_FILE": ""})
    checked = flask(tmp_path, "config", "check", "--json", **own)
    assert checked.returncode == 1
    told = json.loads(checked.stdout)
    assert told.keys() == json.loads(accepted.stdout).keys()
    assert told["ok"] is False
    assert where in [problem["variable"] for problem in told["problems"]]
    assert all(problem["reason"] and problem["remedy"] for problem in told["problems"])
    assert "10.9.9.9" not in checked.stdout
    assert flask(tmp_path, "config", "check", **own).stdout == "", "people read standard error"


@pytest.mark.parametrize("command", [(), ("devices", "pair"), ("messages", "prune"), ("setup",)])
def test_help_needs_no_usable_configuration(tmp_path: Path, command: tuple[str, ...]) -> None:
    env_file = tmp_path / "refused.env"
    env_file.write_text("PORT=99999\n")
    told = flask(tmp_path, *command, "--help", ENV_FILE=str(env_file))
    assert told.returncode == 0, told.stderr
    assert "Usage: " in told.stdout
    assert command or "simulate" in told.stdout
    refused = flask(tmp_path, "devices", "pair", "201", ENV_FILE=str(env_file))
    assert refused.returncode == 1
    assert "PORT" in refused.stderr


@pytest.mark.parametrize("broken", [BROKEN.encode(), "APP_NAME=Café\n".encode("latin-1")])
def test_a_reload_with_a_broken_line_keeps_the_old_configuration(
    tmp_path: Path, broken: bytes
) -> None:
    env_file = tmp_path / "env"
    env_file.write_text(SECURE)
    with running_server(tmp_path / "storage", {"ENV_FILE": str(env_file)}) as server:
        before = set(server.children())
        closed = requests.get(f"{server.url}/admin/", timeout=PATIENCE).status_code
        assert closed in (403, 404)
        env_file.write_bytes(broken)
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: not before & set(server.children()))
        server.wait_ready()
        assert "Not reloaded." in server.log.read_text()
        assert requests.get(f"{server.url}/admin/", timeout=PATIENCE).status_code == closed


def flask(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``flask`` in a folder with a ``.env``, without the variables of the tests."""
    return subprocess.run(
        ends_with_parent(sys.executable, "-m", "flask", "--app", "wsgi", *arguments),
        cwd=folder,
        # 0: Flask loads the .env of the folder, as it does by default
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "FLASK_SKIP_DOTENV": "0", **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def two_installations(tmp_path: Path) -> tuple[Path, Path]:
    """A folder with the ``.env`` of one installation, and the file of another one."""
    here, other = tmp_path / "here", tmp_path / "other.env"
    here.mkdir()
    (here / ".env").write_text(
        f"APP_ENV=local\nAPP_NAME=Here\nSTORAGE_PATH={tmp_path}/production\n"
        "DATABASE_URL=postgresql://textbridge@127.0.0.1:1/production\n"
        "APP_KEY=a key of the tests, long enough\n"
    )
    other.write_text(
        f"APP_ENV=local\nAPP_NAME=Other\nSTORAGE_PATH={tmp_path}/other\n"
        "APP_KEY=another key of the tests, long enough\n"
    )
    return here, other


def test_a_command_acts_on_the_installation_of_env_file(
    two_installations: tuple[Path, Path], tmp_path: Path
) -> None:
    here, other = two_installations
    shown = flask(here, "config", "show", ENV_FILE=str(other))
    assert shown.returncode == 0, shown.stderr
    assert "APP_NAME=Other" in shown.stdout
    assert f"STORAGE_PATH={tmp_path}/other" in shown.stdout
    assert "DATABASE_URL=\n" in shown.stdout


def test_the_real_environment_still_counts_before_both_files(
    two_installations: tuple[Path, Path],
) -> None:
    here, other = two_installations
    shown = flask(here, "config", "show", ENV_FILE=str(other), APP_NAME="Here", LOG_LEVEL="error")
    assert "APP_NAME=Here" in shown.stdout
    assert "LOG_LEVEL=ERROR" in shown.stdout


def test_a_restore_drill_stays_away_from_the_database_of_the_folder(
    two_installations: tuple[Path, Path], tmp_path: Path
) -> None:
    here, other = two_installations
    made = flask(here, "backup", str(tmp_path / "copies"), ENV_FILE=str(other))
    assert made.returncode == 0, made.stderr
    [copy] = (tmp_path / "copies").iterdir()
    drill = {"ENV_FILE": "", "APP_ENV": "local", "STORAGE_PATH": str(tmp_path / "drill")}
    restored = flask(here, "restore", str(copy), **drill)
    assert restored.returncode == 0, restored.stderr
    assert (tmp_path / "drill" / "textbridge.db").exists()
    assert not (tmp_path / "production").exists()
