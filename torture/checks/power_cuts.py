"""G4: power failure: everything that was acknowledged is on the disk and readable."""

import json
import random
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient
from torture.database import integrity_check, kept_texts, stored_texts
from torture.environment import NUMBER, PromiseBroken, TestEnvironment, require
from torture.power_cut_disk import PowerCutDisk, read_log
from torture.shims import build


class SettingsEditor(threading.Thread):
    """Saves Message Settings repeatedly; ``saved`` has the time of the end of each save."""

    def __init__(self, server: Server, most: int) -> None:
        super().__init__(daemon=True)
        self.saved: list[float] = []
        self._server = server
        self._most = most

    def run(self) -> None:
        for edition in range(1, self._most + 1):
            made = self._server.flask("settings", "set", NUMBER, "--description", f"#{edition}")
            if made.returncode:
                return
            self.saved.append(time.monotonic())


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Record the disk operations of a busy minute, then simulate power failures at many moments."""
    texts, cuts, saves = scale.pick((300, 40, 3), (3_000, 500, 12))
    log = environment.folder / "disk.log"
    server = environment.server(
        WEB_CONCURRENCY="2",
        LD_PRELOAD=str(build("disk", environment.folder)),
        DISK_LOG=str(log),
        DISK_ROOT=str(environment.folder / "storage"),
    )
    disk = PowerCutDisk()
    disk.add_durable(server.storage / "message_settings.json")
    server.start()
    begun = time.monotonic()
    carrier, editor = CarrierClient(server), SettingsEditor(server, saves)
    editor.start()
    sent = 0
    while sent < texts or editor.is_alive():
        part = 100 if sent < texts else 5  # as a save takes long
        carrier.send(range(sent, sent + part), connections=4)
        sent += part
    require(len(editor.saved) == saves, "Message Settings could not be saved")
    server.kill_tree()

    operations = read_log(log)
    first = next(index for index, operation in enumerate(operations) if operation.at > begun)
    chance = random.Random(4)
    moments = set(chance.sample(range(first, len(operations)), cuts))
    for index, operation in enumerate(operations):
        disk.apply(operation)
        if index in moments:
            with TemporaryDirectory(dir=environment.folder) as folder:
                left = Path(folder) / "left"
                disk.write_after_cut(left, chance.choice((None, chance)))
                _verify(left, operation.at, carrier, editor)
    restarts = scale.pick(1, 5)
    for turn in range(restarts):
        left = environment.folder / f"left{turn}"
        disk.write_after_cut(left, chance if turn else None)
        again = environment.server_like(server, left, LD_PRELOAD="")
        kept = kept_texts(left)
        again.start()
        CarrierClient(again).post_until_accepted(HttpClient(again), sent + turn)
        processed = stored_texts(left)
        again.stop()
        missing = kept.difference(processed)
        require(not missing, f"{len(missing)} texts of the inbox were not processed")
        require(len(processed) == len(set(processed)), "texts of the inbox were processed twice")
    return {
        "power cuts": cuts,
        "restarted from what was left": restarts,
        "texts acknowledged": len(carrier.acknowledged),
        "saves of Message Settings": saves,
        "lost": 0,
        "unreadable": 0,
    }


def _verify(left: Path, at: float, carrier: CarrierClient, editor: SettingsEditor) -> None:
    """Everything that was acknowledged before the power failure is stored and intact."""
    try:
        whole, found = integrity_check(left), kept_texts(left)
    except Exception as error:
        raise PromiseBroken(f"after a power cut the database cannot be read: {error}") from error
    require(whole == "ok", f"after a power cut the database is damaged: {whole}")
    due = {index for index, since in carrier.acknowledged.items() if since < at}
    require(due <= found, f"a power cut lost {len(due - found)} of {len(due)} acknowledged texts")
    try:
        entry = json.loads((left / "message_settings.json").read_bytes())["numbers"][0]
    except (OSError, ValueError) as error:
        raise PromiseBroken(
            f"after a power cut Message Settings cannot be read: {error}"
        ) from error
    edition = int(str(entry.get("description") or "#0").removeprefix("#"))
    saved = sum(since < at for since in editor.saved)
    require(saved <= edition <= saved + 1, f"a power cut lost save {saved} of Message Settings")


CHECK = Check(
    name="power_cuts",
    claim=(
        "After a power failure, everything that was acknowledged or saved is on the disk "
        "and readable."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/store/database/engine.py",
            "PRAGMA synchronous={flush}",
            "PRAGMA synchronous=NORMAL",
            "a commit does not wait for the disk",
        ),
        Mutant(
            "services/message_settings/file.py",
            "os.fsync(file.fileno())",
            "pass",
            "Message Settings are renamed into place before their content is on the disk",
        ),
        Mutant(
            "services/message_settings/file.py",
            "os.fsync(folder)",
            "pass",
            "the new name of Message Settings is not made durable",
        ),
    ),
)
