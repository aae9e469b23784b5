"""G35: the storage folder is removed or replaced while the server runs."""

import shutil
from pathlib import Path
from time import monotonic, sleep

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient
from torture.database import integrity_check, kept_texts, stored_texts
from torture.environment import TestEnvironment, require, wait_until

REASON_SECONDS = 1.0
IGNORED_PLACE = Mutant(
    "services/store/database/sqlite_files.py",
    "        if self._opened is not None and self._found() != self._opened:",
    "        if False:",
    "nobody looks whether the database is still in its place",
)


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Take the folder away and put it back, and put another one in its place."""
    hold = scale.pick(2.0, 10.0)
    server = environment.start_server(WEB_CONCURRENCY="2")
    storage, away = server.storage, environment.folder / "away"
    carrier, refused = CarrierClient(server), 0
    carrier.send(range(100))
    wait_until(lambda: len(set(environment.receiver.ids)) >= 100, "the pushes")
    storage.rename(away)
    refused += require_refusals(server, carrier, 1_000, hold, "the storage folder was removed")
    require(not (storage / "textbridge.db").exists(), "another database was made in its place")
    shutil.rmtree(storage, ignore_errors=True)  # attachments may have been written there
    away.rename(storage)
    carrier.send(range(100, 200))
    copy = environment.folder / "copy"
    _copy(storage, copy)
    storage.rename(away)
    copy.rename(storage)
    refused += require_refusals(server, carrier, 2_000, hold, "the storage folder was replaced")
    os_code = server.stop()
    require(os_code == 0, f"the server ended with {os_code}")
    server.start()
    carrier.send(range(200, 300))
    stored = stored_texts(storage)
    server.stop()
    lost = set(range(200, 300)) - set(stored)
    require(not lost, f"{len(lost)} texts were acknowledged and are not there")
    require(len(stored) == len(set(stored)), "texts are kept twice")
    kept = kept_texts(away)
    require(set(range(200)) <= kept, "texts of before are not in the folder that was moved away")
    require(integrity_check(storage) == "ok", integrity_check(storage))
    return {"removed or replaced": 2, "refused meanwhile": refused, "false 2xx": 0}


def require_refusals(
    server: Server, carrier: CarrierClient, first: int, seconds: float, what: str
) -> int:
    """Post texts for some seconds: none may be acknowledged, and /ready has to say why."""
    client, index, start = HttpClient(server), first, monotonic()
    health = HttpClient(server)
    said = 0.0
    while monotonic() - start < seconds or not said:
        status = carrier.post(client, index)
        require(not 200 <= status < 300, f"{what}, and a text was acknowledged")
        index += 1
        asked = monotonic()
        status, answer = health.call("GET", "/ready")
        if status == 503 and "removed or replaced" in str(answer.get("checks")):
            said = said or monotonic() - start
        elif asked - start > REASON_SECONDS:
            require(False, f"{what}, and /ready does not say so after a second: {status}")
        sleep(0.02)
    return index - first


def _copy(storage: Path, copy: Path) -> None:
    """A copy of the folder as a backup has it, without sockets and pipes."""
    copy.mkdir()
    for path in storage.iterdir():
        if path.is_file():
            shutil.copy2(path, copy / path.name)


CHECK = Check(
    name="lost_folder",
    claim=(
        "When the storage folder is removed or replaced while the server runs, nothing is "
        "acknowledged, and /ready says why within a second."
    ),
    run=run,
    mutants=(IGNORED_PLACE,),
)
