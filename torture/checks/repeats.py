"""G7: carriers repeat themselves, at the same moment too: one text, one push, one mail."""

from collections import Counter

from torture.check import Check, Figures, Mutant, Scale
from torture.ground import DESK, Ground, demand, wait_for
from torture.traffic import Carrier, Line, at_once, kept, rows

TIMES = 3
JOBS = (
    "SELECT kind, count(*), sum(attempts) FROM jobs WHERE kind IN ('push', 'email') GROUP BY kind"
)


def run(ground: Ground, scale: Scale) -> Figures:
    """Post every text three times at once, to two web processes."""
    texts = scale.pick(500, 10_000)
    server = ground.started(numbers=[{**DESK, "emails": ["desk@example.com"]}], WEB_CONCURRENCY="2")
    carrier = Carrier(server)

    def everything() -> None:
        line = Line(server)
        for index in range(texts):
            carrier.insist(line, index)

    at_once([everything] * TIMES)

    def pushes() -> list[str]:
        return [i for i in list(ground.receiver.ids) if i.endswith("_received")]

    wait_for(lambda: len(set(pushes())), texts, "the pushes")
    wait_for(lambda: len(ground.mailbox.mails), texts, "the mails")
    server.stop()
    jobs = {kind: (count, attempts) for kind, count, attempts in rows(server.storage, JOBS)}
    stored = Counter(kept(server.storage))
    demand(len(stored) == texts, f"{len(stored)} of {texts} texts are kept")
    demand(stored.total() == texts, f"{stored.total() - texts} texts are kept twice")
    came = {"push": len(pushes()), "email": len(ground.mailbox.mails)}
    for kind, (count, attempts) in jobs.items():
        demand(count == texts, f"{count - texts} jobs of the kind “{kind}” too many")
        demand(came[kind] <= attempts, f"{came[kind] - attempts} of the kind “{kind}” too many")
    return {
        "webhooks": TIMES * texts,
        "kept": stored.total(),
        "pushes": came["push"],
        "mails": came["email"],
        "of these after an answer that came late": came["push"] + came["email"] - 2 * texts,
    }


CHECK = Check(
    name="repeats",
    claim="A webhook that comes three times at once is one text, one push and one mail.",
    run=run,
    mutants=(
        Mutant(
            "services/store/database/migrations/versions/0001_first.py",
            'sa.UniqueConstraint("provider", "provider_id", "number"),',
            "",
            "only a look before writing would keep repeats out",
        ),
    ),
)
