"""Where the store is: the URL of one server, or of the Sentinels that know which server it is today."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_SCHEMES = ("redis://", "rediss://", "unix://", "sentinel://", "sentinels://")

_SHAPE = "sentinel://host:26379,host:26379,host:26379/name-of-the-primary"

_SENTINEL = re.compile(r"sentinel(s?)://(?:([^/?#]*)@)?([^/?#@]+)/([^/?#]+)(?:\?([^#]*))?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?")

#: Where Sentinel listens when nobody says otherwise.
_PORT = 26379

#: What may stand behind the `?`, beside the Sentinels' own login. The names are redis-py's.
_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}

_LOGIN = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Sentinels:
    """What a sentinel:// URL says.

    sentinels  host and port of each
    service    the name under which they watch the primary
    server     a redis:// or rediss:// URL with the store's login and options, and no host
    """

    sentinels: tuple[tuple[str, int], ...]
    service: str
    server: str
    tls: bool
    username: str
    password: str


def is_sentinel(url: str) -> bool:
    return url.startswith(("sentinel://", "sentinels://"))


def check(url: str) -> str:
    """The URL as it is. Raises ValueError, in words, and never with a password."""
    if url and not url.startswith(_SCHEMES):
        raise ValueError(
            f"a store's URL begins with {', '.join(_SCHEMES[:-1])} or {_SCHEMES[-1]}; this is {redacted(url)!r}"
        )
    if is_sentinel(url):
        sentinels(url)
    return url


def sentinels(url: str) -> Sentinels:
    """Raises ValueError."""
    match = _SENTINEL.fullmatch(url)
    if match is None:
        raise ValueError(
            f"the URL of Sentinels is {_SHAPE}, with user:password@ of the store; this is {redacted(url)!r}"
        )
    tls, login, hosts, service, query = match.groups()
    options = dict(parse_qsl(query or "", keep_blank_values=True))
    username, password = (options.pop(name, "") for name in _LOGIN)
    if unknown := options.keys() - _OPTIONS:
        known = ", ".join(sorted(_OPTIONS))
        raise ValueError(f"{min(unknown)!r} is no option of a Sentinel URL; there are {known}")
    if not options.get("db", "0").isdigit():
        raise ValueError(f"`db` is the number of a database; this is {options['db']!r}")
    server = f"redis{tls}://{f'{login}@' if login else ''}/" + (f"?{urlencode(options)}" if options else "")
    return Sentinels(tuple(map(_host, hosts.split(","))), unquote(service), server, bool(tls), username, password)


def _host(text: str) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or not 0 < int(match[2] or _PORT) < 65536:
        raise ValueError(f"each Sentinel is host or host:port, with commas between; this is {text!r}")
    return match[1].strip("[]"), int(match[2] or _PORT)


def with_login(url: str, username: str, password: str) -> str:
    """A sentinel:// URL that also has the Sentinels' own login; any other URL as it is."""
    if not is_sentinel(url) or not (username or password):
        return url
    base, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] not in _LOGIN]
    login = [
        f"{name}={quote(value, safe='')}" for name, value in zip(_LOGIN, (username, password), strict=True) if value
    ]
    return f"{base}?{'&'.join([*kept, *login])}"


def at(url: str, host: str, port: int) -> str:
    """The URL of another server of the same store: a replica has its primary's login and options."""
    base = sentinels(url).server if is_sentinel(url) else url
    parts = urlsplit(base)
    login = parts.netloc.rpartition("@")[0]
    where = f"{f'{login}@' if login else ''}{f'[{host}]' if ':' in host else host}:{port}"
    return urlunsplit(parts._replace(netloc=where))


def redacted(url: str) -> str:
    """For people: without passwords."""
    url = re.sub(r"(?<=//)([^/@]*:)[^/]*@", r"\1***@", url)
    return re.sub(r"((?:^|[?&])\w*password=)[^&]*", r"\1***", url)
