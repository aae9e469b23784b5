"""A file of Message Settings that belongs to another user: named, and read once that is put right.

The tests may run as root, who can read everything, so the refusal is made here.
"""

from pathlib import Path

import pytest

from services.config.storage_access import user_name
from services.message_settings import MessageSettings, SettingsFile
from services.operations.settings_source import FILE, GOOD_COPY
from tests.conftest import NUMBER, NUMBER_ENTRY, settings_file


class FileOfAnotherUser(SettingsFile):
    """A file that can be read only after ``is_closed`` was set to false."""

    is_closed = False

    def read(self) -> bytes | None:
        """Read the file, or raise as the system does."""
        if self.is_closed:
            raise PermissionError(13, "Permission denied", str(self._path))
        return super().read()


@pytest.mark.parametrize("at_start", [False, True])
def test_it_is_named_with_the_remedy_and_read_after_its_owner_was_corrected(
    tmp_path: Path, at_start: bool
) -> None:
    path = tmp_path / FILE
    source = FileOfAnotherUser(path)
    settings = MessageSettings(source, tmp_path / GOOD_COPY, ["sandbox"], "US")
    path.write_text(settings_file(NUMBER_ENTRY))
    if not at_start:
        assert settings.for_number(NUMBER) is not None
        path.write_text(settings_file(NUMBER_ENTRY | {"extensions": ["201", "202"]}))
    source.is_closed = True
    problem = settings.problem or ""
    assert f"Run: sudo chown {user_name()}: {path}" in problem
    assert "Errno" not in problem
    assert (settings.for_number(NUMBER) is None) == at_start  # the last good ones stay
    source.is_closed = False  # the file itself is not touched
    assert settings.problem is None
    entry = settings.for_number(NUMBER)
    assert entry is not None
    assert entry.extensions == (("201",) if at_start else ("201", "202"))
