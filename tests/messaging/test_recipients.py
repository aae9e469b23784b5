"""Too many recipients are refused with the carrier's limit in words."""

from collections.abc import Callable

import pytest

from services.core.errors import RequestRefused
from services.gateway import Gateway
from services.messaging.compose import Reply
from services.providers.base import Limits
from services.providers.sandbox import Sandbox
from tests.conftest import NUMBER_ENTRY, PEER
from tests.message_steps import PHONE

OTHERS = (PEER, "+13035550188", "+13035550199")


@pytest.mark.parametrize(
    ("most", "sentence"),
    [(1, "takes one recipient at a time."), (2, "takes at most 2 recipients in a message.")],
)
def test_the_limit_of_recipients_is_said_in_words(
    make_gateway: Callable[..., Gateway],
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    sentence: str,
) -> None:
    monkeypatch.setattr(Sandbox, "limits", Limits(recipients=most))
    with pytest.raises(RequestRefused) as refused:
        make_gateway(NUMBER_ENTRY).composer.submit(PHONE, Reply(text="hi", to=OTHERS))
    assert refused.value.code == "too_many_recipients"
    assert refused.value.reason.endswith(sentence)
