"""Make the virtual environment of ``make install``, or say what is missing for it.

It runs on Python 3.6, too, to say that this is too old. A usable environment is left as it is; one
without pip or with an old Python is the remains of an earlier attempt, and is made again.
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)
# Flask would load the .env of the folder into the environment of every command, whatever ENV_FILE
# says. Python runs this line of a .pth file when it starts.
HOOK = 'import os; os.environ.setdefault("FLASK_SKIP_DOTENV", "1")\n'
IS_USABLE = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


def main(folder: Path) -> None:
    """Make the environment in ``folder`` unless it is there; ends with a sentence if it cannot."""
    python = folder / "bin" / "python"
    if not is_usable(python):
        require_python()
        if folder.is_symlink():
            sys.exit(f"{folder} is a link to an environment that cannot be used. Remove the link.")
        shutil.rmtree(str(folder), ignore_errors=True)
        made = subprocess.call([sys.executable, "-m", "venv", str(folder)])  # noqa: S603
        if made != 0 or not is_usable(python):
            shutil.rmtree(str(folder), ignore_errors=True)
            sys.exit(missing_venv())
    asked = subprocess.check_output([str(python), "-c", SITE_PACKAGES])  # noqa: S603
    hook = Path(asked.decode().strip()) / "textbridge.pth"
    if not hook.exists():
        hook.write_text(HOOK)


def is_usable(python: Path) -> bool:
    """Whether the Python of an environment is new enough and has pip."""
    command = [str(python), "-c", IS_USABLE]
    try:
        return subprocess.call(command, stderr=subprocess.DEVNULL) == 0  # noqa: S603
    except OSError:
        return False


def require_python() -> None:
    """End with what is needed where this Python is too old or makes no environment with pip."""
    if sys.version_info < OLDEST:
        named = [f"python3.{minor}" for minor in range(19, 10, -1)]
        remedy = "Install a newer one; if its name is python3.11, run make with PYTHON=python3.11"
        for name in filter(shutil.which, named):
            remedy = f"{name} is installed: run make again with PYTHON={name}"
            break
        own = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"Textbridge needs Python 3.11 or newer, and this is Python {own}. {remedy}")
    if not (find_spec("ensurepip") and find_spec("venv")):
        sys.exit(missing_venv())


def missing_venv() -> str:
    """What to install where Python makes no environment with pip."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    return (
        f"{sys.executable} cannot make a virtual environment with pip. On Debian and Ubuntu run: "
        f"apt install python3-venv (or {package}); then run make again."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
