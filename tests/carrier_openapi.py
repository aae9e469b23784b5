"""Hold our requests and payload files against the OpenAPI document that a carrier publishes.

``python -m tests.carrier_openapi bandwidth DOCUMENT`` (YAML or JSON, fetched by hand; it is not
kept here). The requests are those of ``send_*.json``, ``find_sent.json`` and ``check.json``, which
the tests of the payload files compare with what is really sent; the calls are ``receive_*.http``
and ``status_*.http``. The calls that the document itself shows are read as our webhook reads them.
Prints every difference; ends with 1 if a request differs or a call of the document cannot be read.
The results are in docs/testing.md.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from jsonschema import Draft202012Validator

from services.core.messages import Unreadable
from services.providers.base import json_call
from tests import payload_files

# The schemas of the calls in each document, by the beginning of the payload files' names.
CALLS = {
    "bandwidth": {"receive": "inboundCallback", "status": "statusCallback"},
    "telnyx": {"receive": "InboundMessageEvent", "status": "OutboundMessageEvent"},
    "twilio": {},  # the document describes no webhooks
    "wavix": {"receive": "InboundMessage", "status": "MessagesDeliveryReport"},
}

SIGN_IN = "/token"  # Bandwidth's OAuth2 is in no document of its messaging


@dataclass(frozen=True)
class Document:
    """An OpenAPI document (3.0 or 3.1)."""

    root: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Document":
        """Read a document in YAML or JSON."""
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return cls(json.loads(text))
        # The times of YAML are texts in the JSON that it stands for.
        plain = json.dumps(yaml.safe_load(text), default=lambda value: value.isoformat())
        return cls(json.loads(plain))

    def resolved(self, value: Any) -> Any:
        """What a reference within the document leads to; other values as they are."""
        while isinstance(value, dict) and "$ref" in value:
            found: Any = self.root
            for name in value["$ref"].removeprefix("#/").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")]
            value = found
        return value

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """The path template and the operation of a request; the longest template first."""
        for template in sorted(self.root["paths"], key=len, reverse=True):
            pattern = re.sub(r"\\\{[^/]+?\\\}", "[^/]+", re.escape(template))
            item = self.root["paths"][template]
            if re.fullmatch(f"(.*)?{pattern}", path) and method.lower() in item:
                parameters = [
                    *item.get("parameters", []),
                    *item[method.lower()].get("parameters", []),
                ]
                return template, {**item[method.lower()], "parameters": parameters}
        return None

    def differences(self, value: Any, schema: Any) -> list[str]:
        """How a value differs from a schema, with fields that the schema does not name."""
        whole = {**_nullable(schema), "components": _nullable(self.root.get("components", {}))}
        found = [
            f"{'.'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:120]}"
            for error in Draft202012Validator(whole).iter_errors(value)
        ]
        known = self._properties(schema)
        if isinstance(value, dict) and known:
            found += [f"{name}: not in the document" for name in value if name not in known]
        return found

    def calls(self, schema: str) -> Iterator[tuple[str, Any]]:
        """The calls that the document shows: its examples of a schema, and that of its fields."""
        reference = {"$ref": f"#/components/schemas/{schema}"}
        for name, example in self.root.get("components", {}).get("examples", {}).items():
            value = self.resolved(example).get("value")
            if isinstance(value, dict) and not self.differences(value, reference):
                yield name, value
        yield schema, self.sample(reference)

    def sample(self, schema: Any) -> Any:
        """The value that the examples in a schema make; ``None`` where there is none."""
        schema = self.resolved(schema)
        if "example" in schema:
            return schema["example"]
        made: dict[str, Any] = {}
        for part in schema.get("allOf", ()):
            made |= self.sample(part) or {}
        for name, one in schema.get("properties", {}).items():
            value = self.sample(one)
            made |= {} if value is None else {name: value}
        if made:
            return made
        if schema.get("type") == "array":
            value = self.sample(schema.get("items", {}))
            return [] if value is None else [value]
        return next(iter(schema.get("enum", ())), None)

    def _properties(self, schema: Any) -> set[str]:
        schema = self.resolved(schema)
        names = set(schema.get("properties", {}))
        for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
            names |= self._properties(part)
        return names


def _nullable(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 whose ``nullable`` is written as in JSON Schema."""
    if isinstance(schema, list):
        return [_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _nullable(part) for name, part in schema.items()}
    if plain.pop("nullable", False) is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain


