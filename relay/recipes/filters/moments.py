"""Reading and writing dates: ISO 8601, unix times, and formats spelt with `DD MM YYYY HH mm ss`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from relay.recipes.words import kind_of, listed, nearest, shown

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: Unix times from here on are milliseconds: as seconds they would lie after the year 5138.
_MILLISECONDS_FROM = 100_000_000_000

#: No date is written in more characters.
_LONGEST_DATE = 200

_ISO = re.compile(
    r"^(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|z|[+-]\d\d(?::?\d\d)?|UTC)?)?$"
)
_ISO_BASIC = re.compile(r"^\d{8}T\d{6}(?:Z|[+-]\d{4})?$")
_TOKEN = re.compile(r"\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|dddd|ddd|DD|D|HH|H|hh|h|mm|ss|SSS|A|a|ZZ|Z|.", re.DOTALL)


def zone_of(name: Any) -> tzinfo:
    """A time zone by its name in the time zone database. Raises ValueError with the nearest name."""
    if isinstance(name, str):
        if name.upper() == "UTC":
            return UTC
        found = _zone(name)
        if found:
            return found
    guess = nearest(str(name), available_timezones())
    hint = f"did you mean `{guess}`?" if guess else "one is written like Europe/London"
    raise ValueError(f"{shown(name)} is not a time zone: {hint}")


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo | None:
    return ZoneInfo(name) if name in available_timezones() else None


def to_moment(value: Any, zone: tzinfo) -> datetime:
    """A date as it may arrive, in `zone`. Raises ValueError for what would have to be guessed."""
    match value:
        case datetime():
            return value.astimezone(zone)
        case bool():
            pass
        case int() | float():
            return from_unix(value, zone)
        case str():
            text = value.strip()
            if text.isdigit() and 9 <= len(text) <= 14:
                return from_unix(int(text), zone)
            if match := _ISO.match(text):
                return _from_iso(match, value, zone)
            if _ISO_BASIC.match(text):
                return _aware(datetime.fromisoformat(text), zone)
            raise ValueError(
                f"{shown(value)} is not an ISO 8601 date or a unix time, and no other form is guessed at; "
                f'read it with parse_date, as in parse_date("DD/MM/YYYY")'
            )
        case _:
            pass
    raise ValueError(f"{kind_of(value)} is not a date")


def from_unix(value: Any, zone: tzinfo) -> datetime:
    """Seconds or milliseconds since 1970, told apart by size."""
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            raise ValueError(f"{shown(value)} is not a unix time") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{kind_of(value)} is not a unix time")
    try:
        if abs(value) >= _MILLISECONDS_FROM:
            return (datetime.fromtimestamp(value // 1000, UTC) + timedelta(milliseconds=value % 1000)).astimezone(zone)
        return datetime.fromtimestamp(value, UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"{shown(value)} is not a unix time") from None


def _from_iso(match: re.Match[str], value: str, zone: tzinfo) -> datetime:
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        # The form that most senders write, in a fifth of the time. Newer Pythons take 24:00 for the next day.
        if len(match[0]) == (20 if offset == "Z" else 25) and offset and second and not fraction and hour != "24":
            return datetime.fromisoformat(match[0]).astimezone(zone)
        moment = datetime(  # noqa: DTZ001 - the zone follows
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            int((fraction or "").ljust(6, "0")[:6]),
        )  # fmt: skip
        if not offset:
            return _aware(moment, zone)
        if offset in ("Z", "z", "UTC"):
            return moment.replace(tzinfo=UTC).astimezone(zone)
        return datetime.fromisoformat(f"{moment.isoformat()}{offset}").astimezone(zone)
    except (ValueError, OverflowError):
        raise ValueError(f"there is no such date as {shown(value)}") from None


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    """A clock's reading without a zone is the recipe's; one that the clocks skipped moves forward by the gap."""
    if moment.tzinfo is not None:
        return moment.astimezone(zone)
    return moment.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)


def write(moment: datetime, form: str) -> str:
    """`DD/MM/YYYY HH:mm` and its like, filled in."""
    return "".join([piece if type(piece) is str else piece(moment) for piece in _writer(form)])  # type: ignore[operator]


def _hour12(moment: datetime) -> int:
    return moment.hour % 12 or 12


_WRITE: dict[str, Callable[[datetime], str]] = {
    "YYYY": lambda moment: f"{moment.year:04}",
    "YY": lambda moment: f"{moment.year % 100:02}",
    "MMMM": lambda moment: MONTHS[moment.month - 1],
    "MMM": lambda moment: MONTHS[moment.month - 1][:3],
    "MM": lambda moment: f"{moment.month:02}",
    "M": lambda moment: str(moment.month),
    "dddd": lambda moment: DAYS[moment.weekday()],
    "ddd": lambda moment: DAYS[moment.weekday()][:3],
    "DD": lambda moment: f"{moment.day:02}",
    "D": lambda moment: str(moment.day),
    "HH": lambda moment: f"{moment.hour:02}",
    "H": lambda moment: str(moment.hour),
    "hh": lambda moment: f"{_hour12(moment):02}",
    "h": lambda moment: str(_hour12(moment)),
    "mm": lambda moment: f"{moment.minute:02}",
    "ss": lambda moment: f"{moment.second:02}",
    "SSS": lambda moment: f"{moment.microsecond // 1000:03}",
    "A": lambda moment: "AM" if moment.hour < 12 else "PM",
    "a": lambda moment: "am" if moment.hour < 12 else "pm",
    "Z": lambda moment: f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:5],
    "ZZ": lambda moment: f"{moment:%z}"[:5],
}


@lru_cache(maxsize=512)
def _writer(form: str) -> tuple[str | Callable[[datetime], str], ...]:
    """The format taken apart once: text, and functions for its tokens."""
    check_format(form)
    return tuple(_WRITE.get(match[0]) or match[1] or match[0].strip("[]") for match in _TOKEN.finditer(form))


def check_format(form: Any) -> None:
    """Refuse a format that can't be meant: Python's `%d`, or `dd` and `yyyy` of other tools."""
    if not isinstance(form, str) or not form:
        raise ValueError(f'a date format is text such as "DD/MM/YYYY HH:mm", not {shown(form)}')
    if "%" in form:
        raise ValueError('a date format is spelt "DD/MM/YYYY HH:mm:ss", not with %')
    bare = re.sub(r"\[[^\]]*\]", " ", form)
    if re.search(r"yy|(?<!d)dd(?!d)", bare):
        raise ValueError("in a date format the year is YYYY and the day is DD, in capitals")
    if "mm" in bare and "YY" in bare and "M" not in bare and not re.search("[Hh]", bare):
        raise ValueError("in a date format the month is MM, in capitals; mm is the minute")
    for word in re.findall(r"[^\W\d_]+", bare):
        strange = [match[0] for match in _TOKEN.finditer(word) if match[0] not in _WRITE]
        if len(word) > 1 and strange and strange != ["T"]:
            raise ValueError(
                f"`{word}` means nothing in a date format: the parts of a date are YYYY MM DD HH mm ss, and text "
                f"stands in brackets, [{word}]"
            )


_READ = {
    "YYYY": r"(?P<year>\d{4})", "YY": r"(?P<short_year>\d\d)",
    "MMMM": r"(?P<month_name>[^\W\d]+)", "MMM": r"(?P<month_name>[^\W\d]+)\.?",
    "MM": r"(?P<month>\d\d)", "M": r"(?P<month>\d\d?)", "DD": r"(?P<day>\d\d)", "D": r"(?P<day>\d\d?)",
    "dddd": r"[^\W\d]+", "ddd": r"[^\W\d]+\.?",
    "HH": r"(?P<hour>\d\d)", "H": r"(?P<hour>\d\d?)", "hh": r"(?P<hour>\d\d)", "h": r"(?P<hour>\d\d?)",
    "mm": r"(?P<minute>\d\d)", "ss": r"(?P<second>\d\d)", "SSS": r"(?P<milli>\d{1,3})",
    "A": r"(?P<half>[AaPp]\.?[Mm]\.?)", "a": r"(?P<half>[AaPp]\.?[Mm]\.?)",
    "Z": r"(?P<offset>Z|[+-]\d\d:?\d\d)", "ZZ": r"(?P<offset>Z|[+-]\d\d:?\d\d)",
}  # fmt: skip


@lru_cache(maxsize=512)
def _reader(form: str) -> re.Pattern[str]:
    check_format(form)
    pieces: list[str] = []
    for match in _TOKEN.finditer(form):
        piece = _READ[match[0]] if match[0] in _WRITE else _literal(match)
        # Two open repeats beside each other would try every way to share the spaces between them.
        if piece != r"\s+" or pieces[-1:] != [piece]:
            pieces.append(piece)
    try:
        pattern = re.compile("".join(pieces))
    except re.error:
        raise ValueError(f"the format {shown(form)} names a part of the date twice") from None
    if sum(piece in (_READ["dddd"], _READ["ddd"]) for piece in pieces) > 1:
        raise ValueError(f"the format {shown(form)} names the weekday twice")
    groups = pattern.groupindex
    if not ({"year", "short_year"} & set(groups)) or "day" not in groups or not ({"month", "month_name"} & set(groups)):
        raise ValueError("a date is read from its year, month and day: the format needs YYYY, MM and DD")
    return pattern


def _literal(match: re.Match[str]) -> str:
    text = match[1] if match[1] is not None else match[0]
    return r"\s+" if text.isspace() else re.escape(text)


def check_reading(form: Any, *_: Any) -> None:
    check_format(form)
    _reader(form)


def read(text: str, form: str, zone: tzinfo) -> datetime:
    """Read a date by its format; parts that the format leaves out are midnight's. Raises ValueError."""
    text = text.strip()
    match = _reader(form).fullmatch(text) if len(text) <= _LONGEST_DATE else None
    if not match:
        raise ValueError(f"{shown(text)} doesn't look like {form}")
    part = match.groupdict()
    try:
        moment = datetime(  # noqa: DTZ001 - the zone follows
            _year(part), _month(part), int(part["day"]), _hour(part), int(part.get("minute") or 0),
            int(part.get("second") or 0), int((part.get("milli") or "0").ljust(3, "0")) * 1000,
        )  # fmt: skip
        offset = part.get("offset")
        return _aware(datetime.fromisoformat(f"{moment.isoformat()}{offset}") if offset else moment, zone)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no such date as {shown(text)} ({form})") from error


