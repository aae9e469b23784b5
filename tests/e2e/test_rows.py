"""The tables of ``tests/data`` through a running server: by the webhook of each carrier.

One server for all rows of a table, each row at each carrier with a number of ours of its own. What
follows is seen at the carriers, the app's server, the mailbox, the API and by commands.
"""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Connection

from services.core.messages import Message
from services.store import inbox, jobs
from services.store.database.store import Store
from services.store.jobs import JobKind
from tests.conftest import settings_file
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.mailbox import Mailbox
from tests.fakes.receiver import Receiver
from tests.fakes.telnyx import FakeTelnyx
from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipinnovations import FakeVoipInnovations
from tests.fakes.voipms import FakeVoipMs, did
from tests.fakes.wavix import FakeWavix
from tests.payload_files import APP_URL, provider, signing_key
from tests.row_tables import (
    ANYBODY,
    CARRIERS,
    RECEIVED_AT,
    OptOutCase,
    RuleRow,
    opt_out_cases,
    recorded_words,
    rule_document,
    rule_rows,
)
from tests.server import UNLIMITED, Server
from tests.waiting import PATIENCE, eventually

CONFIRMATION, HELP = "(confirmation)", "(help)"
NORTH_AMERICA_ONLY = ("voipms",)  # its API sends to no other country
TOKENS = {f"{name}_WEBHOOK_TOKEN": "a token of the rows" for name in ("BANDWIDTH", "VOIPMS")}
TOKENS |= {f"{name}_WEBHOOK_TOKEN": "a token of the rows" for name in ("WAVIX", "APIDAZE")}


class RowServer(Server):
    """A server to which a webhook may say when it came in."""

    command = ("gunicorn", "-c", "gunicorn.conf.py", "tests.timed_app:app")


@dataclass(eq=False)
class World:
    """A running server with all carriers, the app's server and a mailbox."""

    server: Server
    carriers: dict[str, Any]
    receiver: Receiver
    mailbox: Mailbox
    env: dict[str, str]
    store: Store

    @cached_property
    def bearer(self) -> dict[str, str]:
        """The head of a call of extension 201's app."""
        made = self.server.flask("devices", "add", "201", "--name", "x", "--json")
        return {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}

    def own(self, numbers: Iterable[str]) -> None:
        """Let the carriers have these numbers of ours."""
        for number in numbers:
            self.carriers["twilio"].add_number(number)
            self.carriers["voipms"].dids.append(did(number[2:]))
            self.carriers["wavix"].sender_ids.append(number[1:])

    def post(self, carrier: str, texts: Sequence[tuple[Message, float | None]]) -> None:
        """Post texts by the webhook of a carrier, each with the time at which it comes in."""
        by, key = provider(carrier, self.env), signing_key(carrier)
        with requests.Session() as session:
            for text, at in texts:
                call = by.example(text, key)
                answer = session.request(
                    call.method,
                    f"{self.server.url}/webhook/{carrier}/sms?{call.query}",
                    headers={**call.headers, **({RECEIVED_AT: str(at)} if at is not None else {})},
                    data=call.body,
                    timeout=PATIENCE,
                )
                assert answer.ok, (carrier, text, answer.text)

    def post_all(self, texts: Iterable[tuple[str, Message, float | None]]) -> None:
        """Post (carrier, text, time), and wait until all has happened that follows."""
        by_carrier: dict[str, list[tuple[Message, float | None]]] = defaultdict(list)
        for carrier, text, at in texts:
            by_carrier[carrier].append((text, at))
        with ThreadPoolExecutor(len(CARRIERS)) as threads:
            list(threads.map(lambda one: self.post(*one), by_carrier.items()))
        eventually(lambda: self.store.read(_is_idle))

    def messages(self) -> list[dict[str, Any]]:
        """All messages, as the command lists them."""
        found: list[dict[str, Any]] = []
        more = ()
        while True:
            done = self.server.flask("messages", "list", "--json", "--limit", "1000", *more)
            assert done.returncode == 0, done.stderr
            page = json.loads(done.stdout)
            found += page
            if len(page) < 1000:
                return found
            more = ("--before", str(page[-1]["seq"]))

    def notified(self) -> dict[str, set[str]]:
        """Extensions and addresses that were told of a message, by its id."""
        found: dict[str, set[str]] = defaultdict(set)
        for push in list(self.receiver.pushes):
            if push["type"] == "message.received":
                found[push["data"]["message"]["id"]].add(push["data"]["extension"])
        for mail in list(self.mailbox.mails):
            found[mail["Message-ID"].strip()[1:].partition(".")[0]].add(str(mail["To"]))
        return found

    def sent(self, carrier: str) -> list[tuple[str, str, str]]:
        """What a carrier has accepted: from, to, text."""
        return [_plain(carrier, one) for one in list(self.carriers[carrier].accepted)]

    def conversations(self) -> dict[str, dict[str, Any]]:
        """The conversations of the app, those of blocked senders included, by our number."""
        found = {}
        for blocked in ("0", "1"):
            query = {"limit": "200", "blocked": blocked}
            while True:
                answer = requests.get(
                    f"{self.server.url}/api/v1/conversations",
                    params=query,
                    headers=self.bearer,
                    timeout=PATIENCE,
                ).json()
                found |= {one["number"]: one for one in answer["items"]}
                if answer["next_cursor"] is None:
                    break
                query["cursor"] = answer["next_cursor"]
        return found

    def opt_outs(self) -> dict[str, list[str]]:
        """The numbers of ours of which people have opted out, by their address."""
        done = self.server.flask("optouts", "export", "-")
        assert done.returncode == 0, done.stderr
        found: dict[str, list[str]] = defaultdict(list)
        for row in csv.DictReader(io.StringIO(done.stdout)):
            if not row["lifted_at"]:
                peer, number = (row[name].removeprefix("'") for name in ("peer", "number"))
                found[peer].append(number)
        return found


