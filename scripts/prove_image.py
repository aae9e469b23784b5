"""Prove the Dockerfile on a machine without a container engine: ``make prove-image``, as root.

Carries out the Dockerfile's own instructions in a clean Debian that stands in for the image of
Python, then runs its HEALTHCHECK and its CMD as its user, in namespaces of their own, with the
volumes writable and nothing else. Everything is made in a temporary folder and removed again; every
mount ends with the process that made it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath

from container.build import build
from container.dockerfile import Ignored, NotUnderstood
from container.engine import Container, Failed, own_secrets, running, volumes
from container.image import Image

HERE = Path(__file__).resolve().parent.parent
TOOLS = ("debootstrap", "unshare", "nsenter", "chroot", "mount", "ip", "setpriv")
NEVER_INSIDE = (".env", ".git", ".venv", "storage", "tests")
NEVER_SENT = (".env", "services/.env", "storage/textbridge.db", "services/textbridge.db-wal")
NOT_WRITABLE = ("/", "/etc", "/usr/local/bin", "/venv")
HEALTHY_SECONDS = 60
STOP_SECONDS = 45
GET = (
    "import http.client, os, sys;"
    "c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=10);"
    "c.request('GET', sys.argv[1]); a = c.getresponse(); print(a.status, a.read().decode())"
)
WRITE = (
    "import pathlib, sys\n"
    "for folder in sys.argv[1:]:\n"
    "    try: (pathlib.Path(folder) / 'written').write_text('')\n"
    "    except OSError: continue\n"
    "    print(folder)"
)
TEXT = "kept over a power cut"
SIMULATE = ["simulate", "sandbox", "--from", "+12025550100", "--to", "+12025550143"]


def main() -> None:
    """Prove it, or say what is wrong and exit with 1."""
    try:
        _check_machine()
        with tempfile.TemporaryDirectory(prefix="prove-image-") as folder:
            _prove(Path(folder))
    except (Failed, NotUnderstood) as error:
        sys.exit(f"Not proven: {error}")
    print("Proven: the image builds, runs and stops as it should.")


def _check_machine() -> None:
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise Failed(
            f"this machine lacks {', '.join(missing)}. "
            "On Debian: apt install debootstrap util-linux iproute2"
        )
    if os.geteuid() != 0:
        raise Failed("only root can make a clean Debian and change into it. Run it with sudo.")


def _prove(folder: Path) -> None:
    print("The image is built:")
    image = build(HERE, folder)
    _check_contents(image)
    _say_sizes(image)
    kept, given = volumes(image, folder), own_secrets()
    print("It runs and stops:")
    with running(image, kept, folder / "first.log", given) as container:
        _check_health(container)
        _check_processes(container)
        _check_writable(container)
        _check_stop(container)
    print("It runs as a sandbox, takes a text and loses its power:")
    with running(image, kept, folder / "second.log", {**given, "APP_ENV": "local"}) as container:
        _check_health(container)
        _flask(container, *SIMULATE, "--text", TEXT)
    print("It runs again and still has the text:")
    with running(image, kept, folder / "third.log", given) as container:
        _check_health(container)
        if TEXT not in _flask(container, "messages", "list", "--json"):
            raise container.failed("The text is gone.")
        _check_stop(container)


def _ok(sentence: str) -> None:
    print(f"  ok: {sentence}", flush=True)


def _check_contents(image: Image) -> None:
    app = image.path(image.workdir)
    if inside := [name for name in NEVER_INSIDE if (app / name).exists()]:
        raise Failed(f"the image holds {', '.join(inside)}. See .dockerignore.")
    ignored = Ignored(HERE / ".dockerignore")
    if sent := [name for name in NEVER_SENT if PurePosixPath(name) not in ignored]:
        raise Failed(f"{', '.join(sent)} would get into the image. See .dockerignore.")
    _ok("no settings, data, history or tests are inside")


def _say_sizes(image: Image) -> None:
    for folder in ("/venv", image.workdir):
        sizes = [p.lstat().st_size for p in image.path(folder).rglob("*") if not p.is_dir()]
        print(f"  size of {folder}: {sum(sizes) / 1e6:.1f} MB in {len(sizes)} files")


def _check_health(container: Container) -> None:
    end = time.monotonic() + HEALTHY_SECONDS
    while container.execute(container.image.health).returncode:
        if not container.alive():
            raise container.failed("CMD ended:")
        if time.monotonic() > end:
            raise container.failed("HEALTHCHECK is not well in time:")
        time.sleep(0.2)
    while (answer := _get(container, "/ready"))[0] != "200":
        if time.monotonic() > end:
            raise container.failed(f"/ready answers {answer}:")
        time.sleep(0.2)
    checks = [check["name"] for check in json.loads(answer[1])["checks"]]
    if (status := _get(container, "/up")[0]) != "200":
        raise container.failed(f"/up answers {status}:")
    _ok(f"HEALTHCHECK and /up are well, and /ready with {', '.join(checks)}")


def _get(container: Container, path: str) -> tuple[str, str]:
    done = container.execute(["python", "-c", GET, path])
    status, _, body = done.stdout.strip().partition(" ")
    return status, body or done.stderr.strip()[-300:]


def _check_processes(container: Container) -> None:
    """Every process is the image's user, with no way to become more."""
    uid, _, gid = container.image.user.partition(":")
    if uid == "0":
        raise Failed("the image runs as root.")
    wanted = {"Uid": [uid] * 4, "Gid": [gid] * 4, "NoNewPrivs": ["1"], "CapEff": ["0" * 16]}
    pids = container.processes()
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = {name: value.split() for name, _, value in (ln.partition(":") for ln in lines)}
        if wrong := {name: status[name] for name in wanted if status[name] != wanted[name]}:
            raise container.failed(f"Process {status['Name']} has {wrong}:")
    _ok(f"its {len(pids)} processes run as {container.image.user} without capabilities")


def _check_writable(container: Container) -> None:
    image = container.image
    places = [*NOT_WRITABLE, image.workdir, *image.volumes]
    done = container.execute(["python", "-c", WRITE, *places])
    if done.returncode or done.stdout.split() != image.volumes:
        raise container.failed(f"It can write to {done.stdout.split()} {done.stderr}")
    _ok(f"of {', '.join(places)} it can write to {', '.join(image.volumes)} only")


def _flask(container: Container, *arguments: str) -> str:
    done = container.execute(["flask", *arguments])
    if done.returncode:
        raise container.failed(f"flask {' '.join(arguments)}: {done.stdout}{done.stderr}")
    _ok(f"flask {' '.join(arguments)}")
    return done.stdout


def _check_stop(container: Container) -> None:
    stop_signal = container.image.stop_signal
    began = time.monotonic()
    os.kill(container.pid, stop_signal)
    try:
        code = container.tool.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise container.failed(f"{stop_signal.name} does not end it:") from None
    if code:
        raise container.failed(f"{stop_signal.name} ends it with {code}:")
    _ok(f"{stop_signal.name} ends it with exit code 0 in {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
