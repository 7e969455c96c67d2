"""Catch: find the source, verify the raw bytes, answer handshakes, take batches apart, find duplicate keys, write.

Reads no recipe: of each it knows only whether it answers the sender.

The order is a promise: nothing of a request is believed, not even its id, before it has been verified; and nothing is
answered with a 2xx before it is on disk.
"""

from relay.catch.answers import Answer, answer_store_error
from relay.catch.catcher import Catcher

__all__ = ["Answer", "Catcher", "answer_store_error"]
