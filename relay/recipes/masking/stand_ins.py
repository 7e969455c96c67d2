"""Stand-ins for personal data: of the same shape, from ranges that belong to nobody, the same for the same value.

They are given out in the order in which values come, never by a hash: a hash of a phone number can be tried out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from relay.recipes.masking import fiction
from relay.recipes.masking.fiction import FIRST_NAMES, LAST_NAMES
from relay.recipes.masking.meaning import Kind

#: Numbers that give somebody away wherever they stand; shorter ones stand anywhere by chance.
_TELLING = (Kind.PHONE, Kind.CARD, Kind.NUMBER_OF_PERSON, Kind.IP)
_SHORTEST = 6

_WORD = re.compile(r"[^\W\d_]+")
_WORD_OR_NUMBER = re.compile(r"[^\W\d_]+|\d{3,}")
_TAG_NAME = (
    "a|b|br|blockquote|body|code|div|em|font|h[1-6]|head|hr|html|i|img|li|ol|p|pre|s|small|span|strong|sub|sup|table|"
    "tbody|td|th|thead|tr|u|ul"
)
_TAG = rf"<(/?)({_TAG_NAME})\b[^<>]*>"
_LINK = r"https?://[^\s<>\"']+"
#: Whatever may be such a number, and perhaps more than one of them with spaces between.
_DIGITS = r"\(?\d(?:[().-]*\d)*"
_NUMBER = (
    rf"(?<![^\W_])\+?(?:[0-9a-fA-F]{{1,4}}:[0-9a-fA-F:]+|{_DIGITS}(?:[ \u00a0]{_DIGITS})*|"
    r"[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D])"
)
_ENTITY = r"&(?:[A-Za-z]{2,8}|#\d{1,7});"
#: Within other text: narrower than an address may be, so that it takes nothing that stands before one in a link.
_MAIL = r"[\w.+-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}"


class StandIns:
    """One file's stand-ins."""

    def __init__(self) -> None:
        self._made_of: dict[tuple[Kind, str], str] = {}
        self._places: dict[tuple[Kind, str], int] = {}
        self._count: dict[str, int] = {}
        self._words: dict[str, str] = {}
        self._mailboxes: dict[str, str] = {}
        self._taken: set[str] = set()
        self._telling: dict[str, str] = {}

    def of(self, kind: Kind, value: Any, key: str = "", region: str | None = None) -> Any:
        """The stand-in of a value, with its type: text for text, a number for a number.

        key     what the value is called
        region  where a phone number belongs, if anything says so
        """
        if isinstance(value, (int, float)):
            return self._of_number(kind, value, key, region)
        text = str(value)
        inner = text.strip()
        return text.replace(inner, self._made(kind, inner, key, region), 1) if inner else text

    def free_text(self, text: str) -> str:
        """Lorem ipsum of the same shape: signs, line breaks and lengths stay, tags lose what is in them, and whoever is
        known by now has the same stand-in here."""
        kept = rf"(?P<tag>{_TAG})|(?P<link>{_LINK})|(?P<entity>{_ENTITY})|(?P<mail>{_MAIL})"
        pieces, position = [], 0
        for found in re.finditer(rf"{kept}|(?P<number>{_NUMBER})", text):
            pieces.append(self._lorem(text[position : found.start()], position))
            pieces.append(self._numbers(found[0], hidden=True) if found["number"] else self._found(found))
            position = found.end()
        pieces.append(self._lorem(text[position:], position))
        return "".join(pieces)

    def inside(self, text: str) -> str:
        """A text of the system, such as a link or an id, less what it holds of people."""
        # One word, such as `open`, is a code, even if somebody is called so.
        words = rf"(?P<word>{_WORD.pattern})" if re.search(r"[\W_]", text.strip()) else "(?!)"
        return re.sub(rf"(?P<mail>{_MAIL})|(?P<number>{_NUMBER})|{words}", self._found, text)

    def _found(self, found: re.Match[str]) -> str:
        match found.lastgroup:
            case "tag":
                return f"<{found[2]}{found[3]}>"
            case "link":
                return "https://example.com/"
            case "mail":
                return self._email(found[0])
            case "number":
                return self._numbers(found[0], hidden=False)
            case "word" if len(found[0]) > 2:
                return self._word(found[0]) or found[0]
            case _:
                return found[0]

    def _lorem(self, text: str, start: int) -> str:
        def other(found: re.Match[str]) -> str:
            word = found[0]
            if word[0].isdigit():
                return "0" * len(word)
            return self._word(word) or fiction.lorem(word, start + found.start())

        return _WORD_OR_NUMBER.sub(other, text)

    def _word(self, word: str) -> str | None:
        """The stand-in of a word of somebody's name; None where nobody is called so."""
        known = self._words.get(word.casefold())
        return _cased(known, word) if known else None

    def _numbers(self, text: str, *, hidden: bool) -> str:
        """The text, with the stand-ins of those numbers in it that are known; the longest that fits, from the left.

        hidden  whether what isn't known is made unknowable too
        """
        words = re.split(r"([ \u00a0])", text)
        made, place = [], 0
        while place < len(words):
            for end in range(len(words), place, -2):
                known = self._telling.get(_plain("".join(words[place:end])))
                if known is not None:
                    break
            else:
                end, known = place + 1, self._lorem(words[place], 0) if hidden else words[place]
            # A number, and the space after it.
            made += [known, *words[end : end + 1]]
            place = end + 1
        return "".join(made)

    def _of_number(self, kind: Kind, value: float, key: str, region: str | None) -> Any:
        if kind is Kind.PLACE:
            return type(value)(round(value))
        if kind is Kind.BIRTH:
            # The days after 1990-01-01, in seconds or milliseconds.
            seconds = 631_152_000 + 86_400 * self._number(Kind.BIRTH, str(value))
            return type(value)(seconds * 1000 if abs(value) >= 100_000_000_000 else seconds)
        digits = re.sub(r"\D", "", self._made(kind, str(value), key, region))
        return type(value)(int(digits or "1"))

    def _number(self, kind: Kind, text: str) -> int:
        """Counts the different values of a kind, from 1."""
        if (kind, text) not in self._places:
            self._places[kind, text] = self._next(kind)
        return self._places[kind, text]

    def _next(self, what: str) -> int:
        self._count[what] = self._count.get(what, 0) + 1
        return self._count[what]

    def _made(self, kind: Kind, text: str, key: str, region: str | None) -> str:
        if kind is Kind.FREE_TEXT:
            return self.free_text(text)
        if kind is Kind.NAME:
            return self._name(text, key)
        if (kind, text) not in self._made_of:
            made = self._made_of[kind, text] = self._new(kind, text, key, region)
            if kind in _TELLING and len(_plain(text)) >= _SHORTEST:
                self._telling.setdefault(_plain(text), made)
        return self._made_of[kind, text]

    def _new(self, kind: Kind, text: str, key: str, region: str | None) -> str:
        match kind:
            case Kind.EMAIL:
                return self._email(text)
            case Kind.PHONE:
                return fiction.phone(text, self._number(kind, re.sub(r"\D", "", text)), region)
            case Kind.BIRTH:
                return fiction.birthday(text, self._number(kind, text))
            case Kind.ADDRESS:
                return fiction.address(text, self._number(kind, text.casefold()), key)
            case Kind.PLACE:
                return re.sub(r"\.\d+", ".0", text)
            case Kind.IP:
                return fiction.ip(text, self._number(kind, text.lower()))
            case Kind.CARD:
                return fiction.card(text, self._number(kind, re.sub(r"\D", "", text)))
            case Kind.SECRET:
                return f"masked-{self._number(kind, text)}"
            case _:
                return fiction.scrambled(text, self._number(kind, re.sub(r"[\s-]", "", text)))

    # --- names and e-mail addresses: word by word, so that the first name alone is the one in the full name ---

    def _name(self, text: str, key: str) -> str:
        words = _WORD.findall(text)
        if not words:
            return fiction.scrambled(text, self._number(Kind.NAME, text))
        is_last = bool(re.search(r"last|sur|family|lname|sname", key, re.IGNORECASE))
        for place, word in enumerate(words):
            self._give(word, LAST_NAMES if is_last or 0 < place == len(words) - 1 else FIRST_NAMES)
        return re.sub(r"\d", "0", _WORD.sub(lambda word: self._word(word[0]) or word[0], text))

    def _give(self, word: str, pool: Sequence[str]) -> None:
        known = word.casefold()
        if known not in self._words:
            # An initial stays one.
            self._words[known] = fiction.name(pool, self._next(pool[0])) if len(word) > 1 else "X"

    def _email(self, text: str) -> str:
        """Word by word as well: `ana.sousa` of Ana Sousa is `robin.ashdown` of Robin Ashdown."""
        known = self._mailboxes.get(text.casefold())
        if known is None:
            known = self._mailboxes[text.casefold()] = self._mailbox(text.rpartition("@")[0])
        return _cased_like(known, text)

    def _mailbox(self, local: str) -> str:
        parts = []
        for piece in re.split(r"([._+-])", local):
            if piece.isalpha() and len(piece) > 1:
                self._give(piece, FIRST_NAMES)
                parts.append((self._word(piece) or "person").lower())
            elif piece and piece in "._+-":
                parts.append(piece)
        # Only letters and single separators: whatever else a local part may hold, its stand-in has to be plain.
        name = re.sub(r"[._+-]{2,}", ".", "".join(parts)).strip("._+-") or "person"
        made = f"{name}@example.com"
        while made in self._taken:
            made = f"{name}{self._next(f'mail {name}') + 1}@example.com"
        self._taken.add(made)
        return made


def _plain(number: str) -> str:
    """What is left when it is written differently."""
    return re.sub(r"[^\w:]", "", number).lower()


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.lower() if like.islower() else word


def _cased_like(address: str, text: str) -> str:
    """`Robin.Ashdown@example.com` for an address that was written with capitals."""
    local, _, domain = address.partition("@")
    if text == text.lower():
        return address
    return f"{_WORD.sub(lambda word: word[0].capitalize(), local)}@{domain}"
