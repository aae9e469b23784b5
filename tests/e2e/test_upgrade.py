"""An upgrade from 0.1.0: storage folder and ``.env`` of a real installation, left as they are.

``tests/data/installation-0.1.0.tar.gz`` was made by a server of version 0.1.0: two paired phones,
texts both ways, a file, a text for a number without extension, an unreadable call, and a reply that
waits to be sent.
"""

import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.server import ROOT, running_server
from tests.waiting import eventually

INSTALLATION = ROOT / "tests/data/installation-0.1.0.tar.gz"
PHONE_201 = "tb_QA5uJTROWz7uM4k5g9gHR4ybNpSXICzSX4dV-dOE1LM"
PHONE_202 = "tb_uXzQM5m5H_jjII02eVRm72Q2F5JMNlRvdSLLojcTtYk"
WAITING = "01a227e6-0adb-7d43-a9a6-118140fe0b31"
PICTURE = "01a227e5-d357-71b3-8f0f-f2cb5cd0925a"


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """The folder of an installation as version 0.1.0 has left it."""
    with tarfile.open(INSTALLATION) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_an_installation_of_0_1_0_goes_on_after_the_upgrade(installation: Path) -> None:
    kept = [installation / ".env", installation / "storage/message_settings.json"]
    before = [path.read_bytes() for path in kept]
    with running_server(installation / "storage", {"ENV_FILE": str(kept[0])}) as server:

        def get(path: str, token: str) -> Any:
            address = f"{server.url}/api/v1{path}"
            answer = requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            assert answer.ok, answer.text
            return answer.json()

        assert get("/me", PHONE_201)["extension"] == "201"
        assert get("/me", PHONE_202)["extension"] == "202"
        found = get("/conversations", PHONE_201)["items"]
        texts = {
            each["peer"]: [
                message["text"]
                for message in get(f"/conversations/{each['id']}/messages", PHONE_201)["items"]
            ]
            for each in found
        }
        assert "Grüße 😀" in texts["+13035550178"]
        assert "Is the shop open tomorrow?" in texts["+13035550177"]
        eventually(lambda: get(f"/messages/{WAITING}", PHONE_201)["status"] == "sent")
        picture = requests.get(
            f"{server.url}/api/v1/media/{PICTURE}",
            headers={"Authorization": f"Bearer {PHONE_201}"},
            timeout=30,
        )
        assert picture.content.startswith(b"\x89PNG")
        assert "sandbox" in server.flask("quarantine", "list").stdout
        assert server.flask("messages", "check").returncode == 0
        # 0.1.0 left the folder readable; config check names it, and its remedy works
        open_folder = server.flask("config", "check")
        assert f"chmod -R u=rwX,go= {server.storage}" in open_folder.stdout
        subprocess.run(["chmod", "-R", "u=rwX,go=", str(server.storage)], check=True)
        assert server.flask("config", "check").returncode == 0
    assert [path.read_bytes() for path in kept] == before
