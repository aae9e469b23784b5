"""Edits of Message Settings with 20,000 numbers: their cost, and how long they hold the event loop.

CPU time is measured, so that the disk and other programs do not matter.
"""

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from bench.figures import Figure
from services.message_settings import MessageSettings, SettingsFile
from services.message_settings.document import encode_document
from services.message_settings.fields import NumberSetting
from tests.server import ROOT, Server

FEW, MANY = 20, 20_000
CARRIERS = ("bandwidth", "sandbox")
REPEATS = 5
# Prints the longest CPU time (seconds) between two rounds of the event loop while the settings of
# a folder are read again, as a web process does after all entries were changed.
HELD = """
from gevent import monkey
monkey.patch_all()
import gc, sys, time
from pathlib import Path
import gevent
from bench.settings_edits import opened
folder = Path(sys.argv[1])
settings = opened(folder)
settings.look()
(folder / "new.json").rename(folder / "message_settings.json")
gc.collect()
gc.freeze()  # as the server's processes do
longest, last = 0.0, time.process_time()
reading = gevent.spawn(settings.look)
while not reading.ready():
    gevent.sleep(0)
    now = time.process_time()
    longest, last = max(longest, now - last), now
print(longest)
"""


def figures() -> list[Figure]:
    """An edit of one number among 20,000, where it is made, in another process, and by command."""
    with TemporaryDirectory() as temporary:
        few, many = (_folder(Path(temporary) / str(count), count) for count in (FEW, MANY))
        whole = _cpu(lambda: opened(many).look())
        command = {folder: _command(folder) for folder in (few, many)}
        held = _held(many)
        here, there = _edit(many)
    return [
        Figure("check of 20,000 numbers", whole * 1000, "ms CPU", more=False),
        Figure("edit of one of them", here * 1000, "ms CPU", more=False),
        Figure("edit in another process", there * 1000, "ms CPU", more=False),
        Figure("edit in another process, × the check of all", there / whole, "×", None, 0.2, False),
        Figure(
            "command for one edit, × among 20 numbers",
            command[many] / command[few],
            "×",
            aim=1.2,
            more=False,
        ),
        Figure(
            "event loop held by a new document, at most", held * 1000, "ms CPU", None, 50, False
        ),
    ]


def opened(folder: Path) -> MessageSettings:
    """Message Settings in the file of a folder, with nothing read yet."""
    source = SettingsFile(folder / "message_settings.json")
    return MessageSettings(source, folder / "good.json", CARRIERS, "US")


def entries(count: int, description: str) -> list[NumberSetting]:
    """Entries of Message Settings with different numbers."""
    return [
        NumberSetting(
            f"+1202{2_000_000 + n}", "sandbox", (str(100 + n % 500),), (), None, description
        )
        for n in range(count)
    ]


def _folder(folder: Path, count: int) -> Path:
    folder.mkdir()
    (folder / "message_settings.json").write_bytes(encode_document(entries(count, "desk")))
    return folder


def _cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process, the median of some runs."""
    times = []
    for _ in range(REPEATS):
        start = process_time()
        work()
        times.append(process_time() - start)
    return statistics.median(times)


def _edit(folder: Path) -> tuple[float, float]:
    """CPU seconds of an edit in the process that makes it, and in another one that follows."""
    here, there = opened(folder), opened(folder)
    times: list[tuple[float, float]] = []
    for number in range(REPEATS + 1):
        changed = asdict(entries(1, f"edit {number}")[0])
        start = process_time()
        here.put(changed)
        middle = process_time()
        there.look()
        times.append((middle - start, process_time() - middle))
    made, followed = zip(*times[1:], strict=True)  # the first edit writes all texts anew
    return statistics.median(made), statistics.median(followed)


def _command(folder: Path) -> float:
    """CPU seconds of ``flask settings set`` for a number of a folder."""
    server = Server(folder, {})
    number = entries(1, "")[0].number
    times = []
    for extension in range(REPEATS):
        start = _children_cpu()
        made = server.flask("settings", "set", number, "--extension", str(extension))
        assert made.returncode == 0, made.stderr
        times.append(_children_cpu() - start)
    return statistics.median(times)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _held(folder: Path) -> float:
    """The longest CPU time (seconds) for which a changed document holds the event loop."""
    (folder / "new.json").write_bytes(encode_document(entries(MANY, "all of them changed")))
    out = subprocess.run(
        [sys.executable, "-c", HELD, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(out.stdout))