def _is_idle(tx: Connection) -> bool:
    """Whether every call is processed, and every text sent, pushed and mailed, or given up."""
    left = [kind for kind, state in jobs.counts(tx) if state != "dead"]
    return not inbox.count(tx) and all(kind == JobKind.RECONCILE for kind in left)


def _plain(carrier: str, taken: dict[str, Any]) -> tuple[str, str, str]:
    """From, to and text of what a carrier has accepted."""
    fields = {
        "bandwidth": lambda m: (m["from"], m["to"][0], m["text"]),
        "telnyx": lambda m: (m["from"], m["to"], m["text"]),
        "twilio": lambda m: (m["From"], m["To"], m["Body"]),
        "voipinnovations": lambda m: (m["from"], m["to"], m["body"]),
        "voipms": lambda m: (f"1{m['did']}", f"1{m['dst']}", m["message"]),
        "wavix": lambda m: (m["from"], m["to"], m["message_body"]["text"]),
    }
    sender, to, text = fields[carrier](taken)
    return _address(sender), _address(to), text


def _address(written: str) -> str:
    """A number with its plus, also after ``whatsapp:``; a short code as it is."""
    digits = written.rpartition(":")[2].lstrip("+")
    return f"+{digits}" if len(digits) > 8 else digits


@pytest.fixture
def world(tmp_path: Path, database: str) -> Iterator[Callable[..., World]]:
    """Start the server with a document of Message Settings and more variables."""
    with ExitStack() as opened:

        def start(document: str, **more: str) -> World:
            carriers: dict[str, Any] = {
                "bandwidth": FakeBandwidth(),
                "telnyx": FakeTelnyx(),
                "twilio": FakeTwilio(),
                "voipinnovations": FakeVoipInnovations(),
                "voipms": FakeVoipMs(),
                "wavix": FakeWavix(),
            }
            env = {**UNLIMITED, **TOKENS, "APP_URL": APP_URL, "DATABASE_URL": database}
            receiver, mailbox = Receiver(), Mailbox()
            for fake in (*carriers.values(), receiver, mailbox):
                opened.enter_context(fake)
                env |= fake.env
            env |= {"OPT_OUT_CONFIRMATION": CONFIRMATION, "OPT_OUT_HELP": HELP, **more}
            (tmp_path / "message_settings.json").write_text(document, encoding="utf-8")
            server = RowServer(tmp_path, env)
            server.start()
            opened.callback(server.stop)
            store = Store(database or None, tmp_path)
            opened.callback(store.close)
            return World(server, carriers, receiver, mailbox, env, store)

        yield start


