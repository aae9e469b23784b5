"""The table of error codes in docs/errors.md, read from the places that refuse a request."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFUSALS = ("RequestRefused", "_NotAnswered", "_left_out")
# Classes of errors that name their own code.
OF_CLASSES = ("files_too_large", "invalid_recipients")
# What the sentences are about that are made elsewhere, from what was sent or what a server said.
MEANINGS = {
    "ambiguous_id": "Several messages begin with this id. Give more of its characters.",
    "answered": "A person has answered meanwhile, so the automatic answer was not sent.",
    "carrier_unreachable": "The carrier did not hand over a file. Process the call again later.",
    "country_not_allowed": "The administrator can add the country to ALLOWED_COUNTRIES.",
    "csv_unreadable": "The CSV file cannot be read; the sentence names the line.",
    "fault": "The send failed by a fault of Textbridge; its log says more.",
    "file_unreadable": "The film or sound cannot be read. Save it as MP4, and send the new file.",
    "files_too_large": "All files together are larger than the carrier takes. Leave one out.",
    "invalid_number": "This is no phone number. Write it as in +12025550143.",
    "invalid_recipients": "Some recipients cannot be sent to; `errors` lists each with its line.",
    "mail_unusable": "The mail cannot be sent as a text; the sentence says why.",
    "not_answered": "An automatic answer was not sent; the sentence says why.",
    "opted_out": "The person has opted out with STOP and can take it back with START.",
    "picture": "The picture cannot be read. Send it as a JPEG.",
    "rules_refuse": "A rule of Message Settings forbids it; the sentence names the rule.",
    "settings_broken": "Message Settings cannot be read; `flask status` says where.",
    "storage_unwell": "Nothing can be written to disk now. Send the same request again later.",
    "unknown_field": "The text has a field that the list of recipients does not have.",
    "unknown_peer": "This is no phone number and no known sender.",
}
CODE = re.compile(r"[a-z_]+")
FIELD = re.compile(r"\{\w*\}")


@dataclass
class Refusal:
    """An error code: its HTTP statuses, the fields that it names, and its sentences."""

    statuses: set[int] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    sentences: list[str] = field(default_factory=list)


def refusals() -> dict[str, Refusal]:
    """Every code of a ``RequestRefused`` in the code, in alphabetical order.

    Codes that are made from a variable are in it by the place that names them.
    """
    found = {code: Refusal({422}) for code in OF_CLASSES}
    for path in sorted((*ROOT.glob("services/**/*.py"), *ROOT.glob("blueprints/**/*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = dict(_constants(tree))
        for call in _calls(tree):
            code = _text(call.args[0], names)
            if code is None or not CODE.fullmatch(code):
                continue
            one = found.setdefault(code, Refusal())
            given = {word.arg: word.value for word in call.keywords if word.arg}
            status = given.get("status")
            if status is None:
                one.statuses.add(422)
            elif isinstance(status, ast.Constant) and isinstance(status.value, int):
                one.statuses.add(status.value)
            part = _text(given["field"], names) if "field" in given else None
            if part:
                one.fields.add(part)
            reason = _text(call.args[1], names) if len(call.args) > 1 else None
            if reason and reason not in one.sentences:
                one.sentences.append(reason)
    return dict(sorted(found.items()))


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[_, *_]) if name in REFUSALS:
                yield node


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The constants of a module, also those that it imports from a module of ours."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            source = ROOT / f"{node.module.replace('.', '/')}.py"
            if source.is_file() and any(each.name.isupper() for each in node.names):
                theirs = dict(_constants(ast.parse(source.read_text(encoding="utf-8"))))
                for each in node.names:
                    if each.name in theirs:
                        yield each.asname or each.name, theirs[each.name]


def _text(node: ast.expr, names: dict[str, ast.expr]) -> str | None:
    """A text of the code, “…” for each part that is filled in; ``None`` if it is made elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in names:
            return _text(names[name], {})
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, names) or "…" for part in parts)
        case (
            ast.Call(func=ast.Name(id="sentence"), args=[inner])
            | ast.Call(func=ast.Attribute(value=inner, attr="format"))
        ):
            return FIELD.sub("…", _text(inner, names) or "") or None
        case _:
            return None


def table() -> str:
    """The codes as a table in Markdown."""
    lines = ["| code | status | field | what it says, and what to do |", "|---|---|---|---|"]
    for code, one in refusals().items():
        statuses = ", ".join(map(str, sorted(one.statuses)))
        fields = ", ".join(f"`{name}`" for name in sorted(one.fields))
        meaning = [MEANINGS[code]] if code in MEANINGS else []
        said = "<br>".join([*meaning, *map(_escaped, one.sentences)])
        lines.append(f"| `{code}` | {statuses} | {fields} | {said} |")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("{", "&#123;").replace("*", "\\*")
