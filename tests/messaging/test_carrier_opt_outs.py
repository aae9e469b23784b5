"""What carriers themselves say of opt-outs: their codes, and the keywords that they recognise."""

import pytest

from services.core.messages import AutomaticText
from services.providers import PROVIDERS
from services.store import opt_outs
from services.store.opt_outs import OptOut, Source
from tests.message_steps import Make, receive_call, stored_messages
from tests.payload_files import APP_URL, FOLDER, fresh, settings

OURS, THEIRS = "+12025550143", "+13035550177"
CODES = {
    "bandwidth": {"4475", "4775"},
    "twilio": {"21610"},
    "wavix": {"9"},
    "telnyx": {"40300"},
}


def test_every_carrier_declares_its_codes_for_an_opt_out() -> None:
    declared = {one.name: set(one.opt_out_codes) for one in PROVIDERS if one.opt_out_codes}
    assert declared == CODES


@pytest.mark.parametrize(
    ("carrier", "name", "before", "after"),
    [
        ("twilio", "receive_stop", False, True),
        ("twilio", "receive_opt_out_own_keyword", False, True),
        ("twilio", "receive_opt_out_start", True, False),
        ("twilio", "receive_opt_out_help", True, True),
        ("twilio", "receive_opt_out_odd_type", False, False),
        ("telnyx", "receive_opt_out_stop", False, True),
        ("telnyx", "receive_opt_out_start", True, False),
        ("telnyx", "receive_opt_out_help", True, True),
        ("telnyx", "receive_opt_out_odd_type", False, False),
        ("telnyx", "receive_opt_out_type_null", False, False),
    ],
)
def test_what_a_carrier_has_recognised_is_recorded_and_not_answered_again(
    make_gateway: Make, carrier: str, name: str, before: bool, after: bool
) -> None:
    entry = {"number": OURS, "carrier": carrier, "extensions": ["201"]}
    gateway = make_gateway(entry, APP_URL=APP_URL, **settings(carrier))
    if before:
        known = OptOut(OURS, THEIRS, 1.0, Source.IMPORT)
        gateway.store.write(lambda tx: opt_outs.record(tx, known))
    call = fresh(FOLDER / carrier / f"{name}.http")
    receive_call(gateway, gateway.providers[carrier], call)
    assert bool(gateway.store.read(lambda tx: opt_outs.active(tx, OURS, [THEIRS]))) is after
    assert [m for m in stored_messages(gateway) if isinstance(m.automatic, AutomaticText)] == []
