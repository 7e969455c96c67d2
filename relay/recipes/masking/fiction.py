"""Made-up people's data, by number: names, numbers that nobody can be called at, days of birth, lorem ipsum.

Each keeps the shape of what it stands in for. The ranges are those that their keepers set aside for this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import phonenumbers

from relay.recipes.drafting.regions import region_of
from relay.recipes.filters.moments import MONTHS
from relay.recipes.masking.meaning import has_month, luhn

_NAMES = """
    Robin Alex Sam Jordan Casey Morgan Taylor Jamie Riley Quinn Avery Rowan Skyler Emery Finley Harper Kendall Logan
    Marlow Noel Oakley Parker Reese Sage Tatum Wren Arden Blair Corin Dale

    Ashdown Birchall Caldbeck Dunmore Elmfield Fairlea Glenrock Hawthorne Inglewood Jessop Kirkdale Larkhill Moorgate
    Northby Oakhurst Penrose Quarry Redfern Stonewell Thornby Underhill Vale Westbrook Yarrow Zeal Ashcombe Brookfield
    Cresswell Dovedale Eastlake
"""
FIRST_NAMES, LAST_NAMES = (part.split() for part in _NAMES.split("\n\n"))
TOWNS = ("Exampleton", "Sampleford", "Modelham", "Patternbury", "Specimenton")
STREETS = ("Example Street", "Sample Road", "Model Avenue", "Specimen Lane", "Pattern Square")

#: By length, so that a text stays as long as it was.
_LOREM = [
    line.split()
    for line in """a
        et ut in ac
        sit nec non sed vel
        quam amet nunc diam urna
        lorem ipsum dolor augue massa
        mattis tempor cursus semper
        vivamus aliquam egestas
        pharetra interdum volutpat
        venenatis imperdiet tincidunt
        vestibulum adipiscing
        consectetur ullamcorper
        sollicitudin pellentesque""".splitlines()
]

#: Numbers for films and books: region → how to make the one with this number out of the old one, in national form.
#: Kept by Ofcom (GB), NANPA (US, CA: 555-0100 to 0199 of each area), ACMA (AU), ComReg, BNetzA, Arcep and PTS.
_PHONES: dict[str, Callable[[int, str], str]] = {
    "GB": lambda number, old: f"{'020 7946 0' if old.startswith('020') else '07700 900'}{number % 1000:03}",
    "US": lambda number, old: f"{_area(old)}55501{number % 100:02}",
    "CA": lambda number, old: f"{_area(old)}55501{number % 100:02}",
    "AU": lambda number, old: f"025550{number % 10_000:04}",
    "IE": lambda number, old: f"02091{number % 100_000:05}",
    "DE": lambda number, old: f"03023125{number % 1000:03}",
    "FR": lambda number, old: f"019900{number % 10_000:04}",
    "SE": lambda number, old: f"03139006{number % 100:02}",
}
#: Where a national number whose region nobody tells is looked for, so that its stand-in can be read there too.
_LIKELY = ("GB", "US", "IE", "AU", "FR", "DE", "SE")

_FORM = phonenumbers.PhoneNumberFormat


def name(pool: Sequence[str], number: int) -> str:
    """The pool's names in turn; from its end on with letters behind them, so that each stays one word."""
    again, place = divmod(number - 1, len(pool))
    return pool[place] + _letters(again)


def phone(text: str, number: int, region: str | None) -> str:
    """Of the same region and in the same form; of a region without numbers for this, Britain's in international form.

    region  what is said of the number elsewhere
    """
    own = region_of(text)
    where = own or next((one for one in (region, *_LIKELY) if one and _is_valid(text, one)), None)
    if where is None and region is None:
        return scrambled(text, number)
    if where is None or where not in _PHONES:
        made = phonenumbers.parse(_PHONES["GB"](number, ""), "GB")
        own = own or "GB"
    else:
        old = phonenumbers.format_number(phonenumbers.parse(text[:250], where), _FORM.NATIONAL)
        made = phonenumbers.parse(_PHONES[where](number, old), where)
    is_compact = text.lstrip("+").isdigit()
    if own is not None:
        return phonenumbers.format_number(made, _FORM.E164 if is_compact else _FORM.INTERNATIONAL)
    national = phonenumbers.format_number(made, _FORM.NATIONAL)
    return re.sub(r"\D", "", national) if is_compact else national


