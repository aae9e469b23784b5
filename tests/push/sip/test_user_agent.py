"""SIP user agent against a scripted server: odd answers, lost packets, lost connections."""

import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.core.errors import Kind, PushError
from services.push.sip.addresses import NameAddress, Uri
from services.push.sip.errors import (
    NoAnswer,
    NotConnected,
    NotRegistered,
    TooLongForUdp,
    WrongPassword,
)
from services.push.sip.events import ExtensionState, IncomingMessage, WatchRefused
from services.push.sip.requests import UDP_BYTES
from services.push.sip.user_agent import UserAgent
from tests.fakes.sip_server import (
    DOMAIN,
    PASSWORD,
    Answer,
    SipServer,
    challenge,
    message,
    settled,
)
from tests.push.sip.conftest import Serving
from tests.waiting import eventually

Open = Callable[..., UserAgent]
Serve = Callable[..., Serving]
TO = Uri(user="201", host=DOMAIN)
PEER = NameAddress(Uri(user="+13035550177", host=DOMAIN))
BOTH = ("udp", "tcp")
REGINFO = (
    '<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" '
    'state="full"><registration aor="sip:201@pbx.test" id="a" state="{state}"/></reginfo>'
)


# Sending


@pytest.mark.parametrize("transport", BOTH)
def test_a_text_is_sent_as_rfc_3428_wants_it(
    server: SipServer, open_agent: Open, transport: str
) -> None:
    agent = open_agent(server.account(transport))
    headers = {"X-SMS-To": "+12025550143", "X-Odd": "one\r\nVia: two"}
    response = agent.send_message(TO, PEER, "Hi 🙂\nthere", headers=headers, call_id="msg_1")
    (got,) = server.of("MESSAGE")
    assert response.status == 200
    assert got.raw.startswith(b"MESSAGE sip:201@pbx.test SIP/2.0\r\n")
    assert got.request.body == "Hi 🙂\nthere".encode()
    assert got.header("Content-Type") == "text/plain;charset=UTF-8"
    assert (got.header("Call-ID"), got.header("X-Odd")) == ("msg_1", "one Via: two")
    assert got.request.sender.uri == PEER.uri
    assert got.request.sender.tag
    assert not got.request.to.tag
    assert not got.header("Contact")  # RFC 3428 §4
    assert got.request.vias[0].transport == transport.upper() == got.transport
    assert len(got.request.vias) == 1


@pytest.mark.parametrize("transport", BOTH)
def test_ipv6(transport: str, serve: Serve) -> None:
    with SipServer("::1") as server:
        serving = serve(server.account(transport))
        (contact,) = server.of("REGISTER")[0].request.addresses("contact")
        assert contact.uri.host == "[::1]" == server.received[0].request.vias[0].host
        assert serving.agent.send_message(TO, PEER, "hi").status == 200
        assert server.answer_to(server.ask("MESSAGE", "hello")).status == 200
        assert len(server.of("REGISTER")) == 1  # the address that the PBX sees is the same


