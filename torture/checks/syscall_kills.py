"""G3: killed at the system calls of one inbound text, one push, one picture, one reply, one send,
one save of Message Settings, one migration and one backup. With ``kill_points`` these are K1 to
K20.
"""

import json
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.street import webhook
from tests.server import Server
from torture import strace
from torture.check import Check, Figures, Scale
from torture.checks.random_kills import TOO_EARLY
from torture.ground import HOOK, NUMBER, Broken, Ground, delivering, demand, serving, wait_until
from torture.traffic import App, Carrier, Line, integrity, kept, open_jobs, rows

STORING = ("pwrite64", "fsync", "fdatasync", "sendto")  # the last one: stored, and not told yet
FILING = ("write", "fsync", "rename")
PICTURE = b"GIF89a" + bytes(200_000)
SMALL, COMMANDS = 2, 12  # kills at the calls of one kind; at those of a command


@dataclass
class Sweep:
    """One server, and what was asked of it so far."""

    ground: Ground
    most: int  # kills at the calls of one kind
    server: Server
    app: App = field(init=False)
    carrier: Carrier = field(init=False)
    texts: int = 0
    replies: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.app, self.carrier = App(self.server), Carrier(self.server)

    def log(self) -> Path:
        """Where strace writes."""
        return self.ground.folder / "strace.log"

    def process(
        self, name: str, find: Callable[[Server], int], begin: Callable[[], object],
        end: Callable[[], object], calls: tuple[str, ...] = STORING,
    ) -> None:  # fmt: skip
        """Kill the process that ``find`` finds at the calls of what begins and ends."""
        for call in calls:
            with strace.attached(find(self.server), self.log(), call):
                begin()
                end()
            for nth in self._chosen(strace.calls(self.log()), self.most):
                pid = find(self.server)
                with strace.attached(pid, self.log(), call, f"signal=SIGKILL:when={nth}"):
                    begin()
                    end()
                self.kills[name] += not Path(f"/proc/{pid}").exists()

    def command(self, name: str, call: str, some: int, run: Callable[[str, str], bool]) -> None:
        """Kill a command at its calls, at the smallest scale only at call number ``some``; ``run``
        runs it with a fault, and tells if it was killed."""
        chosen = [some]
        if self.most > SMALL:
            run(call, "")
            chosen = self._chosen(strace.calls(self.log()), COMMANDS)
        for nth in chosen:
            self.kills[name] += run(call, f"signal=SIGKILL:when={nth}")

    def _chosen(self, there: int, most: int) -> list[int]:
        """The calls at which to kill: all of them, or some from the first to the last."""
        if there <= most:
            return list(range(1, there + 1))
        return sorted({1 + round(i * (there - 1) / max(1, most - 1)) for i in range(most)})

    # What begins and ends

    def text(self) -> None:
        """A text comes in."""
        self.texts += 1
        self.carrier.insist(Line(self.server), self.texts)

    def pushed(self) -> None:
        """Wait until every text was pushed, and what was killed has been repeated."""
        wait_until(lambda: len(self.pushes()) >= self.texts, "the push of a text")
        wait_until(lambda: not open_jobs(self.server.storage, "push"), "the end of each push")

    def picture(self) -> None:
        """A text with a picture comes in."""
        self.texts += 1
        [event] = json.loads(webhook(self.texts, NUMBER))
        offered = self.ground.bandwidth.offer(f"{self.texts}.gif", "image/gif", PICTURE)
        event["message"]["media"] = [offered]
        line, call = Line(self.server), json.dumps([event]).encode()
        wait_until(lambda: 200 <= line.call("POST", HOOK, call)[0] < 300, "a picture's text")

    def kept_picture(self) -> None:
        """Wait until every picture is there, whole, and what was killed has been repeated."""
        look = "SELECT id, state, size FROM attachments"
        wait_until(
            lambda: all(state == "kept" for _, state, _ in rows(self.server.storage, look)),
            "a picture",
        )
        wait_until(lambda: not open_jobs(self.server.storage, "push"), "the end of each push")
        for file_id, _, size in rows(self.server.storage, look):
            [file] = (self.server.storage / "media").rglob(file_id)
            demand(file.read_bytes() == PICTURE, f"a picture of {size} bytes is not whole")

    def reply(self) -> None:
        """The app answers."""
        self.replies.append(self.app.reply(f"c{len(self.replies)}"))

    def ended(self) -> None:
        """Wait until it is known, or visibly unknown, what became of the last reply."""
        final = ("sent", "delivered", "unknown")
        wait_until(lambda: self.app.status(self.replies[-1]) in final, "the end of a reply")

    def pushes(self) -> Counter[str]:
        """How often each text was pushed."""
        return Counter(i for i in list(self.ground.receiver.ids) if i.endswith("_received"))

    def save(self, call: str, fault: str) -> bool:
        """Save Message Settings; they are whole afterwards, the old ones or the new ones."""
        before = self._description()
        after = str(int(before or 0) + 1)
        words = ("settings", "set", NUMBER, "--description", after)
        made = strace.command(self.server, self.log(), call, fault, *words)
        demand(self._description() in (before, after), "a save was half done")
        demand(made != 0 or self._description() != before, "a save was not done")
        return made == -signal.SIGKILL

    def _description(self) -> str:
        try:
            document = json.loads((self.server.storage / "message_settings.json").read_bytes())
            return str(document["numbers"][0].get("description") or "")
        except (OSError, ValueError, LookupError) as error:
            raise Broken(f"Message Settings are not whole: {error}") from error

    def migrate(self, call: str, fault: str) -> bool:
        """Begin a new installation; the next start completes it."""
        folder = self.ground.folder / f"new{len(list(self.ground.folder.iterdir()))}"
        new = self.ground.server(name=folder.name)
        made = strace.command(new, self.log(), call, fault, "devices", "list")
        again = new.flask("devices", "list")
        demand(again.returncode == 0, f"a half-done migration stays so: {again.stderr}")
        demand(integrity(folder) == "ok", "a migration damaged the database")
        return made == -signal.SIGKILL

    def back_up(self, call: str, fault: str) -> bool:
        """Make a backup; every one that has its name is whole."""
        folder = self.ground.folder / "backups"
        made = strace.command(self.server, self.log(), call, fault, "backup", str(folder))
        for backup in folder.glob("textbridge-*"):
            demand(integrity(backup) == "ok", "a backup is damaged")
            demand((backup / "message_settings.json").exists(), "a backup is not complete")
        return made == -signal.SIGKILL


