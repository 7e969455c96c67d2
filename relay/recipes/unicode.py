"""Unicode's normal forms, in bounded time."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

#: Marks that stand on one letter. The longest that a language needs is under ten; Unicode's own limit is 30 (UAX 15).
MAX_MARKS = 100

#: Marks are neither letters nor digits; what else looks like this is looked at one by one.
_MAY_BE_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{MAX_MARKS + 1}}}")


def normal(form: Literal["NFC", "NFKD"], text: str) -> str:
    """The text in a normal form. Raises ValueError for more marks on a letter than any writing has.

    They are put in order, which takes Python as long as the square of how many there are: minutes for 200,000.
    """
    if text.isascii():
        return text
    if _MAY_BE_MARKS.search(text):
        _check_marks(text)
    return unicodedata.normalize(form, text)


def _check_marks(text: str) -> None:
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MAX_MARKS:
            raise ValueError(f"the text has more than {MAX_MARKS} marks on one letter")
