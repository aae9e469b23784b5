"""What stops a start says what to do: a port that is taken, a storage folder of another user."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import Server
from tests.waiting import PATIENCE


@pytest.mark.processes
def test_a_port_that_is_taken_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(tmp_path / "storage", {"PORT": str(port)})
        server.start(wait=False)
        assert server.process.wait(timeout=PATIENCE) != 0
    said = server.log.read_text()
    assert f"cannot listen on 127.0.0.1, port {port}" in said
    assert "set PORT in .env to a free one" in said
    assert "Traceback" not in said


# Imports come first: another user may not be able to read the packages.
AS_NOBODY = """
import os, sys
from pathlib import Path
from services.config.storage_access import require_writable
from services.core.errors import ConfigError
os.setgid(65534)
os.setuid(65534)
try:
    require_writable(Path(sys.argv[1]))
except ConfigError as error:
    print(error, end="")
"""


def as_nobody(storage: Path) -> str:
    """What a process of another user is told about a storage folder; empty if it may use it."""
    command = [sys.executable, "-c", AS_NOBODY, str(storage)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def root_folder(tmp_path: Path) -> Path:
    """A folder that belongs to root and that everybody can reach."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    return tmp_path


def test_a_storage_folder_of_root_is_named_with_the_remedy(root_folder: Path) -> None:
    storage = root_folder / "storage"
    told = as_nobody(storage)
    assert f"cannot write to {root_folder}, which belongs to root" in told
    assert f"sudo install -d -o nobody -m 700 {storage}" in told
    storage.mkdir()
    assert f"sudo chown -R nobody: {storage}" in as_nobody(storage)
    os.chown(storage, 65534, 65534)
    assert as_nobody(storage) == ""
    database = storage / "textbridge.db"
    database.touch(mode=0o644)
    assert f"cannot write to {database}, which belongs to root" in as_nobody(storage)
