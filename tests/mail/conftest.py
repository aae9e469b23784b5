"""A mail server for a test."""

from collections.abc import Iterator

import pytest

from tests.mail.smtp_server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running
