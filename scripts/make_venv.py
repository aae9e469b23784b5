"""Make the virtual environment of ``make install`` and put the locked packages into it.

It runs on Python 3.6, too, to say that this is too old. A usable environment is left as it is; one
without pip, with an old Python, or with an unfinished installation of packages is the remains of an
earlier attempt, and is made again. Whatever fails ends with a sentence that says what to do.
"""

import os
import pwd
import shlex
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
UNFINISHED = ".unfinished"  # in the environment while packages are being installed
LEAST_FREE = 30_000_000  # bytes that pip and its environment take
OS_RELEASE = Path("/etc/os-release")
AGAIN = "Then run make again: it continues from here."

# How a newer Python with venv and pip is installed, by the ID or ID_LIKE of /etc/os-release.
INSTALL = {
    "debian": "sudo apt-get install python3 python3-venv",
    "ubuntu": "sudo apt-get install python3 python3-venv",
    "fedora": "sudo dnf install python3 python3-pip",
    "rhel": "sudo dnf install python3.12 python3.12-pip",
    "macos": "brew install python@3.13",
}
# What pip and venv print, and what helps.
NO_SPACE = ("No space left on device", "Errno 28", "Disk quota exceeded")
NO_RIGHT = ("Permission denied", "Errno 13", "Read-only file system", "Errno 30")
NO_NETWORK = (
    "Failed to establish a new connection",
    "NewConnectionError",
    "name resolution",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "SSLError",
    "CERTIFICATE_VERIFY_FAILED",
    "Network is unreachable",
    "Connection reset",
    "IncompleteRead",
    "(from versions: none)",
)
NO_HASH = ("DO NOT MATCH THE HASHES",)
NO_COMPILER = ("Failed to build", "Python.h", "gcc", "error: command", "Could not build wheels")


def main(folder: Path, lock: "Path | None" = None) -> None:
    """Make the environment in ``folder`` unless it is there; ends with a sentence if it cannot.

    With ``lock`` the packages of that file are installed.
    """
    python = folder / "bin" / "python"
    if not is_usable(python):
        require_python()
        if folder.is_symlink():
            sys.exit(f"{folder} is a link to an environment that cannot be used. Remove the link.")
        require_right(folder)
        shutil.rmtree(str(folder), ignore_errors=True)
        code, said = run([sys.executable, "-m", "venv", str(folder)])
        if code != 0 or not is_usable(python):
            if shutil.disk_usage(str(folder.resolve().parent)).free < LEAST_FREE:
                said += NO_SPACE[0]  # venv does not say why pip could not be unpacked
            shutil.rmtree(str(folder), ignore_errors=True)
            known = known_failure(said, folder)
            if not known:
                sys.stderr.write(said)
            sys.exit(known or missing_venv())
    asked = subprocess.check_output([str(python), "-c", SITE_PACKAGES])  # noqa: S603
    hook = Path(asked.decode().strip()) / "textbridge.pth"
    if not hook.exists():
        require_right(folder)
        hook.write_text(HOOK)
    if lock is not None:
        install(folder, lock)


