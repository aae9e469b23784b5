"""G7: repeated webhooks, also at the same time: one text, one push, one mail."""

from collections import Counter

from torture.check import Check, Figures, Mutant, Scale
from torture.clients import CarrierClient, HttpClient, run_parallel
from torture.database import query, stored_texts
from torture.environment import NUMBER_SETTINGS, TestEnvironment, require, wait_for_count

TIMES = 3
JOBS = (
    "SELECT kind, count(*), sum(attempts) FROM jobs WHERE kind IN ('push', 'email') GROUP BY kind"
)


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Post every text three times in parallel, to two web processes."""
    texts = scale.pick(500, 10_000)
    server = environment.start_server(
        numbers=[{**NUMBER_SETTINGS, "emails": ["desk@example.com"]}], WEB_CONCURRENCY="2"
    )
    carrier = CarrierClient(server)

    def post_everything() -> None:
        client = HttpClient(server)
        for index in range(texts):
            carrier.post_until_accepted(client, index)

    run_parallel([post_everything] * TIMES)

    def pushes() -> list[str]:
        return [i for i in list(environment.receiver.ids) if i.endswith("_received")]

    wait_for_count(lambda: len(set(pushes())), texts, "the pushes")
    wait_for_count(lambda: len(environment.mailbox.mails), texts, "the mails")
    server.stop()
    jobs = {kind: (count, attempts) for kind, count, attempts in query(server.storage, JOBS)}
    stored = Counter(stored_texts(server.storage))
    require(len(stored) == texts, f"{len(stored)} of {texts} texts are kept")
    require(stored.total() == texts, f"{stored.total() - texts} texts are kept twice")
    came = {"push": len(pushes()), "email": len(environment.mailbox.mails)}
    for kind, (count, attempts) in jobs.items():
        require(count == texts, f"{count - texts} jobs of the kind “{kind}” too many")
        require(came[kind] <= attempts, f"{came[kind] - attempts} of the kind “{kind}” too many")
    return {
        "webhooks": TIMES * texts,
        "kept": stored.total(),
        "pushes": came["push"],
        "mails": came["email"],
        "of these after an answer that came late": came["push"] + came["email"] - 2 * texts,
    }


CHECK = Check(
    name="repeats",
    claim=("A webhook that arrives three times in parallel gives one text, one push and one mail."),
    run=run,
    mutants=(
        Mutant(
            "services/store/database/migrations/versions/0001_first.py",
            'sa.UniqueConstraint("provider", "provider_id", "number"),',
            "",
            "only a read before the write would detect repeats",
        ),
    ),
)
