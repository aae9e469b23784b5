"""The catalogues: every sentence of the sources, in every language, and nothing else.

Also a lint of the phone app's scripts: what a person sees is within ``t`` or ``many``.
"""

import re
from functools import cache

import pytest
from babel.messages.catalog import Catalog, Message

from scripts import translations
from scripts.translations import PHONE, Sentence, of_script
from services.core.language import LANGUAGES, Language

TRANSLATED = sorted(translations.LANGUAGES)
SCRIPTS = sorted(path.name for path in (PHONE / "static").glob("*.js"))
# The same in a language as in English: names, and words that the language has taken over.
ALIKE = {
    "es": {"Emoji", "{name}: {text}", "Ctrl K", "Alt ↓"},
    "fr-CA": {"Message", "Messages", "Notifications", "Conversations", "Conversation", "Segments"}
    | {"Code", "Contact", "Contacts", "Ctrl K", "Alt ↓"},
    "de": {"Name", "Text", "Code", "Details", "Browser", "Alt ↓", "{name}: {text}"}
    | {"April", "August", "September", "November"},
}
NAMES = re.compile(r"\{\w+\}")

_COMMENT = re.compile(r"(?:^|(?<=\s))//.*", re.MULTILINE)
# Words after what a person sees: a text, a label, something that is said.
_SHOWN = re.compile(
    r"""(?:\b(?:text|label|title|placeholder|alt):|"aria-(?:label|description)":"""
    r"""|setAttribute\("aria-label",|textContent\s*=|\bsay\(|[cC]omplain\()\s*["`]([^"`]*)"""
)
# A string that begins as a sentence does.
_SENTENCE = re.compile(r'(?<!\bt\()"([A-ZÄÖÜ][a-z’\']+(?: [^"]*)?[^"]*)"')
# Names of keys, devices, languages and headers: for programs, or the same everywhere.
FOR_PROGRAMS = re.compile(
    r"Arrow(?:Up|Down|Left|Right)|Escape|Enter|Backspace|Tab|Files|Authorization|Content-Type"
    r"|QuotaExceededError|Bearer|iPhone|iPad|Mac(?:intosh|Intel)?|Chromebook|Android|Windows|Linux"
    r"|English|Español|Français \(Canada\)|Deutsch|WhatsApp|Intl|Notification|PushManager"
    r"|AbortError|VIDEO|Home|End|PageUp|PageDown|Delete|Accept|Range"
)


@cache
def sources() -> dict[str, Sentence]:
    return {one.text: one for one in translations.sentences()}


def entries(language: str) -> list[Message]:
    return [one for one in translations.read_catalogue(language) if one.id]


def ids(catalog: Catalog) -> set[tuple[str, ...]]:
    return {one.id if isinstance(one.id, tuple) else (str(one.id),) for one in catalog if one.id}


