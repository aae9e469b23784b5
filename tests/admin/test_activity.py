"""Statistics page: its charts, and the tables with the same figures."""

import re
import time
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from sqlalchemy import Connection, select

from blueprints.admin import charts
from services.core.messages import Message, Status
from services.operations.statistics import count
from services.store import deletions, jobs, messages
from services.store.activity import HOUR
from services.store.database.schema import messages as table
from services.store.deletions import Deleter
from services.store.jobs import Job, JobKind
from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, PEER

PATHS = ("/activity", "/activity?span=week", "/activity?span=month")


def add_inbound(operator: Operator, by: str = "twilio", hours_ago: float = 0.0) -> None:
    at = time.time() - hours_ago * HOUR
    message = Message(
        "in", NUMBER, PEER, text="x", provider=by, provider_id=f"p{at}", created_at=at
    )
    operator.gateway.store.write(lambda tx: messages.add_inbound(tx, message))


def add_outbound(operator: Operator, status: Status, by: str = "wavix") -> str:
    message = Message("out", NUMBER, PEER, text="x", provider=by, status=status, extension="201")
    return operator.gateway.store.write(lambda tx: messages.add_outbound(tx, message, "f")).id


def pictures(page: str) -> list[ElementTree.Element]:
    return [
        ElementTree.fromstring(one)
        for one in re.findall(r"<svg viewBox.*?</svg>", page, re.S)
        if 'role="img"' in one
    ]


@pytest.mark.parametrize("path", PATHS)
def test_before_the_first_text(operator: Operator, path: str) -> None:
    page = operator.get(path)
    assert "No messages yet" in page
    assert pictures(page) == []
    assert 'aria-current="page"' in page


def test_a_span_that_there_is_not(operator: Operator) -> None:
    for span in ("", "year", "<script>", "\x00", "2" * 3000):
        answer = operator.client.get("/admin/activity", query_string={"span": span})
        assert answer.status_code == 404


@pytest.mark.parametrize("path", PATHS)
def test_each_picture_has_its_words_and_its_table(operator: Operator, path: str) -> None:
    add_inbound(operator)
    add_inbound(operator, "sandbox")
    for status in ("delivered", "failed", "unknown", "sent", "queued"):
        add_outbound(operator, Status(status))
    count(operator.gateway.store)
    page = operator.get(path)
    words = plain(page)
    assert "Twilio 1 received and 0 sent; Wavix 0 received and 5 sent; Sandbox 1 received" in words
    assert "1 delivered, 1 sent, not confirmed, 1 waiting, 1 unknown, 1 failed" in words
    assert "33.3 % delivered, 2 awaiting confirmation" in words
    assert "no notifications" in words
    found = pictures(page)
    assert len(found) == page.count("As a table") == 4
    for picture in found:
        assert picture.get("aria-label")
        for bar in picture.iter("rect"):
            assert float(bar.get("y", "")) >= charts.TOP - 0.01
            bottom = float(bar.get("y", "")) + float(bar.get("height", ""))
            assert bottom <= charts.HEIGHT - charts.BOTTOM + 0.01
            assert float(bar.get("x", "")) + float(bar.get("width", "")) <= charts.WIDTH
    assert " style=" not in page
    assert "<script>" not in page


def test_the_bars_are_as_high_as_their_numbers(operator: Operator) -> None:
    for _ in range(3):
        add_inbound(operator)
    add_outbound(operator, Status.SENT)
    count(operator.gateway.store)
    picture = pictures(operator.get("/activity"))[0]
    bars = [bar for bar in picture.iter("rect") if "look" in bar.get("fill", "")]
    up, down = (float(bar.get("height", "")) for bar in bars)
    assert up == pytest.approx(3 * down, abs=0.1)
    assert float(bars[0].get("y", "")) + up == pytest.approx(float(bars[1].get("y", "")), abs=0.1)


def test_what_is_stacked_neither_overlaps_nor_leaves_a_gap(operator: Operator) -> None:
    for carrier in ("twilio", "twilio", "twilio", "wavix", "sandbox", "sandbox"):
        add_inbound(operator, carrier)
    count(operator.gateway.store)
    bars = [
        (float(bar.get("y", "")), float(bar.get("height", "")))
        for bar in pictures(operator.get("/activity?span=month"))[0].iter("rect")
        if "look" in bar.get("fill", "")
    ]
    assert len(bars) == 3
    for (low, _), (high, height) in pairwise(bars):
        assert high + height == pytest.approx(low, abs=0.1)


def test_what_carriers_are_called_stays_text(operator: Operator) -> None:
    add_inbound(operator, "<b>gone</b>\u202e")
    count(operator.gateway.store)
    page = operator.get("/activity")
    assert "<b>gone" not in page
    assert "&lt;b&gt;gone" in page


def test_pushes_that_took_longer_than_two_minutes(operator: Operator) -> None:
    add_inbound(operator)
    (message,) = operator.gateway.store.read(lambda tx: messages.find(tx, limit=1))
    job = Job(
        JobKind.PUSH, message.id, "push:ntfy", target="d", about="received",
        created_at=time.time() - 200, due=time.time() - 200,
    )  # fmt: skip
    operator.gateway.store.write(lambda tx: jobs.add(tx, [job]))
    count(operator.gateway.store)
    words = plain(operator.get("/activity?span=month"))
    assert "median later than 2 min, 95 % later than 2 min, of 1 notification" in words
    assert "Median 95 % Notifications" in words
    assert "push" not in words.lower()


def test_the_start_page_has_the_last_day_in_a_row(operator: Operator) -> None:
    add_inbound(operator)
    add_inbound(operator, hours_ago=30)
    add_outbound(operator, Status.FAILED)
    count(operator.gateway.store)
    words = plain(operator.get("/"))
    assert "Received 1 Sent 1 Failed of these 1 In the last 24 hours Activity" in words


def test_it_lists_what_was_deleted_in_apps(operator: Operator) -> None:
    assert "Deleted in apps" not in operator.get("/activity")
    deleter = Deleter("request", "201", "d")
    message = Message("in", NUMBER, PEER, text="secret", provider="twilio", provider_id="p1")

    def delete(tx: Connection) -> None:
        rows = tx.execute(select(table)).all()
        deletions.add_messages(tx, deleter, [7], rows)
        deletions.add_conversation(tx, deleter, 8, NUMBER, "c")

    operator.gateway.store.write(lambda tx: messages.add_inbound(tx, message))
    operator.gateway.store.write(delete)
    page = plain(operator.get("/activity"))
    assert "A conversation: 1 message" in page
    assert "secret" not in page
    assert PEER not in page
