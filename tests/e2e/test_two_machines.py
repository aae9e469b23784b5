"""Two machines with one PostgreSQL and one bucket: both serve every attachment."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.conftest import NUMBER_ENTRY, PEER, settings_file
from tests.fakes.s3 import S3Server
from tests.pictures import gif
from tests.server import Server, running_server
from tests.waiting import PATIENCE, eventually

GIF = gif(bytes(range(256)) * 400)


def call(server: Server, token: str, method: str, path: str, **more: object) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.request(method, server.url + path, headers=headers, timeout=PATIENCE, **more)  # type: ignore[arg-type]


def machine(folder: Path) -> Path:
    folder.mkdir()
    (folder / "message_settings.json").write_text(settings_file(NUMBER_ENTRY), encoding="utf-8")
    return folder


def test_what_one_machine_takes_in_the_other_hands_out(tmp_path: Path, postgres_url: str) -> None:
    with S3Server() as bucket:
        env = {"DATABASE_URL": postgres_url, **bucket.env}
        first, second = machine(tmp_path / "one"), machine(tmp_path / "two")
        with running_server(first, env) as one, running_server(second, env) as two:
            token = one.new_token()
            uploaded = call(
                one, token, "POST", "/api/v1/media", files={"file": ("cat.gif", GIF, "image/gif")}
            )
            assert uploaded.status_code == 201, uploaded.text
            told = uploaded.json()
            assert list(bucket.objects) == [told["id"]]
            link = urlsplit(told["url"])
            shown = requests.get(f"{two.url}{link.path}?{link.query}", timeout=PATIENCE)
            assert (shown.status_code, shown.content) == (200, GIF)
            part = {"Range": "bytes=6-9"}
            asked = requests.get(
                f"{two.url}{link.path}?{link.query}", headers=part, timeout=PATIENCE
            )
            assert (asked.status_code, asked.content) == (206, GIF[6:10])

            shutil.rmtree(first / "media-cache")  # whichever worker sends it has to fetch it
            shutil.rmtree(second / "media-cache")
            sent = call(
                two,
                token,
                "POST",
                "/api/v1/messages",
                json={"to": PEER, "text": "Look", "media_ids": [told["id"]]},
            ).json()
            path = f"/api/v1/messages/{sent['id']}"
            done = ("sent", "delivered")
            eventually(lambda: call(one, token, "GET", path).json()["status"] in done)
            assert call(one, token, "GET", f"/api/v1/media/{told['id']}").content == GIF
        assert set(bucket.refused) <= {"NoSuchKey"}