def test_a_name_with_several_addresses_is_tried_in_turn(
    server: SipServer, open_agent: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = socket.getaddrinfo

    def several(host: str, *arguments: Any, **options: Any) -> Any:
        found = [find(each, *arguments, **options)[0] for each in ("127.0.0.9", "127.0.0.1")]
        return found if host == "pbx.example" else find(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", several)
    for transport in BOTH:
        agent = open_agent(server.account(transport, server="pbx.example"))
        assert agent.send_message(TO, PEER, "hi").status == 200


def test_an_outbound_proxy_is_named_in_route(server: SipServer, open_agent: Open) -> None:
    place = server.account(server="pbx.invalid", proxy="127.0.0.1", proxy_port=server.port)
    open_agent(place).send_message(TO, PEER, "hi")
    assert server.of("MESSAGE")[0].header("Route") == f"<sip:127.0.0.1:{server.port};lr>"


@pytest.mark.parametrize("status", [202, 302, 404, 408, 413, 480, 503, 600])
def test_the_final_response_is_returned_whatever_it_is(
    server: SipServer, open_agent: Open, status: int
) -> None:
    server.script("MESSAGE", Answer(status, {"Retry-After": "30"}, first=(100, 183)))
    response = open_agent(server.account()).send_message(TO, PEER, "hi")
    assert (response.status, response.headers.get("retry-after")) == (status, "30")
    assert len(server.of("MESSAGE")) == 1


def test_what_got_lost_is_sent_again_in_the_same_form(server: SipServer, open_agent: Open) -> None:
    server.script("MESSAGE", Answer(0), Answer(0))
    assert open_agent(server.account()).send_message(TO, PEER, "hi").status == 200
    copies = server.of("MESSAGE")
    assert len(copies) == 3
    assert len({copy.raw for copy in copies}) == 1


def test_over_tcp_nothing_is_sent_again(server: SipServer, open_agent: Open) -> None:
    server.script("MESSAGE", Answer(0))
    with pytest.raises(NoAnswer):
        open_agent(server.account("tcp")).send_message(TO, PEER, "hi", seconds=0.6)
    assert len(server.of("MESSAGE")) == 1


@pytest.mark.parametrize("transport", BOTH)
def test_silence_ends_at_the_total_deadline(
    server: SipServer, open_agent: Open, transport: str
) -> None:
    server.script("MESSAGE", *[Answer(0, first=(100,))] * 50)
    with pytest.raises(NoAnswer) as caught:
        open_agent(server.account(transport)).send_message(TO, PEER, "hi", seconds=0.5)
    assert caught.value.kind is Kind.RETRY


@pytest.mark.parametrize("transport", BOTH)
def test_a_server_that_is_down_gets_nothing(
    server: SipServer, open_agent: Open, transport: str
) -> None:
    agent = open_agent(server.account(transport))
    server.stop()
    with pytest.raises(NotConnected):
        agent.send_message(TO, PEER, "hi")


def test_a_connection_that_was_closed_is_opened_again(server: SipServer, open_agent: Open) -> None:
    agent = open_agent(server.account("tcp"))
    for _ in range(3):
        assert agent.send_message(TO, PEER, "hi").status == 200
        server.drop()
        (connection,) = agent._requester._connections.values()
        eventually(lambda connection=connection: connection.lost)
    assert len(server.of("MESSAGE")) == 3


def test_a_connection_that_breaks_in_between_may_have_carried_the_text(
    server: SipServer, open_agent: Open
) -> None:
    server.script("MESSAGE", Answer(200, drop=True))
    with pytest.raises(NoAnswer):
        open_agent(server.account("tcp")).send_message(TO, PEER, "hi")
    assert len(server.of("MESSAGE")) == 1


@pytest.mark.parametrize(("length", "transport"), [(700, "UDP"), (1300, "TCP"), (20_000, "TCP")])
def test_a_long_request_goes_by_tcp(
    server: SipServer, open_agent: Open, length: int, transport: str
) -> None:
    agent = open_agent(server.account())
    assert agent.send_message(TO, PEER, "x" * length).status == 200
    (got,) = server.of("MESSAGE")
    assert got.transport == transport == got.request.vias[0].transport
    assert (len(got.raw) > UDP_BYTES) == (transport == "TCP")


def test_a_long_request_names_the_remedy_where_there_is_no_tcp(open_agent: Open) -> None:
    server = SipServer()
    server.tcp = False
    with server:
        agent = open_agent(server.account())
        with pytest.raises(TooLongForUdp, match="SIP_TRANSPORT=tcp"):
            agent.send_message(TO, PEER, "x" * 1300)
        assert agent.send_message(TO, PEER, "short").status == 200
    assert [each.request.body for each in server.received] == [b"short"]


# The password


@pytest.mark.parametrize("transport", BOTH)
def test_a_proxy_and_a_server_ask_for_the_password(
    server: SipServer, open_agent: Open, transport: str
) -> None:
    server.script("MESSAGE", challenge("407", qop="auth"), challenge("401", "def"))
    response = open_agent(server.account(transport)).send_message(TO, PEER, "hi")
    first, second, third = server.of("MESSAGE")
    assert response.status == 200
    assert not first.header("Authorization") + first.header("Proxy-Authorization")
    assert 'nonce="abc"' in second.header("Proxy-Authorization")
    assert "nc=00000001" in second.header("Proxy-Authorization")
    assert "nc=00000002" in third.header("Proxy-Authorization")
    assert 'nonce="def"' in third.header("Authorization")
    assert [each.request.cseq.number for each in (first, second, third)] == [1, 2, 3]
    assert len({each.request.vias[0].branch for each in (first, second, third)}) == 3
    assert len({each.header("Call-ID") for each in (first, second, third)}) == 1


def test_an_expired_nonce_is_no_wrong_password(server: SipServer, open_agent: Open) -> None:
    server.script("MESSAGE", challenge(), challenge(nonce="new", stale="TRUE"))
    assert open_agent(server.account()).send_message(TO, PEER, "hi").status == 200
    assert 'nonce="new"' in server.of("MESSAGE")[-1].header("Authorization")


def test_a_second_challenge_means_a_wrong_password(server: SipServer, open_agent: Open) -> None:
    server.script("MESSAGE", challenge(), challenge(nonce="new"))
    with pytest.raises(WrongPassword, match="SIP_PASSWORD") as caught:
        open_agent(server.account()).send_message(TO, PEER, "hi")
    assert (caught.value.kind, caught.value.code) == (Kind.CONFIG, "401")
    assert "in the name of outside numbers" in str(caught.value)
    assert PASSWORD not in str(caught.value) + repr(server.account())


def test_in_its_own_name_only_the_password_can_be_wrong(
    server: SipServer, open_agent: Open
) -> None:
    server.script("REGISTER", challenge(), challenge(nonce="new"))
    with pytest.raises(WrongPassword, match="SIP_PASSWORD") as caught:
        open_agent(server.account()).register()
    assert "outside numbers" not in str(caught.value)


def test_a_server_that_always_wants_a_new_nonce_is_given_up(
    server: SipServer, open_agent: Open
) -> None:
    server.script("MESSAGE", *[challenge(nonce=str(n), stale="true") for n in range(20)])
    with pytest.raises(PushError, match="again and again"):
        open_agent(server.account()).send_message(TO, PEER, "hi")
    assert len(server.of("MESSAGE")) == 5


# Registration


@pytest.mark.parametrize("transport", BOTH)
def test_the_account_is_registered_and_unregistered(
    server: SipServer, serve: Serve, transport: str
) -> None:
    serving = serve(server.account(transport))
    (first,) = server.of("REGISTER")
    (contact,) = first.request.addresses("contact")
    assert first.raw.startswith(b"REGISTER sip:pbx.test SIP/2.0\r\n")
    assert str(first.request.to.uri) == "sip:textbridge@pbx.test"
    assert contact.uri.port == first.request.vias[0].port
    assert contact.uri.param("transport") == (None if transport == "udp" else "tcp")
    assert (serving.registrations[0].seconds, serving.registrations[0].again) == (600, False)
    serving.stop()
    last = server.of("REGISTER")[-1]
    assert last.header("Contact") == f"<{contact.uri}>;expires=0"
    assert last.header("Call-ID") == first.header("Call-ID")
    assert last.request.cseq.number > first.request.cseq.number


def test_the_registration_is_renewed_in_half_of_what_was_granted(
    server: SipServer, serve: Serve
) -> None:
    granted = Answer(200, {"Contact": "<sip:textbridge@127.0.0.1:1>;expires=9", "Expires": "1"})
    server.script("REGISTER", *[granted] * 50)
    serve(server.account())
    server.wait("REGISTER", 3)


def test_a_registration_time_that_is_too_short_is_raised(
    server: SipServer, open_agent: Open
) -> None:
    server.script("REGISTER", Answer(423, {"Min-Expires": "1800"}))
    agent = open_agent(server.account())
    agent.register()
    agent.register()
    asked = [each.header("Expires") for each in server.of("REGISTER")]
    assert asked == ["600", "1800", "1800"]


REFUSALS = [
    (Answer(403, reason="Forbidden"), Kind.CONFIG, None, "SIP_USERNAME"),
    (Answer(404), Kind.CONFIG, None, "SIP_DOMAIN"),
    (Answer(423, {"Min-Expires": "1"}), Kind.CONFIG, None, "423"),
    (Answer(503, {"Retry-After": "120 (busy);duration=9"}), Kind.RETRY, 120.0, "503"),
    (Answer(500, {"Retry-After": "soon"}), Kind.RETRY, None, "500"),
    (Answer(302, {"Contact": "<sip:other.example.com>"}), Kind.CONFIG, None, "other.example.com"),
    (Answer(301, {"Contact": "nonsense"}), Kind.CONFIG, None, "SIP_SERVER"),
]


@pytest.mark.parametrize(("answer", "kind", "after", "names"), REFUSALS)
def test_a_refused_registration_says_what_to_do(
    server: SipServer, open_agent: Open, answer: Answer, kind: Kind, after: float, names: str
) -> None:
    server.script("REGISTER", answer)
    with pytest.raises(NotRegistered, match=names) as caught:
        open_agent(server.account()).register()
    assert (caught.value.kind, caught.value.retry_after) == (kind, after)
    assert caught.value.code == str(answer.status)
    assert len(server.of("REGISTER")) == 1


def test_a_temporary_refusal_while_it_holds_ends_nothing(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account(), refresh=0.1)
    server.script("REGISTER", Answer(503), Answer(503))
    server.wait("REGISTER", 6)
    assert serving.error is None


def test_what_the_pbx_sees_becomes_the_contact(server: SipServer, serve: Serve) -> None:
    server.sees_client_at = "192.0.2.7", 4711
    serve(server.account())
    first, removed, second = (each.header("Contact") for each in server.of("REGISTER"))
    assert removed == first.replace("expires=600", "expires=0")
    assert second == "<sip:textbridge@192.0.2.7:4711>;expires=600"


def test_service_routes_are_used_for_texts(server: SipServer, open_agent: Open) -> None:
    server.script("REGISTER", Answer(200, {"Expires": "600", "Service-Route": "<sip:edge;lr>"}))
    agent = open_agent(server.account())
    agent.register()
    agent.send_message(TO, PEER, "hi")
    assert server.of("MESSAGE")[0].header("Route") == "<sip:edge;lr>"


def test_a_lost_connection_is_registered_anew_at_once(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account("tcp"))
    old = server.of("REGISTER")[0].header("Contact")
    server.drop()
    serving.wait_registered(2)
    assert serving.registrations[1].again
    _, removed, new = (each.header("Contact") for each in server.of("REGISTER"))
    assert removed == old.replace("expires=600", "expires=0")
    assert new != old


def test_a_server_that_closes_every_connection_is_not_asked_without_a_pause(
    server: SipServer, serve: Serve
) -> None:
    serving = serve(server.account("tcp"), stable=1000.0)
    server.drop()
    eventually(lambda: serving.error)
    assert isinstance(serving.error, NoAnswer)
    assert len(server.of("REGISTER")) == 1


@pytest.mark.parametrize("transport", BOTH)
def test_a_server_that_went_away_is_told(server: SipServer, serve: Serve, transport: str) -> None:
    serving = serve(server.account(transport), keep_alive=0.1)
    server.stop()
    eventually(lambda: serving.error)
    assert isinstance(serving.error, NotConnected | NoAnswer)
    assert serving.error.kind is Kind.RETRY


def test_an_unanswered_keep_alive_ends_the_connection(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account("tcp"), keep_alive=0.1, pong=3.0)
    eventually(lambda: server.pings >= 2)
    assert len(serving.registrations) == 1
    server.pongs = False
    serving.wait_registered(2)


def test_a_server_that_knows_no_keep_alive_keeps_the_connection(
    server: SipServer, serve: Serve
) -> None:
    server.pongs = False
    serving = serve(server.account("tcp"), keep_alive=0.1, pong=0.1)
    eventually(lambda: server.pings >= 4)
    assert len(serving.registrations) == 1


# Requests that come in


@pytest.mark.parametrize("transport", BOTH)
def test_a_text_is_handed_out_once_and_answered_the_same_again(
    server: SipServer, serve: Serve, transport: str
) -> None:
    serving = serve(server.account(transport))
    serving.answer = 202
    asked = server.ask("MESSAGE", "Grüße 🙂", call_id="abc@x", cseq="7 MESSAGE", x_from="201")
    first = server.answer_to(asked)
    server.send(asked)
    eventually(lambda: len(server.responses) == 2)
    (came,) = [event for event in serving.events if isinstance(event, IncomingMessage)]
    assert first.status == 202
    assert server.responses[1].encode() == first.encode()
    assert first.to.tag
    assert (came.text, came.id, came.request.headers.get("x-from")) == (
        "Grüße 🙂",
        "abc@x 7",
        "201",
    )
    assert "Grüße" not in repr(came)


def test_a_copy_of_what_is_not_decided_yet_waits(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account())
    serving.answer = 0
    asked = server.ask("MESSAGE", "hello")
    eventually(lambda: serving.texts)
    for _ in range(5):
        server.send(asked)
    assert settled(lambda: len(server.responses)) == 0
    (came,) = [event for event in serving.events if isinstance(event, IncomingMessage)]
    came.answer(200)
    came.answer(503)
    assert server.answer_to(asked).status == 200
    assert serving.texts == ["hello"]


def test_what_nobody_decides_is_answered_503(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account(), answer=0.2)
    serving.answer = 0
    assert server.answer_to(server.ask("MESSAGE", "hello")).status == 503


def test_what_was_answered_503_is_not_taken_later(server: SipServer, open_agent: Open) -> None:
    agent = open_agent(server.account(), answer=0.2)
    with closing(agent.serve()) as events:
        next(events)
        assert server.answer_to(server.ask("MESSAGE", "late")).status == 503
        server.ask("MESSAGE", "in time")
        came = eventually(lambda: isinstance(event := next(events), IncomingMessage) and event)
        assert came.text == "in time"


def test_without_anybody_who_serves_a_text_is_refused_for_now(
    server: SipServer, open_agent: Open
) -> None:
    open_agent(server.account()).register()
    response = server.answer_to(server.ask("MESSAGE", "hello"))
    assert (response.status, response.headers.get("retry-after")) == (503, "10")


ODD = [
    ("OPTIONS", {}, "", 200, {"allow": "MESSAGE, OPTIONS, NOTIFY"}),
    ("INVITE", {}, "", 405, {"allow": "MESSAGE, OPTIONS, NOTIFY"}),
    ("FLY", {}, "", 405, {}),
    ("MESSAGE", {"Require": "nothing, much"}, "x", 420, {"unsupported": "nothing, much"}),
    ("MESSAGE", {"Content_Type": "text/html"}, "x", 415, {"accept": "text/plain, message/cpim"}),
    ("MESSAGE", {"Content_Type": "multipart/mixed;boundary=x"}, "x", 415, {}),
    ("MESSAGE", {}, "x" * 40_000, 413, {}),
    ("MESSAGE", {"Max_Forwards": "900"}, "x", 400, {}),
    ("MESSAGE", {"CSeq": "1 OPTIONS"}, "x", 400, {}),
    ("MESSAGE", {}, "  ", 200, {}),
    ("MESSAGE", {"Content_Type": "application/im-iscomposing+xml"}, "<x/>", 200, {}),
    ("NOTIFY", {"Event": "reg"}, "", 481, {}),
]


@pytest.mark.parametrize("transport", BOTH)
def test_other_requests_are_answered_and_not_handed_out(
    server: SipServer, serve: Serve, transport: str
) -> None:
    serving = serve(server.account(transport))
    for method, headers, body, status, expected in ODD:
        response = server.answer_to(server.ask(method, body, **headers))
        assert response.status == status, (method, headers)
        for name, value in expected.items():
            assert response.headers.get(name) == value
    server.ask("ACK")
    assert server.answer_to(server.ask("MESSAGE", "still here")).status == 200
    assert serving.texts == ["still here"]


def test_rubbish_costs_a_connection_and_no_more(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account("tcp"))
    server.send(b"\x00\xff rubbish\r\n\r\n")
    serving.wait_registered(2)
    assert server.answer_to(server.ask("MESSAGE", "hello")).status == 200


def test_a_datagram_of_a_stranger_is_not_heard(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account())
    with SipServer() as stranger:
        port = server.of("REGISTER")[0].request.vias[0].port
        assert port is not None
        stranger.send_to(("127.0.0.1", port))
        stranger.ask("MESSAGE", "I am extension 201")
        assert server.answer_to(server.ask("MESSAGE", "true")).status == 200
        assert settled(lambda: len(stranger.responses)) == 0
    assert serving.texts == ["true"]


def test_a_response_that_nobody_waits_for_is_dropped(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account())
    fields = {
        "Via": "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKx, SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKy",
        "From": "<sip:a@b>;tag=1",
        "To": "<sip:a@b>",
        "Call-ID": "x",
        "CSeq": "1 MESSAGE",
    }
    server.send(message("SIP/2.0 200 OK", fields))
    assert server.answer_to(server.ask("MESSAGE", "hello")).status == 200
    assert serving.texts == ["hello"]


def test_texts_that_nobody_took_are_refused_at_the_end(server: SipServer, open_agent: Open) -> None:
    serving = open_agent(server.account(), answer=1000.0).serve()
    next(serving)
    asked = server.ask("MESSAGE", "hello")
    assert settled(lambda: len(server.responses)) == 0
    serving.close()
    assert server.answer_to(asked).status == 503


def test_no_log_holds_a_text_or_the_password(server: SipServer, serve: Serve) -> None:
    with capture_logs() as logged:
        serving = serve(server.account("tcp"))
        html = server.ask("MESSAGE", "<b>the text</b>", content_type="text/html")
        assert server.answer_to(html).status == 415
        server.script("MESSAGE", challenge(), challenge())
        with pytest.raises(WrongPassword) as caught:
            serving.agent.send_message(TO, PEER, "the text")
        server.send(b"the text\r\n\r\n")
        serving.wait_registered(2)
    assert [entry["event"] for entry in logged] == [
        "SIP request refused",
        "SIP connection closed, data not readable",
    ]
    shown = repr((logged, caught.value, server.of("MESSAGE")[-1].request))
    for secret in ("the text", PASSWORD, "response="):
        assert secret not in shown


# Registrations of extensions


def notify(server: SipServer, state: str, subscription: str = "active;expires=60") -> bytes:
    subscribe = server.of("SUBSCRIBE")[-1]
    return server.ask(
        "NOTIFY",
        REGINFO.format(state=state),
        Call_ID=subscribe.header("Call-ID"),
        Event="reg",
        Subscription_State=subscription,
        Content_Type="application/reginfo+xml",
    )


def test_registrations_of_extensions_are_reported(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account(), (TO, replace(TO, user="202")))
    first, second = server.wait("SUBSCRIBE", 2)
    assert first.raw.startswith(b"SUBSCRIBE sip:201@pbx.test SIP/2.0\r\n")
    assert (first.header("Event"), first.header("Accept")) == ("reg", "application/reginfo+xml")
    assert second.request.uri == "sip:202@pbx.test"
    for state in ("active", "terminated"):
        assert server.answer_to(notify(server, state)).status == 200
        server.responses.clear()
    eventually(lambda: [e for e in serving.events if isinstance(e, ExtensionState)][1:])
    states = [event for event in serving.events if isinstance(event, ExtensionState)]
    assert states == [
        ExtensionState("sip:201@pbx.test", True),
        ExtensionState("sip:201@pbx.test", False),
    ]


@pytest.mark.parametrize(("status", "asked"), [(489, 1), (405, 1), (0, 1), (404, 2)])
def test_a_pbx_without_reg_events_is_not_asked_again(
    server: SipServer, serve: Serve, status: int, asked: int
) -> None:
    server.script("SUBSCRIBE", *[Answer(status)] * 60)
    serving = serve(server.account("tcp"), (TO, replace(TO, user="202")), register=0.5)
    eventually(lambda: [e for e in serving.events if isinstance(e, WatchRefused)][asked - 1 :])
    assert server.answer_to(server.ask("MESSAGE", "hello")).status == 200
    assert settled(lambda: len(server.of("SUBSCRIBE")), 2.0) == asked
    refused = [event for event in serving.events if isinstance(event, WatchRefused)]
    assert refused[0] == WatchRefused("sip:201@pbx.test", status)


def test_a_password_that_does_not_count_for_reg_events_ends_nothing(
    server: SipServer, serve: Serve
) -> None:
    server.script("SUBSCRIBE", challenge(), challenge(nonce="new"))
    serving = serve(server.account(), (TO,))
    eventually(lambda: [event for event in serving.events if isinstance(event, WatchRefused)])
    assert serving.events[-1] == WatchRefused("sip:201@pbx.test", 401)
    assert server.answer_to(server.ask("MESSAGE", "hello")).status == 200


def test_after_a_loss_it_subscribes_again(server: SipServer, serve: Serve) -> None:
    serving = serve(server.account("tcp"), (TO,))
    server.wait("SUBSCRIBE")
    server.drop()
    serving.wait_registered(2)
    server.wait("SUBSCRIBE", 2)
