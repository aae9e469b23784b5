"""The payload files of the carriers, ``tests/payloads/<carrier>/``, for every test that runs them.

``settings.env``       made-up settings of the carrier
``receive_*.http``     a request as over the wire: start line, headers, blank line, body
``status_*.http``      likewise, for what became of a sent message
``….json``             beside it: what is understood, in order; see ``understood``
``send_*.json``        messages to send, the exchanges over the wire, and what follows: ``cases`` by
                       name, in which ``"@name"`` stands for what ``shared`` has by that name
``media.json``         addresses that may and may not be fetched with credentials
``settings.json``      settings that cannot be used and what is named

Push channels have theirs in the same folder, see ``tests/test_push.py``:

``notify_*.json``      a notice for a device, and what its app is shown of it
``answers.json``       what a push service answers, and what follows
``addresses.json``     what devices may register, and what is refused and at which field
"""

import base64
import dataclasses
import json
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
from services.providers.base import Provider, Surroundings
from services.push import CHANNELS

FOLDER = Path(__file__).parent / "payloads"
APP_URL = "https://sms.example.com"
APP_KEY = b"a key for the tests of the payloads"

# The headers by which carriers prove who they are; beside them there is ``token`` in the query.
PROOFS = ("authorization", "x-twilio-signature")


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
    return [
        pytest.param(path.parent.name, case, id=f"{path.parent.name}/{path.stem}/{name}")
        for path in sorted(FOLDER.glob("*/send_*.json"))
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


def provider(carrier: str, env: dict[str, str] | None = None) -> Provider:
    """The carrier with its made-up settings, or with others."""
    cls = provider_class(carrier)
    loaded, problems = variables.load(cls.Settings, cls.prefix(), env or settings(carrier))
    assert loaded is not None, problems
    token = loaded.webhook_token or keys.derived_token(APP_KEY, f"webhook:{carrier}")
    return cls(loaded, Surroundings(Http(), token, APP_URL))


def unsigned(request: WireRequest) -> WireRequest:
    """The same request without any proof of who makes it."""
    headers = {n: value for n, value in request.headers.items() if n.lower() not in PROOFS}
    path, _, query = request.target.partition("?")
    kept = [(n, value) for n, value in parse_qsl(query, keep_blank_values=True) if n != "token"]
    return replace(request, headers=headers, target=f"{path}?{urlencode(kept)}" if kept else path)


TAMPERINGS: dict[str, Callable[[str], str]] = {
    "first character": lambda proof: ("a" if proof[0] != "a" else "b") + proof[1:],
    "last character": lambda proof: proof[:-1] + ("a" if proof[-1] != "a" else "b"),
    "cut": lambda proof: proof[:-1],
    "longer": lambda proof: proof + "a",
    "other case": lambda proof: proof.swapcase(),
    "empty": lambda proof: "",
    "odd": lambda proof: proof + "\xff",
}


def tampered(request: WireRequest, how: str) -> WireRequest:
    """The same request with every proof in it altered; ``how`` is one of ``TAMPERINGS``."""
    alter = TAMPERINGS[how]

    def header(name: str, value: str) -> str:
        scheme, gap, proof = value.rpartition(" ")
        return scheme + gap + alter(proof) if name.lower() in PROOFS else value

    path, _, query = request.target.partition("?")
    arguments = [
        (name, alter(value) if name == "token" else value)
        for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    return replace(
        request,
        headers={name: header(name, value) for name, value in request.headers.items()},
        target=f"{path}?{urlencode(arguments)}" if arguments else path,
    )


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
