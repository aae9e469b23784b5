"""The payload files of the carriers, ``tests/payloads/<carrier>/``, for every test that runs them.

``settings.env``       made-up settings of the carrier
``receive_*.http``     a request as over the wire: start line, headers, blank line, body
``status_*.http``      likewise, for what became of a sent message
``….json``             beside it: what is understood, in order; see ``understood``
``send_*.json``        messages to send, the exchanges over the wire, and what follows: ``cases`` by
                       name, in which ``"@name"`` stands for what ``shared`` has by that name
``find_sent.json``     likewise, a message to look up at the carrier, and what is found
``check.json``         likewise, the numbers to check, and what is found
``media.json``         addresses that may and may not be fetched with credentials
``settings.json``      settings that cannot be used and what is named
``signing_key.pem``    for a carrier that signs with a private key of its own: a made-up one, whose
                       public half is in ``settings.env``; ``other_signing_key.pem`` is another

Push channels have theirs in the same folder, see ``tests/push/test_channels.py``:

``notify_*.json``      a notice for a device, and what its app is shown of it
``answers.json``       what a push service answers, and what follows
``addresses.json``     what devices may register, and what is refused and at which field
"""

import base64
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from dotenv import dotenv_values

from services.config import keys, variables
from services.core.messages import Attachment, DeliveryStatus, Message, Parsed, WebhookCall
from services.http.client import Http
from services.providers import PROVIDERS
from services.providers.base import Provider, ProviderContext, system_clock
from services.providers.proofs import Proof
from services.push import CHANNELS

FOLDER = Path(__file__).parent / "payloads"
PROVIDERS_FOLDER = Path(__file__).parent.parent / "services" / "providers"
APP_URL = "https://sms.example.com"
APP_KEY = b"a key for the tests of the payloads"
OUR_NUMBER = "+12025550143"  # the one that Message Settings have, where several are named
OUR_ID = "019cae42-8f2b-7c31-9d0e-3b1f5a7c9e21"


@dataclass(frozen=True)
class WireRequest:
    """A request as it came over the wire; ``headers`` have their names as written."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def call(self) -> WebhookCall:
        """The request as carriers see it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        return WebhookCall(self.method, headers, self.target.partition("?")[2], self.body)


def read_request(path: Path) -> WireRequest:
    """Read a ``.http`` file. The line break that ends the file is not part of the body."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    start, *lines = head.decode().splitlines()
    method, target, _ = start.split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines)
    return WireRequest(method, target, headers, body.removesuffix(b"\n"))


def carriers() -> list[str]:
    """The carriers that have payload files."""
    channels = {channel.name for channel in CHANNELS}
    return sorted(p.name for p in FOLDER.iterdir() if p.is_dir() and p.name not in channels)


def cases(pattern: str) -> list[Any]:
    """The files of all carriers that match a pattern, as parameters with readable ids."""
    return [
        pytest.param(path, id=f"{path.parent.name}/{path.stem}")
        for path in sorted(FOLDER.glob(f"*/{pattern}"))
    ]


def expected(path: Path) -> Any:
    """The JSON beside a payload, or the JSON file itself."""
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def send_cases() -> list[Any]:
    """Every case of every ``send_*.json``, as parameters (carrier, case)."""
    return table_cases("send_*.json")


def table_cases(pattern: str) -> list[Any]:
    """Every case of every file that matches a pattern, as parameters (carrier, case)."""
    return [
        pytest.param(path.parent.name, case, id=f"{path.parent.name}/{path.stem}/{name}")
        for path in sorted(FOLDER.glob(f"*/{pattern}"))
        for written in [expected(path)]
        for name, case in _resolved(written["cases"], written.get("shared", {})).items()
    ]


def _resolved(value: Any, shared: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _resolved(part, shared) for name, part in value.items()}
    if isinstance(value, list):
        return [_resolved(part, shared) for part in value]
    if isinstance(value, str) and value.startswith("@"):
        return _resolved(shared[value[1:]], shared)
    return value


def settings(carrier: str) -> dict[str, str]:
    """The carrier's made-up environment."""
    values = dotenv_values(FOLDER / carrier / "settings.env")
    return {name: value for name, value in values.items() if value is not None}


def provider_class(carrier: str) -> type[Provider]:
    """The class of a carrier by its name."""
    return next(provider for provider in PROVIDERS if provider.name == carrier)


