"""The operator's page of opt-outs and blocked senders."""

import re
from collections.abc import Callable

import pytest

from services.store import blocked_senders, opt_outs
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY, PEER
from tests.message_steps import receive_text, run_due_jobs


@pytest.fixture
def operator(make_operator: Callable[..., Operator]) -> Operator:
    return make_operator(NUMBER_ENTRY)


def test_the_page_has_the_proof_and_takes_back_with_a_reason(operator: Operator) -> None:
    assert "Nobody has opted out" in operator.get("/opt-outs")
    receive_text(operator.gateway, "STOP")
    page = operator.get("/opt-outs")
    [proof] = operator.gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    assert f"/admin/messages/{proof.message_id}" in page
    assert "By STOP: STOP" in plain(page)
    of_message = operator.get(f"/messages/{proof.message_id}")
    assert "has opted out of texts" in plain(of_message)
    assert "/admin/opt-outs?person=%2B13035550177" in of_message
    row = re.search(r'name="id" value="(\d+)"', page)
    assert row
    refused = operator.post("/opt-outs", 422, do="lift", id=row[1], reason=" ")
    assert "Give the reason" in plain(refused)
    done = operator.post("/opt-outs", do="lift", id=row[1], reason="signed a form")
    assert "own list only" in plain(done)
    assert "Nobody has opted out" in operator.get("/opt-outs")
    assert "administrator : signed a form" in plain(operator.get("/opt-outs?all=1"))
    operator.post("/opt-outs", 404, do="lift", id="x", reason="y")


def test_an_opt_out_is_recorded_and_what_was_typed_stays_if_it_is_wrong(
    operator: Operator,
) -> None:
    page = operator.post("/opt-outs", 422, do="add", person="12", number="", reason="by letter")
    assert 'value="by letter"' in page
    operator.post("/opt-outs", do="add", person="303 555 0177", number=NUMBER, reason="by letter")
    [proof] = operator.gateway.store.read(lambda tx: opt_outs.of(tx, PEER))
    assert (proof.number, str(proof.source)) == (NUMBER, "operator")
    assert "by letter" in operator.get("/opt-outs?person=3035550177")
    assert "by letter" not in operator.get("/opt-outs?person=3035550199")


def test_senders_are_blocked_and_no_longer(operator: Operator) -> None:
    operator.post("/opt-outs", do="block", person=PEER, number="")
    receive_text(operator.gateway, "buy this")
    assert run_due_jobs(operator.gateway) == []
    page = operator.get("/opt-outs")
    assert f"Unblock {PEER}" in plain(page)
    operator.post("/opt-outs", do="unblock", person=PEER, number="*")
    assert operator.gateway.store.read(blocked_senders.every) == []
    operator.post("/opt-outs", 404, do="something")
