"""Forged proofs of each carrier's webhooks are refused."""

import random

import pytest

from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.providers.proofs import Proof
from tests import payload_files
from tests.payload_files import showing, shown

FEW, MANY = 1_000, 1_000_000  # forgeries of each carrier's calls
NOW = 1_772_442_904.0
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


def altered(call: WebhookCall, proof: Proof, chance: random.Random) -> WebhookCall:
    """The call with its proof forged."""
    scheme, gap, value = shown(call, proof).rpartition(" ")
    return showing(call, proof, scheme + gap + forged(value, chance))


@pytest.mark.parametrize(
    "forgeries", [FEW, pytest.param(MANY, marks=[pytest.mark.release, pytest.mark.timeout(3600)])]
)
@pytest.mark.parametrize("carrier", payload_files.carriers())
def test_no_forgery_gets_in(carrier: str, forgeries: int) -> None:
    provider = payload_files.provider(carrier, clock=lambda: NOW)
    chance = random.Random(carrier)
    paths = sorted((payload_files.FOLDER / carrier).glob("receive_*.http"))
    calls = [payload_files.fresh(path, lambda: NOW) for path in paths]
    for number in range(forgeries):
        call = calls[number % len(calls)]
        with pytest.raises(InvalidWebhook):
            provider.verify(altered(call, payload_files.proof_of(call, provider), chance))
