"""OpenAPI document: a fuzzer that reads it finds no undeclared answer."""

import gc
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, GenerationMode, checks
from schemathesis.generation.case import Case

from services.messaging.device_limits import DeviceLimits
from services.messaging.send_limits import SendLimits
from services.operations.login_throttle import LoginThrottle
from tests.api.conftest import API, PEER, SHARED, Phone, Service, open_service
from tests.pictures import gif

DOCUMENT = f"{API}/openapi.json"
PASSWORD = "a good password"
METHODS = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose operator has a password."""
    service = open_service(tmp_path_factory.mktemp("standing"), ADMIN_PASSWORD=PASSWORD)
    yield service
    service.gateway.close()


@pytest.fixture(scope="module")
def phone(shared_service: Service) -> Phone:
    """A phone of extension 201."""
    return shared_service.pair("201")


@pytest.fixture(scope="module")
def known(shared_service: Service, phone: Phone) -> dict[str, str]:
    """Ids of things that exist, so that the fuzzer gets beyond 404."""
    shared_service.receive(to=SHARED)
    (conversation,) = phone.read("/conversations")["items"]
    sent = phone.send(to=PEER)
    upload = phone.post("/media", data={"file": (BytesIO(gif()), "a.gif")}).json
    return {
        "conversation_id": conversation["id"],
        "message_id": sent["id"],
        "media_id": upload["id"],
        "device_id": shared_service.pair("201", "Spare").id,
        "number": "+12025550199",
    }


@pytest.fixture(scope="module")
def document(shared_service: Service) -> Any:
    """The published document, with the service behind it."""
    shared_service.gateway.stopping = True  # or every stream and every wait would last
    return schemathesis.openapi.from_wsgi(DOCUMENT, shared_service.app)


FEW, MANY = 8, 1_000  # calls of each operation and kind
CONFORMS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


# The fuzzer leaves the files open that it gets.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "examples", [FEW, pytest.param(MANY, marks=[pytest.mark.release, pytest.mark.timeout(7200)])]
)
def test_a_fuzzer_finds_no_fault_and_no_answer_that_is_not_declared(
    examples: int,
    document: Any,
    phone: Phone,
    known: dict[str, str],
    subtests: pytest.Subtests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each call is answered, however many there are.
    for limits, name in (
        (LoginThrottle, "spend"),
        (DeviceLimits, "count"),
        (DeviceLimits, "spend"),
        (SendLimits, "begin_upload"),
    ):
        monkeypatch.setattr(limits, name, lambda *_, **__: None)
    known_to = {
        "device": {"Authorization": f"Bearer {phone.token}"},
        "operator": {"Authorization": "Basic " + b64encode(f"admin:{PASSWORD}".encode()).decode()},
    }

    def ask(case: Case) -> None:
        declared = case.operation.definition.raw["security"]
        headers = known_to["operator" if {"operator": []} in declared else "device"]
        headers = {**headers, "Accept-Encoding": "identity"}  # the fuzzer decompresses nothing
        # Whether a phone number can be dialled is more than a document can say.
        case.call_and_validate(headers=headers, excluded_checks=[checks.positive_data_acceptance])
        real = {name: known[name] for name in case.path_parameters if name in known}
        if real and case.method != "DELETE":
            case.path_parameters.update(real)
            case.validate_response(case.call(headers=headers), checks=CONFORMS)

    for operation in (found.ok() for found in document.get_all_operations()):
        for mode in GenerationMode:
            with subtests.test(operation.label, mode=mode.value):
                fuzz(operation, mode, ask, examples)
    gc.collect()


def fuzz(
    operation: APIOperation, mode: GenerationMode, ask: Callable[[Case], None], examples: int
) -> None:
    """Make up calls, right ones or wrong ones."""
    profile = settings(
        max_examples=examples,
        phases=[Phase.generate],  # to find, not to make small
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        profile(given(case=operation.as_strategy(generation_mode=mode))(ask))()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "nothing can be wrong with this call"


def test_the_document_is_open_and_valid(shared_service: Service, document: Any) -> None:
    document.validate()
    told = shared_service.client.get(DOCUMENT)
    assert told.status_code == 200
    assert told.json["openapi"].startswith("3.1")


def test_the_document_has_every_call(shared_service: Service) -> None:
    paths = shared_service.client.get(DOCUMENT).json["paths"]
    written = {(m.upper(), path) for path, calls in paths.items() for m in METHODS & set(calls)}
    real = {
        (method, re.sub("<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in shared_service.app.url_map.iter_rules()
        if rule.rule.startswith(API) and rule.rule != DOCUMENT
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert written == real


def test_every_call_says_who_may_and_what_else_it_answers(shared_service: Service) -> None:
    paths = shared_service.client.get(DOCUMENT).json["paths"]
    for path, calls in paths.items():
        for method in METHODS & set(calls):
            call = calls[method]
            answers = set(call["responses"])
            assert {"405", "503"} <= answers, (method, path)
            assert ("401" in answers) == (path != f"{API}/pair")
            assert bool(call["security"]) == ("401" in answers)
            if "requestBody" in call:
                assert {"400", "413", "415", "422"} <= answers
            assert call["summary"]
            assert "default" not in answers, "it would declare everything"


# Names of functions in clients that were generated: a call keeps its name.
OPERATIONS = """
assignConversation blockSender cancelBulkSend cancelScheduledMessage createBulkSend
createEventsTicket deleteContact deleteConversation deleteNumberSettings dismissOptOutSuggestion
exportContacts getBulkSend getConversation getMe getMedia getMediaThumbnail getMessage
getNumberSettings getRules getTemplateSettings importContacts listBulkSends listContacts
listConversationScheduledMessages listConversations listDevices listExtensionNames
listExtensions listMessages listNumberSettings listScheduledMessages listTemplates
markConversationRead markConversationUnread muteConversation optOutConversation pairDevice
pinConversation putContact putExtensionName putNumberSettings replaceRules
replaceTemplateSettings revokeDevice searchMessages sendMessage sendScheduledMessage
streamEvents sync testDevice unblockSender unmuteConversation unpinConversation updateDevice
updateScheduledMessage uploadMedia
"""


def test_every_call_has_a_name_of_its_own_that_stays(shared_service: Service) -> None:
    paths = shared_service.client.get(DOCUMENT).json["paths"]
    names = [
        calls[method]["operationId"] for calls in paths.values() for method in METHODS & set(calls)
    ]
    assert len(names) == len(set(names))
    assert not set(OPERATIONS.split()) - set(names), "clients call these"
    assert not set(names) - set(OPERATIONS.split()), "new ones: add them here"


def test_every_answer_and_every_field_has_a_shape(shared_service: Service) -> None:
    document = shared_service.client.get(DOCUMENT).json
    for path, calls in document["paths"].items():
        for method in METHODS & set(calls):
            for status, answer in calls[method]["responses"].items():
                shapes = [content.get("schema") for content in answer.get("content", {}).values()]
                assert all(shapes), (method, path, status)
                assert shapes or status in ("204", "304") or "$ref" in answer, (
                    method,
                    path,
                    status,
                )
    for name, schema in document["components"]["schemas"].items():
        for field, shape in schema.get("properties", {}).items():
            assert shape.keys() & {"type", "$ref", "anyOf", "allOf", "enum"}, (name, field)