def _year(part: dict[str, Any]) -> int:
    if part.get("year"):
        return int(part["year"])
    short = int(part["short_year"])
    return 2000 + short if short < 70 else 1900 + short


def _month(part: dict[str, Any]) -> int:
    if part.get("month"):
        return int(part["month"])
    name = part["month_name"].lower()
    starts = [i for i, month in enumerate(MONTHS, 1) if len(name) >= 3 and month.lower().startswith(name)]
    if len(starts) != 1:
        raise ValueError(f"{shown(name)} is not a month; there are {listed(MONTHS)}")
    return starts[0]


def _hour(part: dict[str, Any]) -> int:
    hour = int(part.get("hour") or 0)
    half = part.get("half")
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("with AM or PM the hour is 1 to 12")
        return hour % 12 + (12 if half[0] in "Pp" else 0)
    return hour


_SPAN = re.compile(r"^\s*(\d{1,6})\s*(ms|s|m|h|d|w|mo|y)\s*$")
_EXACT = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def check_span(text: Any) -> None:
    if not isinstance(text, str) or not _SPAN.match(text):
        raise ValueError(
            f"a span of time is a number and a unit (s m h d w mo y), such as 2d or 90m, not {shown(text)}"
        )


def shifted(moment: datetime, span: Any, sign: int) -> datetime:
    """Hours are exact; days, weeks, months and years keep the clock's time, also over a change of the clocks."""
    check_span(span)
    match = _SPAN.match(span)
    assert match is not None
    amount, unit = int(match[1]) * sign, match[2]
    zone = moment.tzinfo
    assert zone is not None
    try:
        if unit in _EXACT:
            return (moment.astimezone(UTC) + timedelta(seconds=amount * _EXACT[unit])).astimezone(zone)
        naive = moment.replace(tzinfo=None)
        if unit in ("d", "w"):
            return _aware(naive + timedelta(days=amount * (7 if unit == "w" else 1)), zone)
        months = naive.year * 12 + naive.month - 1 + amount * (12 if unit == "y" else 1)
        year, month = divmod(months, 12)
        last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        return _aware(naive.replace(year=year, month=month + 1, day=min(naive.day, last)), zone)
    except (OverflowError, ValueError):
        raise ValueError(f"{span} from {moment.date()} is outside the calendar") from None


def start_of(moment: datetime, unit: str) -> datetime:
    zone = moment.tzinfo
    assert zone is not None
    naive = moment.replace(tzinfo=None, microsecond=0, fold=0)
    if unit in ("hour", "minute"):
        return moment.replace(microsecond=0, second=0, minute=moment.minute if unit == "minute" else 0)
    day = naive.replace(hour=0, minute=0, second=0)
    starts = {
        "day": day,
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "year": day.replace(month=1, day=1),
    }
    return _aware(starts[unit], zone)
