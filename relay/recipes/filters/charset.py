"""Text made fit for a character set, where a destination reads no UTF-8."""

from __future__ import annotations

import codecs
import unicodedata
from typing import Any

from relay.recipes.filters.registry import filter_of, want_text
from relay.recipes.unicode import normal
from relay.recipes.words import nearest, shown

_POLICIES = ("refuse", "replace", "plain")

#: For the sentence of a name that isn't known; Python knows more, and other spellings of these.
_COMMON = (
    "ascii", "utf-8", "iso-8859-1", "iso-8859-2", "iso-8859-15", "latin-1", "cp1250", "cp1251", "cp1252", "cp437",
    "cp850", "windows-1252", "mac-roman", "koi8-r", "shift_jis", "euc-kr", "gb18030", "big5",
)  # fmt: skip

#: Python's own, which are no character sets: they spell text in other characters.
_NO_SETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "mbcs", "oem"})

#: What Unicode doesn't take apart into a plain letter and its mark.
_PLAIN = {
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
    "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "―": "-", "−": "-", "…": "...", "•": "*", "·": ".", "€": "EUR",
    "£": "GBP", "¥": "JPY", "⁄": "/", "©": "(c)", "®": "(r)", "™": "TM", "×": "x", "÷": "/", "°": " deg", "ß": "ss",
    "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T", "ŋ": "n",
    "Ŋ": "N", "ĸ": "k",
}  # fmt: skip


def _check(name: Any, unknown: Any = "refuse") -> None:
    _codec(name)
    if unknown not in _POLICIES:
        guess = nearest(str(unknown), _POLICIES)
        hint = f"did you mean `{guess}`? " if guess else ""
        raise ValueError(f'{hint}what is not in the set is "refuse", "replace" or "plain", not {shown(unknown)}')


def _codec(name: Any) -> str:
    """Raises ValueError."""
    try:
        found = codecs.lookup(name) if isinstance(name, str) else None
    except (LookupError, ValueError):
        found = None
    # Python's bytes-to-bytes codecs (zip, base64) can be looked up too.
    if found is None or not found._is_text_encoding or found.name.replace("_", "-") in _NO_SETS:
        guess = nearest(str(name), _COMMON)
        hint = f": did you mean `{guess}`?" if guess else ', such as "cp1252" (Western Windows) or "iso-8859-1"'
        raise ValueError(f"{shown(name)} is not a character set that is known here{hint}")
    return found.name


@filter_of(
    "Encoding",
    "Text that fits into a character set. What is not in the set is refused by name; with `replace` it becomes a "
    'question mark, with `plain` what is nearest to it (é becomes e, “ becomes ").',
    ('$.name | charset("cp1252")', {"name": "Zoë"}, "Zoë"),
    ('$.name | charset("ascii", "plain")', {"name": "Zoë Łuczak – “Zo”"}, 'Zoe Luczak - "Zo"'),
    ('$.name | charset("iso-8859-1", "replace")', {"name": "Zoë 😀"}, "Zoë ?"),
    check=_check,
)
def charset(value: Any, name: str, unknown: str = "refuse") -> str:
    _check(name, unknown)
    codec = _codec(name)
    # A letter and its mark may be stored as two characters, of which the set has but the letter with its mark.
    text = normal("NFC", want_text(value))
    missing = _missing(text, codec)
    if not missing:
        return text
    if unknown == "refuse":
        some = ", ".join(f"{_named(one)} (U+{ord(one):04X})" for one in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ValueError(
            f'{some}{more} can\'t be written in {name}; say charset("{name}", "plain") for what is nearest, '
            'or "replace" for question marks'
        )
    table = {ord(one): _instead(one, codec) if unknown == "plain" else "?" for one in missing}
    return text.translate(table)


def _missing(text: str, codec: str) -> list[str]:
    """The characters that the set lacks, each once, in the order of the text."""
    try:
        text.encode(codec)
    except UnicodeError:
        return [one for one in dict.fromkeys(text) if not _fits(one, codec)]
    return []


def _fits(text: str, codec: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeError:
        return False
    return True


def _instead(character: str, codec: str) -> str:
    """What is nearest in the set: without its marks, and a question mark for what has nothing near."""
    plain = _PLAIN.get(character) or unicodedata.normalize("NFKD", character)
    parts = "".join(_PLAIN.get(part, part) for part in plain)
    return "".join(part if _fits(part, codec) else "" if unicodedata.combining(part) else "?" for part in parts)


def _named(character: str) -> str:
    return f"`{character}`" if character.isprintable() else "a character that can't be seen"
