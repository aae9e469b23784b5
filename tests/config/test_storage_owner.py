"""The remedy for a storage folder of another user is a command that works."""

import os
import shlex
from pathlib import Path

import pytest

from services.config import storage_access
from services.core.errors import ConfigError

NOBODY_KNOWS = 54_321


@pytest.mark.parametrize(("made", "first"), [(True, "chown -R"), (False, "install -d -o")])
def test_the_command_names_a_user_without_a_name_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool, first: str
) -> None:
    storage = tmp_path / "a storage; of mine"
    if made:
        storage.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY_KNOWS)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(ConfigError) as caught:
        storage_access.require_writable(storage)
    [problem] = caught.value.problems
    assert f"the user with id {NOBODY_KNOWS} cannot write" in problem.reason
    assert first in problem.remedy
    command = shlex.split(problem.remedy.removeprefix("Run: "))
    assert command[-1] == str(storage)
    assert {str(NOBODY_KNOWS), f"{NOBODY_KNOWS}:"} & set(command)
