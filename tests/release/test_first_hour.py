"""The first hour of docs/first-hour.md in a fresh Debian system, for each carrier and both ways.

``play_first_hour`` says what is played and what stands for what. It needs root, Debian's mirror and
PyPI, Chromium, debootstrap, ``unshare``, ``ip``, and port 8000 of this machine. It takes some 25
minutes, twice as long on a busy machine, and 5 GB in TMPDIR (/var/tmp). FRESH_ROOT names a folder
where the bare system is kept for the next time.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.carriers import FAKES
from tests.processes import ends_with_parent
from tests.release.fresh_root import add_repository, copy_root, make_root
from tests.release.play_first_hour import namespaces
from tests.server import ROOT

pytestmark = [
    pytest.mark.release,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a system to try it in"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is not installed"),
]
WAYS = ("package", "clone")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the systems are; they are large, so none is kept."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as made:
        yield Path(made)


def played(stage: str, root: Path, *about: str) -> str:
    """Play a stage in namespaces of its own; returns what was shown."""
    own = namespaces(network=stage == "use")
    command = [*own, sys.executable, "-m", "tests.release.play_first_hour", stage, str(root)]
    done = subprocess.run(
        ends_with_parent(*command, *about), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("All steps are done.\n"), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tried(folder: Path) -> Path:
    """A system in which sections 1 and 2 of the page were played."""
    with socket.socket() as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", 8000))
    kept = os.environ.get("FRESH_ROOT")
    bare = Path(kept) if kept else folder / "bare"
    if not bare.exists():
        make_root(bare)
    root = copy_root(bare, folder / "tried") if kept else bare
    add_repository(root)
    played("try", root)
    return root


@pytest.fixture(scope="module")
def installed(tried: Path, folder: Path) -> Callable[[str], Path]:
    """The system in which it was then installed in a way."""
    roots: dict[str, Path] = {}

    def install(way: str) -> Path:
        if way not in roots:
            roots[way] = copy_root(tried, folder / way)
            played("install", roots[way], way)
        return roots[way]

    return install


@pytest.mark.parametrize("carrier", FAKES)
@pytest.mark.parametrize("way", WAYS)
def test_the_first_hour_as_the_page_has_it(
    way: str, carrier: str, installed: Callable[[str], Path], folder: Path
) -> None:
    root = copy_root(installed(way), folder / carrier)
    try:
        played("use", root, way, carrier)
    finally:
        shutil.rmtree(root)
