"""The table ``tests/data/opt_out.txt`` through a running server: by the webhook of each carrier.

One server for all rows that need the same variables: each row has a number of ours and a person of
its own at each carrier. On PostgreSQL each row runs at one of the carriers.
"""

from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.conftest import settings_file
from tests.row_server import CONFIRMATION, HELP, running_world
from tests.row_tables import one_carrier_each, opt_out_cases, recorded_words

WORDS = {"": [], "confirmation": [CONFIRMATION], "help": [HELP]}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("variable", ["", "OPT_OUT_SCOPE=all", "WAVIX_CONFIRM_STOP=true"])
def test_opt_outs_are_recorded_and_answered(tmp_path: Path, database: str, variable: str) -> None:
    cases = opt_out_cases(variable)
    cases = one_carrier_each(cases) if database else cases
    more = dict([variable.split("=")]) if variable else {}
    document = settings_file(*(case.entry for case in cases))

    def prepare(tx: Connection) -> None:
        for case in cases:
            case.prepare(tx)

    with running_world(tmp_path, database, document, **more) as world:
        world.own(case.number for case in cases)
        world.store.write(prepare)
        world.post_all((case.carrier, case.message, None) for case in cases)

        inbound, notified, sent = world.inbound(), world.notified(), world.sent()
        conversations, opted_out = world.conversations(), world.opt_outs()
        assert [case for case in cases if case.number not in inbound] == []
        wrong = []
        for case in cases:
            conversation = conversations[case.number]
            recorded = recorded_words(
                opted_out[case.peer],
                our_number=case.number,
                blocked=conversation["blocked"],
                flagged=conversation["opt_out_suggested"],
            )
            found = (
                " ".join(sorted(notified[inbound[case.number]["id"]])),
                recorded,
                sent[case.carrier, case.number],
                [one["peer"] for one in conversation["opt_outs"]],
            )
            peers = [case.peer] if case.is_out else []
            answers = [(case.peer.rpartition(":")[2], text) for text in WORDS[case.answer]]
            expected = (case.row.recipients, case.row.recorded, answers, peers)
            if found != expected:
                wrong.append((case.row.place, case.row.text, case.carrier, found, expected))
        assert wrong == []
        # A name, or a country that may not be texted, is refused for that reason.
        people = [case for case in cases if "from" not in case.row.conditions]
        out = [conversations[case.number]["id"] for case in people if case.is_out]
        assert {world.refusal(conversation) for conversation in out} == {"opted_out"}
