"""Every filter, declared in this package's modules by subject. `FILTERS` is the registry."""

from relay.recipes.filters import dates, domain, encoding, lists, numbers, text
from relay.recipes.filters.registry import FILTERS, NOT_YET, Example, Filter, FilterError

__all__ = [
    "FILTERS",
    "NOT_YET",
    "Example",
    "Filter",
    "FilterError",
    "dates",
    "domain",
    "encoding",
    "lists",
    "numbers",
    "text",
]
