"""Operator pages: senders that are no numbers are shown as text, and found."""

from collections.abc import Callable
from urllib.parse import quote

from tests.admin.conftest import Operator
from tests.conftest import NUMBER_ENTRY
from tests.message_steps import receive_text

HOSTILE = '<script>alert(1)</script> "O\'Reilly" {{ 7 * 7 }}'


def test_a_hostile_sender_is_text_on_the_pages(make_operator: Callable[..., Operator]) -> None:
    operator = make_operator(NUMBER_ENTRY)
    receive_text(operator.gateway, "Your order is ready", peer=HOSTILE)
    for path in ("/admin/messages", f"/admin/messages?peer={quote(HOSTILE)}"):
        page = operator.client.get(path).get_data(as_text=True)
        assert "Your order is ready" in page, "it is found by its sender"
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "49" not in page.partition("O&#39;Reilly")[2][:20]
