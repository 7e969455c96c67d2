"""What people are reached by and counted under: phones, e-mail addresses, yes and no, countries."""

from __future__ import annotations

from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from relay.recipes.filters.countries import COUNTRIES, country_code
from relay.recipes.filters.registry import filter_of, want_text
from relay.recipes.words import listed, shown

_GROUP = "People and places"
_YES = frozenset({"true", "yes", "y", "on", "1", "t"})
_NO = frozenset({"false", "no", "n", "off", "0", "f", ""})


def _check_region(region: Any = None) -> None:
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f'a region is a two-letter country code in capitals, such as "GB", not {shown(region)}')


@filter_of(
    _GROUP,
    "A phone number in international form (E.164); the region is where numbers without a country code belong.",
    ('$.phone | phone("GB")', {"phone": "020 7946 0958"}, "+442079460958"),
    ("$.phone | phone", {"phone": "+1 (650) 253-0000"}, "+16502530000"),
    check=_check_region,
)
def phone(value: Any, region: str | None = None) -> str | None:
    _check_region(region)
    text = want_text(value).strip()
    if not text:
        return None
    try:
        number = phonenumbers.parse(text[:250], region)
    except phonenumbers.NumberParseException:
        hint = "" if region else '; name the region of numbers without a country code, as in phone("GB")'
        raise ValueError(f"{shown(value)} is not a phone number{hint}") from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError(f"{shown(value)} is not a possible phone number: it has too few or too many digits")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@filter_of(
    _GROUP,
    "An e-mail address, checked for its form, the domain in small letters.",
    ("$.email | email", {"email": " Ana.Silva@Example.COM "}, "Ana.Silva@example.com"),
)
def email(value: Any) -> str | None:
    text = want_text(value).strip()
    if not text:
        return None
    try:
        # test_environment: addresses under .test are what samples are made of.
        return validate_email(text[:1000], check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"{shown(value)} is not an e-mail address: {error}") from None


@filter_of(
    _GROUP,
    "True or false out of yes/no, on/off, true/false, 1/0.",
    ("$.consent | bool", {"consent": "Yes"}, True),
    ("$.consent | bool", {"consent": "off"}, False),
    name="bool",
)
def bool_(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int, float)) else "?"
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError(f"{shown(value)} is neither yes nor no")


_FORMS = ("alpha2", "alpha3", "name")


def _check_form(form: Any = "alpha2") -> None:
    if form not in _FORMS:
        raise ValueError(f"the form is {listed(_FORMS)}, not {shown(form)}")


@filter_of(
    _GROUP,
    "A country's two-letter code (ISO 3166) out of its English name or code; say `name` for the name, `alpha3` for "
    "the three-letter code.",
    ("$.country | country", {"country": "united kingdom"}, "GB"),
    ('$.country | country("name")', {"country": "DE"}, "Germany"),
    ('$.country | country("alpha3")', {"country": "Brazil"}, "BRA"),
    check=_check_form,
)
def country(value: Any, form: str = "alpha2") -> str | None:
    _check_form(form)
    text = want_text(value).strip()
    if not text:
        return None
    code = country_code(text)
    if code is None:
        raise ValueError(f"{shown(value)} is not a country that is known here")
    alpha3, name = COUNTRIES[code]
    return {"alpha2": code, "alpha3": alpha3, "name": name}[form]
