"""G7: carriers repeat themselves, at the same moment too: one text, one push, one mail."""

from collections import Counter

from torture.check import Check, Figures, Mutant, Scale
from torture.ground import DESK, Ground, demand, wait_until
from torture.traffic import Carrier, Line, at_once, kept

TIMES = 3


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

    wait_until(lambda: len(set(pushes())) >= texts, "a push for each text", 120)
    wait_until(lambda: len(ground.mailbox.mails) >= texts, "a mail for each text", 120)
    server.stop()
    stored = Counter(kept(server.storage))
    demand(len(stored) == texts, f"{len(stored)} of {texts} texts are kept")
    demand(stored.total() == texts, f"{stored.total() - texts} texts are kept twice")
    demand(len(pushes()) == texts, f"{len(pushes()) - texts} pushes too many")
    mails = len(ground.mailbox.mails)
    demand(mails == texts, f"{mails - texts} mails too many")
    return {
        "webhooks": TIMES * texts,
        "kept": stored.total(),
        "pushes": len(pushes()),
        "mails": mails,
    }


CHECK = Check(
    name="repeats",
    claim="A webhook that comes three times at once is one text, one push and one mail.",
    run=run,
    mutants=(
        Mutant(
            "services/store/migrations/versions/0001_first.py",
            'sa.UniqueConstraint("provider", "provider_id", "number"),',
            "",
            "only a look before writing would keep repeats out",
        ),
    ),
)
