"""What a RUN is lent of this machine while it runs: pip's way to its index. None of it stays."""

# ruff: noqa: S603 - it runs pip of this Python

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from container.image import Image

NETWORK = ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"]
NETWORK += ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"]
NAMES = "/etc/resolv.conf"


def variables() -> dict[str, str]:
    """The variables of the network and pip's settings, wherever they stand, as ``PIP_…``."""
    env = {name: os.environ[name] for name in NETWORK if name in os.environ}
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    for line in sorted(listed, key=lambda line: line.startswith(":env:")):  # they overrule files
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2].replace("-", "_").upper()
        env[f"PIP_{name}"] = " ".join(ast.literal_eval(value).split())
    return env


@contextmanager
def files(env: dict[str, str], image: Image) -> Iterator[list[str]]:
    """The mounts of the files that the variables name; their places are gone again afterwards."""
    words = [word for value in env.values() for word in value.split()]
    named = sorted({NAMES, *(path for word in words for path in _named(word))})
    made = [place for file in named for place in _places(Path(file), image.path(file))]
    try:
        yield [image.bound(file, file) for file in named]
    finally:
        for place in reversed(made):
            place.rmdir() if place.is_dir() else place.unlink()


def _named(word: str) -> Iterator[str]:
    """The file or folder that a word names; an index on disk keeps its files beside it."""
    is_index = word.startswith("file://")
    path = Path(urlsplit(word).path if is_index else word)
    if path.is_absolute() and path.exists():
        yield str(path.parent if is_index and path.parent != Path("/") else path)


def _places(file: Path, place: Path) -> Iterator[Path]:
    """Make what is missing of the place at which a file is mounted."""
    for folder in reversed([parent for parent in place.parents if not parent.exists()]):
        folder.mkdir()
        yield folder
    if not place.exists():
        place.mkdir() if file.is_dir() else place.touch()
        yield place