def provider(
    carrier: str, env: dict[str, str] | None = None, clock: Callable[[], float] = system_clock
) -> Provider:
    """The carrier with its made-up settings, or with others."""
    cls = provider_class(carrier)
    loaded, problems = variables.load(cls.Settings, cls.prefix(), env or settings(carrier))
    assert loaded is not None, problems
    token = loaded.webhook_token or keys.derived_token(APP_KEY, f"webhook:{carrier}")
    ours = {OUR_NUMBER}
    return cls(loaded, ProviderContext(Http(), token, APP_URL, clock, is_ours=ours.__contains__))


def signing_key(carrier: str, name: str = "signing_key") -> bytes | None:
    """The private key (PEM) of a carrier that signs with a key of its own, else ``None``.

    Its public half is in ``settings.env``; ``other_signing_key`` is not the carrier's.
    """
    path = FOLDER / carrier / f"{name}.pem"
    return path.read_bytes() if path.exists() else None


def proof_of(call: WebhookCall, by: Provider) -> Proof:
    """The proof that a call shows."""
    return next(
        proof
        for proof in by.proofs
        if proof.header in call.headers or (proof.argument and call.argument(proof.argument))
    )


def proof_headers() -> frozenset[str]:
    """The headers by which the carriers prove who they are, in lower case."""
    proofs = [proof for carrier in carriers() for proof in provider(carrier).proofs]
    return frozenset(filter(None, (name for p in proofs for name in (p.header, p.timestamp))))


def signed_at(call: WebhookCall, proof: Proof) -> float:
    """When a captured call was signed (seconds since 1970); now where it does not say so."""
    return float(call.headers[proof.timestamp]) if proof.timestamp else time.time()


def arrived(path: Path) -> WebhookCall:
    """A captured call as the webhook hands it to its carrier."""
    return provider(path.parent.name).normalised(read_request(path).call)


def captured(path: Path) -> tuple[Provider, WebhookCall]:
    """A captured call, and its carrier at the time of the call."""
    call = arrived(path)
    proof = proof_of(call, provider(path.parent.name))
    return provider(path.parent.name, clock=lambda: signed_at(call, proof)), call


def fresh(path: Path, clock: Callable[[], float] = system_clock) -> WebhookCall:
    """A captured call as it would be made now: signed anew where the signature does not last."""
    call, by = arrived(path), provider(path.parent.name, clock=clock)
    proof = proof_of(call, by)
    if not proof.window:
        return call
    return proof.sign(without_proof(call, proof), signing_key(by.name))


def without_proof(call: WebhookCall, proof: Proof) -> WebhookCall:
    """The call without a proof."""
    gone = {proof.header, proof.timestamp} - {""}
    headers = {name: value for name, value in call.headers.items() if name not in gone}
    return replace(call, headers=headers, query=_query_with(call.query, proof.argument, None))


def _query_with(query: str, argument: str, value: str | None) -> str:
    """A query whose argument has another value, or is not there any more (``None``)."""
    if not argument:
        return query
    told = [(n, v) for n, v in parse_qsl(query, keep_blank_values=True) if n != argument]
    return urlencode([*told, *([] if value is None else [(argument, value)])])


def shown(call: WebhookCall, proof: Proof) -> str:
    """What a call shows for a proof."""
    return call.argument(proof.argument) if proof.argument else call.headers[proof.header]


def showing(call: WebhookCall, proof: Proof, value: str) -> WebhookCall:
    """The call with another value in the place of a proof."""
    if proof.argument:
        return replace(call, query=_query_with(call.query, proof.argument, value))
    return replace(call, headers={**call.headers, proof.header: value})


def _respelled(value: str) -> str:
    """Base64 with other unused bits, which a lenient reader takes for the same bytes."""
    stem = value.rstrip("=")
    if stem == value:
        return f"{value}="
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = letters[letters.index(stem[-1]) ^ 1]
    return stem[:-1] + last + value[len(stem) :]


ALTERATIONS: dict[str, Callable[[str], str]] = {
    "empty": lambda value: "",
    "another first character": lambda value: ("a" if value[0] != "a" else "b") + value[1:],
    "another last character": lambda value: value[:-1] + ("a" if value[-1] != "a" else "b"),
    "cut": lambda value: value[:-1],
    "longer": lambda value: value + "a",
    "in other case": lambda value: value.swapcase(),
    "in another spelling": _respelled,
    "with an odd character": lambda value: value + "\xff",
}


def proved_calls(carrier: str) -> dict[str, Path]:
    """For each proof that a carrier may show (by its place) one captured call that shows it."""
    by, found = provider(carrier), dict[str, Path]()
    for path in sorted((FOLDER / carrier).glob("receive_*.http")):
        found.setdefault(_place(proof_of(arrived(path), by)), path)
    return found


