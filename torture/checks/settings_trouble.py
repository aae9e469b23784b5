"""G23: Message Settings with two concurrent writers, and with the file damaged at every byte."""

import json
import os
import random
import signal
import sys
from pathlib import Path

from tests.conftest import settings_file
from tests.processes import start
from tests.server import ROOT
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient
from torture.database import query
from torture.environment import (
    NUMBER_SETTINGS,
    TestEnvironment,
    require,
    wait_for_count,
    wait_until,
    web_process_pids,
)

WITHHELD = "SELECT id FROM jobs WHERE state = 'dead' AND error LIKE '%no longer has%'"
# A process that saves one number after the other, as the operator's commands and pages do.
WRITER = """
import sys
from pathlib import Path
from services.message_settings import MessageSettings
from services.message_settings.file import SettingsFile
path, writer, edits = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
copy = path.with_suffix(f".copy{writer}")
settings = MessageSettings(SettingsFile(path), copy, ["bandwidth"], "US")
for edit in range(edits):
    number = f"+120255{writer}{edit:04}"
    settings.put({"number": number, "carrier": "bandwidth", "extensions": ["201"]})
"""


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Edit with two processes; then damage the document in many ways while texts arrive."""
    edits, reads = _edit_at_once(environment, scale.pick(50, 250))
    others = [{**NUMBER_SETTINGS, "number": f"+1202555015{n}"} for n in range(4)]
    good = settings_file(NUMBER_SETTINGS, *others).encode()
    server = environment.start_server()
    path = server.storage / "message_settings.json"
    carrier, client, chance = CarrierClient(server), HttpClient(server), random.Random(23)
    broken = [good[:at] for at in range(len(good))]
    broken += [_flipped(good, at * 8 + bit) for at in range(len(good)) for bit in range(8)]
    broken += [b"\xef\xbb\xbf" + good, good.decode().encode("utf-16"), good + good, b"\x00" * 99]
    chosen = broken if scale is Scale.FULL else chance.sample(broken, 150)
    refused = 0
    for index, content in enumerate(chosen):
        path.write_bytes(content)
        refused += not 200 <= carrier.post(client, index) < 300
        if index == len(chosen) // 2:
            os.kill(
                web_process_pids(server)[0], signal.SIGKILL
            )  # one that starts on a broken document
            wait_until(lambda: client.call("GET", "/up")[0] == 200, "a new web process")
    path.write_bytes(good)

    def pushed() -> set[str]:
        return {i for i in list(environment.receiver.ids) if i.endswith("_received")}

    def withheld() -> int:
        """Pushes given up while a damaged document that is valid gave the number to another."""
        return len(query(server.storage, WITHHELD))

    require(refused == 0, f"{refused} of {len(chosen)} texts were not taken")
    wait_for_count(lambda: len(pushed()) + withheld(), len(chosen), "the pushes")
    return {
        "edits by two processes": edits,
        "edits lost": 0,
        "reads meanwhile": reads,
        "unreadable": 0,
        "broken documents": len(chosen),
        "texts refused": refused,
        "given up, as a damaged document gave the number away": withheld(),
    }


def _edit_at_once(environment: TestEnvironment, edits: int) -> tuple[int, int]:
    """Edit in two processes and read meanwhile; returns the number of edits and reads."""
    path = environment.folder / "message_settings.json"
    path.write_text(settings_file(NUMBER_SETTINGS))
    writers = [
        start(
            sys.executable,
            "-c",
            WRITER,
            str(path),
            str(writer),
            str(edits),
            cwd=ROOT,
        )
        for writer in (1, 2)
    ]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        reads += 1
        require(_is_complete(path), "Message Settings could be seen half written")
    require(all(writer.returncode == 0 for writer in writers), "an edit failed")
    found = len(json.loads(path.read_bytes())["numbers"]) - 1
    require(found == 2 * edits, f"{2 * edits - found} of {2 * edits} edits were lost")
    return 2 * edits, reads


def _is_complete(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes())["numbers"])
    except ValueError:
        return False


def _flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


CHECK = Check(
    name="settings_trouble",
    claim=(
        "Two concurrent writers lose no edit of Message Settings; a damaged file stops no text."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/message_settings/file.py",
            "        with self._lock:",
            "        if True:",
            "two writers do not exclude each other",
        ),
        Mutant(
            "services/message_settings/file.py",
            "        new.replace(path)",
            "        path.write_bytes(content)",
            "the document is written in place",
        ),
        Mutant(
            "services/message_settings/settings.py",
            "        except SettingsError as error:\n            self._keep_last_good(error)",
            "        except OSError as error:\n            self._keep_last_good(error)",
            "a damaged file is an error for every reader",
        ),
    ),
)
