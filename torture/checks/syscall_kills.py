"""G3: kills at single system calls, by strace.

Covers one inbound text, one push, one picture, one reply, one send, one save of Message Settings,
one migration and one backup. With ``kill_points`` these are K1 to K20.
"""

import json
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.measured_server import webhook_body
from tests.server import Server
from torture import strace
from torture.check import Check, Figures, Scale
from torture.checks.random_kills import ACKNOWLEDGED_TOO_EARLY
from torture.clients import AppClient, CarrierClient, HttpClient
from torture.database import integrity_check, open_jobs, query, stored_texts
from torture.environment import (
    NUMBER,
    WEBHOOK_PATH,
    PromiseBroken,
    TestEnvironment,
    delivery_worker_pid,
    require,
    wait_until,
    web_process_pids,
)

DATABASE_CALLS = ("pwrite64", "fsync", "fdatasync", "sendto")  # sendto: stored, not yet answered
FILE_CALLS = ("write", "fsync", "rename")
PICTURE = b"GIF89a" + bytes(200_000)
SMOKE_KILLS, COMMAND_KILLS = 2, 12  # kills per kind of call; kills per command


@dataclass
class KillSweep:
    """One server, and the texts and replies that it has received so far."""

    environment: TestEnvironment
    max_kills: int  # per kind of call
    server: Server
    app: AppClient = field(init=False)
    carrier: CarrierClient = field(init=False)
    texts: int = 0
    replies: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.app, self.carrier = AppClient(self.server), CarrierClient(self.server)

    def log(self) -> Path:
        """The output file of strace."""
        return self.environment.folder / "strace.log"

    def process(
        self, name: str, find: Callable[[Server], int], begin: Callable[[], object],
        end: Callable[[], object], calls: tuple[str, ...] = DATABASE_CALLS,
    ) -> None:  # fmt: skip
        """Kill the process that ``find`` returns at the calls between ``begin`` and ``end``."""
        for call in calls:
            with strace.attached(find(self.server), self.log(), call):
                begin()
                end()
            for nth in self._chosen(strace.calls(self.log()), self.max_kills):
                pid = find(self.server)
                with strace.attached(pid, self.log(), call, f"signal=SIGKILL:when={nth}"):
                    begin()
                    end()
                self.kills[name] += not Path(f"/proc/{pid}").exists()

    def command(
        self, name: str, call: str, smoke_call: int, run: Callable[[str, str], bool]
    ) -> None:
        """Kill a command at its calls; at the smallest scale only at call number ``smoke_call``.

        ``run`` runs the command with a fault and returns whether it was killed.
        """
        chosen = [smoke_call]
        if self.max_kills > SMOKE_KILLS:
            run(call, "")
            chosen = self._chosen(strace.calls(self.log()), COMMAND_KILLS)
        for nth in chosen:
            self.kills[name] += run(call, f"signal=SIGKILL:when={nth}")

    def _chosen(self, count: int, max_kills: int) -> list[int]:
        """The numbers of the calls at which to kill: all, or some from the first to the last."""
        if count <= max_kills:
            return list(range(1, count + 1))
        return sorted(
            {1 + round(i * (count - 1) / max(1, max_kills - 1)) for i in range(max_kills)}
        )

    # Work that is started, and waits for its end

    def text(self) -> None:
        """Post a text."""
        self.texts += 1
        self.carrier.post_until_accepted(HttpClient(self.server), self.texts)

    def pushed(self) -> None:
        """Wait until every text is pushed, repeats included."""
        wait_until(lambda: len(self.pushes()) >= self.texts, "the push of a text")
        wait_until(lambda: not open_jobs(self.server.storage, "push"), "the end of each push")

    def picture(self) -> None:
        """Post a text with a picture."""
        self.texts += 1
        [event] = json.loads(webhook_body(self.texts, NUMBER))
        offered = self.environment.bandwidth.offer(f"{self.texts}.gif", "image/gif", PICTURE)
        event["message"]["media"] = [offered]
        client, call = HttpClient(self.server), json.dumps([event]).encode()
        wait_until(
            lambda: 200 <= client.call("POST", WEBHOOK_PATH, call)[0] < 300, "a picture's text"
        )

    def kept_picture(self) -> None:
        """Wait until every picture is stored completely, repeats included."""
        look = "SELECT id, state, size FROM attachments"
        wait_until(
            lambda: all(state == "kept" for _, state, _ in query(self.server.storage, look)),
            "a picture",
        )
        wait_until(lambda: not open_jobs(self.server.storage, "push"), "the end of each push")
        for file_id, _, size in query(self.server.storage, look):
            [file] = (self.server.storage / "media").rglob(file_id)
            require(file.read_bytes() == PICTURE, f"a picture of {size} bytes is not whole")

    def reply(self) -> None:
        """Send a reply from the app."""
        self.replies.append(self.app.reply(f"c{len(self.replies)}"))

    def ended(self) -> None:
        """Wait until the last reply has a final status, which may be ``unknown``."""
        final = ("sent", "delivered", "unknown")
        wait_until(lambda: self.app.status(self.replies[-1]) in final, "the end of a reply")

    def pushes(self) -> Counter[str]:
        """How often each text was pushed."""
        return Counter(i for i in list(self.environment.receiver.ids) if i.endswith("_received"))

    def save(self, call: str, fault: str) -> bool:
        """Save Message Settings; afterwards the file is intact, with the old or the new content."""
        before = self._description()
        after = str(int(before or 0) + 1)
        words = ("settings", "set", NUMBER, "--description", after)
        made = strace.command(self.server, self.log(), call, fault, *words)
        require(self._description() in (before, after), "a save was half done")
        require(made != 0 or self._description() != before, "a save was not done")
        return made == -signal.SIGKILL

    def _description(self) -> str:
        try:
            document = json.loads((self.server.storage / "message_settings.json").read_bytes())
            return str(document["numbers"][0].get("description") or "")
        except (OSError, ValueError, LookupError) as error:
            raise PromiseBroken(f"Message Settings are not whole: {error}") from error

    def migrate(self, call: str, fault: str) -> bool:
        """Start a new installation; the next command completes the migration."""
        folder = self.environment.folder / f"new{len(list(self.environment.folder.iterdir()))}"
        new = self.environment.server(name=folder.name)
        made = strace.command(new, self.log(), call, fault, "devices", "list")
        again = new.flask("devices", "list")
        require(again.returncode == 0, f"a half-done migration stays so: {again.stderr}")
        require(integrity_check(folder) == "ok", "a migration damaged the database")
        return made == -signal.SIGKILL

    def back_up(self, call: str, fault: str) -> bool:
        """Make a backup; every folder with the name of a backup is complete."""
        folder = self.environment.folder / "backups"
        made = strace.command(self.server, self.log(), call, fault, "backup", str(folder))
        for backup in folder.glob("textbridge-*"):
            require(integrity_check(backup) == "ok", "a backup is damaged")
            require((backup / "message_settings.json").exists(), "a backup is not complete")
        return made == -signal.SIGKILL


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Kill at the calls; after each kill the carrier and the app retry."""
    sweep = KillSweep(environment, scale.pick(SMOKE_KILLS, 60), environment.start_server())
    web = lambda server: web_process_pids(server)[0]  # noqa: E731
    sweep.process("inbound", web, sweep.text, sweep.pushed)
    sweep.process("push", delivery_worker_pid, sweep.text, sweep.pushed)
    sweep.process("picture", delivery_worker_pid, sweep.picture, sweep.kept_picture, FILE_CALLS)
    sweep.process("reply", web, sweep.reply, sweep.ended)
    sweep.process("send", delivery_worker_pid, sweep.reply, sweep.ended)
    sweep.command("settings", "fsync", 1, sweep.save)
    sweep.command("settings", "rename", 1, sweep.save)
    sweep.command("migration", "pwrite64", 100, sweep.migrate)
    sweep.command("backup", "pwrite64", 40, sweep.back_up)
    if scale is Scale.FULL:
        sweep.command("backup", "fsync", 1, sweep.back_up)
        sweep.command("backup", "rename", 1, sweep.back_up)
    sweep.server.stop()
    storage, pushes = sweep.server.storage, sweep.pushes()
    sent = Counter(message["text"] for message in environment.bandwidth.accepted)
    require(
        sorted(stored_texts(storage)) == list(range(1, sweep.texts + 1)),
        "texts are lost or kept twice",
    )
    require(max(pushes.values()) <= 2, "one kill repeated a push more than once")
    require(max(sent.values()) == 1, f"{sum(sent.values()) - len(sent)} replies were sent twice")
    require(integrity_check(storage) == "ok", integrity_check(storage))
    return {
        **{f"kills at {name}": count for name, count in sweep.kills.items()},
        "lost": 0,
        "sent twice": 0,
        "half done": 0,
    }


CHECK = Check(
    name="syscall_kills",
    claim=(
        "After a kill at any system call, all data is intact, and all work is done once "
        "after the restart."
    ),
    run=run,
    needs=("strace",),
    mutants=(ACKNOWLEDGED_TOO_EARLY,),
)
