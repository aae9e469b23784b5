"""A line of ``.env`` that is not understood never opens what it should close."""

import os
import signal
from pathlib import Path

import requests

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, require, wait_until

SECRET = "operator-of-the-torture"
ALLOWED = "10.9.9.9"  # never the address of a caller here
GOOD = f"ADMIN_PASSWORD={SECRET}\nADMIN_ALLOW={ALLOWED}\nAPP_NAME=Textbridge\n"
# Each spoils the line with ADMIN_ALLOW.
BROKEN = (
    f'ADMIN_ALLOW="{ALLOWED}',
    f"ADMIN_ALLOW='{ALLOWED}",
    f"ADMIN_ALLOW {ALLOWED}",
    f"ADMIN_ALLOW:{ALLOWED}",
    f"ADMIN_ALLOW＝{ALLOWED}",
    f"\u200bADMIN_ALLOW={ALLOWED}",
    f'ADMIN_ALLOW="{ALLOWED}"x',
    f"ADMIN-ALLOW={ALLOWED}",
    "ADMIN_ALLOW=10.9.9.",
    "ADMIN_ALLOW=<your-address>",
    "ADMIN_ALLOW=${NOWHERE}",
)
ENCODINGS = ("latin-1", "utf-16", "utf-16-le", "utf-32")


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Start with broken files; then break the file of a running server and reload it."""
    path = environment.folder / "broken.env"
    contents = [GOOD.replace(f"ADMIN_ALLOW={ALLOWED}", line).encode() for line in BROKEN]
    contents += [GOOD.replace("bridge", "é").encode(name) for name in ENCODINGS]
    few = [contents[0], contents[3], *contents[-len(ENCODINGS) :][:2]]
    chosen = scale.pick(few, contents)
    started = [content for content in chosen if _starts(environment, path, content)]
    require(not started, f"a server started with {len(started)} of {len(chosen)} broken files")
    path.write_text(GOOD)
    server = environment.server(ENV_FILE=str(path))
    server.start()
    require(_is_closed(server), "ADMIN_ALLOW does not close /admin")
    for content in chosen:
        path.write_bytes(content)
        _reload(server)
        require(_is_closed(server), f"a reload with {content[:90]!r} opened /admin")
    said = server.log.read_text()
    require(said.count("Not reloaded.") >= len(chosen), "a reload with a broken file was silent")
    require(SECRET not in said and ALLOWED not in said, "a message quotes a value of the file")
    return {"broken files": len(chosen), "started": 0, "reloads": len(chosen), "opened": 0}


def _starts(environment: TestEnvironment, path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    server = environment.server(ENV_FILE=str(path), name="never")
    server.start(wait=False)
    wait_until(lambda: not server.is_running() or _answers(server), "the end of the start")
    if not server.is_running():
        return False
    server.kill_tree()
    return True


def _answers(server: Server) -> bool:
    try:
        return requests.get(f"{server.url}/up", timeout=10).ok
    except requests.RequestException:
        return False


def _is_closed(server: Server) -> bool:
    return requests.get(f"{server.url}/admin/", timeout=30).status_code in (403, 404)


def _reload(server: Server) -> None:
    """Reload, and wait for the new processes."""
    before = set(server.children())
    os.kill(server.process.pid, signal.SIGHUP)
    wait_until(lambda: not before & set(server.children()), "the end of the old processes")
    wait_until(lambda: _answers(server), "the new processes")


CHECK = Check(
    name="unreadable_env",
    claim=(
        "A line of .env that is not understood starts no server, and a reload with it keeps the "
        "configuration of before: /admin never opens."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/config/env_file.py",
            "    if problems:\n        raise ConfigError(problems)\n",
            "",
            "lines that are not understood are dropped",
        ),
        Mutant(
            "services/config/env_file.py",
            '        return content.decode("utf-8-sig")',
            '        return content.decode("utf-8-sig", "ignore")',
            "what is not UTF-8 is left out",
        ),
    ),
)
