"""Declaring calls of the API: route, authentication, input and answers.

From the same declaration come the checks of the input and the OpenAPI document.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, NoReturn, TypeVar

from flask import Request, abort, current_app
from flask_smorest import Api, Blueprint
from marshmallow import RAISE, Schema, ValidationError, fields, missing
from webargs.core import is_json
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from blueprints.api.auth import PREFIX, Auth
from blueprints.api.fields import Recipients
from blueprints.api.schemas.response_schema import ProblemSchema
from blueprints.errors import problem
from blueprints.request_body import UNPROVEN_BYTES, whole_body

View = TypeVar("View", bound=Callable[..., Any])
Answer = type[Schema] | dict[str, Any] | None  # the shape of an answer's body
PROBLEM = "application/problem+json"
MOST_JSON = 256_000
MOST_FILE = 25_000_000
ENVELOPE = 20_000  # what multipart adds to a file

# The refusals that every call with this kind of input has.
REFUSALS = {"json": {400, 408, 413, 415, 422}, "files": {400, 408, 413, 415, 422}}
SECURITY: dict[Auth, list[dict[str, list[str]]]] = {
    Auth.ANYBODY: [],
    Auth.DEVICE: [{"device": []}],
    Auth.OPERATOR: [{"operator": []}],
    Auth.STREAM: [{"device": []}, {"ticket": []}],
}
REFUSED = {401, 429}  # a wrong token, or too many of them
LOCKED: dict[Auth, set[int]] = {Auth.ANYBODY: set(), Auth.OPERATOR: {403, *REFUSED}}
SCHEMES = {
    "device": {"type": "http", "scheme": "bearer", "description": "The token from pairing."},
    "operator": {"type": "http", "scheme": "basic", "description": "admin and ADMIN_PASSWORD."},
    "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
}


class Parser(FlaskParser):
    """Reads the input of a call within limits; its errors name every field that is wrong."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE}

    def _raw_load_json(self, req: Request) -> Any:
        if not is_json(req.mimetype):
            abort(415, description="Send JSON, with “Content-Type: application/json”.")
        view = current_app.view_functions[req.endpoint or ""]
        most = MOST_JSON if getattr(view, "auth", Auth.ANYBODY) != Auth.ANYBODY else UNPROVEN_BYTES
        with _at_most(req, most):
            body = whole_body(most)
        if not body:
            return missing
        try:
            return json.loads(body.decode(), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            abort(400, description="The body is not JSON in UTF-8, or is nested too deeply.")

    def load_files(self, req: Request, schema: Schema) -> Any:
        """The files of a form, as multipart/form-data."""
        if req.mimetype != "multipart/form-data":
            abort(415, description="Send the file as multipart/form-data, in the field “file”.")
        with _at_most(req, MOST_FILE + ENVELOPE):
            return super().load_files(req, schema)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: Any) -> Any:
        """Answer 422 and name every field with its remedies, the first one in words."""
        complain(next(iter(error.messages.values())))  # type: ignore[union-attr]


def complain(messages: Any, path: str = "") -> NoReturn:
    """Answer 422 with marshmallow's errors about the part of the input at ``path``."""
    complaints = dict(_flat(path, messages))
    field, reasons = next(iter(complaints.items()))
    abort(problem(422, "invalid", f"{field}: {reasons[0]}", field=field, errors=complaints))


@contextmanager
def _at_most(req: Request, most: int) -> Iterator[None]:
    req.max_content_length = most
    try:
        yield
    except RequestEntityTooLarge:
        abort(413, description=f"Send at most {most // 1000} kB.")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


