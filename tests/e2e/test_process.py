"""Server process: start, second copy refused, reload, worker restart, stop."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.server import ROOT, Server, running_server
from tests.waiting import PATIENCE, eventually


def test_a_second_copy_on_the_same_storage_refuses(tmp_path: Path) -> None:
    with running_server(tmp_path):
        second = Server(tmp_path, {})
        second.log = tmp_path / "second.log"
        second.start(wait=False)
        assert second.process.wait(timeout=PATIENCE) != 0
        assert "Another Textbridge is running on" in second.log.read_text()


def test_every_problem_of_the_configuration_is_named_at_once(tmp_path: Path) -> None:
    env = {"BANDWIDTH_ACCOUNT_ID": "1", "PORT": "http", "APP_URL": "ftp://x", "MAIL_PORT": "0"}
    server = Server(tmp_path, {})
    server.env |= env
    server.start(wait=False)
    assert server.process.wait(timeout=PATIENCE) != 0
    said = server.log.read_text()
    assert "Traceback" not in said
    for name in ("BANDWIDTH_API_TOKEN", "BANDWIDTH_API_SECRET", "PORT", "APP_URL", "MAIL_PORT"):
        assert f"{name}: " in said


def test_ctrl_c_stops_everything_cleanly(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        children = server.children()
        assert len(children) == 2
        assert server.stop() == 0
        for pid in children:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_on_sqlite_nothing_of_postgresql_is_loaded(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        for pid in (server.process.pid, *server.children()):
            loaded = Path(f"/proc/{pid}/maps").read_text()
            assert "sqlite" in loaded
            assert "psycopg" not in loaded


def test_killed_workers_come_back(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        for pid in server.children():
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                ready = requests.get(f"{server.url}/ready", timeout=PATIENCE)
                if ready.ok and len(server.children()) == 2:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise AssertionError("they did not come back")


def test_a_reload_takes_the_new_configuration_and_drops_no_request(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("BANDWIDTH_WEBHOOK_TOKEN=\n")
    with running_server(tmp_path, {"ENV_FILE": str(env_file)}) as server:
        url = f"{server.url}/webhook/bandwidth/sms?token=first-token"
        assert requests.post(url, json=[], timeout=PATIENCE).status_code == 404
        env_file.write_text(
            "BANDWIDTH_ACCOUNT_ID=1\nBANDWIDTH_API_TOKEN=t\nBANDWIDTH_API_SECRET=s\n"
            "BANDWIDTH_APPLICATION_ID=a\nBANDWIDTH_WEBHOOK_TOKEN=first-token\n"
        )
        os.kill(server.process.pid, signal.SIGHUP)
        failures, answered, end = 0, 0, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                status = requests.post(url, json=[], timeout=PATIENCE).status_code
                answered += status == 200
            except requests.RequestException:
                failures += 1
            if answered > 50:
                break
        assert failures == 0
        assert answered > 50
        ready = f"{server.url}/ready"
        eventually(lambda: requests.get(ready, timeout=PATIENCE).ok)  # somebody delivers again


def test_a_reload_with_a_broken_env_leaves_the_configuration_of_before(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("APP_NAME=Before\n")
    with running_server(tmp_path, {"ENV_FILE": str(env_file)}) as server:
        env_file.write_text("MAIL_PORT=nonsense\nAPP_URL=ftp://x\n")
        os.kill(server.process.pid, signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and "Not reloaded." not in server.log.read_text():
            time.sleep(0.1)
        assert "APP_URL: " in server.log.read_text().partition("Not reloaded.")[2]
        for pid in server.children():  # a restarted process has the kept settings, too
            os.kill(pid, signal.SIGKILL)
        server.wait_ready()
        assert server.process.poll() is None


def test_no_secret_and_no_text_is_logged(tmp_path: Path) -> None:
    canary = "canary-of-the-tests"
    env = {"APP_KEY": f"{canary}-app-key", "ADMIN_PASSWORD": f"{canary}-admin"}
    with running_server(tmp_path, env) as server:
        simulated = server.flask(
            "simulate", "sandbox", "--from", "+13035550177", "--to", "+12025550100",
            "--text", f"{canary}-text",
        )  # fmt: skip
        assert simulated.returncode == 0, simulated.stderr
        hooks = server.flask("webhooks").stdout
        token = hooks.partition("token=")[2].split()[0]
        requests.post(f"{server.url}/webhook/sandbox/sms?token={token}", data="{", timeout=PATIENCE)
        server.stop()
        log = server.log.read_text()
        assert canary not in log
        assert token not in log
        assert '"message_id"' in log


def test_a_log_that_cannot_be_written_fails_no_request(tmp_path: Path) -> None:
    script = """
import sys
from services.config import logging as logs
from services.gateway import load_environment
import structlog
logs.configure(load_environment({"APP_ENV": "local", "APP_KEY": "a key of the tests, long enough"}))
structlog.get_logger().error("lost")
sys.stdout.write("and on it goes")
"""
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE,
                             stderr=full, text=True, check=False)  # fmt: skip
    assert ran.stdout == "and on it goes"


def test_the_dead_parent_of_a_tree_takes_its_children_along(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        children = server.children()
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(timeout=PATIENCE)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            listed = subprocess.run(["ps", "-o", "pid=", "-p", ",".join(map(str, children))],
                                    capture_output=True, text=True, check=False)  # fmt: skip
            if not listed.stdout.strip():
                return
            time.sleep(0.2)
        raise AssertionError("children outlived their parent")