def _area(old: str) -> str:
    digits = re.sub(r"\D", "", old)[-10:]
    return digits[:3] if len(digits) == 10 else "212"


def _is_valid(text: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text[:250], region))
    except phonenumbers.NumberParseException:
        return False


def address(text: str, number: int, key: str) -> str:
    joined = re.sub(r"\W|_", "", key).lower()
    if re.search(r"post|zip", joined):
        return scrambled(text, number)
    if re.search(r"city|town|suburb|county|state|district|region|province|locality|village", joined):
        return name(TOWNS, number)
    return str(number).zfill(len(text)) if text.isdigit() else f"{number} {STREETS[(number - 1) % len(STREETS)]}"


def ip(text: str, number: int) -> str:
    """RFC 3849 and RFC 5737's ranges for documentation; beyond these 198.18.0.0/15, which is for test benches."""
    if ":" in text:
        return f"2001:db8::{number:x}"
    block, host = divmod(number - 1, 254)
    start = ("192.0.2", "198.51.100", "203.0.113")[block] if block < 3 else f"198.18.{block % 256}"
    return f"{start}.{host + 1}"


def card(text: str, number: int) -> str:
    """With a right check digit, and 400000 at the start, which payment test suites use; groups stay."""
    middle = max(sum(map(str.isdigit, text)) - 7, 1)
    digits = "400000" + str(number).zfill(middle)[-middle:]
    rest = iter(digits + luhn(digits))
    return re.sub(r"\d", lambda _: next(rest, "0"), text)


def scrambled(text: str, number: int) -> str:
    """Letters become Q, the last one A, digits the number with zeros before it; signs stay.

    A British personal number ends in A to D and never begins with QQ; an American one never with 000.
    """
    count = sum(map(str.isdigit, text))
    digits = iter(str(number).zfill(count)[-count:] if count else "")
    letters = [place for place, character in enumerate(text) if character.isalpha()]
    made = []
    for place, character in enumerate(text):
        if character.isdigit():
            made.append(next(digits, "0"))
        elif character.isalpha():
            made.append("A" if len(letters) > 1 and place == letters[-1] else "Q")
        else:
            made.append(character)
    return "".join(made)


def birthday(text: str, number: int) -> str:
    """A date in the same form, in the nineties; its day and its month are right either way round."""
    day, month, year = (number - 1) % 12 + 1, (number - 1) // 12 % 12 + 1, 1990 + (number - 1) // 144 % 10
    time = re.search(r"[T ]\d{1,2}:\d\d", text)
    date, rest = (text[: time.start()], text[time.start() :]) if time else (text, "")
    rest = re.sub(r"^(.)\d{1,2}:\d\d(:\d\d)?", lambda found: found[1] + ("00:00:00" if found[2] else "00:00"), rest)
    if re.fullmatch(r"\d{8}", date):
        return f"{year}{month:02}{day:02}{rest}"
    parts = [day, month, year % 100]
    if re.match(r"\d{4}", date):
        parts = [month, day]
    elif has_month(date):
        date = re.sub(r"[A-Za-z]{3,}", lambda word: _month(word[0], month), date)
        parts = [day, year % 100]
    small = iter(parts)

    def other(found: re.Match[str]) -> str:
        length = len(found[0])
        return str(year) if length == 4 else str(next(small, 0)).zfill(length)[-length:]

    return re.sub(r"\d+", other, date) + rest


def _month(word: str, number: int) -> str:
    if not has_month(word):
        return word
    return MONTHS[number - 1] if len(word) > 3 else MONTHS[number - 1][:3]


def lorem(word: str, place: int) -> str:
    """A word as long as that one. Which one depends on where it stands, so that the text doesn't repeat itself."""
    made = ""
    while len(made) < len(word):
        choices = _LOREM[min(len(word) - len(made), len(_LOREM)) - 1]
        made += choices[place % len(choices)]
    if word.isupper() and len(word) > 1:
        return made.upper()
    return made.capitalize() if word[0].isupper() else made


def _letters(number: int) -> str:
    """0 is nothing, 1 `c`, 2 `d` … 26 `cc`."""
    text = ""
    while number:
        number, rest = divmod(number, 25)
        text += "bcdefghijklmnopqrstuvwxyz"[rest]
    return text
