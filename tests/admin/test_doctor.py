"""Diagnosis page: the doctor's last report, run by a button."""

import time
from collections.abc import Callable

import pytest

from services.gateway import Gateway
from services.http.client import Answer
from services.operations.doctor.diagnosis import broken, ok, warning
from services.operations.doctor.doctor import Doctor
from tests.admin.conftest import Operator, plain

LINES = [
    ok("dns", "sms.example.com is 9.9.9.9."),
    warning("certificate", "It ends in 3 days <b>.", "Renew it."),
    broken("body", "Uploads are refused.", "Set client_max_body_size 26m;"),
]


def test_a_run_is_kept_and_shown_the_worst_first(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Not checked yet" in operator.get("/doctor")
    monkeypatch.setattr(Doctor, "run", lambda self: iter(LINES))
    page = operator.post("/doctor")
    words = plain(page)
    assert (
        words.index("Uploads are refused") < words.index("ends in 3 days") < words.index("9.9.9.9")
    )
    assert "<b>" not in page.split("ends in 3 days")[1][:10]
    assert "Last check" in plain(operator.get("/doctor"))
    assert 'href="/admin/doctor"' in operator.get("/")


def test_a_second_run_at_the_same_time_is_refused(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []

    def run(self: Doctor) -> list[object]:
        said.append(plain(operator.post("/doctor")))
        return []

    monkeypatch.setattr(Doctor, "run", run)
    operator.post("/doctor")
    assert "A check is running" in said[0]


def test_a_real_run_without_an_address_has_a_line_for_each_part(
    make_operator: Callable[..., Operator],
) -> None:
    operator = make_operator(
        {"number": "+12025550100", "carrier": "sandbox", "extensions": ["201"]}
    )
    words = plain(operator.post("/doctor"))
    assert "APP_URL is empty: nothing outside can reach this installation." in words
    assert "The database takes what is written to it." in words
    assert "No delivery worker has started yet." in words


def test_others_do_not_find_the_calls_of_the_doctor(operator: Operator) -> None:
    client, gateway = operator.app.test_client(), operator.gateway
    right = gateway.probe_key.token()
    for offered in ("", "x", "1.x", right[:-1], f"{int(right.split('.')[0]) - 400}.x"):
        answer = client.get("/probe", headers={"X-Textbridge-Probe": offered})
        assert answer.status_code == 404
    seen = client.get("/probe", headers={"X-Textbridge-Probe": right}).get_json()
    assert seen == {
        "proof": gateway.probe_key.answer(right),
        "peer": "127.0.0.1",
        "caller": "127.0.0.1",
        "direct": True,
    }


def test_a_right_token_that_is_too_old_is_told_the_difference_of_the_clocks(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, gateway = operator.app.test_client(), operator.gateway
    long_ago = time.time() - 900
    with monkeypatch.context() as patched:
        patched.setattr("services.operations.probe_key.time.time", lambda: long_ago)
        token = gateway.probe_key.token()
    answer = client.get("/probe", headers={"X-Textbridge-Probe": token})
    assert answer.status_code == 404
    assert 900 <= answer.get_json()["age"] < 1000
    content = answer.get_data()
    found = gateway.doctor().public._other_clock(Answer(404, {}, content), token)
    assert found is not None
    assert "s apart" in found.reason
    other = f"{token.split('.')[0]}.{'0' * 40}"
    assert "age" not in client.get("/probe", headers={"X-Textbridge-Probe": other}).get_data(True)


def test_a_token_of_another_installation_or_of_before_is_not_right(
    make_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_gateway(APP_KEY="a key of the tests, long enough").probe_key
    other = make_gateway(APP_KEY="another key of the tests, as long").probe_key
    token = key.token()
    assert key.is_valid(token)
    assert not other.is_valid(token)
    assert key.answer(token) != other.answer(token)
    monkeypatch.setattr("services.operations.probe_key.VALID_SECONDS", -1)
    assert not key.is_valid(token)