def requests_of(carrier: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The requests that we make, each with the name of its case."""
    for pattern in ("send_*.json", "find_sent.json", "check.json"):
        for case in payload_files.table_cases(pattern):
            name, written = case.values
            if name == carrier:
                for exchange in written["exchanges"]:
                    if not exchange["request"]["url"].endswith(SIGN_IN):
                        yield str(case.id), exchange["request"]


def request_differences(document: Document, request: Mapping[str, Any]) -> list[str]:
    """How one request differs from the document."""
    parts = urlsplit(request["url"])
    found = document.operation(request["method"], parts.path)
    if found is None:
        return [f"{request['method']} {parts.path}: not in the document"]
    template, operation = found
    parameters = [document.resolved(each) for each in operation["parameters"]]
    known = {each["name"] for each in parameters if each["in"] == "query"}
    asked = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    differences = [f"?{name}: not in the document" for name in asked if name not in known]
    needed = {each["name"] for each in parameters if each["in"] == "query" and each.get("required")}
    differences += [f"?{name}: missing" for name in needed - set(asked)]
    content = document.resolved(operation.get("requestBody", {})).get("content", {})
    for form, kind in (("json", "application/json"), ("form", "application/x-www-form-urlencoded")):
        if form in request:
            schema = content.get(kind, {}).get("schema")
            if schema is None:
                differences.append(f"a body of {kind}: not in the document")
                continue
            body = request[form] if form == "json" else _form(document, request[form], schema)
            differences += document.differences(body, schema)
    return [f"{request['method']} {template}: {each}" for each in differences]


def _form(document: Document, form: Mapping[str, str], schema: Any) -> dict[str, Any]:
    """The fields of a form with the types that a document gives them."""
    properties = document.resolved(schema).get("properties", {})
    kinds = {name: document.resolved(each).get("type") for name, each in properties.items()}
    return {name: [value] if kinds.get(name) == "array" else value for name, value in form.items()}


def events_of(carrier: str) -> Iterator[tuple[str, str, Any]]:
    """The events of the payload files that are read: name, its beginning, and the event."""
    for path in sorted((payload_files.FOLDER / carrier).glob("*.http")):
        read = payload_files.expected(path)
        if not read or any("unreadable" in part for part in read):
            continue
        body = payload_files.read_request(path).call.json()
        for event in body if isinstance(body, list) else [body]:
            yield path.stem, path.stem.partition("_")[0], event


def unreadable(document: Document, carrier: str) -> Iterator[tuple[str, str]]:
    """The calls that the document shows: name, and why our webhook cannot read it or nothing."""
    provider = payload_files.provider(carrier)
    for schema in CALLS[carrier].values():
        if schema not in document.root.get("components", {}).get("schemas", {}):
            continue
        for name, value in document.calls(schema):
            read = list(provider.parse(json_call(value)))
            reasons = [part.reason for part in read if isinstance(part, Unreadable)]
            yield name, "; ".join(reasons) if read else "nothing is read in it."


def main() -> int:
    """Print the differences; the result is the exit code."""
    parser = argparse.ArgumentParser(description="Our requests against a carrier's OpenAPI.")
    parser.add_argument("carrier", choices=sorted(CALLS))
    parser.add_argument("document", type=Path)
    given = parser.parse_args()
    document = Document.read(given.document)
    made = list(requests_of(given.carrier))
    wrong: dict[str, list[str]] = {}
    for name, request in made:
        for difference in request_differences(document, request):
            wrong.setdefault(difference, []).append(name)
    for difference, names in sorted(wrong.items()):
        print(f"request: {difference} ({len(names)}, such as {names[0]})")
    schemas = document.root.get("components", {}).get("schemas", {})
    calls = odd = 0
    for name, beginning, event in events_of(given.carrier) if CALLS[given.carrier] else ():
        schema = CALLS[given.carrier].get(beginning)
        if schema not in schemas:
            print(f"call: {name}: the document has no schema {schema}")
            continue
        calls += 1
        differences = document.differences(event, {"$ref": f"#/components/schemas/{schema}"})
        odd += bool(differences)
        for difference in differences:
            print(f"call: {name}: {difference}")
    shown = list(unreadable(document, given.carrier))
    lost = [(name, reason) for name, reason in shown if reason]
    for name, reason in lost:
        print(f"shown: {name}: {reason}")
    print(f"{len(made)} requests, {len(wrong)} differences; {calls} calls, {odd} of them differ.")
    print(f"{len(shown)} calls of the document, {len(lost)} of them cannot be read.")
    return 1 if wrong or lost else 0


if __name__ == "__main__":
    sys.exit(main())
