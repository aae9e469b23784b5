"""Cells of CSV files that no spreadsheet runs as a formula (CSV injection).

Spreadsheets run a cell as a formula if it begins with certain characters, also after spaces
(https://owasp.org/www-community/attacks/CSV_Injection). An apostrophe before such a cell makes it a
text; it is removed when the file is read.
"""

import re

_SIGN = r"(\s*[=+\-@＝＋－＠]|[\t\r\n])"
_FORMULA = re.compile("'*" + _SIGN)
_PLAIN_NUMBER = re.compile(r"\+[0-9]{1,15}", re.ASCII)
_ESCAPED = re.compile("'+" + _SIGN)


def escape_formula(cell: str) -> str:
    """A cell with an apostrophe before it if a spreadsheet would run it as a formula.

    >>> escape_formula("=1+1"), escape_formula(" ＠x"), escape_formula("'=1"), escape_formula("1-1")
    ("'=1+1", "' ＠x", "''=1", '1-1')
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def safe_cell(cell: str) -> str:
    """As ``escape_formula``, but plain phone numbers stay as they are.

    >>> safe_cell("+13035550177"), safe_cell("+1+1")
    ('+13035550177', "'+1+1")
    """
    return cell if _PLAIN_NUMBER.fullmatch(cell) else escape_formula(cell)


def unescape_formula(cell: str) -> str:
    """The cell as it was before ``escape_formula``; other apostrophes stay.

    >>> unescape_formula("'=1+1"), unescape_formula("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if _ESCAPED.match(cell) else cell
