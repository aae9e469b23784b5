"""A second number: the first text of a conversation after a certain refusal of the number."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.core.errors import Kind, SendError
from services.core.messages import Attachment, Device, Message, Status, message_object, uuid7
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.operations import timeline
from services.store import attachments, job_leasing, jobs, opt_outs
from services.store.maintenance import invariants
from services.store.opt_outs import OptOut, Source
from tests.message_steps import (
    failing,
    jobs_of,
    make_due,
    run_due_jobs,
    stored,
    stored_messages,
)

A, B, C = "+12025550143", "+12025550150", "+442071838750"
UK = "+447700900123"
REFUSED = "not_yours"
NUMBERS = [
    {"number": A, "carrier": "sandbox", "extensions": ["201"]},
    {"number": B, "carrier": "sandbox", "extensions": ["205"]},
    {"number": C, "carrier": "sandbox", "extensions": ["201"]},
]
RULE: dict[str, Any] = {"name": "UK", "to": ["+44*"], "from": [C, B, A]}
DEVICE = Device(id="d", extension="201")


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], database: str) -> Gateway:
    made = make_gateway(SEND_COUNTRIES="*", DATABASE_URL=database)
    put(made, RULE)
    sandbox = made.providers["sandbox"]
    sandbox.number_codes = frozenset({REFUSED})  # type: ignore[misc]
    return made


def put(gateway: Gateway, rule: dict[str, Any], numbers: list[dict[str, Any]] = NUMBERS) -> None:
    document = {"version": 2, "numbers": numbers, "outbound": [rule]}
    gateway.settings.put_document(json.dumps(document).encode())


def send(gateway: Gateway, text: str = "hi", **more: Any) -> Message:
    return gateway.composer.submit(DEVICE, Reply(text, to=(UK,), **more))[0]


def refusal(kind: Kind = Kind.REFUSED, code: str | None = REFUSED) -> SendError:
    return SendError("The number is not yours.", kind, code=code)


def titles(gateway: Gateway, message: Message) -> list[tuple[str, str]]:
    known = timeline.load(gateway.store, message.id)
    return [(step.title, step.said) for step in timeline.steps(gateway.settings, known)]


@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.CONFIG])
def test_a_refused_first_text_is_sent_once_by_the_next_number(gateway: Gateway, kind: Kind) -> None:
    taken = failing(gateway, refusal(kind))
    first = send(gateway)
    run_due_jobs(gateway)
    (second,) = taken
    assert (second.number, second.text, second.rule) == (A, "hi", "UK")  # B is not the extension's
    assert (second.extension, second.client_id, second.instead_of) == ("201", None, first.id)
    assert second.conversation_id != first.conversation_id
    assert stored(gateway, second).status is Status.SENT
    failed = stored(gateway, first)
    assert (failed.status, failed.error_code) == (Status.FAILED, REFUSED)
    reason = f"The number is not yours. It is sent by {A} instead."
    assert failed.error_reason == reason
    assert ("Handing it to Sandbox: attempt 1 failed", reason) in titles(gateway, first)
    assert titles(gateway, second)[0][0] == (
        "Written by extension 201, by a number of the rule “UK”, as a send by +44 20 7183 8750 was "
        "refused, kept, and queued for sending"
    )
    assert [job.state for job in jobs_of(gateway, first)] == ["done"]
    shown = [message_object(stored(gateway, one), gateway.media.link) for one in (first, second)]
    assert [one["replaced_by"] for one in shown] == [second.id, None]
    assert [one["instead_of"] for one in shown] == [None, first.id]
    assert gateway.operator_actions.retry(first.id) == []
    run_due_jobs(gateway)
    assert len(taken) == 1
    assert not gateway.store.read(invariants.check).violations()


def test_the_refusal_of_the_last_number_stands(gateway: Gateway) -> None:
    taken = failing(gateway, refusal(), refusal(), refusal())
    send(gateway)
    run_due_jobs(gateway)
    assert taken == []
    assert {one.number: one.status for one in stored_messages(gateway)} == {
        A: Status.FAILED,
        C: Status.FAILED,
    }


@pytest.mark.parametrize(
    "error",
    [
        refusal(Kind.UNKNOWN),
        refusal(Kind.RETRY),
        refusal(code="spam"),
        refusal(code=None),
        refusal(Kind.CONFIG, code="401"),
    ],
    ids=lambda error: f"{error.kind} {error.code}",
)
def test_no_other_number_is_tried_where_the_refusal_is_not_certain_or_not_of_the_number(
    gateway: Gateway, error: SendError
) -> None:
    failing(gateway, error)
    send(gateway)
    gateway.delivery.perform(lease(gateway))
    assert [one.number for one in stored_messages(gateway)] == [C]


@pytest.mark.parametrize("way", ["settle", "retry"])
@pytest.mark.parametrize("later", [0, 25])
def test_no_other_number_is_tried_after_an_unknown_outcome(
    gateway: Gateway, way: str, later: int
) -> None:
    """Also not when the operator has it sent again: the first send may have reached the person."""
    failing(gateway, refusal(Kind.UNKNOWN), *[refusal(Kind.RETRY, None)] * later, refusal())
    first = send(gateway)
    run_due_jobs(gateway)
    if way == "settle":
        gateway.operator_actions.send_again(first.id)
    else:
        gateway.operator_actions.retry(first.id, resend_unknown=True)
    for _ in range(100):
        if stored(gateway, first).status is Status.FAILED:
            break
        make_due(gateway)
        run_due_jobs(gateway)
    assert stored(gateway, first).status is Status.FAILED
    assert [one.number for one in stored_messages(gateway)] == [C]


def lease(gateway: Gateway) -> jobs.Job:
    (job,) = gateway.store.write(
        lambda tx: job_leasing.lease(tx, "w", "send:sandbox", 1, time.time() + 1)
    )
    return job


def test_nobody_who_has_opted_out_of_the_second_number_is_texted(gateway: Gateway) -> None:
    taken = failing(gateway, refusal())
    send(gateway)
    out = OptOut(A, UK, 1.0, Source.KEYWORD)
    gateway.store.write(lambda tx: opt_outs.record(tx, out))
    run_due_jobs(gateway)
    assert taken == []
    assert [one.number for one in stored_messages(gateway)] == [C]


def test_an_opt_out_after_the_refusal_stops_the_second_send(gateway: Gateway) -> None:
    taken = failing(gateway, refusal())
    send(gateway)
    gateway.delivery.perform(lease(gateway))
    second = stored_messages(gateway)[0]
    assert (second.number, second.status) == (A, Status.QUEUED)
    gateway.store.write(lambda tx: gateway.opt_outs.record(tx, A, UK, Source.KEYWORD, "STOP", None))
    run_due_jobs(gateway)
    assert taken == []
    assert stored(gateway, second).error_code == "opted_out"


def test_an_answer_is_not_sent_by_another_number(gateway: Gateway) -> None:
    taken = failing(gateway)
    first = send(gateway)
    run_due_jobs(gateway)
    assert [one.id for one in taken] == [first.id]
    failing(gateway, refusal())
    answer, _ = gateway.composer.submit(
        DEVICE, Reply("more", conversation_id=first.conversation_id)
    )
    run_due_jobs(gateway)
    assert stored(gateway, answer).status is Status.FAILED
    assert len(stored_messages(gateway)) == 2


def test_a_rule_that_is_gone_has_no_second_number(gateway: Gateway) -> None:
    failing(gateway, refusal())
    send(gateway)
    put(gateway, RULE | {"name": "Another"})
    run_due_jobs(gateway)
    assert len(stored_messages(gateway)) == 1


def test_a_second_number_whose_carrier_is_off_is_passed_over(gateway: Gateway) -> None:
    put(gateway, RULE, [{**NUMBERS[0], "carrier": "twilio"}, *NUMBERS[1:]])
    failing(gateway, refusal())
    send(gateway)
    run_due_jobs(gateway)
    assert len(stored_messages(gateway)) == 1


def gif(gateway: Gateway) -> Attachment:
    file_id, content = uuid7(), [b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"]
    kept = gateway.media.save(content, file_id=file_id, declared="", name="a.gif", max_bytes=100)
    return gateway.uploads.add("201", file_id, kept)


def test_the_files_go_with_the_second_message(gateway: Gateway) -> None:
    taken = failing(gateway, refusal())
    file = gif(gateway)
    first = send(gateway, media_ids=(file.id,))
    run_due_jobs(gateway)
    assert [one.id for one in taken[0].media] == [file.id]
    files = gateway.store.read(lambda tx: attachments.of(tx, [first.id, taken[0].id]))
    assert [one.id for one in files[taken[0].id]] == [file.id]
    assert first.id not in files


def test_a_second_number_whose_carrier_takes_fewer_bytes_together_is_passed_over(
    gateway: Gateway,
) -> None:
    failing(gateway, refusal())
    file = gif(gateway)
    first = send(gateway, media_ids=(file.id,))
    sandbox = gateway.providers["sandbox"]
    less = replace(sandbox.limits, media_total_bytes=file.size - 1)
    sandbox.limits = less  # type: ignore[misc]
    run_due_jobs(gateway)
    assert [one.id for one in stored_messages(gateway)] == [first.id]


def test_the_quotas_count_a_text_once(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(SEND_COUNTRIES="*", SEND_PER_MINUTE="2")
    put(gateway, RULE)
    gateway.providers["sandbox"].number_codes = frozenset({REFUSED})  # type: ignore[misc]
    taken = failing(gateway, refusal())
    send(gateway)
    run_due_jobs(gateway)
    send(gateway, "the second of two")
    run_due_jobs(gateway)
    assert [one.text for one in taken] == ["hi", "the second of two"]


def test_a_lost_answer_of_the_database_makes_no_second_replacement(gateway: Gateway) -> None:
    failing(gateway)
    send(gateway)
    job = lease(gateway)
    gateway.store.write(lambda tx: jobs.start(tx, job))
    gateway.outcomes.settle(job, refusal())
    gateway.outcomes.settle(job, refusal())
    assert sorted(one.number for one in stored_messages(gateway)) == [A, C]


def test_a_worker_that_died_in_the_send_leaves_it_unknown(gateway: Gateway) -> None:
    failing(gateway)
    first = send(gateway)
    job = lease(gateway)
    gateway.store.write(lambda tx: jobs.start(tx, job))
    gateway.outcomes.reclaim(["w"])
    assert stored(gateway, first).status is Status.UNKNOWN
    gateway.outcomes.settle(job, refusal())  # the dead worker was only slow
    assert [one.number for one in stored_messages(gateway)] == [C]