def run(ground: Ground, scale: Scale) -> Figures:
    """Kill at the calls, each time with what follows: the carrier and the app ask again."""
    sweep = Sweep(ground, scale.pick(SMALL, 60), ground.started())
    web = lambda server: serving(server)[0]  # noqa: E731
    sweep.process("inbound", web, sweep.text, sweep.pushed)
    sweep.process("push", delivering, sweep.text, sweep.pushed)
    sweep.process("picture", delivering, sweep.picture, sweep.kept_picture, FILING)
    sweep.process("reply", web, sweep.reply, sweep.ended)
    sweep.process("send", delivering, sweep.reply, sweep.ended)
    sweep.command("settings", "fsync", 1, sweep.save)
    sweep.command("settings", "rename", 1, sweep.save)
    sweep.command("migration", "pwrite64", 100, sweep.migrate)
    sweep.command("backup", "pwrite64", 40, sweep.back_up)
    if scale is Scale.FULL:
        sweep.command("backup", "fsync", 1, sweep.back_up)
        sweep.command("backup", "rename", 1, sweep.back_up)
    sweep.server.stop()
    storage, pushes = sweep.server.storage, sweep.pushes()
    sent = Counter(message["text"] for message in ground.bandwidth.accepted)
    demand(sorted(kept(storage)) == list(range(1, sweep.texts + 1)), "texts are lost or kept twice")
    demand(max(pushes.values()) <= 2, "one kill repeated a push more than once")
    demand(max(sent.values()) == 1, f"{sum(sent.values()) - len(sent)} replies were sent twice")
    demand(integrity(storage) == "ok", integrity(storage))
    return {
        **{f"kills at {name}": count for name, count in sweep.kills.items()},
        "lost": 0,
        "sent twice": 0,
        "half done": 0,
    }


CHECK = Check(
    name="syscall_kills",
    claim="Killed at any system call, everything is whole and done once when it runs again.",
    run=run,
    needs=("strace",),
    mutants=(TOO_EARLY,),
)
