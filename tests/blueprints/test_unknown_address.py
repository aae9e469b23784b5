"""An unknown address: a page for browsers, a problem document for programs."""

import pytest
from flask.testing import FlaskClient

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_browser_gets_a_page_with_ways_on(client: FlaskClient) -> None:
    answer = client.get("/phnoe/", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "Page not found" in answer.text
    assert 'href="/phone/"' in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/phnoe/", "*/*"),
        ("/phnoe/", "application/json"),
        ("/phnoe/", None),
        ("/api/v1/nothing", BROWSER),
        ("/webhook/bandwith/sms", BROWSER),
    ],
)
def test_a_program_gets_a_problem_document(
    client: FlaskClient, path: str, accept: str | None
) -> None:
    answer = client.get(path, headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert answer.json is not None
    assert answer.json["code"] == "not_found"
