"""The one HTTP client: timeouts, outcomes sorted by fate, Retry-After, the guard against private addresses, redaction.

client   sends a request once and reads the reply as far as its limit
outcome  what a reply, or the lack of one, means for the delivery
guard    refuses private addresses when the socket is made
redact   keeps secrets out of previews, records and errors
reply    decodes a reply by its content type
"""

from relay.http.client import USER_AGENT, Client, ClientOptions, HttpRequest, base_headers
from relay.http.guard import PrivateAddressError, is_private, open_socket, refusal
from relay.http.outcome import (
    BROKE_OFF,
    HOLD_ON,
    IDEMPOTENT_METHODS,
    RETRY_ON,
    Received,
    Sorting,
    retry_after,
    sort_error,
    sort_response,
)
from relay.http.redact import HIDDEN, Redactor, is_secret_header, redact_headers, redact_url
from relay.http.reply import decode, from_json, from_xml

__all__ = [
    "BROKE_OFF",
    "HIDDEN",
    "HOLD_ON",
    "IDEMPOTENT_METHODS",
    "RETRY_ON",
    "USER_AGENT",
    "Client",
    "ClientOptions",
    "HttpRequest",
    "PrivateAddressError",
    "Received",
    "Redactor",
    "Sorting",
    "base_headers",
    "decode",
    "from_json",
    "from_xml",
    "is_private",
    "is_secret_header",
    "open_socket",
    "redact_headers",
    "redact_url",
    "refusal",
    "retry_after",
    "sort_error",
    "sort_response",
]
