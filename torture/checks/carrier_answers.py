"""F11-F16: carriers that answer with errors, redirects, unreadable answers or not at all.

Only the fake Bandwidth sends an answer byte by byte, because all answers are read by the same code.
"""

import random
from collections import Counter
from datetime import timedelta
from time import sleep
from typing import Any

from tests.fakes.bandwidth import Answer, Trouble
from tests.server import Server
from torture import faulty_carriers
from torture.check import Check, Figures, Mutant, Scale
from torture.clients import AppClient
from torture.clock import WallClock
from torture.database import open_jobs, reply_statuses
from torture.environment import EXTENSION, PromiseBroken, TestEnvironment, require, wait_until


class FaultyAnswers:
    """All carriers with faulty answers, one server, and the replies that were sent so far."""

    def __init__(self, environment: TestEnvironment) -> None:
        self.clock = WallClock(environment.folder)
        self.carriers: dict[str, Any] = {
            name: environment.enter(make()) for name, make in faulty_carriers.CARRIERS.items()
        }
        self.bandwidth = environment.bandwidth = self.carriers["bandwidth"]
        self.server: Server = environment.start_server(
            numbers=[
                {"number": carrier.number, "carrier": name, "extensions": [EXTENSION]}
                for name, carrier in self.carriers.items()
            ],
            **{name: value for each in self.carriers.values() for name, value in each.env.items()},
            **self.clock.env,
        )
        self.app = AppClient(self.server)
        self.sent = dict.fromkeys(self.carriers, 0)  # replies by carrier
        self.not_accepted = {name: Counter[str]() for name in self.carriers}  # expected statuses

    def send(self, name: str, count: int) -> None:
        """Send replies by one carrier, each with another text and recipient."""
        for _ in range(count):
            self.sent[name] += 1
            to, number = f"+1303555{self.sent[name]:04}", self.carriers[name].number
            self.app.reply(f"{name} {self.sent[name]}", to, **{"from": number})

    def advance(self, seconds: int) -> None:
        """Advance the clocks of Textbridge and of the carriers."""
        self.clock.advance(seconds)
        for carrier in self.carriers.values():
            carrier.clock = timedelta(seconds=self.clock.ahead)

    def send_to_hanging(self, times: int) -> None:
        """Send replies to carriers that hang, and wait for the end of these sends."""
        for name, carrier in self.carriers.items():
            hangs = [Trouble.HANG, *[Trouble.DRIP] * (carrier is self.bandwidth)] * times
            carrier.plan(*hangs)
            self.send(name, len(hangs))
        wait_until(lambda: not open_jobs(self.server.storage, "send"), "the end of what hung")

    def send_to_faulty(self, name: str, times: int) -> None:
        """Send one reply for each faulty answer of a carrier."""
        carrier = self.carriers[name]
        location = {"Location": f"{self.bandwidth.base_url}/elsewhere"}
        redirects = [Answer(status, b"", location) for status in faulty_carriers.REDIRECTS]
        answers = [
            *(*carrier.retryable, *redirects, *carrier.outcome_unknown, *carrier.refused),
            Trouble.CUT,
        ] * times
        random.Random(3).shuffle(answers)
        carrier.plan(*answers)
        carrier.unclear_answers += list(faulty_carriers.UNCLEAR_ANSWERS) * times
        self.send(name, len(answers) + len(carrier.unclear_answers))
        self.not_accepted[name]["unknown"] = len(carrier.outcome_unknown) * times
        self.not_accepted[name]["failed"] = len(carrier.refused) * times

    def require_no_repeats(self) -> None:
        """Raise ``PromiseBroken`` if a carrier has accepted a text twice."""
        for name, carrier in self.carriers.items():
            accepted = carrier.texts()
            repeated = len(accepted) - len(set(accepted))
            require(repeated == 0, f"{name} was sent {repeated} twice")

    def wrong_statuses(self, name: str) -> dict[str, str]:
        """The replies whose status does not match what the carrier has accepted."""
        statuses = {
            text: status
            for text, status in reply_statuses(self.server.storage).items()
            if text.startswith(f"reply {name} ")
        }
        sent, carrier = self.sent[name], self.carriers[name]
        require(len(statuses) == sent, f"{len(statuses)} of {sent} replies are kept")
        accepted = set(carrier.texts())
        wrong = {
            text: status
            for text, status in statuses.items()
            if text in accepted and status not in carrier.final_statuses
        }
        others = Counter(status for text, status in statuses.items() if text not in accepted)
        if not wrong and others != self.not_accepted[name]:
            wrong["what it has not"] = f"{dict(others)}"
        return wrong

    def wait_for_final_statuses(self) -> None:
        """Let time pass until every status is right; the carriers' lists are read late."""

        def settled() -> bool:
            self.advance(15)
            sleep(0.3)
            return not any(map(self.wrong_statuses, self.carriers))

        try:
            wait_until(settled, "the end of all")
        except PromiseBroken:
            seen = {name: self.wrong_statuses(name) for name in self.carriers}
            reason = f"an end that does not follow from what was taken: {seen}"
            raise PromiseBroken(reason) from None

    def shown_as(self, status: str) -> int:
        """How many replies that no carrier has accepted must be shown with a status."""
        return sum(expected[status] for expected in self.not_accepted.values())


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Send replies for every faulty answer of every carrier, and check their final statuses."""
    this = FaultyAnswers(environment)
    server = this.server
    this.send_to_hanging(scale.pick(0, 10))
    for name in this.carriers:
        this.send_to_faulty(name, scale.pick(1, 20 if name == "bandwidth" else 5))
    while open_jobs(server.storage, "send"):
        sleep(0.5)
        this.advance(120)
    this.require_no_repeats()
    this.wait_for_final_statuses()
    followed = [path for _, path, _ in this.bandwidth.requests if "elsewhere" in path]
    require(not followed, f"{len(followed)} redirects were followed")
    # The jumps of the clock delay some counts, which are made up later; a lost text stays lost.
    wait_until(lambda: server.flask("messages", "check").returncode == 0, "no violated invariant")
    replies = sum(this.sent.values())
    return {
        "carriers": len(this.carriers),
        "odd answers": replies,
        "replies": replies,
        "lost": 0,
        "sent twice": 0,
        "redirects followed": 0,
        "shown as unknown and not sent": this.shown_as("unknown"),
        "shown as failed with the reason": this.shown_as("failed"),
    }


CHECK = Check(
    name="carrier_answers",
    claim=(
        "After any answer of a carrier (429, 5xx, none, unreadable, too large, a redirect), "
        "no reply is lost or sent twice, and each ends as delivered, failed or visibly "
        "unknown."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/providers/bandwidth/errors.py",
            'kind, remedy = (Kind.RETRY, "") if text else (lost, "")',
            'kind, remedy = Kind.RETRY, ""',
            "a proxy's error page counts as “not sent”",
        ),
        Mutant(
            "services/providers/bandwidth/api.py",
            '"Bandwidth took the message, but its answer cannot be read.", Kind.UNKNOWN',
            '"Bandwidth took the message, but its answer cannot be read.", Kind.RETRY',
            "an answer that cannot be read counts as “not sent”",
        ),
        Mutant(
            "services/providers/error_table.py",
            "kind, sentence = lost, quoted",
            "kind, sentence = Kind.RETRY, quoted",
            "Twilio’s 5xx counts as “not sent”",
        ),
        Mutant(
            "services/providers/api_client.py",
            "raise SendError(reason, Kind.UNKNOWN) from None",
            "raise SendError(reason, Kind.REFUSED) from None",
            "an unreadable answer to a send counts as a refusal",
        ),
        Mutant(
            "services/providers/voipms/errors.py",
            "        kind = lost\n",
            "        kind = Kind.RETRY\n",
            "VoIP.ms’s 5xx counts as “not sent”",
        ),
        Mutant(
            "services/providers/voipinnovations/errors.py",
            'kind, remedy = Kind.UNKNOWN, "The text may have been taken."',
            'kind, remedy = Kind.RETRY, "The text may have been taken."',
            "VoIP Innovations’ 5xx counts as “not sent”",
        ),
    ),
)
