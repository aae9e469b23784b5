"""Caddy in front, with the file of packaging/caddy: what it hands on, and what it refuses."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from services.config.parsers import networks
from tests.fakes.serving import QuietServer
from tests.processes import start
from tests.server import ROOT, free_port, running_server
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed"),
]


class Upstream(QuietServer):
    """It takes every call and keeps the headers."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                seen.append({name.lower(): value for name, value in self.headers.items()})
                left = int(self.headers.get("Content-Length") or 0)
                while left > 0:
                    piece = self.rfile.read(min(left, 65_536))
                    if not piece:
                        return
                    left -= len(piece)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def start_caddy(tmp_path: Path) -> Iterator[Any]:
    """Start Caddy in front of an address; returns its own."""
    started = []

    def begin(upstream: str) -> str:
        address = f"http://127.0.0.1:{free_port()}"
        config = (
            (ROOT / "packaging/caddy/Caddyfile").read_text().replace("{\n", "{\n\tadmin off\n", 1)
        )
        (tmp_path / "Caddyfile").write_text(config)
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "APP_URL": address}
        command = (
            "caddy",
            "run",
            "--adapter",
            "caddyfile",
            "--config",
            str(tmp_path / "Caddyfile"),
        )
        env["UPSTREAM"] = upstream
        with (tmp_path / "caddy.log").open("wb") as log:
            process = start(*command, env=env, stdout=log, stderr=log)
        started.append(process)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                requests.get(address, timeout=PATIENCE)
            except requests.ConnectionError:
                assert process.poll() is None, (tmp_path / "caddy.log").read_text()
                time.sleep(0.1)
            else:
                return address
        raise AssertionError((tmp_path / "caddy.log").read_text())

    yield begin
    for process in started:
        process.terminate()
        process.wait(timeout=PATIENCE)


def test_it_says_who_calls_whatever_the_caller_says(start_caddy: Any) -> None:
    upstream = Upstream()
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    try:
        host, port = upstream.server_address[:2]
        address = start_caddy(f"{host!s}:{port}")
        upstream.seen.clear()
        lie = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        assert requests.get(f"{address}/ready", headers=lie, timeout=PATIENCE).ok
        [headers] = upstream.seen
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-proto"] == "http"
        assert headers["host"] == address.removeprefix("http://")
        assert requests.get(f"{address}/metrics", timeout=PATIENCE).status_code == 404
        webhook = f"{address}/webhook/twilio/sms"
        assert requests.post(webhook, data=b"x" * 900_000, timeout=PATIENCE).ok
        with_file = f"{address}/webhook/voipinnovations/sms"
        assert requests.post(with_file, data=b"x" * 2_000_000, timeout=PATIENCE).ok
        assert len(upstream.seen) == 3
        too_large = requests.post(webhook, data=b"x" * 2_000_000, timeout=PATIENCE)
        assert too_large.status_code in (413, 502)
    finally:
        upstream.shutdown()
        upstream.server_close()


def test_textbridge_behind_it_knows_its_callers(start_caddy: Any, tmp_path: Path) -> None:
    with running_server(tmp_path / "storage", {"TRUSTED_PROXIES": "127.0.0.1"}) as server:
        address = start_caddy(server.url.removeprefix("http://"))
        answer = requests.get(f"{address}/ready", timeout=PATIENCE)
        assert answer.ok
        assert "proxy" not in server.flask("status").stdout.lower()


def test_compose_trusts_caddy_at_its_fixed_address() -> None:
    base = yaml.safe_load((ROOT / "compose.yaml").read_text())
    more = yaml.safe_load((ROOT / "compose.caddy.yaml").read_text())
    caddy = more["services"]["caddy"]["networks"]["default"]["ipv4_address"]
    trusted = networks(more["services"]["textbridge"]["environment"]["TRUSTED_PROXIES"])
    [ipam] = base["networks"]["default"]["ipam"]["config"]
    assert [str(each) for each in trusted] == [f"{caddy}/32"]
    assert trusted[0].subnet_of(networks(ipam["subnet"])[0])  # type: ignore[arg-type]
    assert caddy != ipam["gateway"]
