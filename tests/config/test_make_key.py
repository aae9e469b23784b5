"""``make install`` does what the remedies about ``APP_KEY`` say."""

import base64
from pathlib import Path

import pytest

from scripts import make_env
from services.config import env_file
from services.core.errors import ConfigError
from services.gateway import load_environment

USED = "base64:" + base64.b64encode(b"u" * 32).decode()


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``.env`` of an installation that ``make_env`` works on."""
    monkeypatch.setattr(make_env, "HERE", tmp_path)
    return tmp_path / ".env"


@pytest.mark.parametrize("before", ["APP_KEY=", f"APP_KEY={USED}"])
def test_of_several_lines_the_last_one_is_filled_in(installation: Path, before: str) -> None:
    """It is the one that counts."""
    installation.write_text(f"{before}\nPORT=8000\nAPP_KEY= # none\n")
    make_env.main()
    assert len(base64.b64decode(env_file.read(installation, {})["APP_KEY"][7:])) == 32
    assert installation.read_text().startswith(f"{before}\nPORT=8000\nAPP_KEY=")


def test_a_key_in_the_last_line_is_left_alone(installation: Path) -> None:
    content = f"APP_KEY=\nAPP_KEY={USED}\n"
    installation.write_text(content)
    make_env.main()
    assert installation.read_text() == content


@pytest.mark.parametrize("value", ["your_app_key", "<key>", "base64:", "short"])
def test_the_remedy_for_a_key_that_is_none_works(installation: Path, value: str) -> None:
    installation.write_text(f"APP_KEY={value}\n")
    with pytest.raises(ConfigError) as caught:
        load_environment(env_file.read(installation, {}))
    [problem] = caught.value.problems
    assert "Leave it empty and run `make install`" in problem.remedy
    installation.write_text("APP_KEY=\n")
    make_env.main()
    assert env_file.read(installation, {})["APP_KEY"].startswith("base64:")


def test_a_link_to_nothing_is_named(installation: Path) -> None:
    installation.symlink_to(installation.parent / "gone.env")
    with pytest.raises(SystemExit, match=r"gone\.env, which is not there"):
        make_env.main()
