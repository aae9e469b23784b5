"""Server transactions: copies, limits on memory, and how responses are made."""

from dataclasses import replace

from services.push.sip.account import DEFAULT_TIMES
from services.push.sip.message_parser import parse_datagram
from services.push.sip.server_transactions import ServerTransactions
from services.push.sip.sip_message import Headers, Request
from tests.push.sip.test_torture import Wire

TIMES = replace(DEFAULT_TIMES, transaction=1000.0)


def request(branch: str = "z9hG4bKa", method: str = "MESSAGE", **headers: str) -> Request:
    usual = {
        "via": f"SIP/2.0/UDP 192.0.2.1:5060;branch={branch}",
        "from": "<sip:a@b>;tag=1",
        "to": "<sip:c@d>",
        "call-id": "1",
        "cseq": f"1 {method}",
    }
    return Request(Headers((usual | headers).items()), b"", method, "sip:c@d")


def begin(transactions: ServerTransactions, asked: Request, wire: Wire | None = None):
    return transactions.begin(asked, wire or Wire())  # type: ignore[arg-type]


def test_a_copy_gets_the_answer_where_it_came_from() -> None:
    transactions = ServerTransactions(TIMES)
    first, second = Wire(), Wire()
    transaction = begin(transactions, request(), first)
    assert transaction is not None
    assert transaction.answer(202, headers={"X": "1"})
    assert not transaction.answer(503)
    assert begin(transactions, request(), second) is None
    assert len(first.sent) == 1
    assert first.sent == second.sent


def test_requests_differ_by_branch_sender_and_method() -> None:
    transactions = ServerTransactions(TIMES)
    other_host = request(via="SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKa")
    for asked in (request(), request("z9hG4bKb"), request(method="OPTIONS"), other_host):
        assert begin(transactions, asked) is not None
        assert begin(transactions, asked) is None


def test_requests_without_the_magic_cookie_differ_by_their_headers() -> None:
    transactions = ServerTransactions(TIMES)
    old = {"via": "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"}
    for asked in (
        request(**old),
        request(**old, cseq="2 MESSAGE"),
        request(**{**old, "call-id": "2"}),
    ):
        assert begin(transactions, asked) is not None
        assert begin(transactions, asked) is None


def test_memory_is_limited() -> None:
    transactions = ServerTransactions(TIMES, most=3)
    known = [begin(transactions, request(f"z9hG4bK{number}")) for number in range(3)]
    wire = Wire()
    assert begin(transactions, request("z9hG4bK3"), wire) is None
    assert parse_datagram(wire.sent[0]).status == 503  # type: ignore[union-attr]
    assert known[1] is not None
    known[1].answer(200)
    assert begin(transactions, request("z9hG4bK4")) is not None
    assert begin(transactions, request("z9hG4bK0")) is None  # still waits for its answer
    assert begin(transactions, request("z9hG4bK1"), wire) is None  # forgotten, and full again


def test_what_is_too_old_is_forgotten() -> None:
    transactions = ServerTransactions(replace(TIMES, transaction=0.0))
    assert begin(transactions, request()) is not None
    assert begin(transactions, request("z9hG4bKb")) is not None
    assert len(transactions._known) == 1


def test_a_response_has_what_rfc_3261_and_3581_ask_for() -> None:
    wire = Wire()
    vias = "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa, SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKz"
    asked = request(via=vias, **{"record-route": "<sip:p;lr>"})
    transaction = begin(ServerTransactions(TIMES), asked, wire)
    assert transaction is not None
    transaction.answer(200)
    response = parse_datagram(wire.sent[0])
    top, below = response.vias
    assert (top.param("received"), top.param("rport"), top.branch) == (
        "192.0.2.9",
        "5060",
        "z9hG4bKa",
    )
    assert below == asked.vias[1]
    assert response.to.tag
    assert response.headers.get("from") == asked.headers.get("from")
    assert response.headers.get("record-route") == "<sip:p;lr>"


def test_a_tag_of_to_is_kept() -> None:
    wire = Wire()
    transaction = begin(ServerTransactions(TIMES), request(to="<sip:c@d>;tag=mine"), wire)
    assert transaction is not None
    transaction.answer(200)
    assert parse_datagram(wire.sent[0]).headers.get("to") == "<sip:c@d>;tag=mine"
