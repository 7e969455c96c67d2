"""What a value of an event probably is, by its key and its shape: somebody's name, a phone number, a date of birth.

For guessing only: `relay new` drafts by it and `--mask` hides by it. Nothing that runs depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import Any

import phonenumbers

from relay.recipes.filters.moments import MONTHS


class Kind(StrEnum):
    """The words are those of the list that `relay capture --mask` prints."""

    NAME = "name"
    EMAIL = "e-mail"
    PHONE = "phone"
    BIRTH = "date of birth"
    ADDRESS = "address"
    PLACE = "coordinates"
    NUMBER_OF_PERSON = "personal number"
    IP = "IP address"
    CARD = "card number"
    SECRET = "secret"  # noqa: S105
    FREE_TEXT = "free text"
    OTHER = ""


def word_set(words: str) -> frozenset[str]:
    """Words with spaces between them."""
    return frozenset(words.split())


_PEOPLE = word_set(
    "admin adviser advisor agent applicant assignee attendee author beneficiary billing buyer candidate cardholder "
    "client contact creator customer donor driver employee guardian guest host invitee lead member operator organizer "
    "owner parent participant patient person profile recipient reporter requester respondent sender shipping staff "
    "student subscriber teacher tutor user visitor"
)
_NAME_KEYS = word_set(
    "firstname lastname surname forename fullname givenname familyname middlename displayname nickname username "
    "screenname preferredname knownas maidenname legalname fname lname sname"
)
_PARTS_OF_NAME = word_set("first last middle given family full")

#: A `name` below one of these is not a person's.
_THINGS = word_set(
    "account app application attachment automation badge brand bucket calendar campaign category channel company "
    "component connection course currency department device event field file flow folder form group integration item "
    "items label language line lines list location merchant meeting menu metric model module organisation organization "
    "page plan platform priority product products programme program project property queue region repo repository "
    "resource role room school segment service site sku source space stage status step store subscription survey tag "
    "tags task team template tenant theme topic type unit university variant vendor webhook workflow workspace"
)
_PHONE_KEYS = word_set(
    "phone mobile tel telephone cell cellphone fax whatsapp msisdn landline phonenumber mobilenumber"
)
_BIRTH_KEYS = word_set("dob dateofbirth birthdate birthday birth born bornon birthdatetime")
_ADDRESS_KEYS = word_set(
    "address addr address1 address2 address3 addressline street streetaddress postcode postalcode zip zipcode postal "
    "city town suburb"
)
#: These are a part of an address only inside of one.
_PARTS_OF_ADDRESS = word_set(
    "line line1 line2 line3 state county district region building house number flat apartment unit province po box "
    "housenumber lines neighbourhood neighborhood locality village"
)
_NOT_ADDRESSES = word_set("email mail ip mac url web wallet site")
_PLACE_KEYS = word_set("lat latitude lng lon long longitude")
_NUMBER_KEYS = word_set(
    "nino nationalinsurance nationalinsurancenumber ninumber ssn socialsecurity socialsecuritynumber passport "
    "passportnumber passportno nationalid nationalidnumber identitycard idcard idcardnumber nhs nhsnumber taxid tin "
    "sin cpf dni nie bsn pesel cnp drivinglicence driverslicense driverlicense licencenumber licensenumber visanumber "
    "iban accountnumber bankaccount sortcode routingnumber last4"
)
_CARD_KEYS = word_set("card cardnumber creditcard creditcardnumber debitcard pan ccnumber")
_SECRET_KEYS = word_set(
    "password passwd pwd secret passphrase pin otp cvv cvc apikey accesstoken refreshtoken authtoken sessiontoken "
    "bearertoken privatekey clientsecret authorization"
)
_TEXT_KEYS = word_set(
    "text body message msg comment note transcript content feedback answer reply remark bio html plain snippet excerpt "
    "review story statement enquiry inquiry"
)
#: Of these a single word is rather a code of the system: `reason: spam`.
_TEXT_IN_WORDS = word_set("subject description summary about reason detail response")

#: A text of at least so many words, under whatever key, was written by somebody.
_MANY_WORDS = 6

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_FORM_NUMBER = re.compile(r"^q\d+_")

EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,}", re.ASCII)
_PHONE_SHAPE = re.compile(r"\+?[\d\s().\-/\u00a0]+(?:\s?(?:x|ext\.?)\s?\d+)?", re.ASCII)
_CARD_GROUPS = re.compile(r"\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}")
_PERSONAL_NUMBER = re.compile(r"[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]|\d{3}-\d\d-\d{4}")
_TITLED = re.compile(r"[^\W\d_]*[A-ZÀ-ÖØ-Þ][\w'’.-]*(?: [^\W\d_][\w'’.-]*){1,3}")
_DATE_LIKE = re.compile(r"\d{1,4}[-/. ]|\d{8}$", re.ASCII)


def words_of(key: str) -> list[str]:
    """`q3_fullName` as ["full", "name"]."""
    spaced = _CAMEL.sub(" ", _FORM_NUMBER.sub("", key))
    return [word.lower() for word in re.split(r"[\W_]+", spaced) if word]


def kind_of(path: Sequence[str | int], value: Any) -> Kind:
    """path: the keys and indexes that lead to the value; a list's items are what its own key says."""
    if value is None or isinstance(value, bool) or value == "":
        return Kind.OTHER
    keys = [key for key in path if isinstance(key, str)]
    own = words_of(keys[-1]) if keys else []
    above = words_of(keys[-2]) if len(keys) > 1 else []
    if own == ["text"] and keys[-1].startswith("#"):
        # XML's `#text` is the element's own.
        own, above = above, words_of(keys[-3]) if len(keys) > 2 else []
    return _by_shape(own, value) or _by_key(own, above, value) or _by_look(own, value)


