"""Limit of open files: it bounds the connections that are accepted."""

import subprocess
import sys

import pytest

from services.config.open_file_limit import (
    FILES_EACH,
    MOST_CONNECTIONS,
    OTHER_FILES,
    connections_for,
)
from tests.processes import ends_with_parent
from tests.server import ROOT
from tests.waiting import PATIENCE

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
from services.config.open_file_limit import raise_limit
print(raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize("open_files", [432, 512, 1024, 4096, 65_536])
def test_all_connections_together_have_their_files(open_files: int) -> None:
    connections = connections_for(open_files)
    assert connections * FILES_EACH + OTHER_FILES <= open_files
    assert 16 <= connections <= MOST_CONNECTIONS


def test_enough_files_give_all_connections() -> None:
    assert connections_for(65_536) == MOST_CONNECTIONS
    assert connections_for(50) > 0


@pytest.mark.processes
@pytest.mark.parametrize(("soft", "hard"), [(300, 900), (700, 700)])
def test_the_limit_is_raised_as_far_as_it_may(soft: int, hard: int) -> None:
    command = ends_with_parent(sys.executable, "-c", LIMITED, str(soft), str(hard))
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert ran.stdout.split() == [str(hard)] * 2
