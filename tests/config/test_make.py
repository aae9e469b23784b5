"""``make install``: the key of an existing ``.env``, and the virtual environment."""

import base64
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

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
    assert "apt install python3-venv" in str(ended.value)
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
