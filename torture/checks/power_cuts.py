"""G4: after a power cut everything that was acknowledged is on the disk, and can be read."""

import json
import random
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.server import Server
from torture.check import Check, Figures, Mutant, Scale
from torture.disk import Disk, read
from torture.ground import NUMBER, Broken, Ground, demand
from torture.shims import build
from torture.traffic import Carrier, Line, integrity, kept


class Editor(threading.Thread):
    """Saves Message Settings again and again; ``saved`` tells when each save was done."""

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


def run(ground: Ground, scale: Scale) -> Figures:
    """Record a busy minute, then cut the power at many moments of it."""
    texts, cuts, saves = scale.pick((300, 40, 3), (3_000, 500, 12))
    log = ground.folder / "disk.log"
    server = ground.server(
        WEB_CONCURRENCY="2",
        LD_PRELOAD=str(build("disk", ground.folder)),
        DISK_LOG=str(log),
        DISK_ROOT=str(ground.folder / "storage"),
    )
    disk = Disk()
    disk.put(server.storage / "message_settings.json")
    server.start()
    begun = time.monotonic()
    carrier, editor = Carrier(server), Editor(server, saves)
    editor.start()
    sent = 0
    while sent < texts or editor.is_alive():
        part = 100 if sent < texts else 5  # as saves take their time
        carrier.send(range(sent, sent + part), lines=4)
        sent += part
    demand(len(editor.saved) == saves, "Message Settings could not be saved")
    server.kill_tree()

    deeds = read(log)
    first = next(index for index, deed in enumerate(deeds) if deed.at > begun)
    chance = random.Random(4)
    moments = set(chance.sample(range(first, len(deeds)), cuts))
    for index, deed in enumerate(deeds):
        disk.do(deed)
        if index in moments:
            with TemporaryDirectory(dir=ground.folder) as folder:
                left = Path(folder) / "left"
                disk.cut(left, chance.choice((None, chance)))
                _look_at(left, deed.at, carrier, editor)
    restarts = scale.pick(1, 5)
    for turn in range(restarts):
        left = ground.folder / f"left{turn}"
        disk.cut(left, chance if turn else None)
        again = ground.like(server, left, LD_PRELOAD="")
        again.start()
        Carrier(again).insist(Line(again), sent + turn)
        again.stop()
    return {
        "power cuts": cuts,
        "restarted from what was left": restarts,
        "texts acknowledged": len(carrier.acknowledged),
        "saves of Message Settings": saves,
        "lost": 0,
        "unreadable": 0,
    }


def _look_at(left: Path, at: float, carrier: Carrier, editor: Editor) -> None:
    """Everything acknowledged before the cut is there and whole."""
    try:
        whole, found = integrity(left), set(kept(left))
    except Exception as error:
        raise Broken(f"after a power cut the database cannot be read: {error}") from error
    demand(whole == "ok", f"after a power cut the database is damaged: {whole}")
    due = {index for index, since in carrier.acknowledged.items() if since < at}
    demand(due <= found, f"a power cut lost {len(due - found)} of {len(due)} acknowledged texts")
    try:
        entry = json.loads((left / "message_settings.json").read_bytes())["numbers"][0]
    except (OSError, ValueError) as error:
        raise Broken(f"after a power cut Message Settings cannot be read: {error}") from error
    edition = int(str(entry.get("description") or "#0").removeprefix("#"))
    saved = sum(since < at for since in editor.saved)
    demand(saved <= edition <= saved + 1, f"a power cut lost save {saved} of Message Settings")


CHECK = Check(
    name="power_cuts",
    claim="After a power cut, all that was acknowledged or saved is on the disk and readable.",
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