# Rules


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
def test_texts_go_where_the_rules_say(world: Callable[..., World], table: str) -> None:
    both = [(row, carrier) for row in rule_rows(table) for carrier in row.carriers]
    cases = [RuleCase(*one, index) for index, one in enumerate(both)]
    document, ours = spread(rule_document(table), cases)
    here = world(document, SEND_COUNTRIES="*")
    here.own(ours.values())

    def prepare(tx: Connection) -> None:
        for case in cases:
            case.row.prepare(tx, ours[case.index], case.peer)

    here.store.write(prepare)
    here.post_all((case.carrier, case.text, case.row.at) for case in cases)

    inbound = {one["number"]: one for one in here.messages() if one["direction"] == "in"}
    notified = here.notified()
    answers: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for carrier in CARRIERS:
        for number, to, text in here.sent(carrier):
            if text not in (CONFIRMATION, HELP):
                answers[number].append((to, text))
    wrong = []
    for case in cases:
        number, row = ours[case.index], case.row
        text = inbound[number]
        got = " ".join(sorted(notified[text["id"]])) or "-"
        peer = case.peer.rpartition(":")[2]
        is_sent = row.answer != "-" and not (
            case.carrier in NORTH_AMERICA_ONLY and not peer.startswith("+1")
        )
        expected = (
            row.recipients,
            [(peer, row.answer)] if is_sent else [],
            row.rules,
            row.text,
        )
        found = (
            got if text["routed"] else "unassigned",
            answers[number],
            text["rule"] or "-",
            text["text"],
        )
        if found != expected:
            wrong.append((row.place, case.carrier, found, expected))
    assert wrong == []


# STOP, START, HELP


@pytest.mark.timeout(300)
def test_opt_outs_are_recorded_and_answered(world: Callable[..., World]) -> None:
    check_opt_outs(world, "")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("variable", ["OPT_OUT_SCOPE=all", "WAVIX_CONFIRM_STOP=true"])
def test_opt_outs_with_other_settings(world: Callable[..., World], variable: str) -> None:
    check_opt_outs(world, variable)


def check_opt_outs(world: Callable[..., World], variable: str) -> None:
    """Post the rows for a variable of the environment, and compare what follows."""
    cases = opt_out_cases(variable)
    more = dict([variable.split("=")]) if variable else {}
    here = world(settings_file(*(case.entry for case in cases)), **more)
    here.own(case.number for case in cases)
    here.store.write(partial(_prepare, cases=cases))
    here.post_all((case.carrier, case.message, None) for case in cases)

    notified, conversations, opted_out = here.notified(), here.conversations(), here.opt_outs()
    inbound = {one["number"]: one for one in here.messages() if one["direction"] == "in"}
    answers: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for carrier in CARRIERS:
        for number, to, text in here.sent(carrier):
            answers[carrier, number].append((to, text))
    words = {"": [], "confirmation": [CONFIRMATION], "help": [HELP]}
    wrong = []
    for case in cases:
        conversation = conversations[case.number]
        theirs = [one for one in conversation["opt_outs"] if one["peer"] == case.peer]
        recorded = recorded_words(
            opted_out[case.peer],
            our_number=case.number,
            blocked=conversation["blocked"],
            flagged=conversation["opt_out_suggested"],
        )
        peer = case.peer.rpartition(":")[2]
        found = (
            " ".join(sorted(notified[inbound[case.number]["id"]])),
            recorded,
            answers[case.carrier, case.number],
            bool(theirs),
        )
        is_out = re.search(r"\bout(?! elsewhere)", case.row.recorded) is not None
        expected = (
            case.row.recipients,
            case.row.recorded,
            [(peer, text) for text in words[case.answer]],
            is_out,
        )
        if found != expected:
            wrong.append((case.row.place, case.row.text, case.carrier, found, expected))
    assert wrong == []


def _prepare(tx: Connection, cases: Sequence[OptOutCase]) -> None:
    for case in cases:
        case.prepare(tx)
