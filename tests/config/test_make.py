"""``make install``: the key of an existing ``.env``, and the virtual environment."""

import base64
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from scripts import make_env, make_venv
from services.config import env_file
from tests.server import ROOT
from tests.waiting import PATIENCE


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``.env`` of an installation that ``make_env`` works on."""
    monkeypatch.setattr(make_env, "HERE", tmp_path)
    return tmp_path / ".env"


@pytest.mark.parametrize(
    "line", ["APP_KEY=", 'APP_KEY=""', "APP_KEY=   # none yet", "export APP_KEY=null", ""]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_empty_key_of_an_existing_file_is_filled_in(
    installation: Path, line: str, end: str
) -> None:
    content = end.join(["APP_NAME=Café", line, "PORT=8000", ""])
    installation.write_bytes(content.encode())
    installation.chmod(0o640)
    make_env.main()
    values = env_file.read(installation, {})
    assert len(base64.b64decode(values["APP_KEY"].removeprefix("base64:"))) == 32
    assert (values["APP_NAME"], values["PORT"]) == ("Café", "8000")
    assert installation.stat().st_mode & 0o777 == 0o640
    first = installation.read_bytes()
    make_env.main()
    assert installation.read_bytes() == first, "a key is kept"


@pytest.mark.parametrize(
    "line", ["APP_KEY=a key of the tests, long", "APP_KEY_FILE=/run/secrets/key"]
)
def test_a_file_with_a_key_is_left_alone(installation: Path, line: str) -> None:
    installation.write_text(f"{line}\nADMIN_PASSWORD=\n")
    make_env.main()
    assert installation.read_text() == f"{line}\nADMIN_PASSWORD=\n"


def test_the_key_that_is_in_use_is_written(installation: Path) -> None:
    storage = installation.parent / "kept"
    storage.mkdir()
    used = base64.b64encode(b"k" * 32).decode()
    (storage / "app.key").write_text(used)
    installation.write_text('STORAGE_PATH="kept"\nAPP_KEY=\n')
    make_env.main()
    assert env_file.read(installation, {})["APP_KEY"] == f"base64:{used}"


def test_an_old_python_is_told_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    with pytest.raises(SystemExit) as ended:
        make_venv.main(tmp_path / "venv")
    assert "Python 3.11 or newer, and this is Python 3.10" in str(ended.value)
    assert "PYTHON=python3" in str(ended.value)


def test_without_venv_the_package_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setattr(sys, "argv", ["make_venv.py", str(tmp_path / "venv")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts/make_venv.py"), run_name="__main__")
    assert "python3-venv" in str(ended.value)
    assert not (tmp_path / "venv").exists()


@pytest.mark.processes
def test_what_an_earlier_attempt_has_left_is_made_again(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    half = [sys.executable, "-m", "venv", "--without-pip", str(venv)]
    subprocess.run(half, check=True)
    make = ["make", "-s", "-C", str(ROOT), "venv", f"VENV={venv}", f"PYTHON={sys.executable}"]
    for _ in range(2):
        subprocess.run(make, check=True, timeout=PATIENCE)
        assert (venv / "bin/pip").exists()
    asked = [str(venv / "bin/python"), "-c", "import os; print(os.environ['FLASK_SKIP_DOTENV'])"]
    env = {"PATH": os.environ["PATH"]}
    told = subprocess.run(asked, env=env, capture_output=True, text=True, check=True)
    assert told.stdout == "1\n", "the flask command of this environment loads no .env"


def test_without_any_python_make_says_what_to_install(tmp_path: Path) -> None:
    make = ["make", "-s", "-C", str(ROOT), "venv", f"VENV={tmp_path}/venv", "PYTHON=nowhere-3"]
    told = subprocess.run(make, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert told.returncode != 0
    assert re.search("Python 3.11 or newer", told.stderr)
    for line in ("apt-get install python3 python3-venv", "dnf install", "brew install"):
        assert line in told.stderr


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("ID=debian\nVERSION_ID=12\n", "sudo apt-get install python3 python3-venv (if"),
        ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt-get install"),
        ("ID=fedora\n", "sudo dnf install python3 python3-pip"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install python3.12 python3.12"),
        ("ID=nixos\n", "macos: brew install"),
    ],
)
def test_a_missing_package_is_named_with_the_line_of_this_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, line: str
) -> None:
    (tmp_path / "os-release").write_text(release)
    monkeypatch.setattr(make_venv, "OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit) as ended:
        make_venv.main(tmp_path / "venv")
    assert line in str(ended.value)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "df -h"),
        ("Error: [Errno 13] Permission denied: '/opt/x/.venv'", "sudo chown -R"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS", "PIP_INDEX_URL"),
        (
            "NewConnectionError('<...>: [Errno -3] Temporary failure in name resolution')",
            "HTTPS_PROXY",
        ),
        ("building '_cffi_backend' error: command 'gcc' failed: No such file", "compiler"),
    ],
)
def test_a_failure_of_pip_is_said_with_its_remedy(tmp_path: Path, said: str, remedy: str) -> None:
    assert remedy in make_venv.known_failure(said, tmp_path / "venv")


def _lock(folder: Path) -> Path:
    lock = folder / "some.lock"
    lock.write_text("no-such-package-of-the-tests==1.0 --hash=sha256:" + "0" * 64 + "\n")
    return lock


@pytest.mark.processes
def test_without_a_network_the_next_try_goes_on(tmp_path: Path) -> None:
    venv, lock = tmp_path / "venv", _lock(tmp_path)
    offline = {
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
    }
    command = [sys.executable, str(ROOT / "scripts/make_venv.py"), str(venv), str(lock)]
    told = subprocess.run(command, env=offline, capture_output=True, text=True, check=False)
    assert "does not answer" in told.stderr
    assert "Traceback" not in told.stderr
    kept = (venv / "bin/python").lstat().st_ino
    lock.write_text("")
    subprocess.run(command, env=offline, check=True)
    assert (venv / "bin/python").lstat().st_ino == kept, "the environment was complete"


@pytest.mark.processes
def test_an_installation_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    venv, lock = tmp_path / "venv", tmp_path / "empty.lock"
    lock.write_text("")
    make_venv.main(venv, lock)
    left = venv / "half-installed"
    left.touch()
    (venv / make_venv.UNFINISHED).touch()
    make_venv.main(venv, lock)
    assert not left.exists()
    assert not (venv / make_venv.UNFINISHED).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_files_of_another_user_are_named_with_their_owner() -> None:
    with TemporaryDirectory() as folder:  # below tmp_path nobody else may look
        script, theirs = Path(folder) / "make_venv.py", Path(folder) / "theirs"
        script.write_bytes((ROOT / "scripts/make_venv.py").read_bytes())
        theirs.mkdir()
        for place in (Path(folder), script, theirs):
            place.chmod(0o755)
        command = ["setpriv", "--reuid=65534", "--clear-groups", "python3", script, theirs / "venv"]
        told = subprocess.run(
            command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
        )
    assert "belongs to root, and you are nobody" in told.stderr
    assert "sudo chown -R nobody" in told.stderr