def forms(message: Message) -> list[tuple[str, str]]:
    """Each English form with its translation."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    return list(zip(message.id, message.string or (), strict=True))


def test_the_languages_are_the_same_everywhere() -> None:
    assert {"en", *TRANSLATED} == set(LANGUAGES)
    words = (PHONE / "static/words.js").read_text("utf-8")
    listed = re.search(r"LANGUAGES = \{(.+?)\};", words)
    assert listed is not None
    assert set(re.findall(r'"?([a-zA-Z-]+)"?: "', listed[1])) == set(LANGUAGES)


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalogue_has_every_sentence_of_the_sources_and_no_other(language: str) -> None:
    assert ids(translations.read_catalogue(language)) == ids(translations.template()), (
        "run: make words"
    )
    assert translations.catalogue_path(language).read_text("utf-8") == translations.updated(
        language
    ), "run: make words"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_is_translated(language: str) -> None:
    for message in entries(language):
        assert not message.fuzzy, message.id
        for english, translated in forms(message):
            assert translated.strip(), english
            assert sorted(NAMES.findall(english)) == sorted(NAMES.findall(translated)), english
            assert english.endswith((" …", "…")) == translated.endswith("…"), english
            ends = english[-1] if english[-1] in ".?" else ""
            assert not ends or translated.endswith(ends), english
            letters = re.sub(r"\{\w+\}|\W", "", english)
            if len(letters) > 3 and english not in ALIKE[language]:
                assert translated != english, "is it translated?"


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_loaded_is_what_the_catalogue_says(language: str) -> None:
    for path, content in translations.compiled(language).items():
        assert path.read_text("utf-8") == content, "run: make words"


def test_french_has_its_spaces_and_quotation_marks() -> None:
    for message in entries("fr-CA"):
        for _, translated in forms(message):
            assert not re.search(r"[^\s\d]:(?:\s|$)", translated), translated
            assert not re.search(r"(?<!\xa0)»|«(?!\xa0)|[“”„\"']", translated), translated
            assert "e-mail" not in translated.lower()
            assert "SMS" not in translated


def test_german_and_spanish_have_their_quotation_marks() -> None:
    for _, translated in (form for one in entries("de") for form in forms(one)):
        assert translated.count("„") == translated.count("“"), translated
        assert "”" not in translated
    for _, translated in (form for one in entries("es") for form in forms(one)):
        assert translated.count("«") == translated.count("»"), translated
        assert translated.count("¿") == translated.count("?") or "Ctrl" in translated, translated


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_words_of_the_app_are_outside_of_the_catalogues(name: str) -> None:
    source = (PHONE / "static" / name).read_text("utf-8")
    assert outside(source) == []


@pytest.mark.parametrize(
    "line",
    [
        'el("b", { text: "done" })',
        "el('b', { title: `${count} unread` })".replace("'", '"'),
        'node.setAttribute("aria-label", "menu")',
        'say("copied");',
        'return "Write a text.";',
        'const LABEL = "Back to the list";',
    ],
)
def test_the_lint_finds_words(line: str) -> None:
    assert outside(line)


def outside(source: str) -> list[str]:
    """The words of a script that a person may see in English only."""
    code = _COMMENT.sub("", source)
    inside = {text for one in of_script(source, "") for text in (one.text, one.plural)}
    shown = [words for words in _SHOWN.findall(code) if re.search(r"[^\W\d_]{2}", _plain(words))]
    sentences = [words for words in _SENTENCE.findall(code) if words not in inside]
    return [one for one in shown + sentences if not FOR_PROGRAMS.fullmatch(one)]


def _plain(words: str) -> str:
    """A string without what is put into it."""
    return re.sub(r"\$\{.*?\}", "", words)


def test_a_call_without_a_whole_sentence_is_named() -> None:
    with pytest.raises(ValueError, match="no sentence"):
        list(of_script("t(name)", "x.js"))
    with pytest.raises(ValueError, match="no sentence"):
        list(of_script('t("a " + b)', "x.js"))


def test_sentences_are_found_in_templates_and_after_calls() -> None:
    source = (
        '`${t("One {a}", { a })}` + many(f(1, [2]), "{count} text", "{count} texts") // t("no")'
    )
    assert [(one.text, one.plural) for one in of_script(source, "")] == [
        ("One {a}", ""),
        ("{count} text", "{count} texts"),
    ]


def test_every_word_of_the_page_is_marked() -> None:
    page = (PHONE / "templates/phone.html").read_text("utf-8")
    body = page[page.index("<body>") :]
    body = re.sub(r"<noscript>.*?</noscript>|<svg.*?</svg>", "", body, flags=re.DOTALL)
    for tag, text in re.findall(r"<([^<>]+)>([^<>]+)", body):
        if re.search(r"\w", text) and "{{" not in text:
            assert "data-words" in tag, text
    for tag in re.findall(r"<[^<>]+(?:aria-label|title|placeholder)=[^<>]+>", body):
        words = re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', tag)
        assert "data-words" in tag or words == ["ABCD-2345"], tag


@pytest.mark.parametrize("language", TRANSLATED)
def test_plurals_of_the_server(language: str) -> None:
    words = Language(language)
    forms = [words.many(count, "Picture", "{count} pictures") for count in (0, 1, 2)]
    assert forms[1] != forms[2]
    assert (forms[0] == forms[1]) is (language == "fr-CA")
    assert "2" in forms[2]


def test_a_value_is_never_looked_into() -> None:
    assert Language().t("{a} {b} {c}", a="{b}", b="2") == "{b} 2 {c}"
