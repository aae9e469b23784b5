"""List of the error codes in a carrier's document that have no entry in ``errors.toml``.

``python -m scripts.error_codes twilio DOCUMENT…`` reads documents in any text format (Markdown,
HTML, JSON, YAML): what a carrier publishes about its errors, fetched by hand. Ends with 1 if a code
has no entry. What looks like a code and is none can be named by ``--but CODE``. Wavix writes
sentences: of the pages of its documentation the titles are looked up.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from services.providers import PROVIDERS, error_table

FOLDER = Path(__file__).resolve().parent.parent / "services" / "providers"
# What an error code looks like, by carrier; of a range such as 4790–4793 all codes are meant.
CODES = {
    "bandwidth": r"(?<![\w.$+-])(?:4[0-9]{3}|5[0-9]{3}|9[0-9]{3}|DLR_EXPIRED)(?![\w.]\w)",
    "telnyx": r"(?<![\w.$+-])(?:100[0-9]{2}|40[0-3][0-9]{2})(?!\w)",
    "twilio": r"(?<![\w.$+-])(?:1[124][0-9]{3}|20[0-9]{3}|21[2-9][0-9]{2}|30[0-9]{3}|57012"
    r"|630[0-9]{2})(?!\w)",
    "wavix": r'(?m)^title: "?([^"\n]+)',
    "voipms": r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b",
}
RANGE = re.compile(r"(?<!\d)(\d{4,5})[–-](\d{4,5})(?!\d)")


def codes_in(text: str, carrier: str) -> list[str]:
    """The codes of a carrier in a text, each once, in their order.

    >>> codes_in("30012/30013, 30014–30016 and 4111", "twilio")
    ['30012', '30013', '30014', '30015', '30016']
    """
    spelt_out = RANGE.sub(lambda found: " ".join(_between(found[1], found[2])), text)
    return list(dict.fromkeys(re.findall(CODES[carrier], spelt_out)))


def _between(first: str, last: str) -> Iterator[str]:
    if not 0 <= int(last) - int(first) < 100:
        yield from (first, last)
        return
    yield from map(str, range(int(first), int(last) + 1))


def without_entry(documents: Iterable[str], carrier: str) -> list[str]:
    """The codes in these texts that the carrier's table has no entry for."""
    table = error_table.load(str(FOLDER / carrier / "errors.py"))
    found = {code for text in documents for code in codes_in(text, carrier)}
    return sorted(
        code for code in found if code not in table.codes and table.by_sentence(code) is None
    )


def main() -> int:
    """Print the codes; the result is the exit code."""
    parser = argparse.ArgumentParser(description="Error codes of a carrier without an entry.")
    parser.add_argument("carrier", choices=sorted(CODES))
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument("--but", action="append", default=[], help="what is no code; repeatable")
    given = parser.parse_args()
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in given.documents]
    missing = [code for code in without_entry(texts, given.carrier) if code not in given.but]
    title = next(each.title for each in PROVIDERS if each.name == given.carrier)
    for code in missing:
        print(code)
    print(f"{title}: {len(missing)} codes without an entry.", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