def _by_shape(own: list[str], value: Any) -> Kind:
    if not isinstance(value, str):
        return Kind.OTHER
    text = value.strip()
    if EMAIL.fullmatch(text):
        return Kind.EMAIL
    if is_ip(text) and "version" not in own:
        return Kind.IP
    if _PERSONAL_NUMBER.fullmatch(text):
        return Kind.NUMBER_OF_PERSON
    if _CARD_GROUPS.fullmatch(text):
        return Kind.CARD
    if text.startswith("+") and _is_number(text):
        return Kind.PHONE
    return Kind.OTHER


def _by_key(own: list[str], above: list[str], value: Any) -> Kind:
    # `phones: [...]`: the items of a list are what its key says in the plural.
    own = [_singular(word) for word in own]
    joined, words = "".join(own), set(own)
    numbered = joined.rstrip("0123456789")
    is_text = isinstance(value, str)
    if is_text and (joined in _SECRET_KEYS or words & {"password", "passphrase"}):
        return Kind.SECRET
    if joined in _BIRTH_KEYS or words >= {"date", "birth"}:
        return Kind.BIRTH if not is_text or _DATE_LIKE.match(value) or has_month(value) else Kind.OTHER
    if joined in _NUMBER_KEYS and _digits(value) >= 3:
        return Kind.NUMBER_OF_PERSON
    if (joined in _CARD_KEYS or words >= {"card", "number"}) and 12 <= _digits(value) <= 19:
        return Kind.CARD
    if words & _PHONE_KEYS or joined in _PHONE_KEYS:
        return Kind.PHONE if _is_phone(value) else Kind.OTHER
    if joined in _PLACE_KEYS and not isinstance(value, bool) and _digits(value):
        return Kind.PLACE
    if not is_text:
        return Kind.ADDRESS if joined in ("zip", "zipcode", "postcode", "postalcode") else Kind.OTHER
    if _is_address(joined, numbered, words, above):
        return Kind.ADDRESS
    if _is_name(joined, own, above, value):
        return Kind.NAME
    if joined in _TEXT_KEYS or (own and own[-1] in _TEXT_KEYS and " " in value.strip()):
        return Kind.FREE_TEXT
    if words & _TEXT_IN_WORDS and " " in value.strip():
        return Kind.FREE_TEXT
    return Kind.OTHER


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word


def _is_address(joined: str, numbered: str, words: set[str], above: list[str]) -> bool:
    if words & _NOT_ADDRESSES or "country" in words:
        return False
    if joined in _ADDRESS_KEYS or numbered in _ADDRESS_KEYS or words & {"postcode", "street", "zipcode"}:
        return True
    inside = bool(set(above) & {"address", "addr", "addresses"}) and not set(above) & _NOT_ADDRESSES
    return inside and (joined in _PARTS_OF_ADDRESS or numbered in _PARTS_OF_ADDRESS)


def _is_name(joined: str, own: list[str], above: list[str], value: str) -> bool:
    if joined in _NAME_KEYS:
        return True
    if own and own[-1] == "name":
        before = own[:-1] or above
        return not set(before) & _THINGS or bool(set(before) & _PEOPLE)
    if len(own) == 1 and own[0] in _PARTS_OF_NAME and above and above[-1].endswith("name"):
        return True
    # `agent: Ravi Patel`, but not `from: agent`.
    return bool(own) and own[-1] in _PEOPLE | {"from", "to", "by", "cc"} and bool(_TITLED.fullmatch(value.strip()))


def _by_look(own: list[str], value: Any) -> Kind:
    """What no key tells, and whose shape is only likely."""
    if isinstance(value, int) or (isinstance(value, str) and value.isascii() and value.isdigit()):
        digits = str(value) if isinstance(value, str) or value.bit_length() < 64 else ""
        is_id = bool(set(own) & {"id", "ref", "reference", "no", "number", "code", "at", "time", "timestamp"})
        return Kind.CARD if not is_id and digits[:1] in set("3456") and _is_card(digits) else Kind.OTHER
    if isinstance(value, str) and len(value.split()) >= _MANY_WORDS and "://" not in value[:10]:
        return Kind.FREE_TEXT
    return Kind.OTHER


def is_ip(text: str) -> bool:
    if not ("." in text or ":" in text) or len(text) > 45:
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def has_month(text: str) -> bool:
    """Whether a month stands in it in English: `3 Apr 1998`."""
    return any(word[:3].lower() in _MONTHS for word in re.findall(r"[A-Za-z]{3,}", text))


_MONTHS = frozenset(month[:3].lower() for month in MONTHS)


def _digits(value: Any) -> int:
    """How many digits there are in it."""
    if isinstance(value, int) and value.bit_length() > 4000:
        return 0
    return sum(character.isdigit() for character in str(value)) if isinstance(value, (str, int, float)) else 0


def _is_phone(value: Any) -> bool:
    if isinstance(value, int):
        return 6 <= _digits(value) <= 15
    return isinstance(value, str) and bool(_PHONE_SHAPE.fullmatch(value.strip())) and 6 <= _digits(value) <= 17


def _is_number(text: str) -> bool:
    """An international number that can be dialled."""
    if not _PHONE_SHAPE.fullmatch(text) or not 8 <= _digits(text) <= 17:
        return False
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text))
    except phonenumbers.NumberParseException:
        return False


def _is_card(digits: str) -> bool:
    if not 13 <= len(digits) <= 19:
        return False
    return luhn(digits[:-1]) == digits[-1]


def luhn(digits: str) -> str:
    """The check digit that belongs behind a card number's other digits (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)
