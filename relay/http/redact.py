"""Keep secrets out of whatever people read: previews, records, errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus

HIDDEN = "***"

#: Header names that carry credentials, whoever set them.
_SECRET_HEADER = re.compile(
    r"^(proxy-)?authorization$|^(set-)?cookie2?$|api-?key|token|secret|password|signature|credential|^zsessionid$|"
    r"^x-auth|session-?id$",
    re.IGNORECASE,
)

#: Query parameters that carry credentials: `sig` is Microsoft's, `key` Google's.
_SECRET_QUERY = re.compile(
    r"([?&](?:sig|key|code|auth|[^=&#]*(?:api_?-?key|token|secret|passw(?:or)?d|signature|credential)[^=&#]*)=)[^&#]*",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/?#@\s]*@")


@lru_cache(maxsize=1024)
def is_secret_header(name: str) -> bool:
    return bool(_SECRET_HEADER.search(name))


def redact_headers(headers: Mapping[str, str], secret_names: Iterable[str] = ()) -> dict[str, str]:
    """The headers with credentials as `***`; `secret_names` are further names (lower case) that carry them."""
    also = frozenset(secret_names)
    return {
        name: HIDDEN if is_secret_header(name) or name.lower() in also else value for name, value in headers.items()
    }


def redact_url(url: str) -> str:
    """The URL without userinfo, and without the values of query parameters that carry credentials."""
    return _SECRET_QUERY.sub(rf"\g<1>{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", url))


class Redactor:
    """Takes a connection's own secrets out of any text, in the spellings they travel in."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = set()
        for secret in secrets:
            # One or two characters would blank out half of every text, and are no secret.
            if len(secret) > 2:
                found |= {secret, quote(secret, safe=""), quote_plus(secret)}
        self._pattern = (
            re.compile("|".join(re.escape(s) for s in sorted(found, key=len, reverse=True))) if found else None
        )

    def __call__(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern is not None else text
