"""Message templates of Message Settings: texts with fields, for all extensions or for some."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.message_settings.address_masks import extension_fits
from services.message_settings.rules_reader import RuleError, check_names

FIELDS = ("contact", "extension", "number")
TEXT_PATTERN = rf"^(?:[^{{}}]|\{{\{{|\}}\}}|\{{(?:{'|'.join(FIELDS)})\}})*$"
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # not tab and line breaks
_SPACE = " \t\u00a0\u202f"
_JOINING = ",;:"
_PUNCTUATION = f"{_JOINING}.!?"
_BRACES = "A brace that stands for itself is written twice: {{ or }}."


@dataclass(frozen=True, slots=True)
class Template:
    """A text that apps offer; without ``extensions`` (masks or ranges) to all."""

    name: str
    text: str
    extensions: tuple[str, ...] = ()

    def is_for(self, extension: str) -> bool:
        """Whether it is offered to an extension."""
        masks = self.extensions
        return not masks or any(extension_fits(mask, extension) for mask in masks)

    def filled(self, values: Mapping[str, str]) -> str:
        """Its text with the values of ``FIELDS``.

        Where a value is empty, the space and comma that belong to it are left out, too.

        >>> text = Template("Hi", "Hello {contact}, this is {extension}.")
        >>> text.filled({"contact": "Ann", "extension": "Bob", "number": ""})
        'Hello Ann, this is Bob.'
        >>> text.filled({"contact": "", "extension": "Bob", "number": ""})
        'Hello, this is Bob.'
        """
        pieces = [""]  # with an empty field between each two of them
        position = 0
        for found in _PART.finditer(self.text):
            pieces[-1] += self.text[position : found.start()]
            position = found.end()
            value = found[0][0] if found[1] is None else values[found[1]]
            if value:
                pieces[-1] += value
            else:
                pieces.append("")
        pieces[-1] += self.text[position:]
        whole = pieces[0]
        for piece in pieces[1:]:
            whole = _without_field(whole, piece)
        return whole


def _without_field(before: str, after: str) -> str:
    """What stands around an empty field, joined."""
    left, right = before.rstrip(_SPACE), after.lstrip(_SPACE)
    if not left or left.endswith("\n"):
        return left + right.lstrip(_PUNCTUATION + _SPACE)
    if not right or right[0] == "\n":
        return left.rstrip(_JOINING + _SPACE) + right
    if right[0] in _PUNCTUATION:
        return left.rstrip(_JOINING + _SPACE) + after
    return before + (right if left != before else after)


def read_templates(written: Iterable[Mapping[str, Any]]) -> tuple[Template, ...]:
    """The templates of a document whose schema was checked.

    Raises ``RuleError`` for a field that does not exist, and for a name that stands there twice.
    """
    templates = [
        Template(one["name"], one["text"], tuple(dict.fromkeys(one.get("extensions", ()))))
        for one in written
    ]
    for position, template in enumerate(templates):
        problem = _problem(template.text)
        if problem:
            raise RuleError(problem, ("templates", position, "text"))
    check_names("templates", [template.name for template in templates], "templates")
    return tuple(templates)


def offered_to(templates: Sequence[Template], extension: str) -> list[Template]:
    """The templates that are offered to an extension, in their order."""
    return [template for template in templates if template.is_for(extension)]


def _problem(text: str) -> str:
    """What is wrong with the characters of a text, as a sentence; empty if nothing is."""
    if control := _CONTROL.search(text):
        return f"It has the control character U+{ord(control[0]):04X}. Take it out."
    for found in _PART.finditer(text):
        if found[1] is not None and found[1] not in FIELDS:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            return f"There is no field “{found[0][:40]}”. Write one of {known}. {_BRACES}"
        if found[0] in ("{", "}"):
            return f"A single “{found[0]}” begins or ends no field. {_BRACES}"
    return ""
