"""Everything that can happen, between a sender and a sink that each keep a ledger: `python -m tests.chaos --help`."""