def install(folder: Path, lock: Path) -> None:
    """Install the packages of a lock file; ends with a sentence if that fails."""
    require_right(folder)
    mark = folder / UNFINISHED
    try:
        mark.touch()
    except OSError as error:
        sys.exit(known_failure(str(error), folder) or f"{mark}: {error.strerror}.")
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
    pip += ["--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    code, said = run(pip)
    if code != 0:
        known = known_failure(said, folder)
        if any(sign in said for sign in NO_NETWORK):
            mark.unlink()  # pip fetches everything before it changes anything
        else:
            sys.stderr.write(said)
        sys.exit(known or f"pip could not install the packages of {lock}; see above. {AGAIN}")
    mark.unlink()


def run(command: "list[str]") -> "tuple[int, str]":
    """The exit code of a command and what it has printed."""
    done = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = done.communicate()
    return done.returncode, said.decode("utf-8", "replace")


def is_usable(python: Path) -> bool:
    """Whether the Python of an environment is new enough, has pip, and was not left half made."""
    if (python.parent.parent / UNFINISHED).exists():
        return False
    command = [str(python), "-c", IS_USABLE]
    try:
        return subprocess.call(command, stderr=subprocess.DEVNULL) == 0  # noqa: S603
    except OSError:
        return False


def require_right(folder: Path) -> None:
    """End where this user may not change the folder, such as after ``sudo make`` before."""
    place = folder if folder.exists() else folder.resolve().parent
    if os.access(str(place), os.W_OK):
        return
    owner, user = owner_of(place), user_name()
    sys.exit(
        f"{place} belongs to {owner}, and you are {user}. If it shall be yours, run: "
        f"sudo chown -R {user} {shlex.quote(str(folder.resolve().parent))} (else run make as "
        f"{owner}). {AGAIN}"
    )


def owner_of(place: Path) -> str:
    """The name of a file's owner, or its number."""
    try:
        return place.owner()
    except KeyError:
        return str(place.stat().st_uid)


def user_name() -> str:
    """The name of the user who runs this, or the number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def require_python() -> None:
    """End with what is needed where this Python is too old or makes no environment with pip."""
    if sys.version_info < OLDEST:
        named = [f"python3.{minor}" for minor in range(19, 10, -1)]
        remedy = (
            f"Install a newer one: {install_line()} — if this brings none, upgrade the system. If "
            "the newer one is named python3.11, run make with PYTHON=python3.11"
        )
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
    line = install_line()
    if "apt-get" in line:
        line += f" (if that is not enough: sudo apt-get install {package})"
    return (
        f"{sys.executable} cannot make a virtual environment with pip. Run: {line}. Then run "
        "make again."
    )


def install_line() -> str:
    """How Python is installed on this system; on an unknown one, on each of the usual ones."""
    line = INSTALL.get(system())
    return line or "; ".join(f"{name}: {each}" for name, each in INSTALL.items())


def system() -> str:
    """A key of ``INSTALL``, or an empty text for a system that is not known."""
    if sys.platform == "darwin":
        return "macos"
    try:
        content = OS_RELEASE.read_text(encoding="utf-8")
    except OSError:
        return ""
    pairs = (line.partition("=") for line in content.splitlines())
    values = {name: value.strip("\"'") for name, _, value in pairs}
    names = [values.get("ID", ""), *values.get("ID_LIKE", "").split()]
    return next((name for name in names if name in INSTALL), "")


def known_failure(said: str, folder: Path) -> str:
    """The sentence for a failure of venv or pip that is known, or an empty text."""

    def shows(signs: "tuple[str, ...]") -> bool:
        return any(sign in said for sign in signs)

    if shows(NO_SPACE):
        return (
            f"There is no space left on the disk of {folder.resolve().parent}, of the cache of pip "
            f"(~/.cache/pip) or of /tmp. 300 MB are needed: free some disk space (df -h). {AGAIN}"
        )
    if shows(NO_RIGHT):
        return (
            f"{folder.resolve().parent} may not be written by {user_name()}. Run make as the "
            f"owner of the folder, or give it to you: sudo chown -R {user_name()} "
            f"{shlex.quote(str(folder.resolve().parent))}. {AGAIN}"
        )
    if shows(NO_HASH):
        return (
            "A package is not the one that Textbridge was tested with, so nothing was installed. "
            "A proxy or a mirror in between may change it: try another network or index "
            f"(PIP_INDEX_URL). {AGAIN}"
        )
    if shows(NO_NETWORK):
        return (
            "The packages cannot be fetched: the package index (that of pip, or of your pip.conf) "
            "does not answer. Check the network, HTTPS_PROXY, the clock and the certificates of "
            f"this machine. {AGAIN}"
        )
    if shows(NO_COMPILER):
        tools = {
            "fedora": "sudo dnf install gcc python3-devel",
            "rhel": "sudo dnf install gcc python3-devel",
            "macos": "xcode-select --install",
        }.get(system(), "sudo apt-get install build-essential python3-dev")
        return (
            "A package has no ready-made build for this machine and could not be built here, see "
            f"above. Install a compiler: {tools}. {AGAIN}"
        )
    return ""


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(f"Interrupted. {AGAIN}")
