"""The version of Textbridge, read from pyproject.toml."""

import tomllib
from functools import cache
from pathlib import Path


@cache
def version() -> str:
    """The version of this program, such as ``0.2.0``. ``pyproject.toml`` is its only place."""
    folders = Path(__file__).resolve().parents
    file = next(folder / "pyproject.toml" for folder in folders if (folder / "app.py").is_file())
    return str(tomllib.loads(file.read_text(encoding="utf-8"))["project"]["version"])
