"""``flask`` as a program of its own, the delivery worker included."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.core.messages import Status
from services.gateway import Gateway, load_environment
from services.messaging.compose import Reply
from services.store import messages
from tests.cli.conftest import DEVICE, TEXT
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.processes import ends_with_parent, start
from tests.server import ROOT, Server
from tests.waiting import PATIENCE, eventually


@pytest.mark.processes
def test_the_real_command_works_from_the_project_folder(tmp_path: Path) -> None:
    server = Server(tmp_path, {})
    checked = server.flask("config", "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "Everything is in order." in checked.stdout
    server.flask("settings", "set", NUMBER, "--carrier", "sandbox", "--extension", "201")
    listed = server.flask("settings", "list", "--json")
    assert json.loads(listed.stdout)["numbers"][0]["number"] == NUMBER
    added = server.flask("devices", "add", "201", "--name", "app", "--json")
    assert added.stderr == ""
    assert set(json.loads(added.stdout)) == {"device_id", "token", "extension", "name"}
    dead = server.flask("simulate", "sandbox", *TEXT)
    assert dead.returncode == 1
    assert f"No server answers at {server.url}" in dead.stderr


@pytest.mark.processes
@pytest.mark.parametrize("debug", [False, True])
def test_a_person_at_a_terminal_sees_the_answer_of_a_command_and_no_log(
    tmp_path: Path, debug: bool
) -> None:
    server = Server(tmp_path, {"APP_DEBUG": str(debug).lower()})
    main, terminal = os.openpty()
    done = subprocess.run(
        ends_with_parent(
            *(sys.executable, "-m", "flask", "--app", "wsgi", "optouts", "add", PEER),
            *("--number", NUMBER, "--reason", "Asked on the phone."),
        ),
        cwd=ROOT,
        env=server.env,
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=PATIENCE,
        check=False,
    )
    os.close(terminal)
    try:
        shown = os.read(main, 100_000).decode()
    except OSError:  # nothing was written, and nobody can write any more
        shown = ""
    os.close(main)
    assert done.returncode == 0, shown
    assert ("opted out" in shown) == debug
    assert b"[info" not in done.stdout


@pytest.mark.processes
@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"BANDWIDTH_ACCOUNT_ID": "9900001", "PORT": "x"}, ["BANDWIDTH_API_SECRET", "PORT"]),
        ({"APP_ENV": "production", "APP_KEY": ""}, ["APP_KEY: is missing."]),
        (
            {"DATABASE_URL": "postgresql://127.0.0.1:1/none"},
            ["The database cannot", "DATABASE_URL"],
        ),
        ({"DATABASE_URL": "mysql://127.0.0.1/none"}, ["DATABASE_URL", "postgresql://"]),
        ({"DATABASE_URL": "postgresql://me:geheim@h:x/y", "DEFAULT_COUNTRY": "XX"}, ["%40", "XX"]),
        ({"STORAGE_PATH": "/proc/none"}, ["/proc/none", "STORAGE_PATH"]),
        ({"ENV_FILE": "/proc/none/.env"}, ["ENV_FILE: there is no file /proc/none/.env"]),
    ],
)
def test_a_broken_environment_is_explained_without_a_traceback(
    tmp_path: Path, env: dict[str, str], words: list[str]
) -> None:
    checked = Server(tmp_path, env).flask("config", "check")
    assert (checked.returncode, checked.stdout) == (1, "")
    assert "Traceback" not in checked.stderr
    assert "geheim" not in checked.stderr
    for word in words:
        assert word in checked.stderr


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_by_itself_delivers_until_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    server = Server(tmp_path, {})
    worker = start(
        sys.executable,
        "-m",
        "flask",
        "--app",
        "wsgi",
        "worker",
        cwd=ROOT,
        env=server.env,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stderr is not None
        assert "runs" in worker.stderr.readline()
        _send_and_wait(tmp_path)
        worker.send_signal(number)
        _, said = worker.communicate(timeout=PATIENCE)
    finally:
        worker.kill()
        worker.wait()
    assert worker.returncode == 0
    assert "has ended" in said
    assert "Traceback" not in said


def _send_and_wait(storage: Path) -> None:
    """Queue a text and wait until somebody has sent it."""
    (storage / "message_settings.json").write_text(json.dumps({"numbers": [NUMBER_ENTRY]}))
    key = "a key of the tests, long enough"
    gateway = Gateway(
        load_environment({"APP_ENV": "local", "APP_KEY": key, "STORAGE_PATH": str(storage)})
    )
    try:
        message, _ = gateway.composer.submit(DEVICE, Reply(text="Yes", to=(PEER,)))

        def is_sent() -> bool:
            now = gateway.store.read(lambda tx: messages.by_id(tx, message.id))
            return now is not None and now.status is Status.SENT

        eventually(is_sent)
    finally:
        gateway.close()
