"""Headers with an underscore: no caller changes the path of its request by them."""

from pathlib import Path

import pytest
import requests

from tests.server import running_server


@pytest.mark.processes
def test_a_caller_cannot_hide_a_path_from_the_proxy_in_front(tmp_path: Path) -> None:
    """A proxy passes ``/x/metrics`` on which refuses ``/metrics``, and perhaps any header."""
    with running_server(tmp_path) as server:
        for headers in ({}, {"SCRIPT_NAME": "/x"}, {"Script_Name": "/x"}, {"PATH_INFO": "/up"}):
            told = requests.get(f"{server.url}/x/metrics", headers=headers, timeout=30)
            assert told.status_code == 404, headers
        odd = requests.get(f"{server.url}/up", headers={"SCRIPT_NAME": "/x"}, timeout=30)
        assert odd.json() == {"status": "up"}, "it is no error of the server, either"
