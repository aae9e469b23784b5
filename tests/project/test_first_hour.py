"""The commands of docs/first-hour.md do what the page says, in the order of the page.

Each is run here, but for those that need root, another network or a terminal: they are named with
the test that runs them.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.test_typed_commands import FENCE, ROOT, typed
from tests.release.first_hour_page import WITHOUT_NUMBER, steps
from tests.server import Server, running_server
from tests.waiting import eventually

PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
BLOCKS = [block.strip() for _, block in FENCE.findall(PAGE)]
COMMANDS = [line for block in BLOCKS for line in typed(f"```\n{block}\n```")]
ELSEWHERE = {
    "setup": "tests/cli/test_setup.py",  # in a terminal, at each carrier
    "doctor": "tests/operations/test_doctor.py",
}
# What needs root, the internet or a browser: make targets and packages are compared with the
# Makefile (test_docs, test_typed_commands); tests/release/test_first_hour.py types all of them.
SYSTEM = {
    "sudo apt-get update",
    "sudo apt-get install git make python3 python3-venv",
    "git clone <this repository> textbridge",
    "cd textbridge",
    "make run",
    "ssh -L 8000:127.0.0.1:8000 you@sms.example.com",
    "make deb",
    "sudo apt-get install ./dist/textbridge_*.deb",
    "sudo apt-get install caddy",
    "sudo systemctl reload caddy",
}
TEXT = "Are you open?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("first") / "storage") as running:
        yield running


def test_every_block_is_a_command_that_is_known_here() -> None:
    ours = [block for block in BLOCKS if list(typed(f"```\n{block}\n```"))]
    rest = [block for block in BLOCKS if block not in ours and block not in SYSTEM]
    assert [block for block in rest if not block.startswith("sed ")] == []
    assert all("\n" not in block for block in BLOCKS), "one instruction each"
    for path in (*ELSEWHERE.values(), "tests/release/test_first_hour.py"):
        assert (ROOT / path).is_file()


def test_what_is_typed_in_fresh_systems_is_every_command_of_the_page() -> None:
    found = steps()
    assert list(found) == ["1", "2", "3", "4", "5", "6", WITHOUT_NUMBER]
    assert [block for blocks in found.values() for block in blocks] == BLOCKS


@pytest.mark.processes
def test_the_commands_of_the_page_run(server: Server) -> None:
    text = ("--from", "+13035550177", "--to", "+12025550100", "--text", TEXT)
    assert server.flask("simulate", "sandbox", *text).returncode == 0
    eventually(lambda: server.json("messages", "list"))
    said = {}
    for command in COMMANDS:
        words = command.replace("+12025550143", "+12025550100").split()
        if words[0] in ELSEWHERE:
            continue
        done = server.flask(*words)
        assert done.returncode == 0, f"{command}: {done.stderr or done.stdout}"
        said[command] = done.stdout
    assert re.search(r"/phone/#code=\S+", said["devices pair 201"])
    assert TEXT in said["messages list"]
    assert said["why +12025550143"].strip()
    assert said["status"].strip()


def test_the_settings_of_caddy_get_the_address(tmp_path: Path) -> None:
    [line] = [block for block in BLOCKS if block.startswith("sed ")]
    command, _, into = line.partition(" | ")
    assert into == "sudo tee /etc/caddy/Caddyfile"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "\nhttps://sms.example.com {\n" in done.stdout
    assert "APP_URL}" not in done.stdout
