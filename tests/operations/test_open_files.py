"""Files that Textbridge writes are for its user alone, and open ones are named."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.operations import open_files
from services.operations.open_files import open_to_others
from tests.conftest import NUMBER_ENTRY, settings_file
from tests.server import Server, running_server


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """That of a terminal: other users may read new files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """The modes of a folder and of all in it that are not for its owner alone."""
    found = {".": stat.S_IMODE(folder.stat().st_mode)}
    for path in folder.rglob("*"):
        found[str(path.relative_to(folder))] = stat.S_IMODE(path.lstat().st_mode)
    return {name: f"{mode:04o}" for name, mode in found.items() if mode & 0o077}


@pytest.mark.processes
@pytest.mark.usefixtures("usual_umask")
def test_whatever_a_server_and_the_commands_write_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    storage, written = tmp_path / "data", tmp_path / "written"
    written.mkdir()
    env = {"STORAGE_PATH": str(storage), "ADMIN_PASSWORD": "a good password"}
    with running_server(tmp_path, env) as server:
        number = NUMBER_ENTRY["number"]
        set_up = ("settings", "set", number, "--carrier", "sandbox", "--extension", "201")
        assert server.flask(*set_up).returncode == 0
        peer = ("--from", "+13035550178", "--to", number, "--text", "hello")
        assert server.flask("simulate", "sandbox", *peer).returncode == 0
        existing = [written / f"existing{n}.csv" for n in range(4)]
        for file in existing:
            file.touch(mode=0o644)
        for words in (
            ("messages", "export", str(written / "new.csv")),
            ("messages", "export", str(existing[0])),
            ("contacts", "export", str(existing[1])),
            ("contacts", "export", "--vcard", "4.0", str(existing[2])),
            ("optouts", "export", str(existing[3])),
            ("people", "export", "+13035550178", str(written / "person")),
            ("settings", "export", str(written / "settings.json")),
            ("backup", str(written / "backup")),
            ("backup", str(written / "copy.db")),
        ):
            done = server.flask(*words)
            assert done.returncode == 0, (words, done.stderr)
        assert modes(storage) == {}
        assert set(modes(written)) <= {"."}, "this test made that folder"
        assert (written / "new.csv").read_text().count("hello") == 1
        assert json.loads(server.flask("config", "check", "--json").stdout)["problems"] == []


@pytest.mark.processes
@pytest.mark.usefixtures("usual_umask")
def test_an_installation_with_open_files_is_named_and_runs(tmp_path: Path) -> None:
    storage = tmp_path / "an old one"
    storage.mkdir(mode=0o755)
    (storage / "message_settings.json").write_text(settings_file(NUMBER_ENTRY))
    with running_server(storage) as server:
        checked = server.flask("config", "check", "--json")
        [problem] = json.loads(checked.stdout)["problems"]
        assert problem["variable"] == "STORAGE_PATH"
        assert "mode 0755" in problem["reason"]
        assert "message_settings.json" in problem["reason"]
        assert problem["remedy"] == f"Run: chmod -R u=rwX,go= '{storage}'"
        os.system(problem["remedy"].removeprefix("Run: "))
        assert open_to_others(storage) == []
        assert Server(storage, {}).flask("config", "check").returncode == 0


def test_what_is_in_a_closed_folder_is_not_open(tmp_path: Path) -> None:
    (tmp_path / "a").touch(mode=0o666)
    tmp_path.chmod(0o700)
    assert open_to_others(tmp_path) == []


@pytest.mark.parametrize("mode", [0o710, 0o750, 0o701, 0o755, 0o777])
def test_an_open_folder_is_named_with_what_is_open_in_it(tmp_path: Path, mode: int) -> None:
    for name, bits in (("closed", 0o600), ("group", 0o640), ("world", 0o604)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(bits)
    (tmp_path / "link").symlink_to("/etc/passwd")
    tmp_path.chmod(mode)
    found = {path.name for path in open_to_others(tmp_path)}
    tmp_path.chmod(0o700)
    assert found == {tmp_path.name, "group", "world"}


def test_a_large_folder_is_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "MOST", 3)
    for n in range(10):
        (tmp_path / str(n)).touch()
        (tmp_path / str(n)).chmod(0o644)
    tmp_path.chmod(0o755)
    assert len(open_to_others(tmp_path)) == 4
