"""Cells of CSV files that no spreadsheet runs as a formula (CSV injection).

Spreadsheets run a cell as a formula if it begins with certain characters, also after spaces
(https://owasp.org/www-community/attacks/CSV_Injection). An apostrophe before such a cell makes it a
text; it is removed when the file is read.
"""

import re

_SIGN = r"(\s*[=+\-@＝＋－＠]|[\t\r\n])"
_FORMULA = re.compile("'*" + _SIGN)
_ESCAPED = re.compile("'+" + _SIGN)


def escape_formula(cell: str) -> str:
    """A cell with an apostrophe before it if a spreadsheet would run it as a formula.

    >>> escape_formula("=1+1"), escape_formula(" ＠x"), escape_formula("'=1"), escape_formula("1-1")
    ("'=1+1", "' ＠x", "''=1", '1-1')
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """The cell as it was before ``escape_formula``; other apostrophes stay.

    >>> unescape_formula("'=1+1"), unescape_formula("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if _ESCAPED.match(cell) else cell
