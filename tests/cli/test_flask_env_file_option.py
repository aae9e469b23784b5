"""``flask --env-file``, which would mix two installations."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ends_with_parent
from tests.server import ROOT
from tests.waiting import PATIENCE

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("way", ["-e", "--env-file", "FLASK_ENV_FILE"])
def test_a_second_file_of_variables_is_refused(tmp_path: Path, way: str) -> None:
    here, drill = tmp_path / "here.env", tmp_path / "drill.env"
    here.write_text(f"APP_ENV=local\nAPP_NAME=Here\nSTORAGE_PATH={tmp_path}/production\n")
    drill.write_text(f"STORAGE_PATH={tmp_path}/drill\n")
    env = {"PATH": os.environ["PATH"], "ENV_FILE": str(here)}
    option = [way, str(drill)] if way.startswith("-") else []
    ran = subprocess.run(
        ends_with_parent(sys.executable, "-m", "flask", *option, "--app", "wsgi", "config", "show"),
        cwd=ROOT,
        env=env if option else {**env, way: str(drill)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode != 0
    assert "ENV_FILE=/path/to/file" in ran.stderr
    assert "Here" not in ran.stdout
    assert not (tmp_path / "drill").exists()
