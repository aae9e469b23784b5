"""A command that root runs on the installation of another user: refused, with the remedy."""

import os
from pathlib import Path

import pytest

from services.core.commands import flask_command
from tests.server import Server

NOBODY = 65534

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be refused"),
]


def test_root_is_told_as_which_user_to_run_a_command_and_writes_nothing(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    os.chown(storage, NOBODY, NOBODY)
    server = Server(storage, {})
    number = ("+12025550143", "--carrier", "bandwidth", "--extension", "201")
    refused = server.flask("settings", "set", *number)
    assert refused.returncode == 1
    assert f"{storage} belongs to nobody" in refused.stderr
    assert f"sudo -u nobody {flask_command('…')}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(storage.iterdir()) == []
    os.chown(storage, 0, 0)
    assert server.flask("settings", "set", *number).returncode == 0
