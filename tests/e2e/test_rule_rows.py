"""The tables ``tests/data/rules`` through a running server: by the webhook of each carrier.

One server for all rows of a table: each row has a copy of its number of ours at each carrier, and
the rules name all copies. The time of a row is told by a header (``tests/timed_app.py``). On
PostgreSQL each row runs at one of the carriers.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from services.core.messages import Message
from tests.row_server import CONFIRMATION, HELP, running_world
from tests.row_tables import ANYBODY, RuleRow, one_carrier_each, rule_document, rule_rows

NORTH_AMERICA_ONLY = ("voipms",)  # its API sends to no other country


@dataclass(frozen=True)
class RuleCase:
    """A row at one carrier: a copy of its number of ours, and a person of its own."""

    row: RuleRow
    carrier: str
    index: int

    def copied(self, number: str) -> str:
        """The copy of a number of ours or of an alias."""
        if not number.startswith("+"):
            return f"{number}-{self.index}"
        return f"{'+1888555' if number.startswith('+1888') else '+1212555'}{self.index:04}"

    @property
    def peer(self) -> str:
        """The sender."""
        return f"+1305555{self.index:04}" if self.row.peer == ANYBODY else self.row.peer

    @property
    def text(self) -> Message:
        """The text."""
        members = (self.peer, *self.row.members[1:]) if self.row.members else ()
        to = self.copied(self.row.to)
        provider_id = f"row-{self.index}"
        return Message(
            "in", to, self.peer, self.row.text, provider_id=provider_id, participants=members
        )

    @property
    def answers(self) -> list[tuple[str, str]]:
        """The answers that the carrier accepts: to whom, and the text."""
        to = self.peer.rpartition(":")[2]
        is_sent = to.startswith("+1") or self.carrier not in NORTH_AMERICA_ONLY
        return [(to, self.row.answer)] if is_sent and self.row.answer != "-" else []


def spread(document: dict[str, Any], cases: Sequence[RuleCase]) -> tuple[str, dict[int, str]]:
    """Message Settings with a copy of its number for each case, and our numbers by case."""
    entries = {entry["number"]: entry | {"carrier": "bandwidth"} for entry in document["numbers"]}
    aliases = {alias: entry for entry in entries.values() for alias in entry.get("aliases", ())}
    copies: dict[str, list[str]] = defaultdict(list)
    added, ours = [], {}
    for case in cases:
        entry = aliases.get(case.row.to) or entries.get(case.row.to)
        number = entry["number"] if entry is not None else case.row.to
        ours[case.index] = case.copied(number)
        if entry is not None:
            copies[number].append(ours[case.index])
            named = [case.copied(alias) for alias in entry.get("aliases", ())]
            own = {"number": ours[case.index], "carrier": case.carrier, "aliases": named}
            added.append(entry | own)
    rules = [
        rule | ({"to": [n for to in rule["to"] for n in (to, *copies[to])]} if "to" in rule else {})
        for rule in document["inbound"]
    ]
    written = document | {"numbers": [*entries.values(), *added], "inbound": rules}
    return json.dumps(written), ours


@pytest.mark.timeout(300)
@pytest.mark.parametrize("table", ["practice", "branches"])
def test_texts_go_where_the_rules_say(tmp_path: Path, database: str, table: str) -> None:
    both = [(row, carrier) for row in rule_rows(table) for carrier in row.carriers]
    cases = [RuleCase(*one, index) for index, one in enumerate(both)]
    cases = one_carrier_each(cases) if database else cases
    document, ours = spread(rule_document(table), cases)

    def prepare(tx: Connection) -> None:
        for case in cases:
            case.row.prepare(tx, ours[case.index], case.peer)

    with running_world(tmp_path, database, document, SEND_COUNTRIES="*") as world:
        world.own(ours.values())
        world.store.write(prepare)
        world.post_all((case.carrier, case.text, case.row.at) for case in cases)

        inbound, notified, sent = world.inbound(), world.notified(), world.sent()
        assert [case for case in cases if ours[case.index] not in inbound] == []
        wrong = []
        for case in cases:
            text = inbound[ours[case.index]]
            got = " ".join(sorted(notified[text["id"]])) or "-"
            answers = [
                answer
                for answer in sent[case.carrier, ours[case.index]]
                if answer[1] not in (CONFIRMATION, HELP)
            ]
            found = (got if text["routed"] else "unassigned", answers, text["rule"] or "-")
            expected = (case.row.recipients, case.answers, case.row.rules)
            if found != expected or text["text"] != case.row.text:
                wrong.append((case.row.place, case.carrier, found, expected))
        assert wrong == []
