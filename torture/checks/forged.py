"""G15: webhook authentication: forged calls, replayed calls, and empty secrets.

For a carrier that signs its calls, every part of the call is changed; for a carrier with a token or
a password, that proof is changed. A change that leaves the proof valid does not count. Twilio's
signature stays valid when the boundary between two fields moves: the parsed result must then be the
same as that of the signed call.
"""

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import time
from unittest.mock import patch
from urllib.parse import parse_qsl, quote, urlencode

from sqlalchemy import select

from services.config import variables
from services.core.errors import ConfigError, InvalidWebhook
from services.core.messages import Message, WebhookCall
from services.gateway import load_environment
from services.http.client import Http
from services.providers.base import Provider, ProviderContext, system_clock
from services.providers.proofs import Proof
from services.providers.twilio.signature import TwilioSignature, signature
from services.store.database import schema
from tests import payload_files
from tests.api.conftest import Service
from tests.payload_files import understood
from torture.check import Check, Figures, Mutant, Scale
from torture.environment import TestEnvironment, require
from torture.in_process import full_env, open_service

NOW = 1_772_442_904.0
PROOFS = payload_files.proof_headers()
REPLAY_DELAYS = (0.0, 3600.0, 400 * 86_400.0)  # seconds after the first time
EMPTY_VALUES = ("", "null", "None", " ", "%00", "undefined")
CHECKED_TABLES = (
    schema.messages,
    schema.attachments,
    schema.jobs,
    schema.conversations,
    schema.receipts,
)

Change = Callable[[random.Random, str], str]


def _bit(chance: random.Random, text: str) -> str:
    if not text:
        return "x"
    at = chance.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ 1 << chance.randrange(7)) + text[at + 1 :]


def _odd(chance: random.Random, text: str) -> str:
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice("\x00\t\n\xe9\xff\u0430\u202e=&%+ ") + text[at:]


def _swap(chance: random.Random, text: str) -> str:
    at = chance.randrange(max(len(text) - 1, 1))
    return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


CHANGES: tuple[Change, ...] = (
    _bit, _bit, _bit, _odd, _swap,
    lambda chance, text: text[: chance.randint(0, len(text))],
    lambda chance, text: text[chance.randint(1, 3) :],
    lambda chance, text: text + chance.choice("aA0=\x00"),
    lambda chance, text: text * 2,
    lambda _, text: text.swapcase(),
    lambda _, text: text[::-1],
    lambda _, text: quote(quote(text, safe=""), safe=""),
    lambda _, text: base64.b64encode(text.encode()).decode(),
    lambda chance, _: chance.choice(EMPTY_VALUES),
    lambda chance, _: chance.randbytes(24).hex(),
)  # fmt: skip


@dataclass(frozen=True)
class Authentic:
    """A captured call of a carrier, and the test whether another call is forged."""

    provider: Provider
    call: WebhookCall
    others: frozenset[object]  # the signed content, or the Basic credentials, of all captured calls

    @property
    def signs(self) -> bool:
        """Whether the carrier signs what it says."""
        return bool(self.proof.covers)

    @property
    def proof(self) -> Proof:
        """What proves the call."""
        return payload_files.proof_of(self.call, self.provider)

    def is_forged(self, call: WebhookCall) -> bool:
        """Whether a call has content that was not signed, or lacks the proof."""
        if self.signs:
            return _meaning(call, self.proof) not in self.others
        tokens = [value for name, value in parse_qsl(call.query) if name == "token"]
        return self.provider.webhook_token not in tokens and _basic(call) not in self.others

    def says_the_same(self, call: WebhookCall) -> bool:
        """Whether a signed call is parsed to exactly what the carrier has signed."""
        shown = self.signs and _proofs(call) == _proofs(self.call)
        return shown and self._parsed(call) == self._parsed(self.call)

    def _parsed(self, call: WebhookCall) -> list[object]:
        """The parsed items of a call, without the time of a receipt and the raw body."""
        read = [understood(item) for item in self.provider.parse(call)]
        return [
            {kind: {n: v for n, v in parameters.items() if n not in ("at", "body")}}
            for item in read
            for kind, parameters in item.items()
        ]


def _basic(call: WebhookCall) -> str:
    return call.headers.get("authorization", "").partition(" ")[2].strip()


