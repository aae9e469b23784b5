"""The table ``tests/data/opt_out.csv``: a text in, what is recorded, and what is answered.

``before`` and ``recorded`` are what is kept of the person: ``out`` (opted out), ``blocked``, and
``flag`` (a person should look at the conversation). The texts come by the webhooks of the real
carriers, as these write and prove them.
"""

import csv
from pathlib import Path

import pytest
from sqlalchemy import Connection

from services.core.messages import AutomaticText, Message
from services.gateway import Gateway
from services.store import blocked_senders, opt_outs
from services.store.opt_outs import OptOut, Source
from tests.conftest import NUMBER, PEER
from tests.message_steps import Make, receive_call, stored_messages
from tests.payload_files import settings, signing_key

TABLE = Path(__file__).parent.parent / "data" / "opt_out.csv"
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines(), delimiter=";"))
OURS = {"local": NUMBER, "toll-free": "+18885550143"}
ANSWERS = {AutomaticText.CONFIRMATION: "confirmation", AutomaticText.HELP: "help"}


def known(gateway: Gateway, number: str) -> str:
    def work(tx: Connection) -> str:
        [conversation] = opt_outs.conversations_with(tx, number, PEER)
        return " ".join(
            word
            for word, holds in (
                ("blocked", blocked_senders.blocks(tx, number, PEER)),
                ("out", opt_outs.active(tx, number, [PEER])),
                ("flag", opt_outs.flagged(tx, [conversation])),
            )
            if holds
        )

    return gateway.store.read(work)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(filter(None, row.values())))
def test_a_text_is_recorded_and_answered_as_the_table_says(
    make_gateway: Make, row: dict[str, str]
) -> None:
    carrier, number = row["carrier"].split()[0], OURS[row["our number"]]
    env = settings(carrier)
    if "not confirm" in row["carrier"]:
        env["WAVIX_CONFIRM_STOP"] = "true"
    entry = {"number": number, "carrier": carrier, "extensions": ["201"]}
    gateway = make_gateway(entry, **env)
    proof = OptOut(number, PEER, 1.0, Source.KEYWORD)
    if row["before"] == "out":
        gateway.store.write(lambda tx: opt_outs.record(tx, proof))
    if row["before"] == "blocked":
        gateway.store.write(lambda tx: blocked_senders.add(tx, PEER, number, "test"))
    provider = gateway.providers[carrier]
    text = Message("in", number, PEER, row["text"], provider_id="m1")

    receive_call(gateway, provider, provider.example(text, signing_key(carrier)))

    answers = [m for m in stored_messages(gateway) if m.direction == "out"]
    assert known(gateway, number) == row["recorded"]
    assert [ANSWERS[m.automatic] for m in answers if m.automatic] == row["answered"].split()
    assert [m.recipients for m in answers] == [(PEER,)] * len(row["answered"].split())
