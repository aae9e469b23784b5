"""``flask media``: attachments are copied into a bucket."""

from collections.abc import Callable
from pathlib import Path

from services.core.messages import uuid7
from services.media.folder import Folder
from tests.cli.conftest import PRODUCTION, PUBLIC, Terminal
from tests.conftest import NUMBER_ENTRY
from tests.fakes.s3 import Fault, S3Server


def test_a_bucket_is_tried_out_and_its_secret_is_hidden(
    make_terminal: Callable[..., Terminal],
) -> None:
    with S3Server() as server:
        shop = make_terminal(PUBLIC, **PRODUCTION, **server.env)
        checked, shown = shop.flask("config", "check"), shop.flask("config", "show")
        for result in (checked, shown):
            assert f"MEDIA_S3_BUCKET={server.env['MEDIA_S3_BUCKET']}" in result.output
            assert "MEDIA_S3_SECRET_KEY=••••••••" in result.output
            assert server.env["MEDIA_S3_SECRET_KEY"] not in result.output
        assert {"PUT", "GET", "DELETE"} == set(server.methods())
        assert server.objects == {}
        server.broken = Fault(403, "AccessDenied")
        fixed = shop.flask("config", "check", code=1).output
        assert "To fix: The MEDIA_S3_ variables: do not work" in fixed
        assert "The access key may not do that" in fixed


def test_without_a_bucket_nothing_is_copied(terminal: Terminal) -> None:
    assert "Set the MEDIA_S3_ variables" in terminal.flask("media", "copy", code=1).stderr
    assert "To turn it on, set MEDIA_S3_ENDPOINT" in terminal.flask("config", "check").output


def test_attachments_are_copied_into_a_bucket_once_and_after_a_fault_to_the_end(
    make_terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    ids = [uuid7() for _ in range(30)]
    for file_id in ids:
        Folder(tmp_path / "media").put(file_id, [b"GIF89a" + file_id.encode()], 1000)
    (tmp_path / "media" / "ab" / "x.part").parent.mkdir(exist_ok=True)
    (tmp_path / "media" / "ab" / "x.part").write_bytes(b"half")
    with S3Server() as server:
        shop = make_terminal(NUMBER_ENTRY, **server.env)
        server.faults.extend([Fault()] * 40 + [Fault(503, "SlowDown")] * 60)
        first = shop.json("media", "copy", code=1)
        assert "503" in first["stopped"]
        assert 0 < first["copied"] < 30
        assert first["copied"] + first["waiting"] == 30
        server.faults.clear()
        second = shop.json("media", "copy")
        assert second["ok"]
        assert second["waiting"] == 0
        assert first["copied"] + second["copied"] <= 30 == second["copied"] + second["already"]
        assert {key: content for key, (content, _) in server.objects.items()} == {
            file_id: b"GIF89a" + file_id.encode() for file_id in ids
        }
        server.objects[ids[0]] = (b"something else", {})
        result = shop.flask("media", "copy", code=1)
        assert "0 copied (0 bytes), 29 were there already, 0 are still" in result.stdout
        assert f"{ids[0]} is in the bucket with another content" in result.stderr
