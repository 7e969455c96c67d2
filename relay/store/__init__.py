"""Everything that is kept, in Redis or Valkey: events, deliveries, dead letters, recipe versions, the audit."""

from relay.store.batches import ClosedBatch, SettledBatch, close_batch, load_batch, open_batches, settle_batch
from relay.store.books import STRANDED, UNROUTED, Books, Fault
from relay.store.formats import FORMAT, bring_up_to_date, ensure_format
from relay.store.history import Entry, History, InForce, Version
from relay.store.keeping import Keeping, KeptDelivery, KeptEvent
from relay.store.operators import Filter, Operators
from relay.store.promises import Unkept, promises
from relay.store.records import HANDSHAKE, Edit, NewDelivery, PassedOver, RowOf, StoredDelivery, StoredEvent
from relay.store.senders import MOST_HANDSHAKES, MOST_KEPT_SECRETS, Rejected, SecretUse, Senders
from relay.store.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    BreakerNews,
    Ended,
    Settled,
    Store,
    connection_lane,
    recipe_lane,
    source_lane,
)
from relay.store.vitals import Vitals, vitals

__all__ = [
    "DELIVER_QUEUE",
    "FORMAT",
    "HANDSHAKE",
    "MOST_HANDSHAKES",
    "MOST_KEPT_SECRETS",
    "ROUTE_QUEUE",
    "STRANDED",
    "UNROUTED",
    "Books",
    "BreakerNews",
    "ClosedBatch",
    "Edit",
    "Ended",
    "Entry",
    "Fault",
    "Filter",
    "History",
    "InForce",
    "Keeping",
    "KeptDelivery",
    "KeptEvent",
    "NewDelivery",
    "Operators",
    "PassedOver",
    "Rejected",
    "RowOf",
    "SecretUse",
    "Senders",
    "Settled",
    "SettledBatch",
    "Store",
    "StoredDelivery",
    "StoredEvent",
    "Unkept",
    "Version",
    "Vitals",
    "bring_up_to_date",
    "close_batch",
    "connection_lane",
    "ensure_format",
    "load_batch",
    "open_batches",
    "promises",
    "recipe_lane",
    "settle_batch",
    "source_lane",
    "vitals",
]
