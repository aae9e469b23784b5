"""Import rules of ``pyproject.toml`` report forbidden imports, on a copy of the code."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

UNDER_TYPE_CHECKING = (
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import services.store.jobs\n"
)
FORBIDDEN = {
    "services/core/errors.py": UNDER_TYPE_CHECKING,
    "services/media/links.py": "import services.mail.mailer\n",
    "services/operations/health.py": "import flask\n",
    "services/core/segments.py": "import services.core.quiet_hours\n",
    "services/core/quiet_hours.py": "import services.core.segments\n",
    "blueprints/errors.py": "import services.gateway\n",
}
REPORTED = {
    "layers": [
        "services.core.errors -> services.store.jobs",
        "services.media.links -> services.mail.mailer",
    ],
    "web": ["services.operations.health -> flask"],
    "cycles": ["No cycles are allowed in services.core."],
    "gateway": ["blueprints.errors -> services.gateway"],
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of the code with forbidden imports in it."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("services", "blueprints"):
        shutil.copytree(
            ROOT / package,
            copy / package,
            ignore=lambda folder, names: [
                name for name in names if "." in name and not name.endswith(".py")
            ],
        )
    for path, line in FORBIDDEN.items():
        module = copy / path
        module.write_text(module.read_text(encoding="utf-8") + line, encoding="utf-8")
    run = subprocess.run(
        [TOOLS / "lint-imports", "--no-cache"],
        cwd=copy,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("contract", REPORTED)
def test_a_forbidden_import_is_reported(report: str, contract: str) -> None:
    for line in REPORTED[contract]:
        assert line in report


@pytest.mark.parametrize(
    "line", ["import os\nos.environ.get('A')\n", "from os import getenv\n", "import dotenv\n"]
)
def test_only_wsgi_may_read_the_environment(line: str) -> None:
    def refused(path: str) -> bool:
        command = [
            str(TOOLS / "ruff"),
            "check",
            "--select",
            "TID251",
            "--stdin-filename",
            path,
            "-",
        ]
        run = subprocess.run(
            command, input=line, cwd=ROOT, capture_output=True, text=True, check=False
        )
        return "TID251" in run.stdout

    assert refused("services/config/environment.py")
    assert not refused("wsgi.py")
