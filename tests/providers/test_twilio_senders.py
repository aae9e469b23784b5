"""Twilio: any sender is taken, but no part of the fields around it passes as one."""

from dataclasses import replace
from urllib.parse import urlencode

import pytest

from services.core.errors import InvalidWebhook
from services.core.messages import WebhookCall
from services.providers.twilio.signature import form_of
from tests import payload_files

CALL = payload_files.read_request(payload_files.FOLDER / "twilio/receive_odd_sender.http").call


def with_fields(fields: dict[str, str]) -> WebhookCall:
    """The call with other fields, under the signature that it has."""
    return replace(CALL, body=urlencode(fields).encode())


def test_the_same_signature_does_not_fit_a_sender_cut_out_of_other_fields() -> None:
    provider = payload_files.provider("twilio")
    fields = dict(form_of(CALL))
    provider.verify(CALL)

    behind = dict(fields)  # the fields behind the sender become a part of it
    for name in ("FromCity", "FromCountry", "FromState", "FromZip"):
        behind["From"] += name + behind.pop(name)
    forged = dict(fields, Body="Your order", From=" is readyFrom" + fields["From"])
    before = provider.proofs[0].sign(with_fields(dict(fields, Body="Your orderFrom is ready")))
    for call in (with_fields(behind), replace(before, body=urlencode(forged).encode())):
        with pytest.raises(InvalidWebhook, match="fields of a message"):
            provider.verify(call)


@pytest.mark.parametrize("written", ["Müller & Söhne", "+72404", "x" * 1000, "a\r\nb", "<b>"])
def test_any_other_sender_is_taken(written: str) -> None:
    provider = payload_files.provider("twilio")
    call = with_fields(dict(form_of(CALL), From=written))
    provider.verify(provider.proofs[0].sign(call))
