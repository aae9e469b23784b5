"""Statuses: the same end in any order of events, for groups too."""

from itertools import permutations
from pathlib import Path

import pytest

from services.core.messages import Status, advances
from services.store import messages, statuses
from services.store.database.store import Store
from tests.store.conftest import outbound, status_event, store_outbound

EVENTS = (Status.SENDING, Status.SENT, Status.DELIVERED)


@pytest.mark.parametrize("order", list(permutations(["answer", *EVENTS])), ids="-".join)
def test_statuses_end_the_same_in_whatever_order_they_come(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """Also before the send's own answer, which alone tells the carrier's id; and repeated."""
    store = Store(None, tmp_path)
    store.migrate()
    message = store_outbound(store, outbound())
    states = [Status.QUEUED]
    for event in order * 2:
        if event == "answer":
            store.write(
                lambda tx: (
                    statuses.advance(tx, message.id, Status.SENT, provider_id="c1"),
                    statuses.join_receipts(tx, message, "c1"),
                )
            )
        else:
            status = status_event(Status(event), message)
            store.write(lambda tx, s=status: statuses.record_status(tx, "sandbox", s))
        found = store.read(lambda tx: messages.by_id(tx, message.id))
        assert found is not None
        assert found.status is states[-1] or advances(states[-1], found.status)
        states.append(found.status)
    assert states[-1] is Status.DELIVERED
    store.close()


def test_a_receipt_with_our_own_id_needs_no_answer_of_the_carrier(store: Store) -> None:
    message = store_outbound(store, outbound())
    status = status_event(
        Status.FAILED, message, message_id=message.id, code="4720", reason="No such phone."
    )
    moved = store.write(lambda tx: statuses.record_status(tx, "sandbox", status))
    assert moved is not None
    assert (moved.status, moved.error_code, moved.error_reason) == (
        Status.FAILED, "4720", "No such phone.",
    )  # fmt: skip
    assert moved.provider_id == "c1"


def test_the_first_of_two_contradicting_ends_counts(store: Store) -> None:
    message = store_outbound(store, outbound())
    for status in (Status.DELIVERED, Status.FAILED):
        event = status_event(status, message, message_id=message.id)
        store.write(lambda tx, e=event: statuses.record_status(tx, "sandbox", e))
    found = store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    assert found.status is Status.DELIVERED


GROUP = ("+13035550177", "+13035550178", "+13035550179")


@pytest.mark.parametrize(
    ("ends", "status", "reason"),
    [
        (("delivered", "delivered", "delivered"), "delivered", None),
        (("delivered", "delivered"), "sent", None),
        (
            ("failed", "delivered", "delivered"),
            "delivered",
            "1 of 3 recipients did not get it: Off.",
        ),
        (("failed", "failed", "failed"), "failed", "3 of 3 recipients did not get it: Off."),
    ],
)
def test_a_group_is_where_its_recipients_are(
    store: Store, ends: tuple[str, ...], status: str, reason: str | None
) -> None:
    message = store_outbound(store, outbound(participants=GROUP))
    for member, end in zip(GROUP, ends, strict=False):
        event = status_event(
            Status(end), message, message_id=message.id, peer=member,
            reason="Off." if end == "failed" else None,
        )  # fmt: skip
        store.write(lambda tx, e=event: statuses.record_status(tx, "sandbox", e))
    found = store.read(lambda tx: messages.by_id(tx, message.id))
    assert found is not None
    assert (found.status, found.error_reason) == (status, reason)
