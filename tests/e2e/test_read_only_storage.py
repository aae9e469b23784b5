"""The start on a storage folder of a read-only file system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ends_with_parent
from tests.server import ROOT, Server, running_server
from tests.waiting import PATIENCE

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


def may_mount() -> bool:
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return os.geteuid() == 0 and tried.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="only root may mount")
@pytest.mark.parametrize(
    "command",
    [Server.command, ("flask", "--app", "wsgi", "messages", "list")],
    ids=["server", "flask"],
)
def test_the_start_on_a_read_only_file_system_is_refused_with_a_sentence(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    with running_server(tmp_path):
        pass
    mounted = ["unshare", "--mount", "sh", "-c", READ_ONLY, str(tmp_path)]
    done = subprocess.run(
        ends_with_parent(*mounted, sys.executable, "-m", *command),
        cwd=ROOT, env=Server(tmp_path, {}).env, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "Read-only file system. Check STORAGE_PATH in .env." in done.stderr
