"""A clean Debian that stands in for the image of Python: made by debootstrap."""

# ruff: noqa: S603, S607 - it runs the system's own tools

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from container.dockerfile import NotUnderstood

SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # the Debian that has the Python of the image
BASE = re.compile(r"python:(3\.\d+)-slim")
ONE_LINE = re.compile(r"deb\s+(?:\[[^]]*\]\s+)?(https?://\S+)\s+(\S+)\s+(.+)")
SUITE = re.compile(r"[a-z]+")  # no security, updates or backports


def stand_in(base: str, folder: Path) -> Path:
    """The root folder for ``FROM python:3.x-slim``, made below ``folder`` once.

    Raises ``NotUnderstood`` where there is no such stand-in.
    """
    tag = BASE.fullmatch(base)
    if tag is None or tag[1] not in SUITES:
        known = ", ".join(f"python:{version}-slim" for version in SUITES)
        raise NotUnderstood(f"there is no stand-in for FROM {base}; there is one for {known}.")
    root = folder / f"debian-{tag[1]}"
    if not root.exists():
        _debootstrap(SUITES[tag[1]], root)
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    return root


def _debootstrap(suite: str, root: Path) -> None:
    print(f"  making a clean Debian {suite} (a minute)", flush=True)
    packages = "--include=python3,python3-venv"
    command = ["debootstrap", "--variant=minbase", packages, suite, str(root), _mirror()]
    done = subprocess.run(["unshare", "--mount", *command], capture_output=True, text=True)
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise NotUnderstood(f"debootstrap could not make Debian {suite}:\n{output}")


def _mirror() -> str:
    """The Debian mirror that this machine's own apt uses."""
    for address, suites, components in _sources(Path("/etc/apt")):
        if "main" in components.split() and SUITE.fullmatch(suites.split()[0]):
            return address
    raise NotUnderstood("the sources of apt on this machine name no mirror of Debian.")


def _sources(apt: Path) -> Iterator[tuple[str, str, str]]:
    """Address, suites and components of each source of packages."""
    folder = apt / "sources.list.d"
    for file in sorted(folder.glob("*.sources")):
        yield from _paragraphs(file.read_text())
    for file in [apt / "sources.list", *sorted(folder.glob("*.list"))]:
        lines = file.read_text().splitlines() if file.exists() else []
        yield from ((m[1], m[2], m[3]) for line in lines if (m := ONE_LINE.match(line)))


def _paragraphs(text: str) -> Iterator[tuple[str, str, str]]:
    """The same of a file in the format of deb822."""
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([\w-]+):[ \t]*(\S.*)$", paragraph, re.MULTILINE))
        if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
            yield fields["URIs"].split()[0], fields["Suites"], fields.get("Components", "")
