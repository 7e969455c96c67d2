"""Everything that is kept, in Redis or Valkey: events, deliveries, dead letters, recipe versions, the audit."""

from relay.store.operators import Filter, Operators
from relay.store.records import Edit, NewDelivery, StoredDelivery, StoredEvent
from relay.store.store import (
    DELIVER_QUEUE,
    ROUTE_QUEUE,
    Settled,
    Store,
    connection_lane,
    recipe_lane,
    source_lane,
)

__all__ = [
    "DELIVER_QUEUE",
    "ROUTE_QUEUE",
    "Edit",
    "Filter",
    "NewDelivery",
    "Operators",
    "Settled",
    "Store",
    "StoredDelivery",
    "StoredEvent",
    "connection_lane",
    "recipe_lane",
    "source_lane",
]