def _meaning(call: WebhookCall, proof: Proof) -> object:
    """All that a signature stands for; a field that is there twice alike is there once."""
    told = parse_qsl(call.query, keep_blank_values=True) if "query" in proof.covers else []
    form = call.form() if call.method == "POST" else []
    shown = call.headers.get(proof.header), call.headers.get(proof.timestamp)
    return call.method, shown, frozenset(told), frozenset(form), _json(call)


def _json(call: WebhookCall) -> bytes:
    return call.body if "json" in call.headers.get("content-type", "") else b""


def authentic(carrier: str, clock: Callable[[], float] = system_clock) -> list[Authentic]:
    """The calls of a carrier's payload files, as they would be made now."""
    provider = payload_files.provider(carrier, clock=clock)
    paths = sorted((payload_files.FOLDER / carrier).glob("*_*.http"))
    calls = [payload_files.fresh(path, clock) for path in paths]
    for call in calls:
        provider.verify(call)  # else what follows proves nothing
    signed = [_meaning(call, proof) for proof in provider.proofs if proof.covers for call in calls]
    others = frozenset(signed or filter(None, map(_basic, calls)))
    return [Authentic(provider, call, others) for call in calls]


def forgeries(carrier: str, count: int) -> Iterator[tuple[Authentic, WebhookCall]]:
    """So many calls that the carrier never made."""
    chance, known = random.Random(carrier), authentic(carrier, lambda: NOW)
    proofs = [
        other.call for name in payload_files.carriers() for other in authentic(name, lambda: NOW)
    ]
    while count:
        one = chance.choice(known)
        call = _forged(chance, one, proofs)
        if one.is_forged(call):
            count -= 1
            yield one, call


def _forged(chance: random.Random, one: Authentic, others: list[WebhookCall]) -> WebhookCall:
    call = one.call
    kind = chance.randrange(10)
    if kind == 0:  # the proof of another call, of any carrier
        other = chance.choice(others)
        return replace(call, headers={**call.headers, **_proofs(other)}, query=other.query)
    if kind == 1:  # the proof in another header or parameter
        return _moved(one)
    if one.signs and kind < 8:
        return _retold(chance, call)
    body = chance.choice([call.body, b"", b"[]", _bytes_of(chance, call.body)])
    headers = {
        name: value if name == "content-type" or chance.random() < 0.1 else _proof(chance, value)
        for name, value in call.headers.items()
    }
    if chance.random() < 0.1:
        headers = {name: value for name, value in headers.items() if name == "content-type"}
    parameters = [
        (n, _changed(chance, v)) for n, v in parse_qsl(call.query, keep_blank_values=True)
    ]
    return replace(call, headers=headers, query=_query(parameters), body=body)


def _proofs(call: WebhookCall) -> dict[str, str]:
    return {name: call.headers[name] for name in PROOFS if name in call.headers}


def _moved(one: Authentic) -> WebhookCall:
    token = one.provider.webhook_token
    headers = {n: v for n, v in one.call.headers.items() if n not in PROOFS}
    headers |= {"authorization": f"Bearer {token}", "x-token": token, "cookie": f"token={token}"}
    query = f"Token={token}&token[]={token}&tokens={token}&token=%20{token}"
    return replace(one.call, headers=headers, query=query, body=b"token=" + token.encode())


def _retold(chance: random.Random, call: WebhookCall) -> WebhookCall:
    """A call with its original signature and changed content."""
    if call.method == "POST" and chance.random() < 0.8:
        form = _fields(chance, call.form())
        return replace(call, body=_query(form).encode("utf-8", "replace"))
    return replace(call, query=_query(_fields(chance, parse_qsl(call.query))))


def _fields(chance: random.Random, form: list[tuple[str, str]]) -> list[tuple[str, str]]:
    form = list(form) or [("a", "b")]
    at = chance.randrange(len(form))
    name, value = form[at]
    kind = chance.randrange(7)
    if kind == 0:
        form[at] = (name, _changed(chance, value))
    elif kind == 1:
        form[at] = (_changed(chance, name), value)
    elif kind == 2:
        del form[at]
    elif kind == 3:
        form.insert(at, (name, _changed(chance, value)))
    elif kind == 4:  # the same characters, with another boundary between name and value
        cut = chance.randint(0, len(name + value))
        form[at] = ((name + value)[:cut], (name + value)[cut:])
    elif kind == 5:  # two fields joined to one
        form[at] = (name, value + "".join(form[at - 1]))
        del form[at - 1]
    else:
        form.append((_changed(chance, "Body"), "x"))
    return form


