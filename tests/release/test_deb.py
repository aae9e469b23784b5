"""The Debian package in fresh systems: ``scripts/try_deb.sh`` says step by step what it tries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT

pytestmark = [
    pytest.mark.release,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a system to try it in"),
    pytest.mark.skipif(shutil.which("debootstrap") is None, reason="debootstrap is not installed"),
]
MIRRORS = {
    "bookworm": "http://deb.debian.org/debian",
    "trixie": "http://deb.debian.org/debian",
    "noble": "http://archive.ubuntu.com/ubuntu",
}


@pytest.fixture(scope="module")
def packages() -> list[Path]:
    """The package of this version, and one of the next."""
    built = []
    for version in ("0.2.0", "0.2.1"):
        env = {**os.environ, "PYTHON": sys.executable}
        subprocess.run([str(ROOT / "scripts/build_deb.sh"), version], check=True, env=env)
        [package] = (ROOT / "dist").glob(f"textbridge_{version}_*.deb")
        built.append(package)
    return built


@pytest.mark.parametrize("suite", MIRRORS)
def test_install_upgrade_back_remove_and_purge(
    suite: str, packages: list[Path], tmp_path: Path
) -> None:
    included = "--include=python3,python3-venv,ca-certificates,adduser"
    bootstrap = ["debootstrap", "--variant=minbase", "--components=main,universe", included]
    if suite != "noble":
        bootstrap.remove("--components=main,universe")
    elif not Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg").exists():
        bootstrap.append("--no-check-gpg")  # only to try our package in it
    bootstrap += [suite, str(tmp_path / "root"), MIRRORS[suite]]
    scripts = Path("/usr/share/debootstrap/scripts")
    if not (scripts / suite).exists():  # a system that is newer than this debootstrap
        bootstrap.append(str(scripts / ("gutsy" if suite == "noble" else "sid")))
    subprocess.run(bootstrap, check=True)
    tried = [str(ROOT / "scripts/try_deb.sh"), str(tmp_path / "root"), *map(str, packages)]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    assert "All steps are done." in done.stdout, done.stdout + done.stderr
