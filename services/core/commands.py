"""Commands as an administrator types them in this installation, for messages with a remedy."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEB_MARK = "packaging/DEB"  # a file that only the Debian package has


def _program(prefix: Path, root: Path) -> str:
    """How ``flask`` is typed in the folder of Textbridge.

    ``prefix`` is the virtual environment and ``root`` that folder. ``make install`` makes it there.
    In a container it is elsewhere, with its programs on the search path. The Debian package has a
    program of its own.

    >>> _program(Path("/opt/textbridge/.venv"), Path("/opt/textbridge"))
    '.venv/bin/flask'
    >>> _program(Path("/venv"), Path("/app"))
    'flask'
    """
    if (root / DEB_MARK).exists():
        return "sudo textbridge"
    return f"{prefix.name}/bin/flask" if prefix.parent == root else "flask"


PROGRAM = _program(Path(sys.prefix), ROOT)


def flask_command(arguments: str) -> str:
    """The command ``flask …`` with these arguments, as it is typed in the folder of Textbridge."""
    return f"{PROGRAM} {arguments}"
