"""Masking: nobody can be recognised, everything still fits together, and what was masked is told without its value."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import JSON
from relay.recipes.filters import FILTERS
from relay.recipes.masking.mask import masked_pairs, masked_text, masked_value, masked_xml
from relay.recipes.masking.meaning import luhn

CHAT: dict[str, Any] = {
    "conversation": {"id": "c-20260403-0117", "state": "closed", "closed_at": "2026-04-03T10:15:07Z", "rating": 5},
    "contact": {
        "name": " Ana Maria Sousa ",
        "email": "Ana.Sousa@uni.example.ac.uk",
        "phone": "020 7946 0958",
        "page": "https://crm.example.org/people/ana.sousa?mail=Ana.Sousa@uni.example.ac.uk",
    },
    "agent": {"name": "Ravi Patel", "role": "agent"},
    "messages": [
        {"from": "agent", "text": "Hello Ana! May I call you on 020 7946 0958?"},
        {"from": "contact", "text": "Yes, or mail ana.sousa@uni.example.ac.uk – ANA"},
    ],
}


def mask(value: JSON) -> Any:
    return masked_value(value)[0]


def test_people_are_replaced_and_everything_else_stays() -> None:
    made = mask(CHAT)
    assert made["conversation"] == CHAT["conversation"]
    assert made["agent"]["role"] == "agent"
    assert [one["from"] for one in made["messages"]] == ["agent", "contact"]
    text = json.dumps(made).lower()
    for gone in ("ana", "sousa", "ravi", "patel", "7946 0958", "uni.example", "hello"):
        assert not re.search(rf"\b{gone}\b", text), gone


def test_the_same_person_has_the_same_stand_in_wherever_they_are_named() -> None:
    made = mask(CHAT)
    first, _, last = made["contact"]["name"].split()
    assert made["contact"]["name"] == f" {made['contact']['name'].strip()} ", (
        "spaces at the ends are what a recipe trims"
    )
    assert made["contact"]["email"] == f"{first}.{last}@example.com"
    assert made["contact"]["page"].startswith(f"https://crm.example.org/people/{first.lower()}.{last.lower()}?")
    assert first in made["messages"][0]["text"]
    assert made["contact"]["phone"] in made["messages"][0]["text"]
    assert made["contact"]["email"].lower() in made["messages"][1]["text"]
    assert first.upper() in made["messages"][1]["text"]


def test_it_is_the_same_every_time() -> None:
    assert mask(CHAT) == mask(json.loads(json.dumps(CHAT)))


def test_the_list_names_paths_and_kinds_and_no_value() -> None:
    found = masked_value(CHAT)[1]
    assert [(one.path, one.kind) for one in found] == [
        ("$.contact.name", "name"),
        ("$.contact.email", "e-mail"),
        ("$.contact.phone", "phone"),
        ("$.contact.page", "personal data inside"),
        ("$.agent.name", "name"),
        ("$.messages[*].text", "free text"),
    ]


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+44 20 7946 0958", None),
        ("+447911123456", None),
        ("07911 123456", "GB"),
        ("(650) 253-0000", "US"),
        ("+1 416-967-1111", None),
        ("+61 2 9374 4000", None),
        ("+49 30 303986300", None),
        ("+33 1 42 68 53 00", None),
        ("+46 8 505 123 45", None),
        ("+353 1 436 1000", None),
    ],
)
def test_a_phone_number_stays_one_of_its_region_that_nobody_has(number: str, region: str | None) -> None:
    made = mask({"phone": number, "country": region or ""})["phone"]
    before, after = phonenumbers.parse(number, region), phonenumbers.parse(made, region)
    assert made != number
    assert after.country_code == before.country_code
    assert phonenumbers.is_possible_number(after)
    assert made.startswith("+") == number.startswith("+")
    assert (" " in made or "-" in made) == (" " in number or "-" in number)
    digits = phonenumbers.national_significant_number(after)
    fiction = r"7700900\d{3}|2079460\d{3}|\d{3}55501\d\d|25550\d{4}|3023125\d{3}|19900\d{4}|3139006\d\d|2091\d{5}"
    assert re.fullmatch(fiction, digits), digits
    assert FILTERS["phone"].run(made, region)


def test_of_a_country_without_such_numbers_it_is_a_british_one_that_reads_everywhere() -> None:
    assert mask({"mobile": "+351 912 345 678"})["mobile"].startswith("+44 7700 900")
    assert mask({"mobile": "912 345 678", "country": "Portugal"})["mobile"].startswith("+44 7700 900")


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"dob": "1998-04-03"}, r"199\d-\d\d-\d\d"),
        ({"date_of_birth": "03/04/1998"}, r"\d\d/\d\d/199\d"),
        ({"birthday": "3 April 1998"}, r"\d{1,2} January 199\d"),
        ({"dob": "1998-04-03T00:00:00Z"}, r"199\d-\d\d-\d\dT00:00:00Z"),
        ({"nationalInsuranceNumber": "AB 12 34 56 C"}, r"QQ 00 00 01 A"),
        ({"ssn": "123-45-6789"}, r"000-00-0001"),
        ({"postcode": "SW1A 1AA"}, r"[A-Z]{2}\d[A-Z] \d[A-Z]{2}"),
        ({"address": {"line1": "10 Downing St"}}, r"1 Example Street"),
        ({"address": {"city": "Lisboa"}}, r"Exampleton"),
        ({"remote": "81.2.69.142"}, r"192\.0\.2\.1"),
        ({"remote": "2a00:1450:4009::200e"}, r"2001:db8::1"),
        ({"password": "hunter2"}, r"masked-1"),
        ({"surname": "O'Neill-Smith"}, r"[A-Z][a-z]'[A-Z][a-z]+-[A-Z][a-z]+|[A-Z]'[A-Z][a-z]+-[A-Z][a-z]+"),
        ({"user_name": "asousa42"}, r"[a-z]+00"),
        ({"from": "Ana Sousa"}, r"[A-Z][a-z]+ [A-Z][a-z]+"),
    ],
)
def test_what_stands_in_has_the_shape_of_what_it_stands_for(body: Any, shape: str) -> None:
    (made,) = mask(body).values()
    made = next(iter(made.values())) if isinstance(made, dict) else made
    assert re.fullmatch(shape, made), made


def test_a_date_of_birth_is_still_a_date_either_way_round() -> None:
    made = mask({"people": [{"dob": f"{day:02}/12/1970"} for day in range(1, 29)]})
    days = [one["dob"] for one in made["people"]]
    assert len(set(days)) == 28
    for day in days:
        first, second, year = map(int, day.split("/"))
        assert max(first, second) <= 12
        assert 1990 <= year < 2000


@pytest.mark.parametrize("number", ["5500 0055 5555 5559", "4111111111111111", 4111111111111111])
def test_a_card_number_keeps_its_groups_and_a_right_check_digit(number: Any) -> None:
    made = mask({"payment": {"card": number}})["payment"]["card"]
    assert type(made) is type(number)
    digits = re.sub(r"\D", "", str(made))
    assert made != number
    assert luhn(digits[:-1]) == digits[-1]
    assert [len(part) for part in str(made).split()] == [len(part) for part in str(number).split()]


@pytest.mark.parametrize(
    "body",
    [
        {"id": "c-4711", "submissionID": "6123456789012345678", "order_id": 4111111111111111},
        {
            "tags": [{"name": "VIP"}],
            "form": {"name": "Enquiry"},
            "product": {"name": "Red Shirt"},
            "file_name": "a.pdf",
        },
        {"state": "open", "from": "agent", "event": "message", "type": "text", "channel": "web", "country": "GB"},
        {"created_at": 1775207700, "closed_at": "2026-04-03T10:15:07Z", "rating": 4.5, "is_open": True, "none": None},
        {"email_verified": True, "phone_type": "mobile", "ip_version": 4, "version": "1.2.3.4", "reason": "spam"},
    ],
)
def test_what_is_no_personal_data_stays_as_it_is(body: JSON) -> None:
    assert masked_value(body) == (body, [])


def test_somebody_who_is_called_like_a_state_changes_no_state() -> None:
    made = mask({"first_name": "Open", "state": "open", "note": "Open said hello"})
    assert made["state"] == "open"
    assert made["note"].startswith(made["first_name"])


def test_an_id_that_holds_an_address_loses_it() -> None:
    made = mask({"id": "conv:ana@uni.example:7", "email": "ana@uni.example"})
    assert made["id"] == f"conv:{made['email']}:7"


def test_a_number_is_known_in_any_spelling_and_beside_others() -> None:
    made = mask({"phone": "020 7946 0958", "ref": "x-02079460958-y", "note": "Call 020 7946 0958 2026"})
    assert made["ref"] == f"x-{made['phone']}-y"
    assert f"{made['phone']} 0000" in made["note"]


def test_many_people_take_no_longer_each_than_few() -> None:
    people = [{"name": f"A{n}x Ben", "email": f"a{n}@x.example", "phone": f"+44 20 7946 {n:04}"} for n in range(2000)]
    made = mask(people)
    assert len({one["email"] for one in made}) == len({one["email"] for one in people})


def test_addresses_as_keys_are_masked_and_no_two_become_one() -> None:
    made, found = masked_value({"by": {"ana@a.example": 1, "ana@b.example": 2}})
    assert sorted(made["by"].values()) == [1, 2]  # type: ignore[index,call-overload]
    assert not any("a.example" in key or "b.example" in key for key in made["by"])  # type: ignore[index,call-overload]
    assert all("example" not in one.path or "example.com" in one.path for one in found)


def test_json_inside_of_text_is_masked_too() -> None:
    made = mask({"rawRequest": '{"q3_name":{"first":"Ana","last":"Sousa"},"q4_email":"ana@x.example"}'})
    inner = json.loads(made["rawRequest"])
    assert inner["q3_name"] != {"first": "Ana", "last": "Sousa"}
    assert inner["q4_email"].endswith("@example.com")


def test_a_form_is_masked_by_the_names_in_its_brackets() -> None:
    pairs, found = masked_pairs(
        [("data[merges][FNAME]", "Ana"), ("data[email]", "ana@x.example"), ("type", "subscribe")]
    )
    assert pairs[2] == ("type", "subscribe")
    assert pairs[0][1] != "Ana"
    assert {one.path for one in found} == {"$.data.merges.FNAME", "$.data.email"}


def test_xml_is_masked_in_its_place_and_loses_its_comments() -> None:
    text = (
        '<?xml version="1.0"?>\n<s:student xmlns:s="urn:x" id="7"><!-- Ana called --><first_name>Ana</first_name>'
        '<contact email="ana@x.example"/><note><![CDATA[Ana & <co>]]></note></s:student>\n'
    )
    made, found = masked_xml(text)
    root = ET.fromstring(made)
    assert root.get("id") == "7"
    assert root.tag == "{urn:x}student"
    assert "Ana" not in made
    assert {one.path for one in found} == {
        "$.student.first_name",
        "$.student.contact.@email",
        "$.student.note",
    }


def test_a_text_without_structure_is_all_free_text() -> None:
    made, found = masked_text("Dear Sir,\n\nmy number is 020 7946 0958.\n")
    assert re.fullmatch(r"\w{4} \w{3},\n\n\w\w \w{6} \w\w 000 0000 0000\.\n", made)
    assert [one.kind for one in found] == ["free text"]


def test_html_keeps_its_tags_and_loses_what_is_in_them() -> None:
    made = mask({"body": '<p title="Ana">Fish &amp; <b>chips</b></p><a href="https://x.example/ana">x</a>'})["body"]
    assert re.fullmatch(r"<p>\w{4} &amp; <b>\w{5}</b></p><a>\w</a>", made), made


WORDS = st.text(st.characters(categories=["L"]), min_size=5, max_size=12).filter(
    lambda word: word.isascii() or word.isalpha()
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
KEYS = st.sampled_from(
    [
        "name",
        "email",
        "phone",
        "dob",
        "address",
        "ip",
        "card",
        "lat",
        "note",
        "id",
        "ssn",
        "a",
        "postcode",
        "password",
        "zip",
    ]
) | st.text(max_size=6)
BODIES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5))


@given(BODIES)
def test_whatever_the_body_is_its_shape_stays(body: JSON) -> None:
    made, _ = masked_value(body)
    assert shape(made) == shape(body)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [shape(inner) for inner in value.values()]
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


@given(first=WORDS, last=WORDS, domain=WORDS, text=st.lists(WORDS, max_size=5))
def test_no_name_and_no_address_is_left_anywhere(first: str, last: str, domain: str, text: list[str]) -> None:
    address = f"{first}.{last}@x{len(domain)}.example".encode("ascii", "ignore").decode()
    body = {
        "contact": {"name": f"{first} {last}", "email": address},
        "link": f"https://crm.example.org/{first}/{last}",
        "text": " ".join([*text, first, last, address]),
    }
    made = json.dumps(mask(body), ensure_ascii=False).casefold()
    known = {word.casefold() for word in re.findall(r"[^\W\d_]+", json.dumps(list(STAND_INS), ensure_ascii=False))}
    for word in (first, last):
        if word.casefold() not in known:
            assert word.casefold() not in re.findall(r"[^\W\d_]+", made), made
    assert "x" + str(len(domain)) + ".example" not in made


#: What stand-ins and the body's own words are made of: these may be there by chance.
STAND_INS = ("https crm example org contact name email link text com person",)