def _query(parameters: list[tuple[str, str]]) -> str:
    return urlencode(
        [(n.encode("utf-8", "replace"), v.encode("utf-8", "replace")) for n, v in parameters]
    )


def _changed(chance: random.Random, text: str) -> str:
    return chance.choice(CHANGES)(chance, text)


def _proof(chance: random.Random, value: str) -> str:
    scheme, gap, proof = value.rpartition(" ")
    return scheme + gap + _changed(chance, proof)


def _bytes_of(chance: random.Random, body: bytes) -> bytes:
    at = chance.randint(0, len(body))
    return body[:at] + chance.randbytes(1) + body[at + 1 :]


def forge(count: int) -> tuple[int, int]:
    """Verify ``count`` forged calls per carrier; returns how many were refused, and how many were
    accepted because they parse to exactly what was signed."""
    shown = same = 0
    for carrier in payload_files.carriers():
        for one, call in forgeries(carrier, count):
            try:
                one.provider.verify(call)
            except InvalidWebhook:
                shown += 1
            else:  # another field boundary in a part that is not parsed
                require(one.says_the_same(call), f"{carrier} accepted a forged call: {call}")
                same += 1
    return shown, same


# Replays


def replay(environment: TestEnvironment) -> int:
    """Post every captured call again, now and much later; returns the number of replays.

    Calls without a message id of the carrier are left out: the same text later is then a new text.
    """
    numbers = [
        {"number": number, "carrier": "twilio", "extensions": ["201"], "emails": ["a@example.com"]}
        for number in ("+12025550143", "+12025550100")
    ]
    service = open_service(environment, *numbers, name="replays", **full_env())
    calls = [
        (carrier, each)
        for carrier in payload_files.carriers()
        for each in authentic(carrier)
        if _same_later(each)
    ]
    for carrier, each in calls:
        _post(service, carrier, each.call)
    before = _rows(service)
    require(len(before) > 100, "hardly anything was kept: nothing is shown")
    now = time()
    for later in REPLAY_DELAYS:
        with patch("time.time", lambda later=later: now + later):
            for carrier, each in calls:
                _post(service, carrier, each.call, late=0 < each.proof.window < later)
        require(_rows(service) == before, f"a replay after {later:.0f} s changed something")
    return len(calls) * len(REPLAY_DELAYS)


def _same_later(one: Authentic) -> bool:
    def ids(at: float) -> list[str | None]:
        with patch("time.time", lambda: at):
            read = list(one.provider.parse(one.call))
        return [item.provider_id for item in read if isinstance(item, Message)]

    known = ids(time())
    return None not in known and known == ids(time() + REPLAY_DELAYS[-1])


def _post(service: Service, carrier: str, call: WebhookCall, *, late: bool = False) -> None:
    """Post a call; with ``late`` after its signature's time, when it must be refused."""
    answer = service.client.open(
        f"/webhook/{carrier}/sms?{call.query}",
        method=call.method,
        headers=list(call.headers.items()),
        data=call.body,
    )
    right = answer.status_code == 401 if late else answer.status_code < 300
    require(right, f"{carrier} was answered {answer.status_code}: {answer.text}")


def _rows(service: Service) -> list[str]:
    """All rows that texts and receipts create."""
    service.gateway.processor.process_all()
    return service.gateway.store.read(
        lambda tx: [str(row) for table in CHECKED_TABLES for row in tx.execute(select(table))]
    )


# Empty secrets


def without_secrets() -> int:
    """Set each secret to an empty value; returns how many attempts were refused."""
    tried = 0
    for name in ("APP_KEY", "RINGOTEL_TOKEN", *_secrets()):
        for written in (None, "", "null", "(empty)", '""'):
            env = {k: v for k, v in full_env().items() if k != name}
            env |= {} if written is None else {name: written}
            tried += _is_refused(name, env)
    for carrier in payload_files.carriers():  # and providers that were built with an empty token
        cls = payload_files.provider_class(carrier)
        settings, _ = variables.load(cls.Settings, cls.prefix(), payload_files.settings(carrier))
        assert settings is not None, carrier
        bare = cls(settings, ProviderContext(Http(), "", payload_files.APP_URL))
        for call in _calls_with_empty_proofs(bare):
            require(not _accepts(bare, call), f"{carrier} without a token admits {call}")
            tried += 1
    return tried


