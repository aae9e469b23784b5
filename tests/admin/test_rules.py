"""The page of rules: lists them, and says what they would do with a text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.admin.conftest import Operator, plain

PRACTICE = Path(__file__).parents[1] / "data" / "rules" / "practice.json"


def test_the_page_shows_and_tries_them(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator(APP_TIMEZONE="America/New_York")
    assert "No inbound rule" in plain(operator.get("/rules"))
    operator.gateway.settings.put_document(PRACTICE.read_bytes())
    listed = plain(operator.get("/rules"))
    assert "Night +1 202-555-0143 anybody any text outside office" in listed
    query: dict[str, Any] = {"from": "+13035550177", "to": "+12025550143", "text": "hello"}
    answer = operator.client.get("/admin/rules", query_string=query | {"at": "2026-11-30 22:00"})
    tried = plain(answer.text)
    assert "Boss : The sender is not +13035550111" in tried
    assert "Night : matches." in tried
    assert "Decided by Night" in tried
    assert "We open at 8." in tried
    wrong = operator.client.get("/admin/rules", query_string=query | {"at": "<b>"})
    assert "“&lt;b&gt;” is no time" in wrong.text
