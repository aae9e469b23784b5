"""A mail server for a test of deliveries."""

from collections.abc import Iterator

import pytest

from tests.fakes.mailbox import Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running
