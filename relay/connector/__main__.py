"""`python -m relay.connector > docs/connectors.md` renews the page after a declaration has changed."""

import sys

from relay.connector.describe import describe_all

sys.stdout.write(describe_all())
