"""Every way to deploy that puts a web server in front sets TRUSTED_PROXIES and X-Forwarded-For."""

import re
from ipaddress import ip_address

import pytest

from services.config.parsers import networks
from tests.server import ROOT

DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", DEPLOY, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    "marks", ["STORAGE_PATH=/var/lib/textbridge\n", "docker run -d --name textbridge"]
)
def test_the_guide_sets_it(marks: str) -> None:
    [block] = [each for each in BLOCKS if marks in each]
    [value] = re.findall(r"\bTRUSTED_PROXIES=(\S+)", block)
    assert networks(value)


def test_compose_sets_it_to_the_gateway_that_nginx_comes_through() -> None:
    [value] = re.findall(r"^ +TRUSTED_PROXIES: (\S+)", COMPOSE, re.MULTILINE)
    [gateway] = re.findall(r"^ +gateway: (\S+)", COMPOSE, re.MULTILINE)
    [subnet] = re.findall(r"^ +- subnet: (\S+)", COMPOSE, re.MULTILINE)
    assert value == gateway
    assert ip_address(gateway) in networks(subnet)[0]


def test_the_nginx_of_the_guide_says_who_calls() -> None:
    nginx = "".join(block for block in BLOCKS if "proxy_pass" in block)
    assert re.search(
        r"proxy_set_header +X-Forwarded-For +\$(remote_addr|proxy_add_x_forw\w+);", nginx
    )
