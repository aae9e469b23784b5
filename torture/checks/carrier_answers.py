"""F11-F16: carriers that answer in every way but the right one, each in its own tongue.

One that drips its answer is played by Bandwidth alone: all are read by the same hand.
"""

import random
from collections import Counter
from datetime import timedelta
from time import sleep

from tests.fakes.bandwidth import Answer, Trouble
from torture import moody
from torture.check import Check, Figures, Mutant, Scale
from torture.clock import WallClock
from torture.ground import EXTENSION, Broken, Ground, demand, wait_until
from torture.traffic import App, open_jobs, sent


def run(ground: Ground, scale: Scale) -> Figures:
    """Send through every such answer of every carrier, and count what each of them has."""
    clock = WallClock(ground.folder)
    carriers = {name: ground.enter(make()) for name, make in moody.CARRIERS.items()}
    bandwidth = ground.bandwidth = carriers["bandwidth"]
    server = ground.started(
        numbers=[
            {"number": carrier.number, "carrier": name, "extensions": [EXTENSION]}
            for name, carrier in carriers.items()
        ],
        **{name: value for each in carriers.values() for name, value in each.env.items()},
        **clock.env,
    )
    app, texts = App(server), dict.fromkeys(carriers, 0)
    never_taken = {name: Counter[str]() for name in carriers}

    def send(name: str, count: int) -> None:
        for _ in range(count):
            texts[name] += 1
            to = [f"+1303555{texts[name]:04}"]
            asked = {"to": to, "from": carriers[name].number, "text": f"{name} {texts[name]}"}
            status, told = app.call("POST", "/messages", **asked)
            demand(status == 202, f"a reply was answered {status}: {told}")

    def pass_by(seconds: int) -> None:
        clock.skip(seconds)
        for carrier in carriers.values():
            carrier.clock = timedelta(seconds=clock.ahead)

    slow, given = scale.pick(0, 10), 0
    for name, carrier in carriers.items():
        hangs = [Trouble.HANG, *[Trouble.DRIP] * (carrier is bandwidth)] * slow
        carrier.plan(*hangs)
        send(name, len(hangs))
        given += len(hangs)
    wait_until(lambda: not open_jobs(server.storage, "send"), "the end of what hung")
    leads = {"Location": f"{bandwidth.base_url}/elsewhere"}
    redirects = [Answer(status, b"", leads) for status in moody.REDIRECTS]
    for name, carrier in carriers.items():
        times = scale.pick(1, 20 if carrier is bandwidth else 5)
        odd = [*carrier.again, *redirects, *carrier.silent, *carrier.refused, Trouble.CUT] * times
        random.Random(3).shuffle(odd)
        carrier.plan(*odd)
        carrier.mumbles += list(moody.MUMBLES) * times
        send(name, len(odd) + len(carrier.mumbles))
        given += len(odd) + len(carrier.mumbles)
        never_taken[name]["unknown"] = len(carrier.silent) * times
        never_taken[name]["failed"] = len(carrier.refused) * times
    while open_jobs(server.storage, "send"):
        sleep(0.5)
        pass_by(120)
    for name, carrier in carriers.items():
        taken = carrier.texts()
        demand(
            len(taken) == len(set(taken)), f"{name} was sent {len(taken) - len(set(taken))} twice"
        )

    def oddly_ended(name: str) -> dict[str, str]:
        """What has an end that does not follow from what the carrier has; lists are asked late."""
        ends = {t: s for t, s in sent(server.storage).items() if t.startswith(f"{name} ")}
        demand(len(ends) == texts[name], f"{len(ends)} of {texts[name]} replies are kept")
        taken = set(carriers[name].texts())
        wrong = {t: s for t, s in ends.items() if t in taken and s not in carriers[name].ends}
        others = Counter(status for text, status in ends.items() if text not in taken)
        if not wrong and others != never_taken[name]:
            wrong["what it has not"] = f"{dict(others)}"
        return wrong

    def settled() -> bool:
        pass_by(15)
        sleep(0.3)
        return not any(map(oddly_ended, carriers))

    try:
        wait_until(settled, "the end of all")
    except Broken:
        seen = {name: oddly_ended(name) for name in carriers}
        raise Broken(f"an end that does not follow from what was taken: {seen}") from None
    strayed = [path for _, path, _ in bandwidth.requests if "elsewhere" in path]
    demand(not strayed, f"{len(strayed)} redirects were followed")
    # What a jump of the clock has made late is caught up on; what is lost stays lost.
    wait_until(lambda: server.flask("messages", "check").returncode == 0, "a sound ledger")
    return {
        "carriers": len(carriers),
        "odd answers": given,
        "replies": sum(texts.values()),
        "lost": 0,
        "sent twice": 0,
        "redirects followed": 0,
        "shown as unknown and not sent": sum(each["unknown"] for each in never_taken.values()),
        "shown as failed with the reason": sum(each["failed"] for each in never_taken.values()),
    }


CHECK = Check(
    name="carrier_answers",
    claim=(
        "Whatever a carrier answers (429, 5xx, nothing, garbage, too much, a redirect), no reply "
        "is lost or sent twice, and each ends as delivered, failed or visibly unknown."
    ),
    run=run,
    needs=("gcc",),
    mutants=(
        Mutant(
            "services/providers/bandwidth_errors.py",
            'kind, remedy = (RETRY, "") if said else (lost, "")',
            'kind, remedy = RETRY, ""',
            "a proxy's error page counts as “not sent”",
        ),
        Mutant(
            "services/providers/bandwidth_api.py",
            '"Bandwidth took the message, but its answer cannot be read.", Kind.UNKNOWN',
            '"Bandwidth took the message, but its answer cannot be read.", Kind.RETRY',
            "an answer that cannot be read counts as “not sent”",
        ),
        Mutant(
            "services/providers/twilio_errors.py",
            "kind, sentence = lost, quoted",
            "kind, sentence = RETRY, quoted",
            "Twilio’s 5xx counts as “not sent”",
        ),
        Mutant(
            "services/providers/wavix_api.py",
            "raise SendError(reason, Kind.UNKNOWN) from None",
            "raise SendError(reason, Kind.REFUSED) from None",
            "an answer of Wavix’s that cannot be read counts as a refusal",
        ),
        Mutant(
            "services/providers/voipms_errors.py",
            "        kind = lost\n",
            "        kind = RETRY\n",
            "VoIP.ms’s 5xx counts as “not sent”",
        ),
        Mutant(
            "services/providers/voipinnovations_errors.py",
            'kind, remedy = UNKNOWN, "The text may have been taken."',
            'kind, remedy = RETRY, "The text may have been taken."',
            "VoIP Innovations’ 5xx counts as “not sent”",
        ),
    ),
)