def _secrets() -> list[str]:
    classes = [payload_files.provider_class(carrier) for carrier in payload_files.carriers()]
    return [
        v.name
        for cls in classes
        for v in variables.variables(cls.Settings, cls.prefix())
        if v.secret
    ]


def _is_refused(name: str, env: dict[str, str]) -> int:
    try:
        environment = load_environment(
            {"APP_ENV": "production", "STORAGE_PATH": "/nonexistent", **env}
        )
    except ConfigError as error:
        require(name.partition("_")[0] in str(error), f"{name} empty: {error}")
        return 1
    for carrier, settings in environment.carriers.items():
        cls = payload_files.provider_class(carrier)
        token = environment.webhook_token(carrier)
        require(len(token) > 12, f"{name} empty: the token of {carrier} is “{token}”")
        provider = cls(settings, ProviderContext(Http(), token, payload_files.APP_URL))
        for call in _calls_with_empty_proofs(provider):
            require(not _accepts(provider, call), f"{name} empty: {carrier} admits {call}")
    return 1


def _calls_with_empty_proofs(provider: Provider) -> Iterator[WebhookCall]:
    """Calls with the proofs that would be right for an empty secret."""
    form = [
        ("AccountSid", "AC" + "0" * 32),
        ("MessageSid", "SM" + "0" * 32),
        ("To", "+12025550143"),
    ]
    body = urlencode([*form, ("From", "+13035550177"), ("Body", "x")]).encode()
    for secret in EMPTY_VALUES:
        for query in ("", f"token={quote(secret)}", "token", "token=&token="):
            basics = [f"Basic {base64.b64encode(pair.encode()).decode()}" for pair in
                      (":", secret, f"textbridge:{secret}", f"{secret}:{secret}")]  # fmt: skip
            for proof in ("", "Basic", "Basic ", f"Bearer {secret}", *basics):
                headers = {"authorization": proof}
                address = f"{provider.webhook_url.partition('?')[0]}{f'?{query}' if query else ''}"
                fields = [*form, ("From", "+13035550177"), ("Body", "x")]
                headers |= {
                    TwilioSignature.header: signature(secret, address, fields),
                    "content-type": "application/x-www-form-urlencoded",
                }
                yield WebhookCall("POST", headers, query, body)


def _accepts(provider: Provider, call: WebhookCall) -> bool:
    try:
        provider.verify(call)
    except InvalidWebhook:
        return False
    return True


def run(environment: TestEnvironment, scale: Scale) -> Figures:
    """Forge calls, replay calls, and try empty secrets."""
    refused, same = forge(scale.pick(2_000, 100_000))
    return {
        "carriers": len(payload_files.carriers()),
        "forged calls refused": refused,
        "accepted": 0,
        "cut elsewhere, and read as they were signed": same,
        "replays": replay(environment),
        "changes by replays": 0,
        "tries with an empty secret": without_secrets(),
    }


CHECK = Check(
    name="forged",
    claim=(
        "A forged webhook is never accepted, a replayed one changes nothing, and an empty "
        "secret never authenticates a caller."
    ),
    run=run,
    mutants=(
        Mutant(
            "services/providers/base.py",
            "[proof.require for proof in self.proofs]",
            "[lambda call: None]",
            "the check of signatures, tokens and passwords is commented out",
        ),
        Mutant(
            "services/core/secrets.py",
            "return bool(expected) and hmac.compare_digest(",
            "return hmac.compare_digest(",
            "an empty secret is accepted",
        ),
        Mutant(
            "services/providers/proofs.py",
            "same_secret(call.argument(self.argument), self._token)",
            "same_secret(call.argument(self.argument).lower(), self._token.lower())",
            "tokens are compared without regard to case",
        ),
        Mutant(
            "services/providers/twilio/signature.py",
            "        require_sense(call, self._account)",
            "",
            "a signature is accepted for other field boundaries",
        ),
        Mutant(
            "services/store/messages.py",
            "rows = [_row(one) for one in kept if",
            "rows = [_row(replace(one, provider_id=one.id)) for one in kept if",
            "a repeated text is stored again",
        ),
    ),
)
