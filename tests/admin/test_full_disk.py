"""The operator's pages on a full disk."""

import errno
import os
from collections.abc import Callable

import pytest

from tests.admin.conftest import Operator, plain
from tests.conftest import NUMBER, NUMBER_ENTRY

Make = Callable[..., Operator]


def test_an_edit_of_message_settings_that_cannot_be_saved_says_why(
    make_operator: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = make_operator(NUMBER_ENTRY)
    seen = operator.gateway.settings.generation

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("services.message_settings.file.os.fsync", full)
        page = operator.post(
            f"/message-settings/{NUMBER}",
            503,
            carrier="sandbox",
            extensions="301",
            generation=seen,
        )
    assert "message_settings.json cannot be saved (No space left on device)" in plain(page)
    assert operator.gateway.settings.generation == seen
