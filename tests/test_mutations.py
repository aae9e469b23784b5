"""Forgeries of each carrier's proof of who calls: none gets in."""

import random
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

from services.core.errors import InvalidWebhook
from tests import payload_files
from tests.payload_files import PROOFS, WireRequest

FEW, MANY = 1_000, 1_000_000  # forgeries of each carrier's calls
ALPHABET = "".join(map(chr, range(0x20, 0x7F))) + "é\x00\t"


def forged(proof: str, chance: random.Random) -> str:
    """The proof with one to four small alterations; never the proof itself."""
    text = list(proof)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        kind = chance.choice(("put", "drop", "change", "swap"))
        if kind == "put" or not text:
            text.insert(at, chance.choice(ALPHABET))
        elif kind == "drop":
            del text[at - 1]
        elif kind == "change":
            text[at - 1] = chance.choice(ALPHABET)
        elif at > 1:
            text[at - 2], text[at - 1] = text[at - 1], text[at - 2]
    altered = "".join(text)
    return altered if altered.strip() != proof else forged(proof, chance)


def altered(request: WireRequest, chance: random.Random) -> WireRequest:
    """The request with every proof in it forged."""

    def header(name: str, value: str) -> str:
        scheme, gap, proof = value.rpartition(" ")
        return scheme + gap + forged(proof, chance) if name.lower() in PROOFS else value

    path, _, query = request.target.partition("?")
    arguments = [
        (name, forged(value, chance) if name == "token" else value)
        for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    return replace(
        request,
        headers={name: header(name, value) for name, value in request.headers.items()},
        target=f"{path}?{urlencode(arguments)}" if arguments else path,
    )


def examples(carrier: str) -> list[Path]:
    return sorted((payload_files.FOLDER / carrier).glob("receive_*.http"))


@pytest.mark.parametrize(
    "forgeries", [FEW, pytest.param(MANY, marks=[pytest.mark.release, pytest.mark.timeout(3600)])]
)
@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_no_forgery_gets_in(carrier: str, forgeries: int) -> None:
    provider = payload_files.provider(carrier)
    chance = random.Random(carrier)
    requests = [payload_files.read_request(path) for path in examples(carrier)]
    for number in range(forgeries):
        call = altered(requests[number % len(requests)], chance).call
        with pytest.raises(InvalidWebhook):
            provider.verify(call)