def _flat(path: str, messages: Any) -> Iterator[tuple[str, list[str]]]:
    """Errors by field: ``{"device": {"name": [...]}}`` becomes ``device.name``."""
    if not isinstance(messages, dict):
        yield path or "body", messages if isinstance(messages, list) else [str(messages)]
        return
    for key, inner in messages.items():
        is_value = key == "value" and set(messages) == {"value"} and isinstance(inner, list)
        step = (
            ""
            if key == "_schema" or is_value
            else f"[{key}]"
            if isinstance(key, int)
            else f".{key}"
        )
        yield from _flat((path + step).lstrip("."), inner)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One call of the API, see ``call``."""

    method: str
    rule: str
    auth: Auth
    answers: Mapping[int, Answer]
    refuses: Iterable[int]
    content_type: str
    takes: Mapping[str, type[Schema]]


def call(
    method: str,
    rule: str,
    auth: Auth,
    *,
    answers: Mapping[int, Answer],
    refuses: Iterable[int] = (),
    content_type: str = "application/json",
    **takes: type[Schema],
) -> Callable[[View], View]:
    """Declare a method of a ``Resource`` as a call of the API.

    The method's name is the ``operationId`` in the OpenAPI document, a part of the contract.
    ``answers`` are the successes with their shapes, ``refuses`` the refusals beyond those that
    follow from ``auth`` and ``takes``. ``takes`` are the schemas of ``query``, ``headers``,
    ``json`` or ``files``; what they read is given to the method in this order.
    """

    def declare(view: View) -> View:
        declared: Any = view
        declared.declaration = Declaration(
            method, rule, auth, answers, refuses, content_type, takes
        )
        return view

    return declare


class Resource:
    """The calls of one resource: methods that are declared with ``call``."""

    name: ClassVar[str]
    description: ClassVar[str]

    def blueprint(self) -> Blueprint:
        """The routes of the declared methods."""
        routes = _Routes(self.name, __name__, url_prefix=PREFIX, description=self.description)
        for name, view in vars(type(self)).items():
            declaration = getattr(view, "declaration", None)
            if declaration is not None:
                routes.add(getattr(self, name), declaration)
        return routes


class _Routes(Blueprint):  # type: ignore[misc]
    ARGUMENTS_PARSER = Parser()

    def add(self, view: Callable[..., Any], call: Declaration) -> None:
        """Add one call: its route, the checks of its input, its part of the document."""
        declared: Any = view
        for status, schema in call.answers.items():
            content = {"schema": schema, "content_type": call.content_type} if schema else {}
            declared = self.alt_response(status, success=True, **content)(declared)
        for location, schema in reversed(list(call.takes.items())):
            declared = self.arguments(schema(), location=location)(declared)
        refusals = {405, 503, *call.refuses, *LOCKED.get(call.auth, REFUSED)}
        refusals.update(*(REFUSALS.get(location, {422}) for location in call.takes))
        named = {status: HTTPStatus(status).name for status in sorted(refusals)}
        declared = self.doc(
            operationId=_camel_case(view.__name__), responses=named, security=SECURITY[call.auth]
        )(declared)
        declared.auth = call.auth
        self.add_url_rule(call.rule, None, declared, methods=[call.method])


def _camel_case(name: str) -> str:
    """The ``operationId`` of a method: clients that are generated name their functions by it.

    >>> _camel_case("list_bulk_sends")
    'listBulkSends'
    """
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _one_or_several(
    _: object, field: fields.Field[Any], ret: dict[str, Any], **__: object
) -> dict[str, Any]:
    """The schema of ``Recipients``: one address or a list, and not both in one type."""
    if not isinstance(field, Recipients):
        return {}
    several = {key: ret.pop(key) for key in ("type", "items", "minItems", "maxItems")}
    return {"anyOf": [several["items"], several]}


class Document(Api):  # type: ignore[misc]
    """The API as OpenAPI 3.1; errors are answered by ``blueprints.errors``."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def init_app(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the document, which knows our fields."""
        super().init_app(*args, **kwargs)
        self.ma_plugin.converter.add_attribute_function(_one_or_several)

    def _register_error_handlers(self) -> None:
        """The application has its own."""

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            content = {PROBLEM: {"schema": self.ERROR_SCHEMA}}
            answer = {"description": status.phrase, "content": content}
            self.spec.components.response(status.name, answer, lazy=True)
        for name, scheme in SCHEMES.items():
            self.spec.components.security_scheme(name, scheme)
