"""A running server with all carriers, for the rows of ``tests/row_tables.py``.

Texts come by the webhook of each carrier. What follows is seen at the carriers, the app's server,
the mailbox, the API and by commands.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Connection

from services.core.messages import Message
from services.store import inbox, jobs
from services.store.database.store import Store
from services.store.jobs import JobKind
from tests.fakes.bandwidth import FakeBandwidth
from tests.fakes.mailbox import Mailbox
from tests.fakes.receiver import Receiver
from tests.fakes.telnyx import FakeTelnyx
from tests.fakes.twilio import FakeTwilio
from tests.fakes.voipinnovations import FakeVoipInnovations
from tests.fakes.voipms import FakeVoipMs, did
from tests.fakes.wavix import FakeWavix
from tests.payload_files import APP_URL, provider, signing_key
from tests.row_tables import CARRIERS, RECEIVED_AT
from tests.server import UNLIMITED, Server
from tests.waiting import PATIENCE, eventually

CONFIRMATION, HELP = "(confirmation)", "(help)"
TOKENS = {f"{name}_WEBHOOK_TOKEN": "a token of the rows" for name in ("BANDWIDTH", "VOIPMS")}
TOKENS |= {f"{name}_WEBHOOK_TOKEN": "a token of the rows" for name in ("WAVIX", "APIDAZE")}


class RowServer(Server):
    """A server to which a webhook may say when it came in."""

    command = ("gunicorn", "-c", "gunicorn.conf.py", "tests.timed_app:timed_app()")


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
        return {"Authorization": f"Bearer {self.server.new_token()}"}

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
                headers = {**call.headers, **({RECEIVED_AT: str(at)} if at is not None else {})}
                url = f"{self.server.url}/webhook/{carrier}/sms?{call.query}"
                request = requests.Request(call.method, url, headers=headers, data=call.body)
                eventually(partial(_is_taken, session, request.prepare()))

    def post_all(self, texts: Iterable[tuple[str, Message, float | None]]) -> None:
        """Post (carrier, text, time), and wait until all has happened that follows."""
        by_carrier: dict[str, list[tuple[Message, float | None]]] = defaultdict(list)
        for carrier, text, at in texts:
            by_carrier[carrier].append((text, at))
        with ThreadPoolExecutor(len(CARRIERS)) as threads:
            list(threads.map(lambda one: self.post(*one), by_carrier.items()))
        eventually(lambda: self.store.read(_is_idle))

    def inbound(self) -> dict[str, dict[str, Any]]:
        """The texts that came in, as the command lists them, by our number."""
        found: list[dict[str, Any]] = []
        more: list[str] = []
        while not found or more:
            done = self.server.flask("messages", "list", "--json", "--limit", "1000", *more)
            assert done.returncode == 0, done.stderr
            page = json.loads(done.stdout)
            found += page
            more = ["--before", str(page[-1]["seq"])] if len(page) == 1000 else []
        return {one["number"]: one for one in found if one["direction"] == "in"}

    def notified(self) -> dict[str, set[str]]:
        """Extensions and addresses that were told of a message, by its id."""
        found: dict[str, set[str]] = defaultdict(set)
        for push in list(self.receiver.pushes):
            if push["type"] == "message.received":
                found[push["data"]["message"]["id"]].add(push["data"]["extension"])
        for mail in list(self.mailbox.mails):
            found[mail["Message-ID"].strip()[1:].partition(".")[0]].add(str(mail["To"]))
        return found

    def sent(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """What the carriers have accepted, (to, text), by carrier and our number."""
        found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for name, carrier in self.carriers.items():
            for sender, *rest in (_plain(name, one) for one in list(carrier.accepted)):
                found[name, sender].append((rest[0], rest[1]))
        return found

    def refusal(self, conversation_id: str) -> str:
        """The code with which the API refuses a text into a conversation; empty if it takes it."""
        answer = requests.post(
            f"{self.server.url}/api/v1/messages",
            json={"conversation_id": conversation_id, "text": "hello"},
            headers=self.bearer,
            timeout=PATIENCE,
        )
        return "" if answer.ok else str(answer.json()["code"])

    def conversations(self) -> dict[str, dict[str, Any]]:
        """The conversations of the app, those of blocked senders included, by our number."""
        found: dict[str, dict[str, Any]] = {}
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


def _is_taken(session: requests.Session, call: requests.PreparedRequest) -> bool:
    """Post a call; what a loaded machine answers with 503 is posted again, as carriers do."""
    answer = session.send(call, timeout=PATIENCE)
    assert answer.ok or answer.status_code == 503, (call.url, call.body, answer.text)
    return answer.ok


def _is_idle(tx: Connection) -> bool:
    """Whether every call is processed, and every text sent, pushed and mailed, or given up."""
    left = [kind for kind, state in jobs.counts(tx) if state != "dead"]
    return not inbox.count(tx) and all(kind == JobKind.RECONCILE for kind in left)


def _plain(carrier: str, taken: dict[str, Any]) -> tuple[str, str, str]:
    """From, to and text of what a carrier has accepted."""
    fields: dict[str, Callable[[dict[str, Any]], tuple[str, str, str]]] = {
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


@contextmanager
def running_world(folder: Path, database: str, document: str, **more: str) -> Iterator[World]:
    """Start the server with a document of Message Settings and more variables, and end it.

    ``database`` is its ``DATABASE_URL``, empty for SQLite in ``folder``.
    """
    carriers: dict[str, Any] = {
        "bandwidth": FakeBandwidth(),
        "telnyx": FakeTelnyx(),
        "twilio": FakeTwilio(),
        "voipinnovations": FakeVoipInnovations(),
        "voipms": FakeVoipMs(),
        "wavix": FakeWavix(),
    }
    receiver, mailbox = Receiver(), Mailbox()
    env = {**UNLIMITED, **TOKENS, "APP_URL": APP_URL, "DATABASE_URL": database}
    with ExitStack() as opened:
        for fake in (*carriers.values(), receiver, mailbox):
            opened.enter_context(fake)
            env |= fake.env
        env |= {"OPT_OUT_CONFIRMATION": CONFIRMATION, "OPT_OUT_HELP": HELP, **more}
        (folder / "message_settings.json").write_text(document, encoding="utf-8")
        server = RowServer(folder, env)
        server.start()
        opened.callback(server.stop)
        store = Store(database or None, folder)
        opened.callback(store.close)
        yield World(server, carriers, receiver, mailbox, env, store)
