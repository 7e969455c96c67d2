"""Every filter, declared in this package's modules by subject. `FILTERS` is the registry."""

from relay.recipes.filters import charset, dates, domain, encoding, lists, lookup, markup, numbers, text
from relay.recipes.filters.registry import FILTERS, Example, Filter, FilterError

__all__ = [
    "FILTERS",
    "Example",
    "Filter",
    "FilterError",
    "charset",
    "dates",
    "domain",
    "encoding",
    "lists",
    "lookup",
    "markup",
    "numbers",
    "text",
]
