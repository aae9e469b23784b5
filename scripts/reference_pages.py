"""Reference pages of the documentation: every option of every command, every call of the API."""

import re
import tempfile
from collections.abc import Iterator
from typing import Any

from click import Argument, Command, Group, Option

from app import create_app


def _escaped(text: str) -> str:
    """A text in one line of Markdown."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def both() -> tuple[str, str]:
    """The two tables in Markdown: of commands, and of calls."""
    with tempfile.TemporaryDirectory() as storage:
        app = create_app({"APP_ENV": "local", "STORAGE_PATH": storage})
        contract = app.test_client().get("/api/v1/openapi.json").get_json()
        app.extensions["gateway"].close()
    return _page(_commands(app.cli)), _page(_calls(contract))


def _page(parts: Iterator[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).lstrip("\n").rstrip() + "\n\n"


def _commands(group: Group) -> Iterator[str]:
    own = sorted(set(group.commands) - {"routes", "run", "shell"})
    for name in own:
        command = group.commands[name]
        yield f"\n## {name}\n\n{_escaped(command.help or '')}\n"
        if isinstance(command, Group):
            for part in sorted(command.commands):
                yield f"\n### {name} {part}\n"
                yield from _command(f"{name} {part}", command.commands[part])
        else:
            yield from _command(name, command, is_titled=True)


def _command(name: str, command: Command, *, is_titled: bool = False) -> Iterator[str]:
    arguments = [each for each in command.params if isinstance(each, Argument)]
    shown = " ".join([f"flask {name}", *map(_shown, arguments)])
    if not is_titled:
        yield f"{_escaped(command.help or '')}\n"
    yield f"`{shown}`\n"
    options = [each for each in command.params if isinstance(each, Option) and not each.hidden]
    if options:
        yield "| option | what it does |\n|---|---|"
        for each in options:
            yield f"| {_names(each)} | {_escaped(each.help or '')} |"
        yield ""


def _shown(argument: Argument) -> str:
    """An argument as the help shows it."""
    name = argument.metavar or (argument.name or "").upper()
    more = "…" if argument.nargs != 1 else ""
    return f"{name}{more}" if argument.required else f"[{name}{more}]"


def _names(option: Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    is_required = " (required)" if option.required else ""
    more = " (repeatable)" if option.multiple else ""
    return names + is_required + more


def _calls(contract: dict[str, Any]) -> Iterator[str]:
    calls = [
        (tag, method.upper(), path, call, methods.get("parameters", []))
        for path, methods in contract["paths"].items()
        for method, call in methods.items()
        if method != "parameters"
        for tag in call.get("tags", ["other"])[:1]
    ]
    for tag in dict.fromkeys(call[0] for call in calls):
        yield f"\n## Calls: {tag}\n"
        for _, method, path, call, shared in (each for each in calls if each[0] == tag):
            yield f"\n### {method} {path}\n\n{_escaped(call.get('summary', ''))}"
            yield f"\n{_escaped(call.get('description', ''))}\n"
            parameters = [_of(contract, each) for each in (*shared, *call.get("parameters", []))]
            if parameters:
                yield "| parameter | in | type | what it is |\n|---|---|---|---|"
                for each in parameters:
                    kind = _type(each.get("schema", {}))
                    must = "required. " if each.get("required") and each["in"] != "path" else ""
                    doc = must + _escaped(each.get("description", ""))
                    yield f"| `{each['name']}` | {each['in']} | {kind} | {doc} |"
                yield ""
            body = _body(call.get("requestBody", {}))
            if body:
                yield f"Body: {body}.\n"
            yield f"Answers: {', '.join(_answers(call['responses']))}.\n"
    for name, schema in sorted(contract["components"]["schemas"].items()):
        if schema.get("properties"):
            yield f"\n## {name}\n\n{_escaped(schema.get('description', ''))}\n"
            yield "| field | type | what it is |\n|---|---|---|"
            must_have = schema.get("required", [])
            for field, kind in schema["properties"].items():
                must = " (required)" if field in must_have else ""
                doc = _escaped(kind.get("description", ""))
                yield f"| `{field}`{must} | {_type(kind)} | {doc} |"
            yield ""


def _of(contract: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What a part of the contract refers to."""
    found: dict[str, Any] = part
    if "$ref" in part:
        found = contract
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


def _body(body: dict[str, Any]) -> str:
    return " or ".join(
        f"`{kind}`" if "$ref" not in each.get("schema", {}) else _type(each["schema"])
        for kind, each in body.get("content", {}).items()
    )


def _answers(responses: dict[str, Any]) -> Iterator[str]:
    for status, answer in sorted(responses.items()):
        kind = _body(answer) if status.startswith("2") else ""
        yield f"{status} {kind}".strip()


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words, with a link to an object of this page."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("allOf", "anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(each) for each in schema[several])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return f"{kind}, {schema['format']}" if "format" in schema else str(kind)
