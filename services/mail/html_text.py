"""The text of an HTML mail, as far as quotes and signatures that mail programs mark as such.

What is cut off ends with ``CUT``. A picture of the mail itself (``cid:``) leaves ``[cid:…]``.
"""

import re
from html.parser import HTMLParser

from services.mail.words import PREVIEW_CLASS

MOST_HTML = 200_000  # characters that are looked at
CUT = "\ue0ff"  # a character for private use stands where a quote or signature begins

_HIDDEN = {"style", "script", "head", "title", "template", "noscript"}
_BLOCKS = {
    "p", "div", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "hr",
    "section", "article", "center", "blockquote",
}  # fmt: skip
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table"}
# How mail programs mark what is not new: Gmail, Outlook, Yahoo, Apple, Thunderbird, Proton.
_QUOTES = re.compile(
    r"\b(gmail_quote|gmail_signature|yahoo_quoted|moz-cite-prefix|moz-signature|protonmail_quote"
    r"|protonmail_signature_block|divRplyFwdMsg|appendonsend|ms-outlook-mobile-signature"
    r"|ms-outlook-mobile-reference-message|mail-editor-reference-message-container"
    r"|apple-mail-signature|AppleMailSignature|lineBreakAtBeginningOfMessage-quote"
    r"|OLK_SRC_BODY_SECTION|zmail_extra|tutanota_quote|samsung_signature)",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[ \t\r\n\f]+")
_TAG = re.compile(r"<[^<>]*>")


def text_of_html(html: str) -> str:
    """The text of an HTML document. Never raises for what is not well-formed."""
    reader = _Reader()
    try:
        reader.feed(html[:MOST_HTML])
        reader.close()
    except AssertionError:  # by which Python's parser refuses some declarations
        return _TAG.sub(" ", html[:MOST_HTML])
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._hidden = 0
        self._pre = 0

    def text(self) -> str:
        lines = [line.strip(" ") for line in "".join(self._parts).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self._parts.append("\n")
        elif tag == "img":
            self._add_picture(known)
        elif tag == "li":
            self._new_line("- ")
        elif tag in _BLOCKS:
            self._new_line("")
        if tag == "pre":
            self._pre += 1
        if _is_quote(tag, known):
            self._parts.append(f"\n{CUT}\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("br", "img"):
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "pre":
            self._pre = max(0, self._pre - 1)
        if tag in _PARAGRAPHS:
            self._new_line("\n")
        elif tag in _BLOCKS:
            self._new_line("")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._pre:
            self._parts.append(data)
            return
        text = _SPACES.sub(" ", data)
        if text.startswith(" ") and self._is_at_line_start():
            text = text[1:]
        if text:
            self._parts.append(text)

    def _add_picture(self, attributes: dict[str, str]) -> None:
        source = attributes.get("src", "")
        if source.lower().startswith("cid:"):
            self._parts.append(f" [{source}] ")

    def _new_line(self, following: str) -> None:
        if not self._is_at_line_start():
            self._parts.append("\n")
        if following:
            self._parts.append(following)

    def _is_at_line_start(self) -> bool:
        return not self._parts or self._parts[-1].endswith("\n")


def _is_quote(tag: str, attributes: dict[str, str]) -> bool:
    marks = f"{attributes.get('class', '')} {attributes.get('id', '')}"
    if _QUOTES.search(marks) or PREVIEW_CLASS in marks:
        return True
    return tag == "blockquote" and (
        attributes.get("type", "").lower() == "cite" or "quote" in marks.lower()
    )