def _place(proof: Proof) -> str:
    return proof.header or f"?{proof.argument}"


def spoiled(path: Path, now: float) -> dict[str, WebhookCall]:
    """A captured call with its proof spoiled in each way in which it can be: none may get in."""
    carrier = path.parent.name
    call, by = fresh(path, lambda: now), provider(carrier, clock=lambda: now)
    proof = proof_of(call, by)
    scheme, gap, value = shown(call, proof).rpartition(" ")
    bare, key = without_proof(call, proof), signing_key(carrier)
    calls = {
        name: showing(call, proof, scheme + gap + alter(value))
        for name, alter in ALTERATIONS.items()
    }
    calls["missing"] = bare
    elsewhere = _proof(proof, provider(carrier, _other_secrets(carrier), lambda: now))
    other_key = signing_key(carrier, "other_signing_key")
    calls["of another installation"] = elsewhere.sign(bare, other_key)
    if "body" in proof.covers:
        middle = len(call.body) // 2
        body = call.body[:middle] + bytes([call.body[middle] ^ 1]) + call.body[middle + 1 :]
        calls["another body"] = replace(call, body=body)
        calls["a longer body"] = replace(call, body=call.body + b" ")
        other = proof.sign(replace(bare, body=body), key)
        calls["the proof of another call"] = showing(call, proof, shown(other, proof))
    if "query" in proof.covers:
        calls["another address"] = replace(call, query=f"{call.query}&m={OUR_ID}".lstrip("&"))
    if proof.window:
        late, early = (now - proof.window - 60, now + proof.window + 60)
        for name, at in (("too old", late), ("from the future", early)):
            then = _proof(proof, provider(carrier, clock=lambda at=at: at))  # type: ignore[misc]
            calls[name] = then.sign(bare, key)
        headers = {name: v for name, v in call.headers.items() if name != proof.timestamp}
        calls["without its time"] = replace(call, headers=headers)
        for written in (f"{now + 1:.0f}", f"{now:.0f}.5", "", "now", "٣", "-1", "9" * 400):
            told = {**call.headers, proof.timestamp: written}
            calls[f"another time: {written[:12]}"] = replace(call, headers=told)
    return calls


def _proof(like: Proof, by: Provider) -> Proof:
    """The proof that stands at the same place, of another provider."""
    return next(proof for proof in by.proofs if _place(proof) == _place(like))


def _other_secrets(carrier: str) -> dict[str, str]:
    """The carrier's settings with other secrets, as at another installation."""
    cls, env = provider_class(carrier), settings(carrier)
    names = {v.name for v in variables.variables(cls.Settings, cls.prefix()) if v.secret}
    return {name: value[::-1] if name in names else value for name, value in env.items()}


def understood(parsed: Parsed) -> dict[str, Any]:
    """One thing that was read, as the ``.json`` files write it.

    Only what differs from its default is there; ids and times of our own are left out. The bytes of
    a file are base64. The body of an ``unreadable`` is JSON where it is JSON.
    """
    if isinstance(parsed, Message):
        return {"message": _differences(parsed, "id", "created_at", "updated_at", "provider")}
    if isinstance(parsed, DeliveryStatus):
        return {"status": _differences(parsed)}
    try:
        body = json.loads(parsed.body.decode())
    except (ValueError, RecursionError):
        body = parsed.body.decode("utf-8", "replace")
    return {"unreadable": {"reason": parsed.reason, "body": body}}


def _differences(parsed: Any, *left_out: str) -> dict[str, Any]:
    return {
        field.name: _plain(field.name, getattr(parsed, field.name))
        for field in dataclasses.fields(parsed)
        if field.name not in left_out and getattr(parsed, field.name) != field.default
    }


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if name == "media":
        return [_differences(file, "id") for file in value]
    return list(value) if isinstance(value, tuple) else value


def outbound(written: dict[str, Any], folder: Path) -> Message:
    """A message to send from its JSON; the bytes of its files are laid into ``folder``."""
    files = []
    for position, file in enumerate(written.get("media", [])):
        path = folder / str(position)
        if file.get("bytes") is not None:
            path.write_text(file["bytes"], encoding="utf-8")
        described = {name: value for name, value in file.items() if name != "bytes"}
        files.append(Attachment(**described, path=path, state="kept"))
    fields = {name: value for name, value in written.items() if name != "media"}
    fields["participants"] = tuple(fields.get("participants", ()))
    return Message(direction="out", media=tuple(files), **fields)
