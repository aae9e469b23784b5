"""Version 0.1 of this program, from the history of the repository, to compare with."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server import ROOT

VERSION = "0.1.0"
_RELEASED = re.compile(r"^## 0\.1\.0 — (\d{4}-\d\d-\d\d)$", re.MULTILINE)


@contextmanager
def checked_out() -> Iterator[Path | None]:
    """A folder with version 0.1; ``None`` where its commit is not found."""
    commit = _commit()
    if commit is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="textbridge-bench-0.1-") as folder:
        packed = Path(folder) / "0.1.tar"
        program = Path(folder) / "textbridge"
        program.mkdir()
        _git("archive", "--output", str(packed), commit)
        subprocess.run(["tar", "-x", "-f", str(packed), "-C", str(program)], check=True)
        yield program


def _commit() -> str | None:
    """The tagged commit, or the last one until the end of the day of the release."""
    released = _RELEASED.search((ROOT / "CHANGELOG.md").read_text())
    tagged = [_git("rev-list", "-1", tag) for tag in (f"v{VERSION}", VERSION)]
    if released is not None:
        tagged.append(_git("rev-list", "-1", f"--before={released[1]}T23:59:59Z", "HEAD"))
    for commit in filter(None, tagged):
        if f'version = "{VERSION}"' in _git("show", f"{commit}:pyproject.toml"):
            return commit
    return None


def _git(*arguments: str) -> str:
    """What git says; nothing where it fails or is not installed."""
    try:
        ran = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
